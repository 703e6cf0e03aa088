//! Options that may stand anywhere on the command line, and which verbs take them.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command};

/// The options that most verbs share, as they were given: before the verb, or after it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Global {
    /// Name of the cluster [env: KOPS_CLUSTER_NAME]
    #[arg(long, value_name = "CLUSTER", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Where manifests are kept: s3://BUCKET[/PREFIX] or file:///DIRECTORY [env: KOPS_STATE_STORE]
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub state: Option<String>,
    /// File of settings [default: ~/.kops.yaml, then ~/.kops/config]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Use a simulated cloud, kept with its manifests in a directory (./sim or /sim) [default: .kops-sim] [env: KOPS_SIM]
    #[arg(
        long,
        value_name = "true|false|DIRECTORY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub sim: Option<String>,
}

const ALL: [&str; 4] = ["name", "state", "config", "sim"];

/// Names the options that a verb has no use for. It does not take them.
fn not_taken(verb: &[&str]) -> &'static [&'static str] {
    match verb {
        ["version" | "completion"] | ["create", "state-store"] => &ALL,
        ["create", "assets"] => &["name"],
        _ => &[],
    }
}

/// Gives the options to the command, and to every verb below it that takes them.
pub(crate) fn attach(command: Command) -> Command {
    attach_below(command, &[])
}

fn attach_below(command: Command, path: &[&str]) -> Command {
    let options = Global::augment_args(Command::default());
    let taken = options.get_arguments().filter(|arg| !not_taken(path).contains(&arg.get_id().as_str()));
    let command = command.args(taken.cloned()).mut_args(|arg| match arg.get_id().as_str() {
        "cluster" | "clusters" => arg.value_parser(NonEmptyStringValueParser::new()),
        _ => arg,
    });
    command.mut_subcommands(|verb| {
        let name = verb.get_name().to_owned();
        attach_below(verb, &[path, &[name.as_str()]].concat())
    })
}

impl Global {
    /// Gathers the options from the command, the verb and what is between them.
    ///
    /// # Errors
    /// An option was given twice with different values, or the verb does not take it.
    pub(crate) fn collect(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut collected = Self::default();
        let mut verb = "kops".to_owned();
        let mut level = Some(matches);
        while let Some(matches) = level {
            merge(&mut collected.name, matches, "name", &verb)?;
            merge(&mut collected.state, matches, "state", &verb)?;
            merge(&mut collected.config, matches, "config", &verb)?;
            merge(&mut collected.sim, matches, "sim", &verb)?;
            level = matches.subcommand().map(|(name, below)| {
                verb = format!("{verb} {name}");
                below
            });
        }
        Ok(collected)
    }
}

fn merge<T: Clone + PartialEq + Send + Sync + 'static>(
    known: &mut Option<T>,
    matches: &ArgMatches,
    id: &str,
    verb: &str,
) -> Result<(), clap::Error> {
    let conflict = |message| Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
    match (matches.try_get_one::<T>(id), known.as_ref()) {
        (Ok(Some(here)), Some(before)) if here != before => {
            conflict(format!("--{id} is given twice, with different values"))
        }
        (Ok(Some(here)), _) => {
            *known = Some(here.clone());
            Ok(())
        }
        (Err(_), Some(_)) => conflict(format!("`{verb}` has no use for --{id}")),
        (Ok(None) | Err(_), _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    fn parse(line: &[&str]) -> Result<Cli, String> {
        Cli::try_parse_from([&["kops"], line].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_may_stand_before_the_verb_and_after_it() {
        for line in [
            &["--name", "a", "get", "ig"][..],
            &["get", "--name", "a", "ig"],
            &["get", "ig", "--name=a"],
            &["--name=a", "get", "ig", "--name=a"],
        ] {
            assert_eq!(
                parse(line).unwrap_or_else(|error| panic!("{error}")).global.name.as_deref(),
                Some("a")
            );
        }
    }

    #[test]
    fn an_option_with_two_values_is_refused() {
        for line in [
            &["--name", "a", "get", "ig", "--name", "b"][..],
            &["get", "--name", "a", "ig", "--name", "b"],
            &["--state", "s3://a", "update", "cluster", "--state", "s3://b"],
            &["--sim", "update", "cluster", "--sim=./b"],
            &["--config", "a", "update", "cluster", "--config", "b"],
            &["update", "cluster", "--name", "a", "--name", "b"],
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line:?} is taken"));
            assert!(error.contains("twice") || error.contains("multiple times"), "{error}");
        }
    }

    #[test]
    fn an_option_without_a_value_is_refused() {
        for line in [
            &["update", "cluster", "--name", ""][..],
            &["update", "cluster", "--name="],
            &["delete", "cluster", ""],
            &["get", "clusters", ""],
            &["get", "clusters", "--state="],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_verb_that_has_no_use_for_an_option_says_so() {
        let error = parse(&["--name", "a", "version"]).err().unwrap_or_default();
        assert!(error.starts_with("error: `kops version` has no use for --name"), "{error}");
        for line in [&["version", "--sim"][..], &["create", "state-store", "s3://a", "--state", "s3://b"]] {
            assert!(parse(line).err().is_some_and(|error| error.contains("unexpected argument")), "{line:?}");
        }
    }
}

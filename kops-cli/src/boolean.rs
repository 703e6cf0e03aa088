//! Booleans, on the command line and in variables: one set of words, and nothing else.

use clap::builder::TypedValueParser;
use clap::{Arg, ArgAction, Command};

/// What may be written for a boolean.
const WORDS: &str = "true or false";

/// Reads a boolean: the words that kops takes, those of Go, and yes, no, on and off.
pub(crate) fn parse(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" | "on" => Some(true),
        "0" | "f" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Lets every boolean option of the command and of those below it take a value: `--yes`, `--yes=true`, `--yes=false`.
///
/// A value has to follow an equals sign, so no option ever takes the next argument for its value.
pub(crate) fn with_values(command: Command) -> Command {
    command.mut_args(|arg| if is_boolean(&arg) { with_value(arg) } else { arg }).mut_subcommands(with_values)
}

fn is_boolean(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
        || arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>()
}

fn with_value(arg: Arg) -> Arg {
    let arg = match arg.get_default_values() {
        [] => arg.default_value("false").hide_default_value(true),
        _ => arg,
    };
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(
            clap::builder::StringValueParser::new()
                .try_map(|text| parse(&text).ok_or_else(|| format!("write {WORDS}"))),
        )
        .value_name("true|false")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn words_are_those_of_kops_and_a_few_more() {
        for word in ["1", "t", "T", "true", "TRUE", "True", "yes", "on", "On"] {
            assert_eq!(parse(word), Some(true), "{word}");
        }
        for word in ["0", "f", "F", "false", "FALSE", "False", "no", "off", "OFF"] {
            assert_eq!(parse(word), Some(false), "{word}");
        }
        for word in ["", " true", "tru", "2", "enabled", "nein"] {
            assert_eq!(parse(word), None, "{word}");
        }
    }

    fn each(command: &Command, path: &str, look: &mut impl FnMut(&str, &Arg)) {
        let path = format!("{path} {}", command.get_name());
        command.get_arguments().for_each(|arg| look(&path, arg));
        command.get_subcommands().for_each(|sub| each(sub, &path, look));
    }

    #[test]
    fn every_boolean_option_of_every_verb_takes_a_value_after_an_equals_sign_only() {
        let mut seen = 0;
        each(&Cli::command(), "", &mut |path, arg| {
            assert!(!matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse), "{path} {arg}");
            if arg.get_value_parser().type_id() == std::any::TypeId::of::<bool>() {
                seen += 1;
                assert!(arg.is_require_equals_set(), "{path} {arg}");
                assert_eq!(
                    arg.get_num_args().map(|range| (range.min_values(), range.max_values())),
                    Some((0, 1))
                );
            }
        });
        assert!(seen > 30, "{seen}");
    }
}

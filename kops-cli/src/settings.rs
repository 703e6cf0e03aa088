//! The file of settings, `~/.kops.yaml`, as kops reads it: keys in upper and in lower case are the same.

use std::path::Path;

use kops_core::yaml::{self, Node};

use crate::context::read_file;
use crate::environment;
use crate::error::CliError;
use crate::terminal::Terminal;

/// The only key that kops reads.
const STATE_STORE: &str = "kops_state_store";

/// What a file of settings says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The URL of the state store.
    pub state: Option<String>,
}

impl Settings {
    /// Reads the file that is named, or else the first usual one that exists.
    pub(crate) fn load(named: Option<&Path>, terminal: &Terminal) -> Result<Self, CliError> {
        let usual = || {
            let home = environment::home()?;
            [".kops.yaml", ".kops/config"].map(|name| home.join(name)).into_iter().find(|path| path.is_file())
        };
        let Some(path) = named.map(Path::to_owned).or_else(usual) else { return Ok(Self::default()) };
        let (settings, unknown) = Self::parse(&read_file(&path)?).map_err(|(message, line)| {
            let at = line.map(|line| format!(":{line}")).unwrap_or_default();
            CliError::new(format!("{}{at}: {message}", path.display()))
        })?;
        for key in unknown {
            terminal.warning(format_args!(
                "{}: there is no setting {key:?}; kops_state_store is the only one",
                path.display()
            ));
        }
        Ok(settings)
    }

    /// Reads a text: the settings, and the keys that are not known. An error has its line, if it has one.
    fn parse(text: &str) -> Result<(Self, Vec<String>), (String, Option<u64>)> {
        let documents = yaml::read(text)
            .map_err(|error| (format!("it is not YAML: {error}"), Some(error.position.line)))?;
        let document = match documents.as_slice() {
            [] => return Ok(Default::default()),
            [document] if document.is_null() => return Ok(Default::default()),
            [document] => document,
            _ => return Err(("it holds several documents".to_owned(), None)),
        };
        if document.entries().is_empty() {
            return Err(("settings are written as `kops_state_store: s3://BUCKET`".to_owned(), None));
        }
        let is_state = |key: &str| key.eq_ignore_ascii_case(STATE_STORE);
        let (states, others): (Vec<_>, Vec<_>) =
            document.entries().iter().partition(|entry| is_state(&entry.key));
        if let [_, second, ..] = states.as_slice() {
            return Err((format!("{} is there twice", second.key), Some(second.key_position.line)));
        }
        let state = states.first().map(|entry| text_of(&entry.key, &entry.value)).transpose()?.flatten();
        Ok((Self { state }, others.into_iter().map(|entry| entry.key.clone()).collect()))
    }
}

/// Returns the text of a value. One that is empty counts as unset, as an empty variable does.
fn text_of(key: &str, value: &Node) -> Result<Option<String>, (String, Option<u64>)> {
    match value.text() {
        Some(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        None if value.is_null() => Ok(None),
        None => Err((format!("{key} has to be one text"), Some(value.position.line))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> Option<String> {
        Settings::parse(text).unwrap_or_else(|(message, _)| panic!("{message}")).0.state
    }

    #[test]
    fn keys_are_read_in_any_case() {
        for key in ["kops_state_store", "KOPS_STATE_STORE", "Kops_State_Store"] {
            assert_eq!(state(&format!("# mine\n{key}: s3://bucket\n")).as_deref(), Some("s3://bucket"));
        }
    }

    #[test]
    fn what_says_nothing_counts_as_unset() {
        for text in
            ["", "---\n", "# nothing\n", "kops_state_store:\n", "kops_state_store: ''\n", "other: x\n"]
        {
            assert_eq!(state(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_told_and_what_is_wrong_is_refused() {
        let (_, unknown) = Settings::parse("kops_state_stor: s3://bucket\n").unwrap_or_default();
        assert_eq!(unknown, ["kops_state_stor"]);
        let twice = Settings::parse("kops_state_store: a\nKOPS_STATE_STORE: b\n");
        assert_eq!(twice, Err(("KOPS_STATE_STORE is there twice".to_owned(), Some(2))));
        for text in ["- a\n", "text\n", "kops_state_store: [a]\n", "a: b\n---\nc: d\n", "a: {\n"] {
            assert!(Settings::parse(text).is_err(), "{text:?}");
        }
    }
}

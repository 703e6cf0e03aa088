//! Whether the cloud is a simulated one, and where that is kept.

use std::path::PathBuf;

use crate::error::CliError;
use crate::{boolean, environment};

const VARIABLE: &str = "KOPS_SIM";

/// A simulated cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Simulation {
    /// Where it is kept.
    pub directory: PathBuf,
    /// What has asked for it: the option, or the variable.
    pub by: &'static str,
}

impl Simulation {
    /// Returns the one that the option asks for, or else the variable.
    ///
    /// # Errors
    /// What it says is neither a boolean nor a directory.
    pub(crate) fn asked_for(option: Option<&str>) -> Result<Option<Self>, CliError> {
        match option {
            Some(text) => Self::parse(text, "--sim"),
            None => environment::variable(VARIABLE).map_or(Ok(None), |text| Self::parse(&text, VARIABLE)),
        }
    }

    fn parse(text: &str, by: &'static str) -> Result<Option<Self>, CliError> {
        match boolean::parse(text) {
            Some(false) => Ok(None),
            Some(true) => Ok(Some(Self { directory: PathBuf::from(".kops-sim"), by })),
            // A word without a slash is more likely a boolean that was mistyped.
            None if text.contains('/') || text.starts_with('.') => {
                Ok(Some(Self { directory: PathBuf::from(text), by }))
            }
            None => Err(CliError::new(format!(
                "{by} is {text:?}, which is neither true or false nor a directory"
            ))
            .with_hint(format!("a directory has a slash in it: ./{text}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(text: &str) -> Option<PathBuf> {
        let parsed = Simulation::parse(text, VARIABLE).unwrap_or_else(|error| panic!("{error}"));
        parsed.map(|simulation| simulation.directory)
    }

    #[test]
    fn a_boolean_or_a_directory_is_read() {
        for text in ["0", "no", "off", "False", "f"] {
            assert_eq!(directory(text), None, "{text}");
        }
        for text in ["1", "true", "Yes", "on"] {
            assert_eq!(directory(text), Some(PathBuf::from(".kops-sim")), "{text}");
        }
        for text in ["./false", "/tmp/world", "worlds/one", ".world"] {
            assert_eq!(directory(text), Some(PathBuf::from(text)), "{text}");
        }
    }

    #[test]
    fn any_other_word_is_refused_and_the_variable_named() {
        for text in ["flase", "none", "disabled", "2", ""] {
            let error = Simulation::parse(text, VARIABLE).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains("KOPS_SIM")), "{text}");
        }
    }
}

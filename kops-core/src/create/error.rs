use std::fmt;

use crate::manifest::Violation;

/// Options of which no cluster can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// An option makes no sense, alone or beside others.
    #[error("{option}: {message}")]
    Option {
        /// The option, as the command spells it.
        option: &'static str,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// The options make manifests that are not valid.
    #[error("these options do not make a valid cluster:{}", Listing(.0))]
    Invalid(Vec<Violation>),
}

impl CreateError {
    pub(super) fn option(option: &'static str, message: impl Into<String>) -> Self {
        Self::Option { option, message: message.into() }
    }
}

struct Listing<'a>(&'a [Violation]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

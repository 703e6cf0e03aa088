use crate::error::{Cause, ErrorClass};
use crate::state::{InvalidKey, MadeByKops, StateError};

/// What could not be done with keys and certificates. Holds no part of a key.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A text is not what it should be.
    #[error("{what} cannot be read: {reason}")]
    Unreadable {
        /// The certificate, key or object.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such keyset, or no such key in it.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The keyset would be left without what it needs.
    #[error("{0}")]
    Refused(String),
    /// No key or certificate could be made.
    #[error("cannot make {what}")]
    Signing {
        /// What was to be made.
        what: String,
        /// Why not.
        source: Cause,
    },
    /// The cluster is not this project's to change.
    #[error(transparent)]
    MadeByKops(#[from] MadeByKops),
    /// The state store failed, or somebody else was first.
    #[error(transparent)]
    Store(#[from] StateError),
}

impl PkiError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreadable { .. } | Self::Signing { .. } => ErrorClass::Invalid,
            Self::Refused(_) => ErrorClass::Conflict,
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::MadeByKops(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    /// What the user can do, if something helps.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::MadeByKops(error) => Some(error.hint()),
            Self::Store(error) => error.hint(),
            Self::Unreadable { .. } | Self::Signing { .. } | Self::Refused(_) | Self::NotFound(_) => None,
        }
    }

    pub(super) fn unreadable(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Unreadable { what: what.into(), reason: reason.to_string() }
    }

    pub(super) fn signing(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Signing { what: what.into(), source: source.into() }
    }
}

impl From<InvalidKey> for PkiError {
    fn from(error: InvalidKey) -> Self {
        Self::Store(error.into())
    }
}

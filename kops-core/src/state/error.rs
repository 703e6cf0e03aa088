use std::fmt;

use crate::clock::Timestamp;
use crate::error::{Cause, ErrorClass, Retry};
use crate::state::{InvalidKey, Version};

/// What a state store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It should have been created, and is there (law S2).
    #[error("{location} already exists")]
    Exists {
        /// The object, as the store's users write it (`s3://bucket/demo.k8s.local/config`).
        location: String,
    },
    /// It is not what the update was made from any more (law S3).
    #[error(transparent)]
    Changed(Box<LostUpdate>),
    /// No key can be made of a name.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// The store failed.
    #[error(transparent)]
    Failed(Box<Failure>),
}

/// Who came first when an update lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LostUpdate {
    /// The object, as the store's users write it.
    pub location: String,
    /// What is there now; `None` when it has been deleted.
    pub found: Option<Version>,
    /// When it was last written, if the store knows.
    pub modified: Option<Timestamp>,
    /// Who wrote it, if the store knows.
    pub writer: Option<String>,
}

impl fmt::Display for LostUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { location, found, modified, writer } = self;
        let what = if found.is_some() { "changed" } else { "deleted" };
        write!(f, "{location} has been {what} since it was read")?;
        if let Some(writer) = writer {
            write!(f, ", by {writer}")?;
        }
        if let Some(modified) = modified {
            write!(f, ", at {modified:.0}")?;
        }
        Ok(())
    }
}

/// A call to a store that failed: what, on which object, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {location}: {message}")]
pub struct Failure {
    /// What it means.
    pub class: ErrorClass,
    /// Whether repeating can help.
    pub retry: Retry,
    /// What was tried, as a verb ("read", "write", "list", "delete").
    pub operation: &'static str,
    /// The object or the store, as its users write it.
    pub location: String,
    /// Why it failed, in the user's words.
    pub message: String,
    /// What the user can do, if something helps.
    pub hint: Option<String>,
    /// The store's own error.
    #[source]
    pub source: Option<Cause>,
}

impl Failure {
    /// A failure with the class's own advice on retrying.
    pub fn new(
        class: ErrorClass,
        operation: &'static str,
        location: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            class,
            retry: class.retry(),
            operation,
            location: location.into(),
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<Failure> for StateError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<LostUpdate> for StateError {
    fn from(lost: LostUpdate) -> Self {
        Self::Changed(Box::new(lost))
    }
}

impl StateError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Exists { .. } => ErrorClass::AlreadyExists,
            Self::Changed(_) => ErrorClass::Conflict,
            Self::Key(_) => ErrorClass::Invalid,
            Self::Failed(failure) => failure.class,
        }
    }

    /// Whether doing the same again can help. A lost update has to be made again from what is there now.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Exists { .. } | Self::Changed(_) | Self::Key(_) => Retry::Never,
            Self::Failed(failure) => failure.retry,
        }
    }

    /// What the user can do, if something helps.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Changed(_) => Some("read it again and make the change once more"),
            Self::Failed(failure) => failure.hint.as_deref(),
            Self::Exists { .. } | Self::Key(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_update_names_who_came_first() {
        let lost = LostUpdate {
            location: "s3://bucket/demo.k8s.local/config".to_owned(),
            found: Some(Version::new("2")),
            modified: Some("2026-11-23T07:00:00.5Z".parse().unwrap()),
            writer: Some("alice@laptop".to_owned()),
        };
        insta::assert_snapshot!(lost, @"s3://bucket/demo.k8s.local/config has been changed since it was read, by alice@laptop, at 2026-11-23T07:00:00Z");
        let gone = LostUpdate { found: None, modified: None, writer: None, ..lost };
        insta::assert_snapshot!(gone, @"s3://bucket/demo.k8s.local/config has been deleted since it was read");
    }
}

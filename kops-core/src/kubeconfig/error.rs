use std::io;
use std::path::{Path, PathBuf};

use crate::error::ErrorClass;
use crate::yaml::{Position, WriteError};

/// What could not be done with kubectl's configuration. Quotes nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It is not YAML.
    #[error("it is not YAML from line {} on", .0.line)]
    Syntax(Position),
    /// It holds several documents.
    #[error("it holds several documents")]
    Several,
    /// It is YAML of another form.
    #[error("it is not a configuration of kubectl: {0} is not what it should be")]
    Form(String),
    /// There is no such user.
    #[error("there is no user {0:?} in it")]
    NoUser(String),
    /// It cannot be written as YAML.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something is wrong with the file.
    #[error("cannot use {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// The file cannot be read or written.
    #[error("cannot {verb} {}", .path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// Somebody else is changing the file.
    #[error("{} is being changed by somebody else, whose lock is {}", .path.display(), .lock.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// The file by which kubectl and others keep each other out.
        lock: PathBuf,
    },
}

impl KubeconfigError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoUser(_) => ErrorClass::NotFound,
            Self::Locked { .. } => ErrorClass::Conflict,
            Self::File { source, .. } => source.class(),
            Self::Syntax(_) | Self::Several | Self::Form(_) | Self::Write(_) | Self::Io { .. } => {
                ErrorClass::Invalid
            }
        }
    }

    /// What the user can do, if something helps.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some("if no kubectl or kops is running, delete the lock"),
            Self::File { .. } => Some("name another file, or mend it: nothing of it was changed"),
            _ => None,
        }
    }

    pub(super) fn form(path: &str) -> Self {
        Self::Form(if path.is_empty() { "its root".to_owned() } else { format!("`{path}`") })
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::File { path: path.to_owned(), source: Box::new(self) }
    }

    pub(super) fn io(verb: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { verb, path: path.to_owned(), source }
    }
}

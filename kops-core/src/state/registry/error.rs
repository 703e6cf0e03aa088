use std::fmt;

use crate::error::{Cause, ErrorClass};
use crate::manifest::Violation;
use crate::state::{InvalidKey, Key, MadeByKops, StateError};

/// What could not be done to the clusters of a state store.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Something of that name is there already.
    #[error("{kind} {name:?} already exists")]
    AlreadyExists {
        /// `cluster`, `instancegroup`, `SSH key` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// There is nothing of that name.
    #[error(transparent)]
    NotFound(Missing),
    /// The manifests themselves are wrong; nothing was written.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Violation>),
    /// What the store holds is not what belongs there.
    #[error("cannot read {location}")]
    Unreadable {
        /// The object.
        location: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// Deleting a cluster's state would delete what kops did not write.
    #[error("refusing to delete: unknown file found: {location}")]
    UnknownFile {
        /// The first such file.
        location: String,
    },
    /// Some of a call's manifests were written, the others not, and the former could not be taken back.
    #[error("only some of the manifests were written: {}", Keys(.written))]
    Partial {
        /// What was written.
        written: Vec<Key>,
        /// Why the others were not.
        source: StateError,
    },
    /// The cluster is not this project's to change.
    #[error(transparent)]
    MadeByKops(#[from] MadeByKops),
    /// The store failed, or somebody else was first.
    #[error(transparent)]
    Store(#[from] StateError),
}

impl RegistryError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::AlreadyExists { .. } => ErrorClass::AlreadyExists,
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Invalid(_) | Self::Unreadable { .. } => ErrorClass::Invalid,
            Self::UnknownFile { .. } => ErrorClass::Conflict,
            Self::MadeByKops(error) => error.class(),
            Self::Partial { source, .. } | Self::Store(source) => source.class(),
        }
    }

    /// What the user can do, if something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(missing) => missing.hint(),
            Self::UnknownFile { .. } => Some("move it away, or delete it if nobody needs it".to_owned()),
            Self::Partial { .. } => Some("replace the manifests, or delete the cluster".to_owned()),
            Self::MadeByKops(error) => Some(error.hint().to_owned()),
            Self::Store(error) => error.hint().map(str::to_owned),
            Self::AlreadyExists { kind: "secret", .. } => Some("`--force` replaces it".to_owned()),
            Self::AlreadyExists { .. } | Self::Invalid(_) | Self::Unreadable { .. } => None,
        }
    }
}

impl From<InvalidKey> for RegistryError {
    fn from(error: InvalidKey) -> Self {
        Self::Store(error.into())
    }
}

/// A cluster or something of it that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} not found {name:?}")]
pub struct Missing {
    /// `cluster`, `instancegroup`, `SSH key` or `secret`.
    pub kind: &'static str,
    /// The name that was asked for.
    pub name: String,
    /// The cluster it was looked for in, if it is not one itself.
    pub cluster: Option<String>,
    /// Names like it, the most similar one first.
    pub near: Vec<String>,
}

impl Missing {
    pub(super) fn cluster(name: &str, near: Vec<String>) -> Self {
        Self { kind: "cluster", name: name.to_owned(), cluster: None, near }
    }

    pub(super) fn group(cluster: &str, name: &str, near: Vec<String>) -> Self {
        Self { kind: "instancegroup", name: name.to_owned(), cluster: Some(cluster.to_owned()), near }
    }

    pub(super) fn secret(cluster: &str, name: &str, near: Vec<String>) -> Self {
        Self { kind: "secret", ..Self::group(cluster, name, near) }
    }

    pub(super) fn ssh_key(cluster: &str, fingerprint: &str) -> Self {
        Self { kind: "SSH key", ..Self::group(cluster, fingerprint, Vec::new()) }
    }

    fn hint(&self) -> Option<String> {
        (!self.near.is_empty()).then(|| format!("did you mean {}?", self.near.join(" or ")))
    }
}

struct Lines<'a>(&'a [Violation]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

struct Keys<'a>(&'a [Key]);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{key}")?;
        }
        Ok(())
    }
}

use std::fmt;

use super::{Holder, LeaseRecord};
use crate::error::{Cause, ErrorClass};
use crate::state::{InvalidKey, StateError};

/// Why a cluster's lease is not, or no longer, held.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another run holds it, and is alive.
    #[error("{cluster} is being changed by {lease}")]
    Held {
        /// The cluster.
        cluster: String,
        /// Who holds it, what for and since when.
        lease: Box<LeaseRecord>,
    },
    /// It was held and got lost; the run was stopped.
    #[error("stopped, because the lease of {cluster} {how}")]
    Lost {
        /// The cluster.
        cluster: String,
        /// How.
        how: Loss,
    },
    /// What the store holds is no lease.
    #[error("cannot read the lease {location}")]
    Unreadable {
        /// The object.
        location: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// The run was cancelled before it held the lease.
    #[error("cancelled before anything was done")]
    Cancelled,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StateError),
}

/// How a lease was lost.
#[derive(Debug)]
pub enum Loss {
    /// Somebody ended it.
    Released(Holder),
    /// It was not renewed in time, and another run has it now.
    TakenOver(Box<LeaseRecord>),
    /// It is not there any more: the cluster's state was deleted.
    Gone,
    /// It could not be renewed for so long that another run may take it.
    NotRenewed(Option<StateError>),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released(by) => write!(f, "was released by {by}"),
            Self::TakenOver(lease) => write!(f, "was taken over by {lease}"),
            Self::Gone => f.write_str("is gone from the state store"),
            Self::NotRenewed(Some(error)) => write!(f, "could not be renewed in time: {error}"),
            Self::NotRenewed(None) => {
                f.write_str("could not be renewed in time: the state store does not answer")
            }
        }
    }
}

impl LeaseError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Held { .. } => ErrorClass::Conflict,
            Self::Lost { how: Loss::NotRenewed(_), .. } | Self::Cancelled => ErrorClass::Unavailable,
            Self::Lost { .. } => ErrorClass::Conflict,
            Self::Unreadable { .. } => ErrorClass::Invalid,
            Self::Store(error) => error.class(),
        }
    }

    /// What the user can do, if something helps.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Held { .. } => Some(
                "wait for that run to end, or stop it; `kops lock release --force --yes` takes the lease from a run that \
                 cannot be reached",
            ),
            Self::Lost { .. } => Some("run the same again to go on from there"),
            Self::Unreadable { .. } => Some("`kops lock release --force --yes` replaces it"),
            Self::Store(error) => error.hint(),
            Self::Cancelled => None,
        }
    }
}

impl From<InvalidKey> for LeaseError {
    fn from(error: InvalidKey) -> Self {
        Self::Store(error.into())
    }
}

//! What of the command needs the SDKs of AWS. Built without the feature `aws`, it is not there, and says so.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod sdk;

#[cfg(not(feature = "aws"))]
pub(crate) use absent::{create_state_store, provider, state_store, web};
#[cfg(feature = "aws")]
pub(crate) use sdk::{create_state_store, provider, state_store, web};

/// What the version says of this build.
pub(crate) const BUILD: &str = if cfg!(feature = "aws") { "" } else { " (built without AWS)" };

/// A bucket that is ready to be a state store.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Whether it was made now, not merely found and set up.
    pub(crate) is_new: bool,
    /// Where it lies.
    pub(crate) region: String,
    /// The IAM policy (JSON) of those who work on it.
    pub(crate) policy: String,
}

//! What an error means to a caller, whatever backend it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The meaning of a failure, shared by every backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The thing is not there.
    NotFound,
    /// It was created a moment ago and cannot be seen everywhere yet.
    NotYetVisible,
    /// Something of that name is there already.
    AlreadyExists,
    /// Others still use it, or somebody changed it at the same time.
    Conflict,
    /// Too many requests.
    Throttled,
    /// The credentials do not allow it.
    Denied,
    /// An account limit, or the provider is out of capacity.
    Quota,
    /// The request itself is wrong and will stay wrong.
    Invalid,
    /// The service did not answer, or answered that it is broken.
    Unavailable,
    /// The backend cannot do this at all.
    Unsupported,
}

/// Whether doing the same again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// Repeating cannot help; something else has to change first.
    Never,
    /// Repeating after a growing pause can help within seconds or minutes.
    Backoff,
    /// It succeeds once whatever uses the resource is gone.
    WhenFree,
}

impl ErrorClass {
    /// The advice that goes with the class when a backend knows nothing better.
    pub fn retry(self) -> Retry {
        match self {
            Self::NotYetVisible | Self::Throttled | Self::Unavailable => Retry::Backoff,
            Self::Conflict => Retry::WhenFree,
            Self::NotFound
            | Self::AlreadyExists
            | Self::Denied
            | Self::Quota
            | Self::Invalid
            | Self::Unsupported => Retry::Never,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::NotYetVisible => "not visible yet",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Quota => "out of quota",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "not supported",
        })
    }
}

/// A cause of any type, kept for `source()`.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

use crate::error::{Cause, ErrorClass, Retry};

/// Why the Kubernetes API did not do as asked: nobody was there, or somebody said no.
#[derive(Debug, thiserror::Error)]
pub enum ClusterApiError {
    /// Nobody answered: no address, no connection, no TLS session, or no API behind the load balancer.
    #[error("the Kubernetes API at {server} cannot be reached")]
    Unreachable {
        /// The address that was tried.
        server: String,
        /// What stood in the way.
        #[source]
        source: Cause,
    },
    /// The API answered, and refused.
    #[error("the Kubernetes API refused to {operation} {object}: {message}")]
    Refused {
        /// What was tried, as a verb ("list", "evict").
        operation: &'static str,
        /// What it was tried on (`pods`, `node/ip-10-0-0-1`).
        object: String,
        /// What it means.
        class: ErrorClass,
        /// The server's words.
        message: String,
    },
}

impl ClusterApiError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } => ErrorClass::Unavailable,
            Self::Refused { class, .. } => *class,
        }
    }

    /// Whether repeating can help.
    pub fn retry(&self) -> Retry {
        self.class().retry()
    }
}

//! What a machine needs to know to become a node.
//!
//! A [`NodeConfig`] holds everything about a group's machines that is no secret. It is stored under its own hash,
//! which the machines' user data names: another configuration is another template version, and so "needs update".

mod config;
mod labels;
mod mime;

pub use config::{EtcdMembership, Networks, NodeConfig, NodeConfigError};
pub use labels::labels;
pub use mime::multipart;
use serde::{Deserialize, Serialize};

use crate::state::Key;

/// The program that turns a machine into a node, published in a state store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProgram {
    /// The SHA-256 of the file in lower-case hexadecimal; machines run nothing else.
    pub sha256: String,
    /// Its key in the state store, as text.
    pub key: String,
}

impl NodeProgram {
    /// The program with this hash, under `key`.
    pub fn new(sha256: impl Into<String>, key: &Key) -> Self {
        Self { sha256: sha256.into(), key: key.to_string() }
    }
}

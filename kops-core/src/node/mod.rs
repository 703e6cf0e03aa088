//! What a machine needs to know to become a node.
//!
//! A [`NodeConfig`] holds everything about a group's machines that is no secret. It is stored under its own hash,
//! which the machines' user data names: another configuration is another template version, and so "needs update".

mod additions;
pub mod admission;
mod api_addresses;
mod catalog;
mod changes;
mod cloud;
mod config;
pub mod console;
mod labels;
mod machine;
mod mime;
mod release;
pub mod render;

pub use api_addresses::ApiAddresses;
pub use catalog::{Architecture, Catalog, CatalogError, NODE_PROGRAM, Program, Published, publish};
pub use cloud::{Attachment, Departure, MachineCloud, MemberVolume, Peer};
pub use config::{Discovery, EtcdMembership, Networks, NodeConfig, NodeConfigError, StateSource, Zone};
pub use labels::labels;
pub use machine::{Host, Machine};
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

/// A program of a machine other than kops-node (`kubelet`, `etcd`), published in a state store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    /// The program's name.
    pub name: String,
    /// The SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
    /// Its key in the state store, as text.
    pub key: String,
}

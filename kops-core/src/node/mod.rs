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
mod programs;
mod release;
pub mod render;

pub use api_addresses::ApiAddresses;
pub use catalog::{Architecture, Catalog, CatalogError, NODE_PROGRAM, Program, Published, archive, publish};
pub use cloud::{Attachment, Departure, MachineCloud, MemberVolume, Peer};
pub use config::{Discovery, EtcdMembership, Networks, NodeConfig, NodeConfigError, StateSource, Zone};
pub use labels::labels;
pub use machine::{Host, Machine};
pub use mime::multipart;
pub use programs::Programs;
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

/// A file that machines fetch: a program other than kops-node (`kubelet`), or an archive of programs (`containerd`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    /// The program's name, or the archive's.
    pub name: String,
    /// The SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
    /// Where it is.
    #[serde(flatten)]
    pub source: Source,
    /// The files that are taken from it, if it is an archive (tar, gzip): their paths there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Where programs go, if not to [`render::PROGRAMS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// Where a file is that machines fetch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// In the state store, under this key.
    Key(String),
    /// On the web.
    Url(String),
}

impl Asset {
    /// Returns whether the file is `program`, or holds it, or is called so.
    pub fn gives(&self, program: &str) -> bool {
        self.name == program || self.files.iter().any(|file| file_name(file) == program)
    }

    /// Returns where the programs are put, beside the paths that they have in the archive; the program itself has none.
    pub fn targets(&self) -> Vec<(Option<&str>, String)> {
        let directory = self.directory.as_deref().unwrap_or(render::PROGRAMS);
        if self.files.is_empty() {
            return vec![(None, format!("{directory}/{}", self.name))];
        }
        let files = self.files.iter();
        files.map(|file| (Some(file.as_str()), format!("{directory}/{}", file_name(file)))).collect()
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

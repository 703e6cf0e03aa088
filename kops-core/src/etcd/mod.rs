//! Backups of etcd in the state store, and what machines are asked to do about them.
//!
//! Names and files are those of kops's etcd-manager (<https://github.com/kopeio/etcd-manager>, `pkg/backup` and
//! `pkg/commands`), so that its tools list these backups, and machines carry out the restores that its tools ask for:
//!
//! ```text
//! <cluster>/backups/etcd/<main|events>/<stamp>/etcd.backup.gz       the snapshot, packed with gzip
//!                                             /_etcd_backup.meta    what it was taken from
//!                                     /control/etcd-cluster-created      the etcd cluster has run
//!                                             /members.json              who takes part (not of etcd-manager)
//!                                             /<stamp>/_command.json     restore a backup
//!                                                     /_members.json     whose restore it is (not of etcd-manager)
//!                                                     /_backup.json      take a backup now (not of etcd-manager)
//!                                                     /done-<member>     who has done it (not of etcd-manager)
//!                                                     /failed-<member>   who could not, and why (not of etcd-manager)
//! ```

mod backups;
mod commands;
mod error;
pub mod membership;
mod policy;
mod record;
mod stamp;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use backups::{Backup, BackupInfo, Backups, ClusterSpec, Listing};
pub use commands::{Command, Commands, Task, outdated};
pub use error::EtcdError;
pub use record::{Attendance, Life, Wanted};
pub use stamp::{InvalidStamp, Stamp};

use crate::resource::Resource;

/// A member of an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberId {
    /// The etcd cluster (`main`, `events`).
    pub cluster: String,
    /// The member's name.
    pub name: String,
    /// How many members the etcd cluster has.
    pub of: usize,
}

/// A resource that may hold the data of a member of etcd.
pub trait EtcdBacked: Resource {
    /// Returns the member that keeps its data on this resource, if one does. A resource that is made again makes that
    /// member start empty.
    fn etcd_member(&self) -> Option<MemberId>;
}

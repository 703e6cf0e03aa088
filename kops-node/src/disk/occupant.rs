//! Whose data is on a member's disk. etcd starts empty where it finds no data of its own, so it must not start where
//! others have put theirs.

use std::path::Path;

use kops_core::node::MemberVolume;
use kops_core::node::render::{Etcd, JOINING_FILE, MEMBER_FILE, START_FILE, Volume};

use crate::error::{Done, NodeError};
use crate::files::{self, Root};

/// What etcd makes in its directory: where this is, it does not start empty.
const MEMBER: &str = "member";
/// What is written on the disk of a member before it starts.
const FILES: [&str; 3] = [MEMBER_FILE, START_FILE, JOINING_FILE];
/// What is on the disk of a member that has not started yet, beside etcd's directory and the member's name: what the
/// file system makes, and what a restore leaves when it is cut short.
const OURS: [&str; 2] = ["lost+found", "restore.db"];
/// The start of the directories that a restore makes.
const RESTORED: &str = "before-";
/// What etcd-manager keeps on its disks
/// (<https://github.com/kubernetes-sigs/etcd-manager>: `pkg/etcd/etcdserver.go`, `pkg/legacy/adopt.go`).
const ETCD_MANAGER: [&str; 6] = ["data-trashcan", "k8s.io", "myid", "pki", "state", "var"];

/// Fails if etcd would start empty on the disk although there is something on it.
pub(super) fn check(step: &str, volume: &Volume, disk: &MemberVolume, root: &Root) -> Done {
    let data = Etcd::data_of(&volume.mount);
    if root.path(&data).join(MEMBER).exists() {
        return Ok(());
    }
    let on_disk = names(step, &root.path(&volume.mount))?;
    let in_data = names(step, &root.path(&data))?;
    let mut others = on_disk.iter().filter(|name| !is_ours(name)).cloned().collect::<Vec<_>>();
    others.extend(in_data.into_iter().map(|name| format!("data/{name}")));
    if others.is_empty() {
        return Ok(());
    }
    let of_manager = others.iter().any(|name| ETCD_MANAGER.contains(&name.as_str()));
    let whose = if of_manager { "data of etcd-manager" } else { "data of somebody else" };
    let found = others.join(", ");
    let reason = format!("volume {} holds {whose} ({found}), beside which etcd would start empty", disk.id);
    let hint = match of_manager {
        true => "kops made this cluster: change it with kops, whose machines start etcd with that data",
        false => "save what is on it and empty it, or give the member back its own volume",
    };
    Err(NodeError::lasting(step, reason).with_hint(hint))
}

fn is_ours(name: &str) -> bool {
    let is_file = FILES.iter().any(|file| name == *file || name == files::unfinished_name(file));
    is_file || name == Etcd::DATA || OURS.contains(&name) || name.starts_with(RESTORED)
}

/// The names in a directory, sorted; none if it is not there.
fn names(step: &str, directory: &Path) -> Result<Vec<String>, NodeError> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| NodeError::of_file(step, directory, error))?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    // What cannot be read may be somebody's data.
    let names: std::io::Result<Vec<String>> = names.collect();
    let mut names = names.map_err(|error| NodeError::of_file(step, directory, error))?;
    names.sort();
    Ok(names)
}

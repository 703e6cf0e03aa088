use super::{TAKE_BACK, change};
use crate::manifest::EtcdVersion;
use crate::manifest::{Cluster, CompletedCluster, EtcdCluster, EtcdMember, Violation};

/// Members that come and go are no matter of this: only what becomes of those that stay.
pub(super) fn check(found: &mut Vec<Violation>, before: &Cluster, after: &CompletedCluster) {
    for (index, new) in after.cluster.spec.etcd_clusters.iter().enumerate() {
        let Some(old) = before.spec.etcd_clusters.iter().find(|old| old.name == new.name) else { continue };
        let path = format!("cluster.spec.etcdClusters[{index}]");
        check_version(found, &path, old, new);
        for (index, member) in new.etcd_members.iter().enumerate() {
            let path = format!("{path}.etcdMembers[{index}]");
            match old.etcd_members.iter().find(|old| old.name == member.name) {
                Some(old) => check_volume(found, &path, old, member),
                None => check_name(found, &path, old, new, member),
            }
        }
    }
}

/// etcd goes on by one minor version at a time, and never back
/// (<https://etcd.io/docs/v3.6/upgrades/upgrading-etcd/>).
fn check_version(found: &mut Vec<Violation>, path: &str, old: &EtcdCluster, new: &EtcdCluster) {
    let read = |etcd: &EtcdCluster| {
        let text = etcd.version.clone()?;
        Some((EtcdVersion::parse(&text)?, text))
    };
    let (Some((from, old)), Some((to, new))) = (read(old), read(new)) else { return };
    let path = format!("{path}.version");
    if !to.reads(from) {
        let why = "an older etcd cannot read what the newer one has written";
        found.push(change(&path, &old, &new, why, TAKE_BACK));
    } else if !to.follows(from) {
        let why = "etcd goes from one minor version to the next";
        found.push(change(&path, &old, &new, why, "go to the next minor version of etcd first"));
    }
}

/// A new name in the group of an old member: the member would go, with its disk, and an empty one come in its place.
fn check_name(
    found: &mut Vec<Violation>,
    path: &str,
    old: &EtcdCluster,
    new: &EtcdCluster,
    member: &EtcdMember,
) {
    let is_gone = |old: &&EtcdMember| !new.etcd_members.iter().any(|member| member.name == old.name);
    let mut gone = old.etcd_members.iter().filter(is_gone);
    if let Some(old) = gone.find(|old| old.instance_group == member.instance_group) {
        let why = "the member's data goes by its name: it would start empty";
        found.push(change(&format!("{path}.name"), &old.name, &member.name, why, TAKE_BACK));
    }
}

fn check_volume(found: &mut Vec<Violation>, path: &str, old: &EtcdMember, new: &EtcdMember) {
    let way = "add a member with such a volume, and remove this one once the other is in step";
    if let (Some(from), Some(to)) = (old.volume_size, new.volume_size)
        && to < from
    {
        let (from, to) = (format!("{from} GiB"), format!("{to} GiB"));
        found.push(change(&format!("{path}.volumeSize"), &from, &to, "a volume cannot get smaller", way));
    }
    let why = "a volume keeps the encryption that it was made with";
    if let (Some(from), Some(to)) = (old.encrypted_volume, new.encrypted_volume)
        && from != to
    {
        let path = format!("{path}.encryptedVolume");
        found.push(change(&path, &from.to_string(), &to.to_string(), why, way));
    }
    if new.kms_key_id.is_some() && new.kms_key_id != old.kms_key_id {
        let name = |member: &EtcdMember| member.kms_key_id.clone();
        let (from, to) = (name(old).unwrap_or_else(|| "the account's key".to_owned()), name(new));
        found.push(change(&format!("{path}.kmsKeyId"), &from, &to.unwrap_or_default(), why, way));
    }
}

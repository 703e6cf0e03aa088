use std::collections::BTreeSet;
use std::time::Duration;

use super::syntax::{is_dns_label, lower_case};
use super::volume::Volume;
use super::{Below, Violations};
use crate::manifest::{CompletedCluster, EtcdCluster, Role, Subnet, versions};

/// The etcd clusters that the control plane uses.
const NAMES: [&str; 2] = ["main", "events"];
/// The shortest time between two backups: machines look no more often.
const SHORTEST: Duration = Duration::from_mins(1);

pub(super) fn check(violations: &mut Violations, completed: &CompletedCluster) {
    let mut found = violations.below("cluster");
    let clusters = &completed.cluster.spec.etcd_clusters;
    for name in NAMES {
        if !clusters.iter().any(|etcd| etcd.name == name) {
            found.add("spec.etcdClusters", format!("there is no etcd cluster `{name}`"));
        }
    }
    let mut names = BTreeSet::new();
    for (index, etcd) in clusters.iter().enumerate() {
        let path = format!("spec.etcdClusters[{index}]");
        if !NAMES.contains(&&*etcd.name) {
            let hint = format!("the etcd clusters are {}", NAMES.join(" and "));
            found.add_with_hint(
                format!("{path}.name"),
                format!("`{}` is not used by anything", etcd.name),
                hint,
            );
        } else if !names.insert(&etcd.name) {
            found.add(format!("{path}.name"), format!("another etcd cluster has the name `{}`", etcd.name));
        }
        check_version(&mut found, &path, etcd);
        check_backups(&mut found, &path, etcd);
        check_count(&mut found, &path, etcd);
        check_members(&mut found, &path, etcd, completed);
    }
}

fn check_version(found: &mut Below<'_>, path: &str, etcd: &EtcdCluster) {
    let version = etcd.version.as_deref().unwrap_or_default();
    let is_known = version.rsplit_once('.').is_some_and(|(series, patch)| {
        versions::ETCD_SERIES.contains(&series)
            && !patch.is_empty()
            && patch.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !is_known {
        let hint = format!("leave out the field, or write a version of {}", versions::ETCD_SERIES.join(", "));
        found.add_with_hint(format!("{path}.version"), format!("etcd {version} is not supported"), hint);
    }
}

fn check_backups(found: &mut Below<'_>, path: &str, etcd: &EtcdCluster) {
    let policy = etcd.backup_policy();
    if policy.interval < SHORTEST {
        let message = format!("{:?} is too short a time between two backups", policy.interval);
        found.add_with_hint(
            format!("{path}.manager.backupInterval"),
            message,
            "a minute (1m) is the shortest",
        );
    }
    if policy.retention_days == 0 {
        let message = "no backup would be kept";
        found.add_with_hint(
            format!("{path}.manager.backupRetentionDays"),
            message,
            "keep them for a day at least",
        );
    }
}

pub(super) fn check_counts(violations: &mut Violations, completed: &CompletedCluster) {
    let mut found = violations.below("cluster");
    for (index, etcd) in completed.cluster.spec.etcd_clusters.iter().enumerate() {
        check_count(&mut found, &format!("spec.etcdClusters[{index}]"), etcd);
    }
}

fn check_count(found: &mut Below<'_>, path: &str, etcd: &EtcdCluster) {
    let path = format!("{path}.etcdMembers");
    match etcd.etcd_members.len() {
        0 => found.add_with_hint(
            path,
            format!("the etcd cluster `{}` has no members", etcd.name),
            "it needs at least one: `kops create ig NAME --role control-plane --subnet SUBNET` adds a group with its member",
        ),
        count if count.is_multiple_of(2) => found.add_with_hint(
            path,
            format!("the etcd cluster `{}` has {count} members, and needs an odd number", etcd.name),
            "an even number survives no more failures than one member fewer: add one more control-plane group with \
             `kops create ig NAME --role control-plane --subnet SUBNET`, or delete some with `kops delete ig NAME…`, which takes several",
        ),
        _ => {}
    }
}

fn check_members(found: &mut Below<'_>, path: &str, etcd: &EtcdCluster, completed: &CompletedCluster) {
    let path = format!("{path}.etcdMembers");
    let (mut names, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for (index, member) in etcd.etcd_members.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if let Some(lower) = lower_case(&member.name, is_dns_label) {
            let message =
                format!("`{}` has upper-case letters, which names of members have not", member.name);
            found.add_with_hint(format!("{path}.name"), message, format!("write {lower}"));
        } else if !is_dns_label(&member.name) {
            found.add(
                format!("{path}.name"),
                format!("`{}` is not a name of lower-case letters, digits and `-`", member.name),
            );
        } else if !names.insert(&member.name) {
            found.add(format!("{path}.name"), format!("another member has the name `{}`", member.name));
        }
        if !groups.insert(&member.instance_group) {
            let message = format!("another member is in the group `{}`", member.instance_group);
            found.add(format!("{path}.instanceGroup"), message);
        }
        check_group(found, &format!("{path}.instanceGroup"), &member.instance_group, completed);
        let volume = Volume {
            type_: member.volume_type.as_deref(),
            size: member.volume_size,
            iops: member.volume_iops,
            throughput: member.volume_throughput,
            boots: false,
        };
        volume.check(found, &path, "volume");
    }
    for group in completed.groups_of(Role::ControlPlane) {
        if !groups.iter().any(|name| *name == group.name()) {
            let message = format!("no member is in the control-plane group `{}`", group.name());
            let name = group.name();
            let hint = format!(
                "`kops delete ig {name}` deletes the group with its members; otherwise keep a member in it"
            );
            found.add_with_hint(&path, message, hint);
        }
    }
}

fn check_group(found: &mut Below<'_>, path: &str, name: &str, completed: &CompletedCluster) {
    match completed.group(name) {
        None => found.add_with_hint(
            path,
            format!("there is no instance group `{name}`"),
            format!(
                "`kops create ig {name} --role control-plane --subnet SUBNET` makes the group with its members; \
                 `kops replace --force -f FILE` takes cluster and group from one file"
            ),
        ),
        Some(group) if group.role() != Role::ControlPlane => {
            found.add(path, format!("the instance group `{name}` is not of the control plane"));
        }
        Some(group) => {
            let zones: BTreeSet<&str> = completed.subnets_of(group).map(Subnet::zone).collect();
            if zones.len() > 1 {
                let message =
                    format!("the instance group `{name}` is in several zones, and a member's volume in one");
                found.add_with_hint(path, message, "make one control-plane group a zone");
            }
        }
    }
}

//! To another version of Kubernetes: which, and what changes in the manifests. Pure.
//!
//! The control plane moves by one minor version at a time and never back
//! (<https://kubernetes.io/releases/version-skew-policy/>).

use serde::Serialize;

use crate::manifest::versions::{KubernetesVersion, RECOMMENDED, RELEASES, Release, VersionError, supported};
use crate::manifest::{Cluster, InstanceGroup};
use crate::node::Architecture;

/// What an upgrade changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Upgrade {
    /// The changes, for people.
    pub changes: Vec<UpgradeChange>,
    /// The cluster's manifest with them.
    pub cluster: Cluster,
    /// The instance groups that change, with their changes.
    pub groups: Vec<InstanceGroup>,
}

/// One property that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeChange {
    /// The manifest, as `Cluster` or `InstanceGroup/<name>`.
    pub item: String,
    /// Its property.
    pub property: String,
    /// What it is now.
    pub old: String,
    /// What it will be.
    pub new: String,
}

/// Why a cluster cannot be upgraded like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The cluster's version is none.
    #[error("the cluster's kubernetesVersion cannot be read")]
    Version(#[from] VersionError),
    /// Kubernetes cannot go back.
    #[error("{to} is older than {from}: the control plane of a cluster cannot be downgraded")]
    Downgrade {
        /// The version now.
        from: KubernetesVersion,
        /// The version asked for.
        to: KubernetesVersion,
    },
    /// The control plane takes one minor version at a time.
    #[error("from {from} to {to} skips a minor version, which Kubernetes does not support; go to 1.{} first", .from.minor + 1)]
    Skips {
        /// The version now.
        from: KubernetesVersion,
        /// The version asked for.
        to: KubernetesVersion,
    },
    /// Nothing is known of the version.
    #[error("1.{} is not a supported version of Kubernetes; supported are {}", .0.minor, supported())]
    Unsupported(KubernetesVersion),
}

/// The version that a cluster should have next: one minor version on as long as it is behind the recommended one, else the
/// recommended patch of its own.
fn recommended(from: KubernetesVersion) -> Option<KubernetesVersion> {
    let of_minor = |minor| RELEASES.iter().map(|r: &Release| r.recommended).find(|v| v.minor == minor);
    let next = if from.minor < RECOMMENDED.minor { of_minor(from.minor + 1) } else { None };
    next.or_else(|| of_minor(from.minor)).filter(|to| *to > from)
}

/// What changes when a cluster goes to a version, or to the one it should have next. Nothing, when it has it already.
///
/// # Errors
/// The version is older, more than one minor version ahead, or not supported.
pub fn upgrade(
    cluster: &Cluster,
    groups: &[InstanceGroup],
    to: Option<KubernetesVersion>,
) -> Result<Upgrade, UpgradeError> {
    let current = cluster.spec.kubernetes_version.as_deref();
    let from: KubernetesVersion = current.map_or(Ok(RECOMMENDED), str::parse)?;
    let to = to.or_else(|| recommended(from)).unwrap_or(from);
    if to < from {
        return Err(UpgradeError::Downgrade { from, to });
    }
    if to.minor > from.minor + 1 {
        return Err(UpgradeError::Skips { from, to });
    }
    if to != from && to.release().is_none() {
        return Err(UpgradeError::Unsupported(to));
    }
    let mut upgrade = Upgrade { changes: Vec::new(), cluster: cluster.clone(), groups: Vec::new() };
    if to == from {
        return Ok(upgrade);
    }
    upgrade.cluster.spec.kubernetes_version = Some(to.to_string());
    upgrade.note("Cluster", "KubernetesVersion", from.to_string(), to.to_string());
    for group in groups {
        // An image that the user chose stays.
        let recommended = Architecture::ALL
            .into_iter()
            .find(|architecture| group.spec.image.as_deref() == Some(&*from.image(*architecture)));
        let Some(architecture) = recommended else { continue };
        let (old, new) = (from.image(architecture), to.image(architecture));
        if old != new {
            let mut changed = group.clone();
            changed.spec.image = Some(new.clone());
            upgrade.note(&format!("InstanceGroup/{}", group.name()), "Image", old, new);
            upgrade.groups.push(changed);
        }
    }
    Ok(upgrade)
}

impl Upgrade {
    fn note(&mut self, item: &str, property: &str, old: String, new: String) {
        self.changes.push(UpgradeChange { item: item.to_owned(), property: property.to_owned(), old, new });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(from: &str, to: Option<&str>) -> Result<Option<String>, UpgradeError> {
        let mut cluster = Cluster::default();
        cluster.spec.kubernetes_version = Some(from.to_owned());
        let upgraded = upgrade(&cluster, &[], to.map(|to| to.parse().unwrap()))?;
        assert_eq!(upgraded.changes.is_empty(), upgraded.cluster == cluster);
        Ok(upgraded.cluster.spec.kubernetes_version.filter(|version| version != from))
    }

    #[test]
    fn a_cluster_goes_one_minor_version_at_a_time() {
        assert_eq!(to("1.33.1", None).unwrap().as_deref(), Some("1.34.10"));
        assert_eq!(to("1.34.10", None).unwrap(), Some(RECOMMENDED.to_string()));
        assert_eq!(to(&RECOMMENDED.to_string(), None).unwrap(), None);
        // 1.21 is not supported: what is left is the newest patch.
        assert_eq!(to("1.20.2", None).unwrap().as_deref(), Some("1.20.15"));
        assert_eq!(to("1.35.7", Some("1.36.0")).unwrap().as_deref(), Some("1.36.0"));
    }

    #[test]
    fn what_kubernetes_does_not_support_is_refused() {
        let refused = |from, target| to(from, Some(target)).unwrap_err().to_string();
        insta::assert_snapshot!(refused("1.35.7", "1.35.6"), @"1.35.6 is older than 1.35.7: the control plane of a cluster cannot be downgraded");
        insta::assert_snapshot!(refused("1.33.1", "1.35.7"), @"from 1.33.1 to 1.35.7 skips a minor version, which Kubernetes does not support; go to 1.34 first");
        insta::assert_snapshot!(refused("1.36.1", "1.37.0"), @"1.37 is not a supported version of Kubernetes; supported are 1.20, 1.30, 1.31, 1.32, 1.33, 1.34, 1.35, 1.36");
    }

    #[test]
    fn only_an_image_that_came_with_the_old_version_is_replaced() {
        let mut cluster = Cluster::default();
        cluster.spec.kubernetes_version = Some("1.31.0".to_owned());
        let old: KubernetesVersion = "1.31.0".parse().unwrap();
        let new: KubernetesVersion = "1.32.13".parse().unwrap();
        let group = |name: &str, image: &str| {
            let mut group = InstanceGroup::default();
            group.metadata.name = name.to_owned();
            group.spec.image = Some(image.to_owned());
            group
        };
        let groups = [group("nodes", &old.image(Architecture::Arm64)), group("own", "ami-0123")];
        let upgraded = upgrade(&cluster, &groups, None).unwrap();
        let changed: Vec<&str> = upgraded.changes.iter().map(|change| change.item.as_str()).collect();
        assert_eq!(changed, ["Cluster", "InstanceGroup/nodes"]);
        assert_eq!(upgraded.groups.len(), 1);
        assert_eq!(upgraded.groups[0].spec.image.as_deref(), Some(&*new.image(Architecture::Arm64)));
    }
}

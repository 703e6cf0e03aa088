//! Who made a cluster, as its part of the state store shows. What kops has made is not changed: the control plane of
//! this project would start beside etcd-manager's data, with an empty etcd.

use super::{Put, StateError, StateStore, layout};
use crate::error::ErrorClass;

/// Who made a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Maker {
    /// This project, which keeps a record of it.
    Recorded,
    /// This project before it kept records, or nobody yet: there are manifests, and nothing that only kops writes.
    Unrecorded,
    /// There is no such cluster.
    #[default]
    Absent,
    /// kops, the program that is written in Go.
    Kops {
        /// The first object that shows it, below the cluster's part of the store.
        sign: String,
    },
}

impl Maker {
    /// Tells it from the keys below a cluster's part of the store.
    ///
    /// A record of this project says that the cluster is this project's, whatever kops has written since. Without one,
    /// what only kops writes says that it is kops's: clusters that this project made before it kept records have
    /// nothing of the kind.
    pub fn of<'a>(locations: impl IntoIterator<Item = &'a str>) -> Self {
        let mut maker = Self::Absent;
        for location in locations {
            let sign = || Self::Kops { sign: location.to_owned() };
            match maker {
                _ if layout::is_record(location) => return Self::Recorded,
                // What people know as kops's is the best sign.
                _ if location == layout::KOPS_VERSION => maker = sign(),
                Self::Kops { .. } => {}
                _ if layout::is_of_kops_alone(location) => maker = sign(),
                _ if location == layout::CONFIG => maker = Self::Unrecorded,
                _ => {}
            }
        }
        maker
    }

    /// Fails if kops made the cluster.
    ///
    /// # Errors
    /// [`MadeByKops`].
    pub fn check(&self, cluster: &str) -> Result<(), MadeByKops> {
        match self {
            Self::Recorded | Self::Unrecorded | Self::Absent => Ok(()),
            Self::Kops { sign } => Err(MadeByKops { cluster: cluster.to_owned(), sign: sign.clone() }),
        }
    }
}

/// A cluster that this project does not change, since kops made it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "kops made the cluster {cluster} ({sign} shows it): its control plane would come back with an empty etcd, so nothing \
     is changed here until the cluster is taken over"
)]
pub struct MadeByKops {
    /// The cluster.
    pub cluster: String,
    /// What shows it.
    pub sign: String,
}

impl MadeByKops {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Conflict
    }

    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        "change it with kops: this version cannot take clusters over yet; `get`, `validate cluster`, `export kubeconfig`, \
         previews, `toolbox dump` and `delete cluster` work"
    }
}

/// Tells who made a cluster: one listing.
///
/// # Errors
/// The store cannot be listed.
pub async fn maker(store: &dyn StateStore, cluster: &str) -> Result<Maker, StateError> {
    let prefix = layout::cluster(cluster)?;
    let entries = store.list(&prefix).await?;
    Ok(Maker::of(entries.iter().filter_map(|entry| prefix.rest(&entry.key))))
}

/// What the record says.
pub(crate) fn record() -> String {
    let record = serde_json::json!({ "program": "kops for Rust", "version": env!("CARGO_PKG_VERSION") });
    format!("{record}\n")
}

/// Records that a cluster is this project's, unless it is recorded.
///
/// # Errors
/// The store cannot be written to.
pub async fn put_record(store: &dyn StateStore, cluster: &str) -> Result<(), StateError> {
    match store.put(&layout::record(cluster)?, record().as_bytes(), Put::IfAbsent).await {
        Ok(_) | Err(StateError::Exists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of_kops(locations: &[&str]) -> bool {
        matches!(Maker::of(locations.iter().copied()), Maker::Kops { .. })
    }

    #[test]
    fn what_only_kops_writes_shows_that_kops_made_it() {
        for sign in [
            "kops-version.txt",
            "cluster.spec",
            "igconfig/node/nodes/nodeupconfig.yaml",
            "igconfig/control-plane/master-a/nodeupscript.sh",
            "manifests/etcd/main-master-a.yaml",
            "manifests/static/kube-apiserver-healthcheck.yaml",
            "manifests/channels/kops-channels.yaml",
        ] {
            assert!(is_of_kops(&["config", "instancegroup/nodes", sign]), "{sign}");
            let recorded = Maker::of(["config", sign, "manifests/made-by.json"]);
            assert_eq!(recorded, Maker::Recorded, "{sign}");
        }
    }

    #[test]
    fn a_cluster_of_this_project_is_known_without_a_record() {
        let hash = "0123456789abcdef".repeat(4);
        let config = format!("igconfig/node/nodes/{hash}.yaml");
        let addon = format!("addons/coredns.addons.k8s.io/{hash}.yaml");
        let locations = [
            "addons/bootstrap-channel.yaml",
            "addons/mine/calico.yaml",
            &addon,
            "backups/etcd/main/control/etcd-cluster-spec",
            "cluster-completed.spec",
            "config",
            &config,
            "instancegroup/nodes",
            "manifests/lease.json",
            "manifests/snapshot.json",
            "pki/private/kubernetes-ca/keyset.yaml",
            "pki/ssh/public/admin/80e4",
            "secrets/gossip-key",
        ];
        assert_eq!(Maker::of(locations), Maker::Unrecorded);
        assert_eq!(Maker::of(["manifests/lease.json"]), Maker::Absent);
        assert!(is_of_kops(&[&config, "kops-version.txt"]), "kops has updated it since");
    }

    #[test]
    fn the_error_is_one_sentence() {
        let made = Maker::of([
            "config",
            "igconfig/node/nodes/nodeupconfig.yaml",
            "kops-version.txt",
            "manifests/etcd/x",
        ]);
        insta::assert_snapshot!(made.check("m.k8s.local").unwrap_err(), @"kops made the cluster m.k8s.local (kops-version.txt shows it): its control plane would come back with an empty etcd, so nothing is changed here until the cluster is taken over");
    }
}

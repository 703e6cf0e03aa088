use super::{TAKE_BACK, change};
use crate::manifest::versions::KubernetesVersion;
use crate::manifest::{Cluster, Violation};

const PATH: &str = "cluster.spec.kubernetesVersion";

/// The control plane goes on by one minor version at a time (<https://kubernetes.io/releases/version-skew-policy/>), and
/// what a newer one has written, an older one need not read.
pub(super) fn check(found: &mut Vec<Violation>, before: &Cluster, after: &Cluster) {
    let (Some(old), Some(new)) = (version(before), version(after)) else { return };
    let (from, to) = (old.to_string(), new.to_string());
    if new.minor < old.minor {
        let why = "an older control plane cannot read what the newer one has written";
        found.push(change(PATH, &from, &to, why, TAKE_BACK));
    } else if new.minor > old.minor + 1 {
        let why = "Kubernetes goes from one minor version to the next";
        let way = format!("go to 1.{} first, with `reconcile cluster`", old.minor + 1);
        found.push(change(PATH, &from, &to, why, &way));
    }
}

fn version(cluster: &Cluster) -> Option<KubernetesVersion> {
    cluster.spec.kubernetes_version.as_deref()?.parse().ok()
}

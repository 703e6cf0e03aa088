use std::collections::BTreeMap;

use crate::manifest::{CompletedCluster, InstanceGroup, Role};

/// The first minor version of Kubernetes whose control-plane nodes are no longer labelled `master`
/// (KEP-2067).
const CONTROL_PLANE_ONLY: u32 = 24;

/// The labels of a group's nodes: those of their role, and those that the manifest asks for.
pub fn labels(completed: &CompletedCluster, group: &InstanceGroup) -> BTreeMap<String, String> {
    let mut labels = group.spec.node_labels.clone();
    let old = completed.kubernetes_version().is_ok_and(|version| version.minor < CONTROL_PLANE_ONLY);
    let of_role: &[&str] = match group.role() {
        Role::ControlPlane if old => &[
            "node-role.kubernetes.io/control-plane",
            "node-role.kubernetes.io/master",
            "node.kubernetes.io/exclude-from-external-load-balancers",
        ],
        Role::ControlPlane => &[
            "node-role.kubernetes.io/control-plane",
            "node.kubernetes.io/exclude-from-external-load-balancers",
        ],
        Role::Node => &["node-role.kubernetes.io/node"],
        Role::Bastion => &[],
    };
    labels.extend(of_role.iter().map(|label| ((*label).to_owned(), String::new())));
    labels
}

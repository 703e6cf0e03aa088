//! What nodes and the API server may do: nothing works before that.

use serde_json::{Value, json};

use super::Addon;
use super::parts::{RBAC, metadata};
use crate::node::render::TOKEN_GROUP;

const NAME: &str = "rbac.addons.k8s.io";

/// Who holds a token may hand in a request for a node's certificate, which kops-node approves for the machine that proves to be
/// that node, and for nobody else; nodes may read what a service proxy reads; the API server may call kubelets. No group
/// gets a certificate because it is one.
pub(super) fn addon() -> Addon {
    let objects = [
        binding("kops:node-bootstrap", "system:node-bootstrapper", "Group", TOKEN_GROUP),
        binding("kops:node-proxier", "system:node-proxier", "Group", "system:nodes"),
        binding("kops:kubelet-api", "system:kubelet-api-admin", "User", "kubelet-api"),
    ];
    Addon::new(NAME, objects.into())
}

fn binding(name: &str, role: &str, kind: &str, subject: &str) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name, None),
        "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": role },
        "subjects": [{ "apiGroup": RBAC, "kind": kind, "name": subject }],
    })
}

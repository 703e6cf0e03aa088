//! What the cluster needs to know so that machines can join it.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::pki::BootstrapToken;

/// The group of those who hold a bootstrap token.
pub const TOKEN_GROUP: &str = "system:bootstrappers:kops:nodes";

/// The bindings: who holds a token may ask for a node's certificate, which is signed at once; nodes may renew theirs,
/// and read what a service proxy reads; the API server may call kubelets.
pub(super) fn objects() -> Vec<Value> {
    let approved = "system:certificates.k8s.io:certificatesigningrequests";
    vec![
        binding("kops:node-bootstrap", "system:node-bootstrapper", "Group", TOKEN_GROUP),
        binding("kops:node-first-certificate", &format!("{approved}:nodeclient"), "Group", TOKEN_GROUP),
        binding("kops:node-next-certificate", &format!("{approved}:selfnodeclient"), "Group", "system:nodes"),
        binding("kops:node-proxier", "system:node-proxier", "Group", "system:nodes"),
        binding("kops:kubelet-api", "system:kubelet-api-admin", "User", "kubelet-api"),
    ]
}

fn binding(name: &str, role: &str, kind: &str, subject: &str) -> Value {
    let group = "rbac.authorization.k8s.io";
    json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "kops" } },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": role },
        "subjects": [{ "apiGroup": group, "kind": kind, "name": subject }],
    })
}

/// The secret by which the API server knows a bootstrap token.
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>
pub fn bootstrap_token(token: &BootstrapToken, expires: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": { "name": format!("bootstrap-token-{}", token.id()), "namespace": "kube-system" },
        "stringData": {
            "auth-extra-groups": TOKEN_GROUP,
            "description": "Nodes join with it; renewed by kops-node.",
            "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "token-id": token.id(),
            "token-secret": token.secret(),
            "usage-bootstrap-authentication": "true",
        },
    })
}

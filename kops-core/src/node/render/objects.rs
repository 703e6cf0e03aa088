//! What a cluster needs first: that machines can join it, and that pods find services.

use serde_json::{Value, json};

use super::{Context, RenderError, dns};
use crate::clock::Timestamp;
use crate::pki::BootstrapToken;

pub(super) const RBAC: &str = "rbac.authorization.k8s.io";
/// The label of what is applied here.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kops");

/// The group of those who hold a bootstrap token.
pub const TOKEN_GROUP: &str = "system:bootstrappers:kops:nodes";

/// Who holds a token may ask for a node's certificate, which is signed at once; nodes may renew theirs,
/// and read what a service proxy reads; the API server may call kubelets; pods find services.
pub(super) fn objects(context: &Context<'_>) -> Result<Vec<Value>, RenderError> {
    let approved = "system:certificates.k8s.io:certificatesigningrequests";
    let mut objects = vec![
        binding("kops:node-bootstrap", "system:node-bootstrapper", "Group", TOKEN_GROUP),
        binding("kops:node-first-certificate", &format!("{approved}:nodeclient"), "Group", TOKEN_GROUP),
        binding("kops:node-next-certificate", &format!("{approved}:selfnodeclient"), "Group", "system:nodes"),
        binding("kops:node-proxier", "system:node-proxier", "Group", "system:nodes"),
        binding("kops:kubelet-api", "system:kubelet-api-admin", "User", "kubelet-api"),
    ];
    objects.extend(dns::objects(context)?);
    Ok(objects)
}

fn binding(name: &str, role: &str, kind: &str, subject: &str) -> Value {
    let (key, value) = MANAGED_BY;
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name, "labels": { key: value } },
        "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": role },
        "subjects": [{ "apiGroup": RBAC, "kind": kind, "name": subject }],
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

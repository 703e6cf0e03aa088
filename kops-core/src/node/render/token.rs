use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::pki::BootstrapToken;

/// The group of those who hold a bootstrap token.
pub const TOKEN_GROUP: &str = "system:bootstrappers:kops:nodes";

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

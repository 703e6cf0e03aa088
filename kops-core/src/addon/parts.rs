//! Kubernetes objects that many add-ons are made of.

use serde_json::{Value, json};

/// The group of roles and their bindings.
pub const RBAC: &str = "rbac.authorization.k8s.io";

/// What pods act as.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The namespace of the pods.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// An object's name, and its namespace if it is in one.
pub fn metadata(name: &str, namespace: Option<&str>) -> Value {
    match namespace {
        Some(namespace) => json!({ "name": name, "namespace": namespace }),
        None => json!({ "name": name }),
    }
}

/// What may be done with some resources of a group.
pub fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

impl Account<'_> {
    /// The account itself.
    pub fn object(self) -> Value {
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(self.name, Some(self.namespace)) })
    }

    /// A role that the account has in all namespaces.
    pub fn cluster_role(self, name: &str, rules: &[Value]) -> [Value; 2] {
        [
            role("ClusterRole", metadata(name, None), rules),
            self.binding(metadata(name, None), "ClusterRole", name),
        ]
    }

    /// A role that the account has in its own namespace.
    pub fn role(self, name: &str, rules: &[Value]) -> [Value; 2] {
        let metadata = metadata(name, Some(self.namespace));
        [role("Role", metadata.clone(), rules), self.binding(metadata, "Role", name)]
    }

    /// Gives the account a role of its own namespace that somebody else makes.
    pub fn given_role(self, name: &str, role: &str) -> Value {
        self.binding(metadata(name, Some(self.namespace)), "Role", role)
    }

    /// Gives the account a role in all namespaces that somebody else makes.
    pub fn given_cluster_role(self, name: &str, role: &str) -> Value {
        self.binding(metadata(name, None), "ClusterRole", role)
    }

    fn binding(self, metadata: Value, kind: &str, role: &str) -> Value {
        let of = if metadata["namespace"].is_null() { "ClusterRoleBinding" } else { "RoleBinding" };
        json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": of,
            "metadata": metadata,
            "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": self.name, "namespace": self.namespace }],
        })
    }
}

/// Keeps some of the pods with these labels running while nodes are drained. `policy` is the version of the group `policy`,
/// `limit` is `minAvailable` or `maxUnavailable`.
pub fn disruption_budget(policy: &str, name: &str, limit: Value, labels: &Value) -> Value {
    let mut spec = limit;
    spec["selector"] = json!({ "matchLabels": labels });
    json!({
        "apiVersion": format!("policy/{policy}"),
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, Some(super::SYSTEM)),
        "spec": spec,
    })
}

/// A role, of the kind `Role` or `ClusterRole`.
pub fn role(kind: &str, metadata: Value, rules: &[Value]) -> Value {
    json!({ "apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": metadata, "rules": rules })
}

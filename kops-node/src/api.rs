//! The cluster's API on the machine itself, by kubectl with the administrator's certificate.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use kops_core::addon::ObjectId;
use kops_core::node::render;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Done, NodeError};
use crate::system::System;

/// What kubectl learns of the API; not beyond a boot.
const CACHE: &str = "/run/kops-node/kubectl";

/// Every failure may pass by itself: members and API servers come and go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api<'a> {
    pub(crate) system: &'a dyn System,
}

/// A node as its API has it.
#[derive(Clone, Debug)]
pub(crate) struct ApiNode {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) provider_id: Option<String>,
    /// When it was made, by the API's clock (RFC 3339, UTC).
    pub(crate) created: String,
    pub(crate) pods: Option<Ipv4Net>,
    pub(crate) is_ready: bool,
}

impl Api<'_> {
    /// One object, or none if there is none.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        step: &str,
        what: &[&str],
    ) -> Result<Option<T>, NodeError> {
        let arguments = [&["get", "--ignore-not-found", "-o", "json"][..], what].concat();
        let text = self.kubectl(step, &arguments, "").await?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        // What could not be read may be a secret.
        serde_json::from_str(&text).map(Some).map_err(|_| NodeError::waiting(step, "kubectl gave no JSON"))
    }

    /// Makes objects, written as YAML or JSON, what they should be. The API merges them itself, so that what others have
    /// set in other fields stays, and large ones need no copy of themselves.
    pub(crate) async fn apply(&self, step: &str, objects: &str) -> Done {
        let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager=kops", "-f", "-"];
        self.kubectl(step, &arguments, objects).await.map(drop)
    }

    /// Sets an annotation (`key=value`), or removes it (`key-`).
    pub(crate) async fn annotate(&self, step: &str, what: &[&str], annotation: &str) -> Done {
        let arguments = [&["annotate", "--overwrite"][..], what, &[annotation]].concat();
        self.kubectl(step, &arguments, "").await.map(drop)
    }

    /// Deletes an object as long as it has a label. If there is none, or no such kind any more, it is gone already.
    pub(crate) async fn delete_labelled(&self, step: &str, id: &ObjectId, label: &str) -> Done {
        let (kind, name) = (id.resource_type(), format!("metadata.name={}", id.name));
        let mut arguments = vec![
            "delete",
            "--ignore-not-found",
            "--wait=false",
            &kind,
            "-l",
            label,
            "--field-selector",
            &name,
        ];
        arguments.extend(id.namespace.iter().flat_map(|namespace| ["-n", namespace]));
        match self.kubectl(step, &arguments, "").await {
            Err(error) if error.reason.contains("doesn't have a resource type") => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// All nodes.
    pub(crate) async fn nodes(&self, step: &str) -> Result<Vec<ApiNode>, NodeError> {
        let list: Option<List> = self.get(step, &["nodes"]).await?;
        Ok(list.map(|list| list.items).unwrap_or_default().into_iter().map(ApiNode::from).collect())
    }

    pub(crate) async fn label(&self, step: &str, node: &str, labels: &BTreeMap<&str, &str>) -> Done {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let mut arguments = vec!["label", "--overwrite", "node", node];
        arguments.extend(labels.iter().map(String::as_str));
        self.kubectl(step, &arguments, "").await.map(drop)
    }

    pub(crate) async fn delete_node(&self, step: &str, node: &str) -> Done {
        self.kubectl(step, &["delete", "--ignore-not-found", "--wait=false", "node", node], "")
            .await
            .map(drop)
    }

    pub(crate) async fn delete_secret(&self, step: &str, namespace: &str, name: &str) -> Done {
        let arguments =
            ["delete", "--ignore-not-found", "--wait=false", "--namespace", namespace, "secret", name];
        self.kubectl(step, &arguments, "").await.map(drop)
    }

    async fn kubectl(&self, step: &str, arguments: &[&str], input: &str) -> Result<String, NodeError> {
        let program = format!("{}/kubectl", render::PROGRAMS);
        let kubeconfig =
            ["--kubeconfig", render::ADMIN_KUBECONFIG, "--cache-dir", CACHE, "--request-timeout=10s"];
        let verb = arguments.first().copied().unwrap_or_default();
        match self.system.run(&program, &[&kubeconfig[..], arguments].concat(), input).await {
            Ok(output) if output.is_ok() => Ok(output.stdout),
            Ok(output) => {
                let said = output.stderr.trim().lines().last().unwrap_or("no reason given").to_owned();
                Err(NodeError::waiting(step, format!("kubectl {verb} failed: {said}")))
            }
            Err(error) => Err(NodeError::lasting(step, format!("{program} cannot be run: {error}"))),
        }
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default, rename = "creationTimestamp")]
    creation_timestamp: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl From<Item> for ApiNode {
    fn from(item: Item) -> Self {
        let is_ready = |condition: &Condition| condition.kind == "Ready" && condition.status == "True";
        Self {
            name: item.metadata.name,
            labels: item.metadata.labels,
            provider_id: item.spec.provider_id,
            created: item.metadata.creation_timestamp,
            pods: item.spec.pod_cidr.and_then(|range| range.parse().ok()),
            is_ready: item.status.conditions.iter().any(is_ready),
        }
    }
}

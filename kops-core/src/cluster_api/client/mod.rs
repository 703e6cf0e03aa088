//! The Kubernetes API over the network.

mod convert;
mod policy;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Node as KubeNode, Pod as KubePod, Taint as KubeTaint};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::config::AuthInfo;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{ClusterApi, ClusterApiError, DisruptionBudget, Eviction, Node, NodePatch, Pod, PodRef, Server};
use crate::error::{Cause, ErrorClass};
use crate::pki::{Certificate, Credential};

/// How long a connection may take, and an answer. Whoever waits longer is better told that nobody answers.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// How many objects a page holds, as kubectl asks for them.
const PAGE: u32 = 500;
/// How often a change is tried again that others were faster than.
const ATTEMPTS: usize = 5;

/// The API of one cluster, with a client certificate.
pub struct KubeClient {
    client: Client,
    server: String,
    policy: policy::Served,
    nodes_seen: watch::Seen,
    pods_seen: watch::Seen,
}

impl fmt::Debug for KubeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeClient").field("server", &self.server).finish_non_exhaustive()
    }
}

impl fmt::Display for KubeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server)
    }
}

impl KubeClient {
    /// Makes no call yet. The server is trusted that one of `authorities` has certified; `credential` stays in memory.
    ///
    /// # Errors
    /// The address is none, or the certificates or the key cannot be used.
    pub fn new<'a>(
        server: &Server,
        authorities: impl IntoIterator<Item = &'a Certificate>,
        credential: &Credential,
    ) -> Result<Self, ClusterApiError> {
        let unusable = |source: Cause| ClusterApiError::Unreachable { server: server.url.clone(), source };
        let mut config = Config::new(server.url.parse().map_err(|error| unusable(Box::new(error)))?);
        config.root_cert =
            Some(authorities.into_iter().map(|certificate| certificate.der().to_vec()).collect());
        config.tls_server_name = Some(server.name.clone());
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        config.reset_reader_on_write = true;
        // Whether to ask again is for those to decide who know what for.
        config.default_retry = false;
        config.auth_info = AuthInfo {
            client_certificate_data: Some(STANDARD.encode(credential.certificate.pem())),
            client_key_data: Some(STANDARD.encode(credential.key.pem()).into()),
            ..AuthInfo::default()
        };
        let client = Client::try_from(config).map_err(|error| unusable(Box::new(error)))?;
        Ok(Self {
            client,
            server: server.url.clone(),
            policy: policy::Served::default(),
            nodes_seen: watch::Seen::default(),
            pods_seen: watch::Seen::default(),
        })
    }

    fn nodes_api(&self) -> Api<KubeNode> {
        Api::all(self.client.clone())
    }

    fn pods_api(&self) -> Api<KubePod> {
        Api::all(self.client.clone())
    }

    fn pods_of(&self, namespace: &str) -> Api<KubePod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Everything that a listing has, page by page, and its version.
    async fn all<K>(
        &self,
        api: &Api<K>,
        what: &'static str,
    ) -> Result<(Vec<K>, Option<String>), ClusterApiError>
    where
        K: Clone + DeserializeOwned + fmt::Debug,
    {
        let mut items = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&params).await.map_err(|error| self.failed("list", what, error))?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok((items, page.metadata.resource_version)),
            }
        }
    }

    fn failed(
        &self,
        operation: &'static str,
        object: impl Into<String>,
        error: kube::Error,
    ) -> ClusterApiError {
        let status = match error {
            kube::Error::Api(status) => status,
            error => {
                return ClusterApiError::Unreachable { server: self.server.clone(), source: error.into() };
            }
        };
        let class = match status.code {
            401 | 403 => ErrorClass::Denied,
            404 | 410 => ErrorClass::NotFound,
            409 => ErrorClass::Conflict,
            429 => ErrorClass::Throttled,
            500.. => ErrorClass::Unavailable,
            _ => ErrorClass::Invalid,
        };
        let message = status.message.clone();
        ClusterApiError::Refused { operation, object: object.into(), class, message }
    }

    async fn try_patch(&self, name: &str, patch: &NodePatch) -> Result<(), kube::Error> {
        let api = self.nodes_api();
        let mut changes = json!({ "metadata": { "annotations": patch.annotations } });
        if let Some(unschedulable) = patch.unschedulable {
            changes["spec"]["unschedulable"] = json!(unschedulable);
        }
        if !patch.add_taints.is_empty() || !patch.remove_taints.is_empty() {
            // Taints are one list, which a patch replaces: not over the head of somebody who changes it just now.
            let node = api.get(name).await?;
            let old = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
            changes["spec"]["taints"] = json!(with_taints(old, patch));
            changes["metadata"]["resourceVersion"] = json!(node.metadata.resource_version);
        }
        api.patch(name, &PatchParams::default(), &Patch::Merge(changes)).await.map(drop)
    }
}

/// The taints after a change; those that are nobody's business stay as they are.
fn with_taints(mut taints: Vec<KubeTaint>, patch: &NodePatch) -> Vec<KubeTaint> {
    let added: Vec<KubeTaint> = patch.add_taints.iter().map(convert::to_kube).collect();
    let same = |a: &KubeTaint, b: &KubeTaint| a.key == b.key && a.effect == b.effect;
    taints.retain(|old| !patch.remove_taints.contains(&old.key) && !added.iter().any(|new| same(new, old)));
    taints.extend(added);
    taints
}

fn has_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

#[async_trait]
impl ClusterApi for KubeClient {
    async fn nodes(&self) -> Result<Vec<Node>, ClusterApiError> {
        let (nodes, version) = self.all(&self.nodes_api(), "nodes").await?;
        self.nodes_seen.note(version);
        Ok(nodes.into_iter().map(convert::node).collect())
    }

    async fn pods(&self) -> Result<Vec<Pod>, ClusterApiError> {
        let (pods, version) = self.all(&self.pods_api(), "pods").await?;
        self.pods_seen.note(version);
        Ok(pods.into_iter().map(convert::pod).collect())
    }

    async fn disruption_budgets(&self) -> Result<Vec<DisruptionBudget>, ClusterApiError> {
        self.policy.budgets(self).await
    }

    async fn changed(&self) {
        watch::changed((self.nodes_api(), &self.nodes_seen), (self.pods_api(), &self.pods_seen)).await;
    }

    async fn patch_node(&self, node: &str, patch: &NodePatch) -> Result<(), ClusterApiError> {
        let mut attempt = 1;
        loop {
            match self.try_patch(node, patch).await {
                Err(error) if has_code(&error, 404) => return Ok(()),
                Err(error) if has_code(&error, 409) && attempt < ATTEMPTS => attempt += 1,
                result => return result.map_err(|error| self.failed("patch", format!("node/{node}"), error)),
            }
        }
    }

    async fn evict(&self, pod: &PodRef) -> Result<Eviction, ClusterApiError> {
        self.policy.evict(self, pod).await
    }

    async fn delete_pod(&self, pod: &PodRef) -> Result<(), ClusterApiError> {
        let preconditions = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.pods_of(&pod.namespace).delete(&pod.name, &params).await {
            // Gone, or another one has its name.
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => Ok(()),
            result => result.map(drop).map_err(|error| self.failed("delete", format!("pod/{pod}"), error)),
        }
    }

    async fn delete_node(&self, node: &str) -> Result<(), ClusterApiError> {
        match self.nodes_api().delete(node, &DeleteParams::default()).await {
            Err(error) if has_code(&error, 404) => Ok(()),
            result => result.map(drop).map_err(|error| self.failed("delete", format!("node/{node}"), error)),
        }
    }
}

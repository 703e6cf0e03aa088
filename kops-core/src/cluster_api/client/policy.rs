//! The group `policy`, whose `v1` servers have since Kubernetes 1.22, and whose `v1beta1` they had until 1.25.

use std::sync::atomic::{AtomicBool, Ordering};

use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::{KubeClient, convert, has_code};
use crate::cluster_api::{ClusterApiError, DisruptionBudget, Eviction, PodRef};
use crate::error::ErrorClass;

/// The reason that the server gives when a budget is in the way.
const BUDGET: &str = "DisruptionBudget";

/// Which version the server has: the newer one until it says otherwise.
#[derive(Debug, Default)]
pub(super) struct Served {
    only_beta: AtomicBool,
}

impl Served {
    fn version(&self) -> &'static str {
        if self.only_beta.load(Ordering::Relaxed) { "v1beta1" } else { "v1" }
    }

    pub(super) async fn budgets(
        &self,
        client: &KubeClient,
    ) -> Result<Vec<DisruptionBudget>, ClusterApiError> {
        match self.list(client).await {
            Err(ClusterApiError::Refused { class: ErrorClass::NotFound, .. }) if self.version() == "v1" => {
                self.only_beta.store(true, Ordering::Relaxed);
                self.list(client).await
            }
            result => result,
        }
    }

    async fn list(&self, client: &KubeClient) -> Result<Vec<DisruptionBudget>, ClusterApiError> {
        let version = self.version();
        let resource = ApiResource {
            group: "policy".to_owned(),
            version: version.to_owned(),
            api_version: format!("policy/{version}"),
            kind: "PodDisruptionBudget".to_owned(),
            plural: "poddisruptionbudgets".to_owned(),
        };
        let api: Api<DynamicObject> = Api::all_with(client.client.clone(), &resource);
        let (budgets, _) = client.all(&api, "poddisruptionbudgets").await?;
        Ok(budgets.into_iter().map(|budget| convert::budget(budget, version)).collect())
    }

    pub(super) async fn evict(&self, client: &KubeClient, pod: &PodRef) -> Result<Eviction, ClusterApiError> {
        let api = client.pods_of(&pod.namespace);
        // A server that knows no `policy/v1` refuses the kind, not the pod.
        let version = self.version();
        let eviction = json!({
            "apiVersion": format!("policy/{version}"),
            "kind": "Eviction",
            "metadata": { "name": pod.name, "namespace": pod.namespace },
            "deleteOptions": { "preconditions": { "uid": pod.uid } },
        });
        let answer: Result<Value, kube::Error> =
            api.create_subresource("eviction", &pod.name, &PostParams::default(), &eviction).await;
        match answer {
            Ok(_) => Ok(Eviction::Accepted),
            Err(kube::Error::Api(status)) if status.code == 429 && is_budget(&status) => {
                Ok(Eviction::Blocked { message: status.message.clone() })
            }
            // Gone, or another one has its name.
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => Ok(Eviction::Gone),
            Err(error) => Err(client.failed("evict", format!("pod/{pod}"), error)),
        }
    }
}

/// Servers answer 429 when they are busy, too.
fn is_budget(status: &kube::core::Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes.iter().any(|cause| cause.reason == BUDGET) || status.message.contains("disruption budget")
}

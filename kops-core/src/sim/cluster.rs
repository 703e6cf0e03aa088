//! The Kubernetes API of a simulated cluster.

use std::fmt;

use async_trait::async_trait;

use super::Simulated;
use super::cloud::SimCloud;
use super::kubernetes::Kubernetes;
use super::world::World;
use crate::clock::Timestamp;
use crate::cloud::{CloudError, Scope};
use crate::cluster_api::{
    ClusterApi, ClusterApiError, DisruptionBudget, Eviction, Node, NodePatch, Pod, PodRef,
};
use crate::error::ErrorClass;

/// The Kubernetes API of one cluster of a [`SimCloud`]: it answers while most of the control plane serves.
#[derive(Debug)]
pub struct SimCluster<'a, R> {
    cloud: &'a SimCloud<R>,
    scope: &'a Scope,
}

impl<'a, R: Simulated> SimCluster<'a, R> {
    pub(super) fn new(cloud: &'a SimCloud<R>, scope: &'a Scope) -> Self {
        Self { cloud, scope }
    }

    async fn list<T>(
        &self,
        objects: &'static str,
        read: fn(&Kubernetes, Timestamp) -> Vec<T>,
    ) -> Result<Vec<T>, ClusterApiError> {
        let options = self.cloud.options();
        let read = |world: &mut World<R>, now| {
            world.advance_clusters(now, options);
            let kubernetes = world.kubernetes.get_mut(&self.scope.cluster)?;
            kubernetes.refresh(now, options.pods_per_node);
            kubernetes.is_serving().then(|| read(kubernetes, now))
        };
        self.call("list", objects, read).await
    }

    async fn change<T>(
        &self,
        operation: &'static str,
        object: String,
        effect: impl FnOnce(&mut Kubernetes, Timestamp) -> T + Send,
    ) -> Result<T, ClusterApiError> {
        let effect = |world: &mut World<R>, now| {
            let kubernetes = world.kubernetes.get_mut(&self.scope.cluster)?;
            kubernetes.is_serving().then(|| effect(kubernetes, now))
        };
        self.call(operation, object, effect).await
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        object: impl fmt::Display + Send,
        effect: impl FnOnce(&mut World<R>, Timestamp) -> Option<T> + Send,
    ) -> Result<T, ClusterApiError> {
        let clock = &self.cloud.options().clock;
        let result = self.cloud.call(operation, None, |world, _| {
            let down = || CloudError::general(ErrorClass::Unavailable, operation, "connection refused");
            effect(world, clock.now()).ok_or_else(down)
        });
        result.await.map_err(|error| match error.class {
            ErrorClass::Unavailable => {
                ClusterApiError::Unreachable { server: self.to_string(), source: Box::new(error) }
            }
            class => ClusterApiError::Refused {
                operation,
                object: object.to_string(),
                class,
                message: error.message.into(),
            },
        })
    }
}

impl<R> fmt::Display for SimCluster<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the simulated cluster {}", self.scope.cluster)
    }
}

#[async_trait]
impl<R: Simulated> ClusterApi for SimCluster<'_, R> {
    async fn nodes(&self) -> Result<Vec<Node>, ClusterApiError> {
        self.list("nodes", Kubernetes::nodes).await
    }

    async fn pods(&self) -> Result<Vec<Pod>, ClusterApiError> {
        self.list("pods", Kubernetes::pods).await
    }

    async fn disruption_budgets(&self) -> Result<Vec<DisruptionBudget>, ClusterApiError> {
        self.list("disruption budgets", Kubernetes::budgets).await
    }

    /// Nothing tells before somebody looks: simulated time may stand still until then.
    async fn changed(&self) {
        std::future::pending().await
    }

    async fn patch_node(&self, node: &str, patch: &NodePatch) -> Result<(), ClusterApiError> {
        self.change("patch", format!("node {node}"), |kubernetes, _| kubernetes.patch(node, patch)).await
    }

    async fn evict(&self, pod: &PodRef) -> Result<Eviction, ClusterApiError> {
        self.change("evict", format!("pod {pod}"), |kubernetes, now| kubernetes.evict(pod, now)).await
    }

    async fn delete_pod(&self, pod: &PodRef) -> Result<(), ClusterApiError> {
        self.change("delete", format!("pod {pod}"), |kubernetes, now| kubernetes.delete(pod, now)).await
    }

    async fn delete_node(&self, node: &str) -> Result<(), ClusterApiError> {
        self.change("delete", format!("node {node}"), |kubernetes, _| kubernetes.delete_node(node)).await
    }
}

use super::{Kops, OperationError, scope};
use crate::cloud::Scope;
use crate::cluster_api::ClusterApi;
use crate::manifest::CompletedCluster;
use crate::provider::Provider;
use crate::rolling::{Observation, RollTarget, observe};

/// What is asked about a running cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// The cloud and the cluster's Kubernetes API.
    #[default]
    Kubernetes,
    /// The cloud alone: for a cluster whose API is out of order.
    CloudOnly,
}

/// A cluster whose manifests have been read.
pub(super) struct Running {
    pub(super) completed: CompletedCluster,
    pub(super) scope: Scope,
    pub(super) access: Access,
}

impl<P: Provider> Kops<P> {
    pub(super) async fn running(&self, cluster: &str, access: Access) -> Result<Running, OperationError> {
        let loaded = self.registry.load(cluster).await?;
        let completed = self.completed(&loaded)?;
        let scope = scope(&completed.cluster);
        Ok(Running { completed, scope, access })
    }

    /// Does something with a running cluster's scaling groups and its Kubernetes API.
    pub(super) async fn with<T, E>(
        &self,
        running: &Running,
        work: impl AsyncFnOnce(RollTarget<'_>) -> Result<T, E>,
    ) -> Result<T, OperationError>
    where
        OperationError: From<E>,
    {
        let scope = &running.scope;
        let fleet = self.provider.fleet().ok_or(OperationError::NoFleet)?;
        let api = match running.access {
            Access::Kubernetes => Some(self.cluster_api(scope)?),
            Access::CloudOnly => None,
        };
        let target = RollTarget { scope, fleet, cluster: api.as_deref() };
        Ok(work(target).await?)
    }

    fn cluster_api<'a>(&'a self, scope: &'a Scope) -> Result<Box<dyn ClusterApi + 'a>, OperationError> {
        let none = || OperationError::NoClusterApi { cluster: scope.cluster.clone() };
        self.provider.own_cluster(scope).ok_or_else(none)
    }

    pub(super) async fn look(&self, running: &Running) -> Result<Observation, OperationError> {
        self.with(running, async |target| observe(target).await).await
    }
}

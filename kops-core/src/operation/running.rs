use tokio::sync::OnceCell;

use super::{Kops, OperationError, scope};
use crate::cloud::Scope;
use crate::cluster_api::{ClusterApi, Server};
use crate::manifest::CompletedCluster;
use crate::observation::Observation;
use crate::provider::Provider;
use crate::rolling::{RollTarget, observe};

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
    /// The connection to its API, once there is one.
    connection: OnceCell<Box<dyn ClusterApi>>,
}

/// A cluster's Kubernetes API: the provider's own, or over the network.
enum Api<'a> {
    Own(Box<dyn ClusterApi + 'a>),
    Remote(&'a dyn ClusterApi),
}

impl<P: Provider> Kops<P> {
    pub(super) async fn running(&self, cluster: &str, access: Access) -> Result<Running, OperationError> {
        let loaded = self.registry.load(cluster).await?;
        let completed = self.shown(&loaded);
        let scope = scope(&completed.cluster);
        Ok(Running { completed, scope, access, connection: OnceCell::new() })
    }

    pub(super) async fn server(&self, scope: &Scope) -> Result<Server, OperationError> {
        let address = self.provider.api_address(scope).await?;
        let none = || OperationError::NoApiAddress { cluster: scope.cluster.clone() };
        Ok(Server::of(&scope.cluster, &address.ok_or_else(none)?))
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
            Access::Kubernetes => Some(self.cluster_api(running).await?),
            Access::CloudOnly => None,
        };
        let cluster = api.as_ref().map(|api| match api {
            Api::Own(api) => &**api,
            Api::Remote(api) => *api,
        });
        Ok(work(RollTarget { scope, fleet, cluster }).await?)
    }

    async fn cluster_api<'a>(&'a self, running: &'a Running) -> Result<Api<'a>, OperationError> {
        match self.provider.own_cluster(&running.scope) {
            Some(api) => Ok(Api::Own(api)),
            None => {
                Ok(Api::Remote(running.connection.get_or_try_init(|| self.connect(running)).await?.as_ref()))
            }
        }
    }

    #[cfg(not(feature = "kube"))]
    async fn connect(&self, running: &Running) -> Result<Box<dyn ClusterApi>, OperationError> {
        Err(OperationError::NoClusterApi { cluster: running.scope.cluster.clone() })
    }

    pub(super) async fn look(&self, running: &Running) -> Result<Observation, OperationError> {
        self.with(running, async |target| observe(target).await).await
    }
}

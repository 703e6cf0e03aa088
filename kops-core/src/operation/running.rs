#[cfg(feature = "kube")]
use std::time::Duration;

use super::{Kops, OperationError, scope};
use crate::cloud::Scope;
#[cfg(feature = "kube")]
use crate::cluster_api::KubeClient;
use crate::cluster_api::{ClusterApi, Server};
use crate::manifest::CompletedCluster;
#[cfg(feature = "kube")]
use crate::pki::{KUBERNETES_CA, Leaf};
use crate::provider::Provider;
#[cfg(feature = "kube")]
use crate::rolling::RollError;
use crate::rolling::{Observation, RollTarget, observe};

/// How long the certificate of a run holds: no rolling update should take longer.
#[cfg(feature = "kube")]
const RUN_LIFETIME: Duration = Duration::from_hours(24);

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
    #[cfg(feature = "kube")]
    client: tokio::sync::OnceCell<KubeClient>,
}

/// A cluster's Kubernetes API: the provider's own, or over the network.
enum Api<'a> {
    Own(Box<dyn ClusterApi + 'a>),
    Remote(&'a dyn ClusterApi),
}

impl<P: Provider> Kops<P> {
    pub(super) async fn running(&self, cluster: &str, access: Access) -> Result<Running, OperationError> {
        let loaded = self.registry.load(cluster).await?;
        let completed = self.completed(&loaded)?;
        let scope = scope(&completed.cluster);
        Ok(Running {
            completed,
            scope,
            access,
            #[cfg(feature = "kube")]
            client: tokio::sync::OnceCell::new(),
        })
    }

    /// Where clients reach a cluster's Kubernetes API.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read, or it has no address yet.
    pub async fn api_server(&self, cluster: &str) -> Result<Server, OperationError> {
        let running = self.running(cluster, Access::CloudOnly).await?;
        self.server(&running).await
    }

    async fn server(&self, running: &Running) -> Result<Server, OperationError> {
        let address = self.provider.api_address(&running.scope).await?;
        let none = || OperationError::NoApiAddress { cluster: running.scope.cluster.clone() };
        let name = running.completed.cluster.spec.master_public_name.clone().unwrap_or_default();
        Ok(Server { url: format!("https://{}", address.ok_or_else(none)?), name })
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
            None => Ok(Api::Remote(self.connection(running).await?)),
        }
    }

    #[cfg(feature = "kube")]
    async fn connection<'a>(&self, running: &'a Running) -> Result<&'a dyn ClusterApi, OperationError> {
        let client = running.client.get_or_try_init(|| self.connect(running)).await?;
        Ok(client)
    }

    /// Issues a certificate for this run, which nobody but its memory ever has.
    #[cfg(feature = "kube")]
    async fn connect(&self, running: &Running) -> Result<KubeClient, OperationError> {
        let server = self.server(running).await?;
        let authority = self.keystore().keyset(&running.scope.cluster, KUBERNETES_CA).await?;
        let leaf = Leaf::admin("kops", RUN_LIFETIME);
        let credential = authority.authority()?.issue(&leaf, self.clock.now())?;
        let trusted = authority.trusted().map(|pair| &pair.certificate);
        Ok(KubeClient::new(&server, trusted, &credential).map_err(RollError::from)?)
    }

    #[cfg(not(feature = "kube"))]
    async fn connection<'a>(&self, running: &'a Running) -> Result<&'a dyn ClusterApi, OperationError> {
        Err(OperationError::NoClusterApi { cluster: running.scope.cluster.clone() })
    }

    pub(super) async fn look(&self, running: &Running) -> Result<Observation, OperationError> {
        self.with(running, async |target| observe(target).await).await
    }
}

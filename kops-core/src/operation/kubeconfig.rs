use super::{Access, Kops, OperationError};
use crate::cluster_api::Server;
use crate::kubeconfig::{ApiAddress, ClusterAccess, User};
use crate::pki::KUBERNETES_CA;
use crate::provider::Provider;

impl<P: Provider> Kops<P> {
    /// What kubectl needs to use a cluster as `user`: [`Kubeconfig::merge`](crate::kubeconfig::Kubeconfig::merge) takes it.
    ///
    /// # Errors
    /// There is no such cluster, it has no authority yet, or its API has no address.
    pub async fn cluster_access(
        &self,
        cluster: &str,
        address: ApiAddress,
        user: User,
    ) -> Result<ClusterAccess, OperationError> {
        self.registry.find(cluster).await?;
        let server = match address {
            ApiAddress::Public => self.api_server(cluster).await?,
            ApiAddress::Internal => Server::of(cluster, &Server::internal_name(cluster)),
            ApiAddress::Given(address) => Server::of(cluster, &address),
        };
        let authorities = self.authorities(cluster).await?;
        Ok(ClusterAccess { name: cluster.to_owned(), server, authorities, user })
    }

    /// Returns the certificates of the authorities that a cluster's clients trust, in PEM.
    ///
    /// # Errors
    /// It has no authority, or the state store cannot be read.
    pub async fn authorities(&self, cluster: &str) -> Result<String, OperationError> {
        Ok(self.keystore().keyset(cluster, KUBERNETES_CA).await?.trusted_pem())
    }

    /// Where clients reach a cluster's Kubernetes API.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read, or it has no address yet.
    pub async fn api_server(&self, cluster: &str) -> Result<Server, OperationError> {
        let running = self.running(cluster, Access::CloudOnly).await?;
        self.server(&running.scope).await
    }
}

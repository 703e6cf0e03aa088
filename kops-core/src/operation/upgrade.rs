use super::{Kops, OperationError};
use crate::manifest::versions::KubernetesVersion;
use crate::provider::Provider;
use crate::state::LoadedCluster;
use crate::upgrade::{Upgrade, upgrade};

impl<P: Provider> Kops<P> {
    /// What would change in the manifests for another version of Kubernetes: the one given, or the one that the cluster
    /// should have next. Changes nothing.
    ///
    /// # Errors
    /// The manifests cannot be read, or the version is older, skips a minor version or is not supported.
    pub async fn plan_upgrade(
        &self,
        cluster: &str,
        to: Option<KubernetesVersion>,
    ) -> Result<(LoadedCluster, Upgrade), OperationError> {
        let loaded = self.registry.load(cluster).await?;
        let upgrade = upgrade(&loaded.cluster, &loaded.groups, to)?;
        Ok((loaded, upgrade))
    }

    /// Stores the manifests of an upgrade that was planned for `loaded`. An update then applies them.
    ///
    /// # Errors
    /// Somebody else has changed the manifests since, or the store fails.
    pub async fn upgrade(&self, loaded: &LoadedCluster, upgrade: &Upgrade) -> Result<(), OperationError> {
        let cluster = loaded.cluster.name();
        // The cluster comes last: as long as it has the old version, the same upgrade is planned again.
        for group in &upgrade.groups {
            let version = loaded.group_version(group.name())?;
            self.registry.edit_group(cluster, group.name(), group.clone(), version).await?;
        }
        self.registry.edit_cluster(cluster, upgrade.cluster.clone(), loaded.cluster_version()?).await?;
        Ok(())
    }
}

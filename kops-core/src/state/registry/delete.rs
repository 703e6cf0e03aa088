use futures::{TryStreamExt, stream};

use super::write::violations;
use super::{Missing, PARALLEL, Registry, RegistryError};
use crate::state::{Key, layout};

impl Registry {
    /// Deletes manifests of groups; the members of etcd clusters in them go with them. Their machines are somebody else's
    /// business.
    ///
    /// # Errors
    /// There is no such cluster or group, the cluster would not be valid without them, somebody changes its manifest
    /// meanwhile, or the store fails. Cut short between cluster and groups, it can be called again.
    pub async fn delete_groups(&self, cluster: &str, groups: &[String]) -> Result<(), RegistryError> {
        let loaded = self.load(cluster).await?;
        loaded.maker().check(cluster)?;
        for group in groups {
            loaded.group(group)?;
        }
        let without = loaded.without(groups);
        let known = violations(&loaded);
        let mut introduced = violations(&without);
        introduced.retain(|violation| !known.contains(violation));
        if !introduced.is_empty() {
            return Err(RegistryError::Invalid(introduced));
        }
        if without.cluster != loaded.cluster {
            self.replace_cluster(without.cluster, loaded.cluster_version()?).await?;
        }
        for group in groups {
            self.store.delete(&layout::instance_group(cluster, group)?).await?;
        }
        Ok(())
    }

    /// Deletes an SSH public key by its MD5 fingerprint, with or without colons.
    ///
    /// # Errors
    /// There is no such cluster or key, or the store fails.
    pub async fn delete_ssh_key(&self, cluster: &str, fingerprint: &str) -> Result<(), RegistryError> {
        self.find(cluster).await?;
        self.maker(cluster).await?.check(cluster)?;
        let key = layout::ssh_public_key(cluster, &fingerprint.replace(':', ""))?;
        if self.store.get(&key).await?.is_none() {
            return Err(RegistryError::NotFound(Missing::ssh_key(cluster, fingerprint)));
        }
        self.store.delete(&key).await?;
        Ok(())
    }

    /// Everything that [`delete_cluster`](Self::delete_cluster) would delete, sorted. Worth asking before the cluster's
    /// machines are deleted: it fails where that would fail.
    ///
    /// # Errors
    /// There is no such cluster, or something lies among its files that kops did not write.
    pub async fn cluster_files(&self, cluster: &str) -> Result<Vec<Key>, RegistryError> {
        let prefix = layout::cluster(cluster)?;
        let keys: Vec<Key> = self.store.list(&prefix).await?.into_iter().map(|entry| entry.key).collect();
        if keys.is_empty() {
            return Err(self.cluster_not_found(cluster).await);
        }
        match keys.iter().find(|key| !prefix.rest(key).is_some_and(layout::is_known)) {
            Some(unknown) => Err(RegistryError::UnknownFile { location: self.at(unknown) }),
            None => Ok(keys),
        }
    }

    /// Deletes everything that is known of a cluster, its keys and backups included.
    ///
    /// The cluster's own manifest goes after all the rest, so that an interrupted deletion can be repeated; only the lease,
    /// under which this is done, goes after it.
    ///
    /// # Errors
    /// As [`cluster_files`](Self::cluster_files), and then nothing is deleted; or the store fails.
    pub async fn delete_cluster(&self, cluster: &str) -> Result<(), RegistryError> {
        let (config, lease) = (layout::config(cluster)?, layout::lease(cluster)?);
        let keys = self.cluster_files(cluster).await?;
        stream::iter(keys.iter().filter(|key| **key != config && **key != lease).map(Ok))
            .try_for_each_concurrent(PARALLEL, |key| self.store.delete(key))
            .await?;
        self.store.delete(&config).await?;
        if keys.contains(&lease) {
            self.store.delete(&lease).await?;
        }
        Ok(())
    }
}

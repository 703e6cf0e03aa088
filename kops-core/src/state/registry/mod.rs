//! Clusters in a state store: their manifests, typed.

mod batch;
#[cfg(test)]
mod control_plane_tests;
mod delete;
mod error;
mod rotation;
mod secret;
mod snapshot;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream, try_join};

use crate::clock::{Clock, SystemClock};
use crate::manifest::{
    self, Cluster, InstanceGroup, Kind, Manifest, Metadata, Problem, Read, SshCredential, SshCredentialSpec,
    Violation, Warning,
};
use crate::nearest::nearest;
use crate::state::{Key, Maker, Prefix, StateStore, Version, layout, maker};

pub use error::{Missing, RegistryError};
pub use rotation::{GOSSIP_KEY_LENGTH, GossipKeys, GossipRotation, KEY_IS_KNOWN};
pub use secret::{DOCKER_CONFIG, ENCRYPTION_CONFIG, Secret};
use snapshot::Snapshot;
pub use write::Replace;

/// How many objects are read or written side by side.
const PARALLEL: usize = 16;

/// The only name that the SSH keys of a cluster go by.
const SSH_KEY_NAME: &str = "admin";

/// The clusters of a state store.
///
/// Nothing is written unless all of a call's manifests can be. What a call has read it overwrites only as long as it is
/// unchanged: of two people who edit the same manifest, the later one is told.
#[derive(Clone, Debug)]
pub struct Registry {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
}

/// A cluster's manifests as they are stored, defaults not filled in.
#[derive(Clone, Debug)]
pub struct LoadedCluster {
    /// The cluster.
    pub cluster: Cluster,
    /// Its instance groups, sorted by name.
    pub groups: Vec<InstanceGroup>,
    /// The public keys that may log in, sorted by fingerprint.
    pub ssh_keys: Vec<SshCredential>,
    /// What is in the manifests and is not acted on.
    pub warnings: Vec<Warning>,
    /// What is in the manifests and was left out: no cluster is made of them as long as it is there.
    pub left_out: Vec<Violation>,
    stored: Stored,
}

/// The texts of a cluster's manifests.
#[derive(Clone, Debug, Default)]
struct Stored {
    texts: BTreeMap<Key, Text>,
    /// Whether the snapshot in the store is of exactly these.
    snapshot_is_current: bool,
    /// Who made the cluster.
    maker: Maker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    version: Version,
    text: String,
}

impl Registry {
    /// The clusters in `store`.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self::with_clock(store, Arc::new(SystemClock))
    }

    /// The clusters in `store`, dated by `clock`.
    pub fn with_clock(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// The names of all clusters, sorted.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn cluster_names(&self) -> Result<Vec<String>, RegistryError> {
        let entries = self.store.list(&Prefix::root()).await?;
        Ok(entries
            .iter()
            .filter_map(|entry| layout::cluster_of_config(&entry.key))
            .map(str::to_owned)
            .collect())
    }

    /// All clusters without their groups, sorted by name.
    ///
    /// # Errors
    /// The store cannot be read, or one of the manifests.
    pub async fn clusters(&self) -> Result<Vec<Cluster>, RegistryError> {
        let names = self.cluster_names().await?;
        let clusters: Vec<Option<Cluster>> = stream::iter(names)
            .map(|name| async move {
                let key = layout::config(&name)?;
                match self.fetch(&key).await? {
                    Some(text) => Ok(Some(self.read_cluster(&name, &key, &text.text)?.0)),
                    None => Ok::<_, RegistryError>(None),
                }
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(clusters.into_iter().flatten().collect())
    }

    /// Tells who made a cluster.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn maker(&self, cluster: &str) -> Result<Maker, RegistryError> {
        Ok(maker::maker(&*self.store, cluster).await?)
    }

    /// The manifest of a cluster, without its groups.
    ///
    /// # Errors
    /// There is no such cluster; the store or the manifest cannot be read.
    pub async fn cluster(&self, cluster: &str) -> Result<Cluster, RegistryError> {
        let key = layout::config(cluster)?;
        match self.fetch(&key).await? {
            Some(text) => Ok(self.read_cluster(cluster, &key, &text.text)?.0),
            None => Err(self.cluster_not_found(cluster).await),
        }
    }

    /// Makes sure that there is a manifest of that cluster, be it right or wrong.
    ///
    /// # Errors
    /// There is none; names clusters of similar names.
    pub async fn find(&self, cluster: &str) -> Result<(), RegistryError> {
        match self.store.get(&layout::config(cluster)?).await? {
            Some(_) => Ok(()),
            None => Err(self.cluster_not_found(cluster).await),
        }
    }

    /// Reads a cluster with its groups and SSH keys: one listing and one object, and besides them only the objects
    /// that have been written by others than this library since [`write_snapshot`](Self::write_snapshot).
    ///
    /// # Errors
    /// There is no such cluster, or it cannot be read.
    pub async fn load(&self, cluster: &str) -> Result<LoadedCluster, RegistryError> {
        let stored = self.stored(cluster).await?;
        match self.typed(cluster, stored)? {
            Some(loaded) => Ok(loaded),
            None => Err(self.cluster_not_found(cluster).await),
        }
    }

    /// Keeps copies of the manifests beside them, by which the next [`load`](Self::load) is quick. Whoever reads
    /// the copies checks them against the listing, so they cannot be out of date unnoticed.
    ///
    /// # Errors
    /// The store cannot be written to, or kops made the cluster.
    pub async fn write_snapshot(&self, loaded: &LoadedCluster) -> Result<(), RegistryError> {
        loaded.maker().check(loaded.cluster.name())?;
        snapshot::write(&*self.store, loaded.cluster.name(), &loaded.stored).await?;
        Ok(())
    }

    async fn stored(&self, cluster: &str) -> Result<Stored, RegistryError> {
        let prefix = layout::cluster(cluster)?;
        let (entries, snapshot) = try_join!(self.store.list(&prefix), Snapshot::read(&*self.store, cluster))?;
        let maker = Maker::of(entries.iter().filter_map(|entry| prefix.rest(&entry.key)));
        let versions: BTreeMap<Key, Version> = entries
            .into_iter()
            .filter(|entry| is_manifest(&prefix, &entry.key))
            .map(|entry| (entry.key, entry.version))
            .collect();
        let (texts, others) = snapshot.texts_of(&prefix, versions);
        let snapshot_is_current = others.is_empty() && texts.len() == snapshot.len();
        let mut stored = Stored { texts, snapshot_is_current, maker };
        let fetched: Vec<Option<(Key, Text)>> = stream::iter(others)
            .map(|key| async move {
                let text = self.fetch(&key).await?;
                Ok::<_, RegistryError>(text.map(|text| (key, text)))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        stored.texts.extend(fetched.into_iter().flatten());
        Ok(stored)
    }

    async fn fetch(&self, key: &Key) -> Result<Option<Text>, RegistryError> {
        let Some(object) = self.store.get(key).await? else { return Ok(None) };
        let text = String::from_utf8(object.bytes)
            .map_err(|error| RegistryError::Unreadable { location: self.at(key), source: error.into() })?;
        Ok(Some(Text { version: object.version, text }))
    }

    fn at(&self, key: &Key) -> String {
        format!("{}/{key}", self.store)
    }

    /// The manifests in the texts; `None` if that of the cluster is not among them.
    fn typed(&self, cluster: &str, stored: Stored) -> Result<Option<LoadedCluster>, RegistryError> {
        let config = layout::config(cluster)?;
        let Some(text) = stored.texts.get(&config) else { return Ok(None) };
        let (found, mut warnings, mut left_out) = self.read_cluster(cluster, &config, &text.text)?;
        let keys_prefix = layout::ssh_public_keys(cluster)?;
        let mut groups = Vec::new();
        let mut ssh_keys = Vec::new();
        for (key, Text { text, .. }) in &stored.texts {
            if layout::group_of(key).is_some() {
                let (group, more, out) = self.read_group(cluster, key, text)?;
                groups.push(group);
                warnings.extend(more);
                left_out.extend(out);
            } else if keys_prefix.rest(key).is_some() {
                ssh_keys.push(SshCredential {
                    metadata: Metadata::in_cluster(SSH_KEY_NAME, cluster),
                    spec: SshCredentialSpec { public_key: text.clone() },
                });
            }
        }
        Ok(Some(LoadedCluster { cluster: found, groups, ssh_keys, warnings, left_out, stored }))
    }

    fn read_cluster(&self, cluster: &str, key: &Key, text: &str) -> Result<Stand<Cluster>, RegistryError> {
        match self.read_manifest(cluster, key, text)? {
            (Manifest::Cluster(cluster), warnings, left_out) => {
                Ok((*cluster, warnings, violations_of("cluster", &left_out)))
            }
            (other, ..) => Err(self.misplaced(key, &other)),
        }
    }

    fn read_group(
        &self,
        cluster: &str,
        key: &Key,
        text: &str,
    ) -> Result<Stand<InstanceGroup>, RegistryError> {
        match self.read_manifest(cluster, key, text)? {
            (Manifest::InstanceGroup(group), warnings, left_out) => {
                let left_out = violations_of(&format!("instanceGroup[{}]", group.name()), &left_out);
                Ok((*group, warnings, left_out))
            }
            (other, ..) => Err(self.misplaced(key, &other)),
        }
    }

    fn read_manifest(
        &self,
        cluster: &str,
        key: &Key,
        text: &str,
    ) -> Result<(Manifest, Vec<Warning>, Vec<Problem>), RegistryError> {
        let location = self.at(key);
        let Read { manifests, warnings, left_out } = match manifest::read_stored(&location, text, cluster) {
            Ok(read) => read,
            Err(source) => return Err(RegistryError::Unreadable { location, source: source.into() }),
        };
        match <[Manifest; 1]>::try_from(manifests) {
            // A manifest under another's name would be edited and deleted in the other's place.
            Ok([manifest]) if is_at(&manifest, key) => Ok((manifest, warnings, left_out)),
            Ok([manifest]) => Err(self.misplaced(key, &manifest)),
            Err(manifests) => Err(RegistryError::Unreadable {
                location,
                source: format!("it holds {} manifests instead of one", manifests.len()).into(),
            }),
        }
    }

    fn misplaced(&self, key: &Key, found: &Manifest) -> RegistryError {
        let (kind, name) = (found.kind().name(), &found.metadata().name);
        RegistryError::Unreadable {
            location: self.at(key),
            source: format!("it holds a manifest of another place: {kind} {name:?}").into(),
        }
    }

    /// The error that names the clusters of similar names.
    async fn cluster_not_found(&self, cluster: &str) -> RegistryError {
        match self.cluster_names().await {
            Ok(names) => RegistryError::NotFound(Missing::cluster(cluster, nearest(cluster, names))),
            Err(error) => error,
        }
    }
}

/// A manifest as it was read, with what is not acted on and what was left out.
type Stand<T> = (T, Vec<Warning>, Vec<Violation>);

/// What keeps a cluster from being made, below the name of its manifest.
fn violations_of(manifest: &str, problems: &[Problem]) -> Vec<Violation> {
    let violation = |problem: &Problem| Violation {
        path: format!("{manifest}.{}", problem.path),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    };
    problems.iter().map(violation).collect()
}

impl LoadedCluster {
    /// Who made the cluster.
    pub fn maker(&self) -> &Maker {
        &self.stored.maker
    }

    /// The group of that name.
    ///
    /// # Errors
    /// There is none; names those that are similar.
    pub fn group(&self, name: &str) -> Result<&InstanceGroup, RegistryError> {
        self.groups.iter().find(|group| group.name() == name).ok_or_else(|| self.group_not_found(name))
    }

    /// The cluster without these groups and without the members of etcd clusters in them.
    #[must_use]
    pub fn without(&self, groups: &[String]) -> Self {
        let mut without = self.clone();
        without.groups.retain(|group| !groups.iter().any(|name| name == group.name()));
        without.cluster.remove_etcd_members(groups);
        without
    }

    /// What an edit of the cluster's manifest builds on.
    ///
    /// # Errors
    /// The cluster cannot be named in a state store, which a loaded one always can.
    pub fn cluster_version(&self) -> Result<&Version, RegistryError> {
        self.version(&layout::config(self.cluster.name())?)
            .ok_or_else(|| RegistryError::NotFound(Missing::cluster(self.cluster.name(), Vec::new())))
    }

    /// What an edit of a group's manifest builds on.
    ///
    /// # Errors
    /// There is no such group.
    pub fn group_version(&self, name: &str) -> Result<&Version, RegistryError> {
        self.version(&layout::instance_group(self.cluster.name(), name)?)
            .ok_or_else(|| self.group_not_found(name))
    }

    fn version(&self, key: &Key) -> Option<&Version> {
        self.stored.texts.get(key).map(|text| &text.version)
    }

    fn group_not_found(&self, name: &str) -> RegistryError {
        let names = self.groups.iter().map(|group| group.name().to_owned());
        RegistryError::NotFound(Missing::group(self.cluster.name(), name, nearest(name, names)))
    }
}

/// Whether a key of the cluster is that of one of the manifests that users write.
fn is_manifest(cluster: &Prefix, key: &Key) -> bool {
    let segments: Vec<&str> = cluster.rest(key).unwrap_or_default().split('/').collect();
    matches!(segments[..], ["config"] | ["instancegroup", _] | ["pki", "ssh", "public", "admin", _])
}

fn is_at(manifest: &Manifest, key: &Key) -> bool {
    let (cluster, name) = (manifest.cluster_name(), &manifest.metadata().name);
    let place = match manifest.kind() {
        Kind::Cluster => layout::config(cluster),
        Kind::InstanceGroup => layout::instance_group(cluster, name),
        // Keys are stored as they are, not as manifests.
        Kind::SshCredential => return false,
    };
    place.as_ref() == Ok(key)
}

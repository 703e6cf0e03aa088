use std::collections::BTreeMap;

use super::batch::{self, Write};
use super::{LoadedCluster, Missing, Registry, RegistryError, Stored, Text, is_manifest, snapshot};
use crate::clock::Timestamp;
use crate::manifest::{
    self, Cluster, CompletedCluster, InstanceGroup, Kind, Manifest, Metadata, Problem, Recommendations, Role,
    Violation,
};
use crate::nearest::nearest;
use crate::ssh::PublicKey;
use crate::state::{Key, Maker, Version, layout, maker};

/// What replacing does about manifests that are not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// They are an error, and nothing is replaced.
    ExistingOnly,
    /// They are created.
    OrCreate,
}

/// What a call expects to find where it writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Nothing,
    Something,
    Anything,
}

impl Registry {
    /// Stores new manifests, of one or of several clusters: all of them or none.
    ///
    /// # Errors
    /// One of them exists already, is wrong or belongs to no cluster; the store fails. If it fails in the middle, what
    /// was written is taken back.
    pub async fn create(&self, manifests: Vec<Manifest>) -> Result<(), RegistryError> {
        self.write(manifests, Expect::Nothing).await
    }

    /// Stores manifests in place of those of the same names: all of them or none. Those that are no different are not
    /// touched.
    ///
    /// # Errors
    /// As [`create`](Self::create), and with [`Replace::ExistingOnly`] when one of them is not there yet. Also when
    /// somebody else changes one in the meantime.
    pub async fn replace(&self, manifests: Vec<Manifest>, mode: Replace) -> Result<(), RegistryError> {
        let expect = match mode {
            Replace::ExistingOnly => Expect::Something,
            Replace::OrCreate => Expect::Anything,
        };
        self.write(manifests, expect).await
    }

    /// Stores an edited manifest of a cluster that was read at `version`.
    ///
    /// # Errors
    /// Somebody else has changed it since; the new manifest is wrong or has another name; the store fails.
    pub async fn edit_cluster(
        &self,
        name: &str,
        edited: Cluster,
        version: &Version,
    ) -> Result<(), RegistryError> {
        unrenamed(name, &edited.metadata, "cluster")?;
        self.edit(name, edited.into(), version).await
    }

    /// Stores an edited manifest of a group that was read at `version`.
    ///
    /// # Errors
    /// As [`edit_cluster`](Self::edit_cluster).
    pub async fn edit_group(
        &self,
        cluster: &str,
        name: &str,
        edited: InstanceGroup,
        version: &Version,
    ) -> Result<(), RegistryError> {
        unrenamed(name, &edited.metadata, "instancegroup")?;
        if edited.metadata.cluster() != Some(cluster) {
            let message = format!("an edit cannot move the group to another cluster than {cluster:?}");
            return Err(RegistryError::Invalid(vec![violation("instancegroup.metadata.labels", message)]));
        }
        self.edit(cluster, edited.into(), version).await
    }

    async fn edit(&self, cluster: &str, edited: Manifest, version: &Version) -> Result<(), RegistryError> {
        let found = self.stored(cluster).await?;
        found.maker.check(cluster)?;
        self.check_nothing_is_lost(&found, &edited)?;
        let stored = BTreeMap::from([(cluster.to_owned(), found)]);
        let mut writes = self.prepare(&stored, vec![edited], Expect::Something).await?;
        for before in writes.iter_mut().filter_map(|write| write.before.as_mut()) {
            // The store compares this version, not the one found just now.
            before.version = version.clone();
        }
        self.check(&stored, &writes)?;
        self.carry_out(stored, writes).await
    }

    /// Stores a new group. One of the control plane takes along a member in each etcd cluster: the manifests of cluster
    /// and group are written together. Returns what still keeps an update from making it: an etcd cluster with an even
    /// number of members may be stored, since the next group follows.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_group(&self, group: InstanceGroup) -> Result<Vec<Violation>, RegistryError> {
        let name = group.metadata.cluster().unwrap_or_default().to_owned();
        if group.role() != Role::ControlPlane {
            return self.create(vec![group.into()]).await.map(|()| Vec::new());
        }
        let there = self.stored(&name).await?;
        there.maker.check(&name)?;
        let Some(loaded) = self.typed(&name, there.clone())? else {
            return Err(self.cluster_not_found(&name).await);
        };
        let mut cluster = loaded.cluster.clone();
        cluster.add_etcd_members(group.name());
        let stored = BTreeMap::from([(name, there)]);
        let mut after = LoadedCluster { cluster: cluster.clone(), ..loaded };
        after.groups.push(group.clone());
        let mut writes = self.prepare(&stored, vec![group.into()], Expect::Nothing).await?;
        writes.extend(self.prepare(&stored, vec![cluster.into()], Expect::Something).await?);
        let even = manifest::even_etcd_clusters(&completed(&after));
        let mut introduced = self.introduced(&stored, &writes)?;
        introduced.retain(|violation| !even.contains(violation));
        if !introduced.is_empty() {
            return Err(RegistryError::Invalid(introduced));
        }
        self.carry_out(stored, writes).await?;
        Ok(even)
    }

    /// Stores a cluster's manifest that was read at `version`, whatever is wrong with it beside the groups there are.
    pub(super) async fn replace_cluster(
        &self,
        cluster: Cluster,
        version: &Version,
    ) -> Result<(), RegistryError> {
        let name = cluster.name().to_owned();
        let stored = BTreeMap::from([(name.clone(), self.stored(&name).await?)]);
        let mut writes = self.prepare(&stored, vec![cluster.into()], Expect::Something).await?;
        for before in writes.iter_mut().filter_map(|write| write.before.as_mut()) {
            before.version = version.clone();
        }
        self.carry_out(stored, writes).await
    }

    async fn write(&self, manifests: Vec<Manifest>, expect: Expect) -> Result<(), RegistryError> {
        let mut stored = BTreeMap::new();
        for manifest in &manifests {
            let cluster = manifest.cluster_name();
            if !stored.contains_key(cluster) {
                let found = self.stored(cluster).await?;
                found.maker.check(cluster)?;
                stored.insert(cluster.to_owned(), found);
            }
        }
        let mut writes = self.prepare(&stored, manifests, expect).await?;
        self.check(&stored, &writes)?;
        writes.retain(|write| write.before.as_ref().is_none_or(|before| before.text != write.text));
        writes.extend(records(&stored, &writes)?);
        self.carry_out(stored, writes).await
    }

    /// An editor is shown what was read: what was left out of it would be gone once it is saved.
    fn check_nothing_is_lost(&self, stored: &Stored, edited: &Manifest) -> Result<(), RegistryError> {
        let key = key_of(edited)?;
        let before = stored.texts.get(&key);
        let read =
            before.and_then(|before| self.read_manifest(edited.cluster_name(), &key, &before.text).ok());
        let left_out = read.map(|(.., left_out)| left_out).unwrap_or_default();
        if left_out.is_empty() {
            return Ok(());
        }
        let hint = "an edit would lose the field: put the manifest without it in a file, and `replace -f` it";
        let violation = |problem: &Problem| Violation {
            path: problem.path.clone(),
            message: problem.message.clone(),
            hint: Some(hint.to_owned()),
        };
        Err(RegistryError::Invalid(left_out.iter().map(violation).collect()))
    }

    /// What has to be written, checked against what is there.
    async fn prepare(
        &self,
        stored: &BTreeMap<String, Stored>,
        manifests: Vec<Manifest>,
        expect: Expect,
    ) -> Result<Vec<Write>, RegistryError> {
        let now = self.clock.now();
        let mut writes: Vec<Write> = Vec::new();
        for manifest in manifests {
            let cluster = manifest.cluster_name().to_owned();
            let Some(there) = stored.get(&cluster) else { continue };
            let key = key_of(&manifest)?;
            let before = there.texts.get(&key).cloned();
            match (expect, &before) {
                (Expect::Nothing, Some(_)) => return Err(already_exists(&manifest, &key)),
                // SSH keys are named by their content: one that is not there is a new one, never a mistake.
                (Expect::Something, None) if manifest.kind() != Kind::SshCredential => {
                    return Err(self.not_found(&manifest, there).await);
                }
                _ => {}
            }
            if writes.iter().any(|write| write.key == key) {
                let (kind, name) = (manifest.kind().name(), &manifest.metadata().name);
                return Err(RegistryError::Invalid(vec![violation(
                    "",
                    format!("{kind} {name:?} is there twice"),
                )]));
            }
            let is_config = manifest.kind() == Kind::Cluster;
            let text = self.text_of(manifest, &key, before.as_ref(), now)?;
            writes.push(Write { cluster, key, is_config, text, before });
        }
        for (cluster, there) in stored {
            let config = layout::config(cluster)?;
            if !there.texts.contains_key(&config) && !writes.iter().any(|write| write.key == config) {
                return Err(self.cluster_not_found(cluster).await);
            }
        }
        Ok(writes)
    }

    fn text_of(
        &self,
        manifest: Manifest,
        key: &Key,
        before: Option<&Text>,
        now: Timestamp,
    ) -> Result<String, RegistryError> {
        if let Manifest::SshCredential(credential) = &manifest {
            return Ok(credential.spec.public_key.trim().to_owned());
        }
        // What cannot be read may be replaced; its age is then lost.
        let cluster = manifest.cluster_name();
        let old = before.and_then(|before| self.read_manifest(cluster, key, &before.text).ok());
        let old = old.map(|(old, ..)| old);
        let manifest = dated(manifest, old.as_ref(), now);
        manifest::write([&manifest]).map_err(|error| {
            RegistryError::Invalid(vec![violation("", format!("it cannot be written as YAML: {error}"))])
        })
    }

    /// Makes sure that the writes make no cluster invalid, in a way in which it is not already.
    fn check(&self, stored: &BTreeMap<String, Stored>, writes: &[Write]) -> Result<(), RegistryError> {
        let introduced = self.introduced(stored, writes)?;
        if introduced.is_empty() { Ok(()) } else { Err(RegistryError::Invalid(introduced)) }
    }

    /// What the writes make wrong that is not wrong already.
    fn introduced(
        &self,
        stored: &BTreeMap<String, Stored>,
        writes: &[Write],
    ) -> Result<Vec<Violation>, RegistryError> {
        let mut introduced = Vec::new();
        for (cluster, there) in stored {
            let mut texts = there.texts.clone();
            for write in writes.iter().filter(|write| write.cluster == *cluster) {
                let text = Text { version: Version::new(""), text: write.text.clone() };
                texts.insert(write.key.clone(), text);
            }
            let after = Stored { texts, ..Stored::default() };
            let before = self.typed(cluster, there.clone()).ok().flatten();
            let known = before.as_ref().map(violations).unwrap_or_default();
            let found = self.typed(cluster, after)?.as_ref().map(violations).unwrap_or_default();
            introduced.extend(found.into_iter().filter(|violation| !known.contains(violation)));
        }
        Ok(introduced)
    }

    /// Writes everything, or takes back what was written; then brings the snapshots up to date.
    async fn carry_out(
        &self,
        mut stored: BTreeMap<String, Stored>,
        writes: Vec<Write>,
    ) -> Result<(), RegistryError> {
        for (write, version) in batch::write(&*self.store, writes).await? {
            let is_manifest = is_manifest(&layout::cluster(&write.cluster)?, &write.key);
            if let Some(stored) = stored.get_mut(&write.cluster).filter(|_| is_manifest) {
                stored.texts.insert(write.key, Text { version, text: write.text });
                stored.snapshot_is_current = false;
            }
        }
        for (cluster, stored) in &stored {
            // What the call was for is done. Without its snapshot a cluster is read in more calls, no more than that.
            let _ = snapshot::write(&*self.store, cluster, stored).await;
        }
        Ok(())
    }

    async fn not_found(&self, manifest: &Manifest, stored: &Stored) -> RegistryError {
        let cluster = manifest.cluster_name();
        match manifest.kind() {
            Kind::Cluster => self.cluster_not_found(cluster).await,
            Kind::InstanceGroup | Kind::SshCredential => {
                let name = &manifest.metadata().name;
                let names = stored.texts.keys().filter_map(layout::group_of).map(str::to_owned);
                RegistryError::NotFound(Missing::group(cluster, name, nearest(name, names)))
            }
        }
    }
}

/// What is wrong with a cluster, but for groups that it lacks: as with kops, they may follow in a file of their own.
pub(super) fn violations(loaded: &LoadedCluster) -> Vec<Violation> {
    let mut violations = manifest::validate(&completed(loaded));
    let has_no_groups = loaded.groups.is_empty();
    violations.retain(|violation| {
        let is_of_lack = violation.path == "cluster.spec"
            || has_no_groups && violation.path.starts_with("cluster.spec.etcdClusters");
        !is_of_lack
    });
    violations
}

/// The records of the clusters that are written for the first time.
fn records(stored: &BTreeMap<String, Stored>, writes: &[Write]) -> Result<Vec<Write>, RegistryError> {
    let new = writes.iter().filter(|write| write.is_config && write.before.is_none());
    let new =
        new.filter(|write| stored.get(&write.cluster).is_none_or(|stored| stored.maker != Maker::Recorded));
    let record = |write: &Write| {
        let (cluster, key) = (write.cluster.clone(), layout::record(&write.cluster)?);
        Ok(Write { cluster, key, is_config: false, text: maker::record(), before: None })
    };
    new.map(record).collect()
}

/// Machine types and images that nobody chose are right whatever they are.
fn completed(loaded: &LoadedCluster) -> CompletedCluster {
    manifest::complete(&loaded.cluster, &loaded.groups, &Recommendations::default())
}

fn key_of(manifest: &Manifest) -> Result<Key, RegistryError> {
    let (cluster, name) = (manifest.cluster_name(), &manifest.metadata().name);
    Ok(match manifest {
        Manifest::Cluster(_) => layout::config(cluster)?,
        Manifest::InstanceGroup(_) => layout::instance_group(cluster, name)?,
        Manifest::SshCredential(credential) => {
            let key = PublicKey::parse(&credential.spec.public_key).map_err(|error| {
                RegistryError::Invalid(vec![violation("sshCredential.spec.publicKey", error.to_string())])
            })?;
            layout::ssh_public_key(cluster, &key.fingerprint().replace(':', ""))?
        }
    })
}

/// The manifest with the creation time of what is there, and a generation that counts changes of the spec.
fn dated(mut manifest: Manifest, old: Option<&Manifest>, now: Timestamp) -> Manifest {
    let (metadata, changed) = match (&mut manifest, old) {
        (Manifest::Cluster(new), Some(Manifest::Cluster(old))) => (&mut new.metadata, new.spec != old.spec),
        (Manifest::InstanceGroup(new), Some(Manifest::InstanceGroup(old))) => {
            (&mut new.metadata, new.spec != old.spec)
        }
        (Manifest::Cluster(new), _) => (&mut new.metadata, false),
        (Manifest::InstanceGroup(new), _) => (&mut new.metadata, false),
        (Manifest::SshCredential(new), _) => (&mut new.metadata, false),
    };
    let old = old.map(Manifest::metadata);
    metadata.creation_timestamp = old
        .and_then(|old| old.creation_timestamp)
        .or(metadata.creation_timestamp)
        .or_else(|| Timestamp::from_second(now.as_second()).ok());
    let generation = old.and_then(|old| old.generation);
    metadata.generation = if changed { Some(generation.unwrap_or(0) + 1) } else { generation };
    manifest
}

fn already_exists(manifest: &Manifest, key: &Key) -> RegistryError {
    let (kind, name) = match manifest.kind() {
        Kind::Cluster => ("cluster", manifest.cluster_name()),
        Kind::InstanceGroup => ("instancegroup", manifest.metadata().name.as_str()),
        Kind::SshCredential => ("SSH key", key.segments().last().unwrap_or_default()),
    };
    RegistryError::AlreadyExists { kind, name: name.to_owned() }
}

fn unrenamed(name: &str, edited: &Metadata, kind: &str) -> Result<(), RegistryError> {
    if edited.name == name {
        return Ok(());
    }
    let message = format!("an edit cannot change the name from {name:?} to {:?}", edited.name);
    Err(RegistryError::Invalid(vec![violation(format!("{kind}.metadata.name"), message)]))
}

pub(super) fn violation(path: impl Into<String>, message: impl Into<String>) -> Violation {
    Violation { path: path.into(), message: message.into(), hint: None }
}

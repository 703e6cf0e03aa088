use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{EtcdError, Stamp};
use crate::clock::Timestamp;
use crate::state::{Prefix, Put, StateError, StateStore, layout};

/// The file of a backup that holds the snapshot, packed with gzip.
const DATA: &str = "etcd.backup.gz";
/// The file of a backup that says what it was taken from; written last, so that a backup that has it is whole.
const INFO: &str = "_etcd_backup.meta";
/// How many backups of one second are told apart.
const SEQUENCES: u32 = 10;

/// The backups of one etcd cluster.
#[derive(Clone, Debug)]
pub struct Backups<'a> {
    store: &'a dyn StateStore,
    prefix: Prefix,
}

/// A backup that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Its name.
    pub name: Stamp,
    /// The length of the packed snapshot in bytes.
    pub size: u64,
}

/// What there is of backups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Those that can be restored, oldest first.
    pub backups: Vec<Backup>,
    /// What is left of writing or deleting others, oldest first.
    pub torn: Vec<Stamp>,
}

/// What a backup was taken from (`BackupInfo` of etcd-manager's `etcdapi.proto`, as JSON).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupInfo {
    /// The version of etcd.
    pub etcd_version: String,
    /// When, in seconds since 1970.
    #[serde(serialize_with = "int64", deserialize_with = "from_int64")]
    pub timestamp: i64,
    /// The etcd cluster.
    pub cluster_spec: ClusterSpec,
}

/// An etcd cluster as etcd-manager describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// How many members it has.
    pub member_count: usize,
    /// The version of etcd.
    pub etcd_version: String,
}

/// Protocol buffers write 64-bit numbers as texts: <https://protobuf.dev/programming-guides/json/>
pub(super) fn int64<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn from_int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl<'a> Backups<'a> {
    /// The backups of the etcd cluster `etcd` (`main`, `events`) of `cluster`.
    ///
    /// # Errors
    /// The names give no keys.
    pub fn new(store: &'a dyn StateStore, cluster: &str, etcd: &str) -> Result<Self, EtcdError> {
        Ok(Self { store, prefix: layout::etcd_backups(cluster, etcd)? })
    }

    /// All of them: one listing.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn list(&self) -> Result<Listing, EtcdError> {
        let mut found: BTreeMap<Stamp, (Option<u64>, bool)> = BTreeMap::new();
        for entry in self.store.list(&self.prefix).await? {
            let Some((name, file)) = self.prefix.rest(&entry.key).and_then(|rest| rest.split_once('/'))
            else {
                continue;
            };
            let Ok(stamp) = name.parse() else { continue };
            let parts = found.entry(stamp).or_default();
            match file {
                DATA => parts.0 = Some(entry.size),
                INFO => parts.1 = true,
                _ => {}
            }
        }
        let mut listing = Listing::default();
        for (name, parts) in found {
            match parts {
                (Some(size), true) => listing.backups.push(Backup { name, size }),
                _ => listing.torn.push(name),
            }
        }
        Ok(listing)
    }

    /// What a backup was taken from.
    ///
    /// # Errors
    /// There is no such backup, or it cannot be read.
    pub async fn info(&self, name: &Stamp) -> Result<BackupInfo, EtcdError> {
        let bytes = self.read(name, INFO).await?;
        serde_json::from_slice(&bytes).map_err(|source| EtcdError::Unreadable {
            location: format!("{}/{}/{name}/{INFO}", self.store, self.prefix),
            source,
        })
    }

    /// The packed snapshot.
    ///
    /// # Errors
    /// There is no such backup, or it cannot be read.
    pub async fn data(&self, name: &Stamp) -> Result<Vec<u8>, EtcdError> {
        self.read(name, DATA).await
    }

    async fn read(&self, name: &Stamp, file: &str) -> Result<Vec<u8>, EtcdError> {
        let object = self.store.get(&self.prefix.join(name.as_str())?.leaf(file)?).await?;
        let missing = || EtcdError::NoBackup {
            name: name.clone(),
            location: format!("{}/{}", self.store, self.prefix),
        };
        object.map(|object| object.bytes).ok_or_else(missing)
    }

    /// Stores a packed snapshot that was taken now.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn save(
        &self,
        data: &[u8],
        etcd_version: &str,
        member_count: usize,
        now: Timestamp,
    ) -> Result<Stamp, EtcdError> {
        let spec = ClusterSpec { member_count, etcd_version: etcd_version.to_owned() };
        let info = BackupInfo {
            etcd_version: etcd_version.to_owned(),
            timestamp: now.as_second(),
            cluster_spec: spec,
        };
        // Nothing in it can fail to serialise.
        let info = serde_json::to_vec_pretty(&info).unwrap_or_default();
        let name = claim(self.store, &self.prefix, now, 0, DATA, data).await?;
        self.store.put(&self.prefix.join(name.as_str())?.leaf(INFO)?, &info, Put::Always).await?;
        Ok(name)
    }

    /// Deletes what there is of a backup.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn delete(&self, name: &Stamp) -> Result<(), EtcdError> {
        let directory = self.prefix.join(name.as_str())?;
        for file in [INFO, DATA] {
            self.store.delete(&directory.leaf(file)?).await?;
        }
        Ok(())
    }
}

/// Writes the first file of something new, under the first name of this second, counted from `first`, that nobody else
/// has taken.
pub(super) async fn claim(
    store: &dyn StateStore,
    prefix: &Prefix,
    now: Timestamp,
    first: u32,
    file: &str,
    contents: &[u8],
) -> Result<Stamp, EtcdError> {
    let mut sequence = 0;
    loop {
        let name = Stamp::new(now, first + sequence);
        match store.put(&prefix.join(name.as_str())?.leaf(file)?, contents, Put::IfAbsent).await {
            Ok(_) => return Ok(name),
            Err(StateError::Exists { .. }) if sequence < SEQUENCES => sequence += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Backups, EtcdError};
use crate::clock::Timestamp;
use crate::digest::sha256_hex;
use crate::state::{Prefix, Put, StateError, StateStore, layout};
use crate::yaml;

/// The file that says that an etcd cluster has ever run, as etcd-manager has it.
const CREATED: &str = "etcd-cluster-created";
/// The file in which the member that leads says who takes part (not of etcd-manager).
const MEMBERS: &str = "members.json";

/// The members that the last update wants, as the completed manifest in the state store has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The hash of the completed manifest.
    pub record: String,
    members: BTreeMap<String, BTreeSet<String>>,
}

/// Who takes part in an etcd cluster, as the machine says whose member leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attendance {
    /// The hash of the completed manifest that the machine went by.
    pub record: String,
    /// The members, whether they vote or not, as far as they have names.
    pub members: BTreeSet<String>,
    /// What keeps members from going that have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// What is remembered of an etcd cluster's life.
#[derive(Clone, Debug)]
pub struct Life<'a> {
    store: &'a dyn StateStore,
    cluster: String,
    etcd: String,
    control: Prefix,
}

#[derive(Serialize)]
struct Created {
    /// In nanoseconds since 1970.
    timestamp: i64,
}

#[derive(Deserialize)]
struct Manifest {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    etcd_clusters: Vec<Etcd>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Etcd {
    name: String,
    #[serde(default)]
    etcd_members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
}

impl Wanted {
    /// Reads what the last update has recorded. Returns `None` if there was none.
    ///
    /// # Errors
    /// The store cannot be read, or the record makes no sense.
    pub async fn read(store: &dyn StateStore, cluster: &str) -> Result<Option<Self>, EtcdError> {
        let key = layout::completed(cluster)?;
        let Some(object) = store.get(&key).await? else { return Ok(None) };
        let parsed = Self::parse(&String::from_utf8_lossy(&object.bytes));
        parsed.map(Some).map_err(|reason| EtcdError::Record { location: format!("{store}/{key}"), reason })
    }

    /// Reads a completed manifest.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Manifest = yaml::read_one(text)?;
        let names = |etcd: Etcd| {
            let members = etcd.etcd_members.into_iter().map(|member| member.name);
            (etcd.name, members.collect())
        };
        let members = manifest.spec.etcd_clusters.into_iter().map(names).collect();
        Ok(Self { record: sha256_hex(text.as_bytes()), members })
    }

    /// The members of one etcd cluster (`main`, `events`). Returns `None` if it is to have none.
    pub fn of(&self, etcd: &str) -> Option<&BTreeSet<String>> {
        self.members.get(etcd).filter(|members| !members.is_empty())
    }

    /// The names of the etcd clusters.
    pub fn etcd_clusters(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }
}

impl<'a> Life<'a> {
    /// What is remembered of the etcd cluster `etcd` (`main`, `events`) of `cluster`.
    ///
    /// # Errors
    /// The names give no keys.
    pub fn new(store: &'a dyn StateStore, cluster: &str, etcd: &str) -> Result<Self, EtcdError> {
        let control = layout::etcd_control(cluster, etcd)?;
        Ok(Self { store, cluster: cluster.to_owned(), etcd: etcd.to_owned(), control })
    }

    /// Whether the etcd cluster has ever run: it says so itself, or there is a backup of it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn has_begun(&self) -> Result<bool, EtcdError> {
        if self.store.get(&self.control.leaf(CREATED)?).await?.is_some() {
            return Ok(true);
        }
        let backups = Backups::new(self.store, &self.cluster, &self.etcd)?;
        Ok(!backups.list().await?.backups.is_empty())
    }

    /// Remembers that the etcd cluster runs, if that is not remembered yet.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn begin(&self, now: Timestamp) -> Result<(), EtcdError> {
        let timestamp = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        // Nothing in it can fail to serialise.
        let text = serde_json::to_vec(&Created { timestamp }).unwrap_or_default();
        match self.store.put(&self.control.leaf(CREATED)?, &text, Put::IfAbsent).await {
            Ok(_) | Err(StateError::Exists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Who takes part, as it was last said. Returns `None` if nobody has said anything that can be read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn attendance(&self) -> Result<Option<Attendance>, EtcdError> {
        let object = self.store.get(&self.control.leaf(MEMBERS)?).await?;
        Ok(object.and_then(|object| serde_json::from_slice(&object.bytes).ok()))
    }

    /// Says who takes part.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn attend(&self, attendance: &Attendance) -> Result<(), EtcdError> {
        // Nothing in it can fail to serialise.
        let text = serde_json::to_vec_pretty(attendance).unwrap_or_default();
        self.store.put(&self.control.leaf(MEMBERS)?, &text, Put::Always).await?;
        Ok(())
    }
}

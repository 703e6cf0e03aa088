use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The label by which an instance group or a credential names its cluster.
pub const CLUSTER_LABEL: &str = "kops.k8s.io/cluster";

/// The node label that names the instance group of a machine.
pub const GROUP_LABEL: &str = "kops.k8s.io/instancegroup";

/// Name and labels of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Free notes of other tools; kept, not used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// When the object was first stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
    /// Counts the changes of the spec since the object was first stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Labels; [`CLUSTER_LABEL`] names the cluster of an instance group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The name, unique among the objects of its kind in a cluster (a cluster: in the state store).
    pub name: String,
}

impl Metadata {
    /// Metadata with a name and nothing else: that of a cluster.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Metadata of an object that belongs to a cluster.
    pub fn in_cluster(name: impl Into<String>, cluster: impl Into<String>) -> Self {
        Self { labels: BTreeMap::from([(CLUSTER_LABEL.to_owned(), cluster.into())]), ..Self::named(name) }
    }

    /// The cluster that [`CLUSTER_LABEL`] names.
    pub fn cluster(&self) -> Option<&str> {
        self.labels.get(CLUSTER_LABEL).map(String::as_str)
    }
}

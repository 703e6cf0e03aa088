use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One etcd cluster: `main` holds the Kubernetes objects, `events` the events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdCluster {
    /// The share of a processor that a member asks for, such as `200m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<String>,
    /// The members, an odd number of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub etcd_members: Vec<EtcdMember>,
    /// Upkeep of the members' data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<EtcdManager>,
    /// The memory that a member asks for, such as `100Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<String>,
    /// `main` or `events`.
    pub name: String,
    /// The version of etcd, such as `3.5.21`. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl EtcdCluster {
    /// When backups of it are taken, and which are kept.
    pub fn backup_policy(&self) -> BackupPolicy {
        let default = BackupPolicy::default();
        let Some(manager) = &self.manager else { return default };
        BackupPolicy {
            interval: manager.backup_interval.unwrap_or(default.interval),
            retention_days: manager.backup_retention_days.unwrap_or(default.retention_days),
        }
    }
}

/// When backups are taken, and which are kept. The defaults are those of kops and its etcd-manager (`cmd/etcd-manager`,
/// `--backup-interval`; kops's `create cluster`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicy {
    /// The time from one backup to the next.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub interval: Duration,
    /// For how many days backups are kept: all for an hour, then the first of each hour for a week, then the first of
    /// each day.
    pub retention_days: u32,
}

impl Default for BackupPolicy {
    fn default() -> Self {
        Self { interval: Duration::from_mins(15), retention_days: 90 }
    }
}

/// Upkeep of an etcd cluster's data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdManager {
    /// The time from one backup to the next, such as `15m`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_interval: Option<Duration>,
    /// For how many days backups are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_retention_days: Option<u32>,
}

/// A member of an etcd cluster, with a volume of its own that outlives its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdMember {
    /// Whether the volume is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_volume: Option<bool>,
    /// The control-plane group whose machine runs the member.
    pub instance_group: String,
    /// The key that encrypts the volume, instead of the account's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The name, unique among the members of a cluster.
    pub name: String,
    /// Provisioned operations per second of the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_iops: Option<u32>,
    /// Size of the volume in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<u32>,
    /// Provisioned throughput of the volume in MiB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_throughput: Option<u32>,
    /// Type of the volume, such as `gp3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
}

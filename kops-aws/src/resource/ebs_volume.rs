use kops_core::etcd::MemberId;
use kops_core::resource::{Compare, FieldRule, Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{Part, Rules, Tags, kind};
use crate::tags;

/// A disk. Named `<member>.etcd-<cluster of etcd>.<cluster>`; those of claims are named by their handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EbsVolume {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The zone.
    pub availability_zone: String,
    /// The type, such as `gp3`.
    pub volume_type: String,
    /// The size in GiB; it cannot shrink.
    #[serde(rename = "SizeGB")]
    pub size_gb: u32,
    /// Provisioned operations per second; only where [`has_provisioned_iops`] (EC2 reports derived ones for others).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_iops: Option<u32>,
    /// Provisioned throughput in MiB/s; only of `gp3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_throughput: Option<u32>,
    /// The key that encrypts it, by its ARN; that of the account, where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Whether it is encrypted. What is not asked for is not compared: the account may encrypt by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// Tags, among them `k8s.io/etcd/<cluster of etcd>`.
    pub tags: Tags,
}

/// Whether volumes of this type have operations per second that are chosen, not derived from their size.
pub fn has_provisioned_iops(volume_type: &str) -> bool {
    matches!(volume_type, "gp3" | "io1" | "io2")
}

impl Part for EbsVolume {
    fn kind(&self) -> Kind {
        kind::EBS_VOLUME
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        Vec::new()
    }

    fn rules(&self) -> Rules {
        // The rest can be had only by copying the data to a new volume.
        Rules::refuse(&[
            ("VolumeType", FieldRule::IN_PLACE),
            ("SizeGB", FieldRule::IN_PLACE),
            ("VolumeIops", FieldRule::IN_PLACE),
            ("VolumeThroughput", FieldRule::IN_PLACE),
            ("Encrypted", FieldRule { compare: Compare::Given, ..FieldRule::REFUSE }),
            ("KmsKeyId", FieldRule { compare: Compare::Given, ..FieldRule::REFUSE }),
            ("Tags", FieldRule::TAGS),
        ])
    }

    fn holds_data(&self) -> Option<&'static str> {
        if self.tags.keys().any(|key| key.starts_with(tags::ETCD_PREFIX)) {
            Some("etcd's data")
        } else {
            Some("a volume's data")
        }
    }

    fn etcd_member(&self) -> Option<MemberId> {
        self.tags.iter().find_map(|(key, value)| tags::etcd_member(key, value))
    }
}

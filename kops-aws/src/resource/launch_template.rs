use std::collections::{BTreeMap, BTreeSet};

use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId, Tie};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind, refer};

/// What the instances of a group are made from; every change is a new version. Named as the scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LaunchTemplate {
    /// The name, also EC2's.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// Whether instances get a public address; as the subnet says when absent.
    #[serde(rename = "AssociatePublicIP", default, skip_serializing_if = "Option::is_none")]
    pub associate_public_ip: Option<bool>,
    /// Instance-store disks: device → `ephemeral0` and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub block_device_mappings: BTreeMap<String, String>,
    /// How instances of a burstable type spend CPU credits: `standard` or `unlimited`; as the type does when absent.
    #[serde(rename = "CPUCredits", default, skip_serializing_if = "Option::is_none")]
    pub cpu_credits: Option<String>,
    /// Over how many hops the metadata service answers.
    #[serde(rename = "HTTPPutResponseHopLimit")]
    pub http_put_response_hop_limit: u32,
    /// Whether the metadata service wants a token: `required` or `optional`.
    #[serde(rename = "HTTPTokens")]
    pub http_tokens: String,
    /// Whether the metadata service has an IPv6 address: `enabled` or `disabled`.
    #[serde(rename = "HTTPProtocolIPv6")]
    pub http_protocol_ipv6: String,
    /// The instance profile.
    #[serde(rename = "IAMInstanceProfile")]
    pub iam_instance_profile: String,
    /// The machine image.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// What becomes of a spot instance that EC2 takes away; `terminate` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_interruption_behavior: Option<String>,
    /// Whether metrics are taken every minute.
    pub instance_monitoring: bool,
    /// The machine type.
    pub instance_type: String,
    /// The number of IPv6 addresses.
    #[serde(rename = "IPv6AddressCount")]
    pub ipv6_address_count: u32,
    /// The device name of the root volume, which the image decides.
    pub root_volume_device: String,
    /// Whether the root volume goes with its instance.
    pub root_volume_delete_on_termination: bool,
    /// Provisioned operations per second of the root volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume_iops: Option<u32>,
    /// Whether instances have bandwidth set aside for volumes; as the type says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume_optimization: Option<bool>,
    /// Size of the root volume in GiB.
    pub root_volume_size: u32,
    /// Provisioned throughput of the root volume in MiB/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume_throughput: Option<u32>,
    /// Type of the root volume.
    pub root_volume_type: String,
    /// Whether the root volume is encrypted.
    pub root_volume_encryption: bool,
    /// The key that encrypts the root volume, where it is not the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume_kms_key: Option<String>,
    /// The key pair.
    #[serde(rename = "SSHKey", default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<String>,
    /// The security groups of the instances' network interface.
    pub security_groups: BTreeSet<String>,
    /// The highest price per hour in USD; absent for instances at the fixed price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_price: Option<String>,
    /// Tags of the template itself and of the instances, volumes and network interfaces made from it.
    pub tags: Tags,
    /// `default`, `dedicated` or `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<String>,
    /// The user data as text (not base64).
    pub user_data: String,
    /// What instances need though the template does not name it: the node configuration that the user data names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ResourceId>,
}

impl Part for LaunchTemplate {
    fn kind(&self) -> Kind {
        kind::LAUNCH_TEMPLATE
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        refer(kind::IAM_INSTANCE_PROFILE, [&self.iam_instance_profile])
            .chain(refer(kind::SSH_KEY, &self.ssh_key))
            .chain(refer(kind::SECURITY_GROUP, &self.security_groups))
            .chain(self.after.iter().cloned())
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules { fields: &[], otherwise: FieldRule::NEW_VERSION }
    }

    fn tie(&self, _: &ResourceId) -> Tie {
        // A version keeps the names of what is gone; only launching from it fails.
        Tie::Loose
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of_all(&kind::SECURITY_GROUP, &mut self.security_groups);
        names.of_ids(&mut self.after);
    }
}

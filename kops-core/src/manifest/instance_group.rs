use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CountOrPercent, FileAsset, Hook, Metadata, Settings};

/// `kind: InstanceGroup`: a group of like machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceGroup {
    /// Name of the group, and its cluster.
    pub metadata: Metadata,
    /// What the machines are to be.
    pub spec: InstanceGroupSpec,
}

impl InstanceGroup {
    /// The name of the group.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The role of the group's machines.
    pub fn role(&self) -> Role {
        self.spec.role.unwrap_or_default()
    }
}

/// What the machines of a group are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// They run etcd and the control plane. Written `Master`, read as `ControlPlane` too.
    #[serde(rename = "Master", alias = "ControlPlane")]
    ControlPlane,
    /// They run the users' pods.
    #[default]
    Node,
    /// They are hosts through which the others are reached.
    Bastion,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlPlane => "control plane",
            Self::Node => "node",
            Self::Bastion => "bastion",
        })
    }
}

/// What the machines of a group are to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceGroupSpec {
    /// Existing security groups for the machines, beside that of their role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_security_groups: Vec<String>,
    /// More parts for the user data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_user_data: Vec<UserData>,
    /// Whether machines get a public address. Absent: as their subnets say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associate_public_ip: Option<bool>,
    /// Whether the cluster autoscaler changes the group's size. Absent: it does, if it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<bool>,
    /// The group's priority for the cluster autoscaler's expander `priority`: larger first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale_priority: Option<i32>,
    /// Whether the scaling group replaces a spot machine as soon as the cloud says that it may take it away soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_rebalance: Option<bool>,
    /// Tags for the machines, over those of the cluster.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cloud_labels: BTreeMap<String, String>,
    /// Settings of containerd, over those of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<Settings>,
    /// How machines of a burstable type spend CPU credits: `standard` or `unlimited`. Absent: as the type does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_credits: Option<String>,
    /// Whether metrics are taken every minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detailed_instance_monitoring: Option<bool>,
    /// Existing load balancers to which the machines are attached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_load_balancers: Vec<ExternalLoadBalancer>,
    /// Files of the machines, over those of the cluster at the same path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_assets: Vec<FileAsset>,
    /// What the machines run beside Kubernetes, over the cluster's hooks of the same name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Permissions of the machines, instead of those of their role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam: Option<GroupIam>,
    /// The machine image: an id, or `owner/name`. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What becomes of a spot machine that the cloud takes away: `terminate`, `stop` or `hibernate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_interruption_behavior: Option<String>,
    /// How machines reach the cloud's metadata service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_metadata: Option<InstanceMetadata>,
    /// Whether new machines are protected from being chosen when the group shrinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_protection: Option<bool>,
    /// Settings of the kubelet, over those of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<Settings>,
    /// The machine type, such as `t3.medium`. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// After how long the scaling group replaces a machine (`48h20m`); `0` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instance_lifetime: Option<String>,
    /// The highest price per hour, in USD, to pay for spare capacity. Absent: machines at the fixed price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<String>,
    /// The largest number of machines. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    /// The smallest number of machines. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u32>,
    /// Several machine types and a mix of prices in one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed_instances_policy: Option<MixedInstancesPolicy>,
    /// Labels of the Kubernetes nodes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_labels: BTreeMap<String, String>,
    /// What the machines are for. Absent in a file: `Node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How many machines a rolling update may take down or add at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
    /// Whether the root volume goes with its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_delete_on_termination: Option<bool>,
    /// Whether the root volume is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_encryption: Option<bool>,
    /// The key that encrypts the root volume, instead of the account's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_encryption_key: Option<String>,
    /// Provisioned operations per second of the root volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_iops: Option<u32>,
    /// Whether the machines have bandwidth set aside for their volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_optimization: Option<bool>,
    /// Size of the root volume in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_size: Option<u32>,
    /// Provisioned throughput of the root volume in MiB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_throughput: Option<u32>,
    /// Type of the root volume, such as `gp3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_volume_type: Option<String>,
    /// The subnets of the machines, by name. Completed manifests always say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Processes of the scaling group that are held, such as `AZRebalance`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suspend_processes: Vec<String>,
    /// Settings of the machines' kernels (`vm.swappiness=10`), over those of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sysctl_parameters: Vec<String>,
    /// Taints of the Kubernetes nodes (`key=value:NoSchedule`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<String>,
    /// `default`, `dedicated` or `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<String>,
    /// The zones of the machines, where they are fewer than the subnets'.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
}

/// A part of a machine's user data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserData {
    /// The text of the part.
    pub content: String,
    /// The part's file name.
    pub name: String,
    /// Its MIME type, such as `text/x-shellscript`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// A load balancer that exists already: one of the two fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalLoadBalancer {
    /// The name of a classic load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_name: Option<String>,
    /// The id of a target group of another load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_group_arn: Option<String>,
}

/// Permissions of a group's machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupIam {
    /// An existing instance profile to use, which is then never changed nor deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// How machines reach the cloud's metadata service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceMetadata {
    /// Over how many network hops an answer is sent: 1 keeps pods out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_put_response_hop_limit: Option<u32>,
    /// Whether requests must carry a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_tokens: Option<HttpTokens>,
}

/// Whether requests to the metadata service must carry a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HttpTokens {
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// Several machine types and a mix of prices in one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MixedInstancesPolicy {
    /// What machine types must have, instead of a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_requirements: Option<InstanceRequirements>,
    /// The machine types, the preferred first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// Percentage of machines at the fixed price above the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand_above_base: Option<u32>,
    /// How types are chosen for machines at the fixed price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand_allocation_strategy: Option<String>,
    /// How many machines are always at the fixed price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand_base: Option<u32>,
    /// How types are chosen for machines of spare capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_allocation_strategy: Option<String>,
    /// Over how many types machines of spare capacity are spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_instance_pools: Option<u32>,
}

/// What machine types must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceRequirements {
    /// Number of processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Range>,
    /// Types that are not taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_instance_types: Vec<String>,
    /// Memory, with a unit (`4Gi`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Range>,
}

/// Smallest and largest quantity, as Kubernetes writes quantities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Range {
    /// The largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The smallest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
}

/// How a rolling update treats a group's machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// Whether machines are drained and replaced at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_and_terminate: Option<bool>,
    /// How many machines may be added to make up for those being replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<CountOrPercent>,
    /// How many machines may be missing at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<CountOrPercent>,
}

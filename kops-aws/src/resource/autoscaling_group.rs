use std::collections::BTreeSet;

use kops_core::resource::{Kind, Ownership, ResourceId, Tie};
use serde::{Deserialize, Serialize};

use super::{MixedInstances, NewNames, Part, Rules, Tags, kind, refer};

/// The process by which Auto Scaling moves instances between zones.
pub(crate) const AZ_REBALANCE: &str = "AZRebalance";

/// A scaling group: the machines of an instance group. Named `<group>.masters.<cluster>` or `<group>.<cluster>`.
///
/// How many instances it has now is not part of it: AWS, people and the cluster autoscaler decide that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AutoscalingGroup {
    /// The name, also AWS's.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// Whether a spot instance is replaced as soon as EC2 says that it may take it away soon.
    #[serde(default)]
    pub capacity_rebalance: bool,
    /// How often metrics are taken, `1Minute`.
    pub granularity: String,
    /// Whether new instances are protected from being chosen when the group shrinks.
    pub instance_protection: bool,
    /// What instances are made from, its newest version.
    pub launch_template: String,
    /// Several machine types and a mix of prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed_instances: Option<MixedInstances>,
    /// Classic load balancers that instances are registered with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub load_balancers: BTreeSet<String>,
    /// After how many seconds an instance is replaced; 0 for never.
    pub max_instance_lifetime: u32,
    /// The most instances.
    pub max_size: u32,
    /// The metrics that are taken.
    pub metrics: BTreeSet<String>,
    /// The fewest instances.
    pub min_size: u32,
    /// The subnets.
    pub subnets: BTreeSet<String>,
    /// Processes that are held.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suspend_processes: BTreeSet<String>,
    /// Tags, all of them passed on to instances. Compared exactly: a tag too many would be passed on as well.
    pub tags: Tags,
    /// Target groups that instances are registered with.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub target_groups: BTreeSet<String>,
    /// What instances need though the group does not name it: the role in their profile, the route to the internet,
    /// their volumes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ResourceId>,
}

impl Part for AutoscalingGroup {
    fn kind(&self) -> Kind {
        kind::AUTOSCALING_GROUP
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        refer(kind::LAUNCH_TEMPLATE, [&self.launch_template])
            .chain(refer(kind::SUBNET, &self.subnets))
            .chain(refer(kind::CLASSIC_LOAD_BALANCER, &self.load_balancers))
            .chain(refer(kind::TARGET_GROUP, &self.target_groups))
            .chain(self.after.iter().cloned())
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[])
    }

    fn tie(&self, _: &ResourceId) -> Tie {
        // All it names can be changed while it runs.
        Tie::Loose
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of_all(&kind::SUBNET, &mut self.subnets);
        names.of_all(&kind::CLASSIC_LOAD_BALANCER, &mut self.load_balancers);
        names.of_all(&kind::TARGET_GROUP, &mut self.target_groups);
        names.of_ids(&mut self.after);
    }
}

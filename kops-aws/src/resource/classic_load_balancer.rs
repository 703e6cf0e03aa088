use std::collections::BTreeSet;

use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{LoadBalancerScheme, NewNames, Part, Rules, Tags, kind, refer};

/// A classic load balancer. Named `api.<cluster>`; those of services are named by their handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClassicLoadBalancer {
    /// The name, also the value of its `Name` tag.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The name on AWS, at most 32 characters; see [`names::load_balancer`](crate::names::load_balancer).
    pub load_balancer_name: String,
    /// Its subnets, one a zone.
    pub subnets: BTreeSet<String>,
    /// Its security groups.
    pub security_groups: BTreeSet<String>,
    /// What it listens on.
    pub listeners: BTreeSet<ClassicListener>,
    /// Where it is reached from.
    pub scheme: LoadBalancerScheme,
    /// How it finds out which instances work.
    pub health_check: ClassicHealthCheck,
    /// After how many seconds without traffic a connection is cut.
    pub idle_timeout: u32,
    /// Whether an address also reaches instances in other zones.
    pub cross_zone_load_balancing: bool,
    /// Tags.
    pub tags: Tags,
    /// What it needs without naming it: the network's internet gateway, where it has public addresses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ResourceId>,
}

/// A port of a classic load balancer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClassicListener {
    /// The protocol on the outside, such as `TCP`.
    pub protocol: String,
    /// The port on the outside.
    pub load_balancer_port: u16,
    /// The protocol to the instances.
    pub instance_protocol: String,
    /// The port of the instances.
    pub instance_port: u16,
}

/// The health check of a classic load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClassicHealthCheck {
    /// Protocol and port, such as `TCP:443`.
    pub target: String,
    /// How many successes in a row count as healthy.
    pub healthy_threshold: u32,
    /// How many failures in a row count as unhealthy.
    pub unhealthy_threshold: u32,
    /// Seconds between checks.
    pub interval: u32,
    /// Seconds to wait for an answer.
    pub timeout: u32,
}

impl Part for ClassicLoadBalancer {
    fn kind(&self) -> Kind {
        kind::CLASSIC_LOAD_BALANCER
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        refer(kind::SUBNET, &self.subnets)
            .chain(refer(kind::SECURITY_GROUP, &self.security_groups))
            .chain(self.after.iter().cloned())
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[
            ("LoadBalancerName", FieldRule::REPLACE),
            ("Scheme", FieldRule::REPLACE),
            ("Tags", FieldRule::TAGS),
        ])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::CLASSIC_LOAD_BALANCER, &mut self.name);
        names.of_all(&kind::SUBNET, &mut self.subnets);
        names.of_all(&kind::SECURITY_GROUP, &mut self.security_groups);
        names.of_ids(&mut self.after);
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use kops_core::resource::{FieldRule, Kind, Ownership, Relation, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind, refer};

/// Where a load balancer is reached from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancerScheme {
    /// From the internet.
    InternetFacing,
    /// From inside the network only.
    Internal,
}

/// A network load balancer. Named `api.<cluster>`; those of services are named by their handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkLoadBalancer {
    /// The name, also the value of its `Name` tag.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The name on AWS, at most 32 characters; see [`names::load_balancer`](crate::names::load_balancer).
    pub load_balancer_name: String,
    /// Its subnets, one a zone.
    pub subnets: BTreeSet<String>,
    /// The addresses that were chosen, by subnet. A running load balancer keeps those that it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, BalancerAddress>,
    /// Its security groups. One made without any can never get any (ELBv2 API, SetSecurityGroups).
    pub security_groups: BTreeSet<String>,
    /// Where it is reached from.
    pub scheme: LoadBalancerScheme,
    /// Whether an address also reaches targets in other zones.
    pub cross_zone_load_balancing: bool,
    /// `ipv4` or `dualstack`.
    pub ip_address_type: String,
    /// Tags.
    pub tags: Tags,
    /// What it needs without naming it: the network's internet gateway, where it has public addresses.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ResourceId>,
}

/// The address of a load balancer in one subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BalancerAddress {
    /// A public address.
    ElasticIp(String),
    /// An address inside the subnet.
    Private(Ipv4Addr),
}

impl BalancerAddress {
    fn elastic_ip(&self) -> Option<&String> {
        match self {
            Self::ElasticIp(name) => Some(name),
            Self::Private(_) => None,
        }
    }
}

impl Part for NetworkLoadBalancer {
    fn kind(&self) -> Kind {
        kind::NETWORK_LOAD_BALANCER
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        let addresses = self.addresses.values().filter_map(BalancerAddress::elastic_ip);
        refer(kind::SUBNET, &self.subnets)
            .chain(refer(kind::ELASTIC_IP, addresses))
            .chain(refer(kind::SECURITY_GROUP, &self.security_groups))
            .chain(self.after.iter().cloned())
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[
            ("Addresses", FieldRule::REPLACE),
            ("LoadBalancerName", FieldRule::REPLACE),
            ("Scheme", FieldRule::REPLACE),
            ("Tags", FieldRule::TAGS),
        ])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of_all(&kind::SUBNET, &mut self.subnets);
        let addresses = std::mem::take(&mut self.addresses).into_iter().map(|(mut subnet, mut address)| {
            names.of(&kind::SUBNET, &mut subnet);
            if let BalancerAddress::ElasticIp(name) = &mut address {
                names.of(&kind::ELASTIC_IP, name);
            }
            (subnet, address)
        });
        self.addresses = addresses.collect();
        names.of_all(&kind::SECURITY_GROUP, &mut self.security_groups);
        names.of_ids(&mut self.after);
    }
}

/// A port of a network load balancer. Named `<load balancer>-<port>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkLoadBalancerListener {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The load balancer.
    pub network_load_balancer: String,
    /// The port.
    pub port: u16,
    /// The protocol, `TCP`.
    pub protocol: String,
    /// Where traffic goes; nothing when that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_group: Option<String>,
}

impl Part for NetworkLoadBalancerListener {
    fn kind(&self) -> Kind {
        kind::NETWORK_LOAD_BALANCER_LISTENER
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        std::iter::once(ResourceId::new(kind::NETWORK_LOAD_BALANCER, &self.network_load_balancer))
            .chain(refer(kind::TARGET_GROUP, &self.target_group))
            .collect()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[("NetworkLoadBalancer", FieldRule::REPLACE)])
    }

    fn relation(&self, _: &ResourceId) -> Relation {
        // Without it, neither the load balancer nor the target group has any traffic.
        Relation::Shapes
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        if let Some(group) = &mut self.target_group {
            names.of(&kind::TARGET_GROUP, group);
        }
    }
}

/// Instances to which a network load balancer sends traffic. Named as on AWS, at most 32 characters; those of
/// services are named by their handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetGroup {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The network.
    #[serde(rename = "VPC")]
    pub vpc: String,
    /// The port of the instances.
    pub port: u16,
    /// The protocol, `TCP`.
    pub protocol: String,
    /// How it finds out which instances work.
    pub health_check: TargetHealthCheck,
    /// Attributes by ELBv2's names; those that are not named keep AWS's defaults.
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    pub tags: Tags,
}

/// The health check of a target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetHealthCheck {
    /// `TCP` or `HTTPS`.
    pub protocol: String,
    /// The path that is asked for, where the protocol has paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Seconds between checks.
    pub interval: u32,
    /// How many successes in a row count as healthy.
    pub healthy_threshold: u32,
    /// How many failures in a row count as unhealthy.
    pub unhealthy_threshold: u32,
}

impl Part for TargetGroup {
    fn kind(&self) -> Kind {
        kind::TARGET_GROUP
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![ResourceId::new(kind::VPC, &self.vpc)]
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[
            ("HealthCheck", FieldRule::IN_PLACE),
            // Others' attributes are AWS's defaults, as with tags.
            ("Attributes", FieldRule::TAGS),
            ("Tags", FieldRule::TAGS),
        ])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::TARGET_GROUP, &mut self.name);
        names.of(&kind::VPC, &mut self.vpc);
    }
}

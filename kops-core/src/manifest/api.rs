use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// How clients reach the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Api {
    /// By DNS names that point at the control-plane machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsAccess>,
    /// Through a load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
}

/// Access to the API by DNS names; has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsAccess {}

/// The load balancer in front of the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancer {
    /// Existing security groups for the load balancer, beside its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_security_groups: Vec<String>,
    /// The kind of load balancer. Absent: classic, as in kops 1.10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<LoadBalancerClass>,
    /// Whether an address of the load balancer also reaches control-plane machines in other zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_zone_load_balancing: Option<bool>,
    /// After how many seconds without traffic a connection is cut (classic load balancers only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<u32>,
    /// An existing security group that the load balancer has instead of one of its own; its rules are somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_group_override: Option<String>,
    /// The subnets that it is in. Empty: one a zone is chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<LoadBalancerSubnet>,
    /// Where the load balancer is reached from. Completed manifests always say.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<LoadBalancerType>,
    /// Whether the machines of the cluster use the load balancer too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_for_internal_api: Option<bool>,
}

/// A subnet that the load balancer is in, and the address that it has there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancerSubnet {
    /// The id of a public address to use (network load balancers that are reached from the internet).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_id: Option<String>,
    /// The name of the subnet in `spec.subnets`.
    pub name: String,
    /// The address (network load balancers that are reached from inside alone).
    #[serde(rename = "privateIPv4Address", skip_serializing_if = "Option::is_none")]
    pub private_ipv4_address: Option<Ipv4Addr>,
}

/// Where a load balancer is reached from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoadBalancerType {
    /// From the internet.
    Public,
    /// From inside the network only.
    Internal,
}

/// The kind of a load balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoadBalancerClass {
    /// A classic load balancer.
    #[default]
    Classic,
    /// A network load balancer.
    Network,
}

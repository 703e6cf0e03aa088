use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{LoadBalancerType, Settings};

/// A subnet, in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subnet {
    /// The address range, inside that of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Ipv4Net>,
    /// How traffic of a private subnet leaves the network: the id of an existing gateway, or `External`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<String>,
    /// The id of an existing subnet to use, which is then never changed nor deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The IPv6 range, or a placeholder such as `/64#1`.
    #[serde(rename = "ipv6CIDR", skip_serializing_if = "Option::is_none")]
    pub ipv6_cidr: Option<String>,
    /// The name, by which instance groups refer to the subnet; usually that of the zone.
    pub name: String,
    /// The public address of the gateway that [`egress`](Self::egress) makes or names.
    #[serde(rename = "publicIP", skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// The region, where the name of the zone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether machines in it have public addresses. Completed manifests always say.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<SubnetType>,
    /// The zone. Absent: the name is that of the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Subnet {
    /// The zone: the one that is written, or the name.
    pub fn zone(&self) -> &str {
        self.zone.as_deref().unwrap_or(&self.name)
    }

    /// The region: the one that is written, or the zone without its last letter.
    pub fn region(&self) -> &str {
        self.region
            .as_deref()
            .unwrap_or_else(|| self.zone().trim_end_matches(|c: char| c.is_ascii_lowercase()))
    }
}

/// What a subnet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SubnetType {
    /// Machines with public addresses, routed to the internet.
    Public,
    /// Machines without public addresses, routed through a gateway.
    Private,
    /// Load balancers, gateways and bastions in front of private subnets; no other machines.
    Utility,
    /// Machines with IPv4 and IPv6 addresses behind a gateway.
    DualStack,
}

/// Where machines are placed and how names are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Topology {
    /// The hosts through which machines in private subnets are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bastion: Option<Bastion>,
    /// Where the names of the cluster are resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// Where control-plane machines are placed (written by kops 1.10; today the subnets' types say it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masters: Option<Placement>,
    /// Where worker machines are placed (written by kops 1.10; today the subnets' types say it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Placement>,
}

/// Whether machines are in public or in private subnets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Placement {
    /// In public subnets.
    #[default]
    Public,
    /// In private subnets.
    Private,
}

/// How bastion hosts are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bastion {
    /// The DNS name of the bastion's load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bastion_public_name: Option<String>,
    /// After how many seconds without traffic a connection is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<u32>,
    /// The load balancer in front of the bastions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<BastionLoadBalancer>,
}

/// The load balancer in front of bastion hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BastionLoadBalancer {
    /// Existing security groups for the load balancer, beside its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_security_groups: Vec<String>,
    /// Where the load balancer is reached from.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<LoadBalancerType>,
}

/// Where the names of the cluster are resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dns {
    /// The kind of hosted zone. Completed manifests always say.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<DnsType>,
}

/// The kind of hosted zone that holds the names of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DnsType {
    /// A public hosted zone. With a cluster name that ends in `.k8s.local`: none, as in kops 1.10.
    Public,
    /// A hosted zone that only the network sees.
    Private,
    /// No hosted zone: machines find the API through the load balancer.
    None,
}

/// The network of the pods: exactly one plugin, with its settings as they were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the plugins")]
pub enum Networking {
    AmazonVpc(Settings),
    Calico(Settings),
    Canal(Settings),
    Cilium(Settings),
    Classic(Settings),
    /// A plugin that the user installs as an add-on.
    Cni(Settings),
    /// Like `cni`, but the user's add-on sets up routes, and no plugin directory is prepared.
    External(Settings),
    Flannel(Settings),
    /// Routes of another cloud.
    Gce(Settings),
    Kindnet(Settings),
    Kopeio(Settings),
    /// Routes in the cloud's route table, one a machine.
    Kubenet(Settings),
    KubeRouter(Settings),
    LyftVpc(Settings),
    Romana(Settings),
    Weave(Settings),
}

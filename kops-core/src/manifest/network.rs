use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{Cilium, LoadBalancerType, Settings};

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
    /// The zone. Absent: the name is that of the zone, or begins with `utility-` before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Subnet {
    /// The zone: the one that is written, or the name without what kops puts before it (`utility-us-east-1a`).
    pub fn zone(&self) -> &str {
        let named = || self.name.strip_prefix("utility-").unwrap_or(&self.name);
        self.zone.as_deref().unwrap_or_else(named)
    }

    /// The region: the one that is written, or what the name of the zone begins with. `None` if it says none.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref().or_else(|| region_of(self.zone()))
    }
}

/// Returns the region that the name of a zone begins with: all up to its first number, as `us-west-2` of `us-west-2b` and
/// of `us-west-2-lax-1a`.
fn region_of(zone: &str) -> Option<&str> {
    let number = zone.find(|c: char| c.is_ascii_digit())?;
    let length = zone[number..].find(|c: char| !c.is_ascii_digit()).unwrap_or(zone.len() - number);
    Some(&zone[..number + length]).filter(|_| number > 0)
}

/// Says why a text cannot be the name of a zone, and what to write. Which zones there are, only the cloud knows.
pub(crate) fn zone_fault(zone: &str) -> Option<(String, String)> {
    const EXAMPLE: &str = "eu-west-1a";
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if zone.contains(|c: char| c.is_ascii_uppercase()) {
        let hint = format!("write {}", zone.to_ascii_lowercase());
        return Some((format!("`{zone}` is not the name of a zone: it has capital letters"), hint));
    }
    match region_of(zone).filter(|_| zone.chars().all(is_name)) {
        None => {
            let hint = format!("write the region with the zone's letter, such as {EXAMPLE}");
            Some((format!("`{zone}` is not the name of a zone"), hint))
        }
        Some(region) if region == zone => {
            Some((format!("`{zone}` is a region, not a zone"), format!("did you mean {zone}a?")))
        }
        Some(_) => None,
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
    Cilium(Box<Cilium>),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_begin_with_their_region() {
        for (zone, region) in [
            ("eu-west-1a", Some("eu-west-1")),
            ("us-gov-west-1b", Some("us-gov-west-1")),
            ("us-west-2-lax-1a", Some("us-west-2")),
            ("us-east-1-wl1-bos-wlz-1", Some("us-east-1")),
            ("ap-southeast-12", Some("ap-southeast-12")),
            ("foo", None),
            ("1a", None),
            ("", None),
        ] {
            assert_eq!(region_of(zone), region, "{zone}");
        }
        let named = |name: &str| Subnet { name: name.to_owned(), ..Subnet::default() };
        assert_eq!(named("eu-west-1a").zone(), "eu-west-1a");
        assert_eq!(named("utility-eu-west-1a").zone(), "eu-west-1a");
        let written = Subnet { name: "a".to_owned(), region: Some("here".to_owned()), ..Subnet::default() };
        assert_eq!(written.region(), Some("here"));
    }

    #[test]
    fn a_region_or_a_word_is_no_zone() {
        let said = |zone| zone_fault(zone).map(|(message, hint)| format!("{message} ({hint})"));
        assert_eq!(said("us-east-1a"), None);
        assert_eq!(said("us-west-2-lax-1a"), None);
        let faults = ["us-east-1", "foo", "", "us east-1a", "US-East-1a"].map(|zone| said(zone).unwrap());
        insta::assert_snapshot!(faults.join("\n"), @r"
        `us-east-1` is a region, not a zone (did you mean us-east-1a?)
        `foo` is not the name of a zone (write the region with the zone's letter, such as eu-west-1a)
        `` is not the name of a zone (write the region with the zone's letter, such as eu-west-1a)
        `us east-1a` is not the name of a zone (write the region with the zone's letter, such as eu-west-1a)
        `US-East-1a` is not the name of a zone: it has capital letters (write us-east-1a)
        ");
    }
}

use std::fmt;
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};
use kops_core::resource::{Kind, Ownership, Relation, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, kind};

/// One rule of a security group, with one source or destination.
///
/// Its name follows from its content, so that a rule found on AWS, where rules have no names, gets the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecurityGroupRule {
    /// Whose it is; see [`is_managed`](Self::is_managed).
    pub ownership: Ownership,
    /// The group whose rule it is.
    pub security_group: String,
    /// The other side.
    #[serde(flatten)]
    pub peer: Peer,
    /// The traffic.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Whether it is about traffic that leaves.
    pub egress: bool,
}

/// The other side of a rule: where traffic comes from, or goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Peer {
    /// A range of IPv4 addresses.
    #[serde(rename = "CIDR")]
    Ipv4(Ipv4Net),
    /// A range of IPv6 addresses.
    #[serde(rename = "IPv6CIDR")]
    Ipv6(Ipv6Net),
    /// A managed prefix list, by its handle.
    PrefixList(String),
    /// The members of a security group: its name, or the handle of a foreign one.
    #[serde(rename = "SourceGroup")]
    Group(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(range) => range.fmt(f),
            Self::Ipv6(range) => range.fmt(f),
            Self::PrefixList(name) | Self::Group(name) => f.write_str(name),
        }
    }
}

/// A protocol, as EC2 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Any.
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv4.
    Icmp,
    /// ICMP for IPv6.
    Icmpv6,
    /// Another, by its IANA number.
    Number(u8),
}

/// A text that names no protocol.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a protocol: expected -1, all, tcp, udp, icmp, icmpv6 or a number below 256")]
pub struct ProtocolError(String);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Icmp => f.write_str("icmp"),
            Self::Icmpv6 => f.write_str("icmpv6"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    /// Reads what EC2 writes: a name, or a number (`-1` for all).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-1" | "all" => Self::All,
            "tcp" | "6" => Self::Tcp,
            "udp" | "17" => Self::Udp,
            "icmp" | "1" => Self::Icmp,
            "icmpv6" | "58" => Self::Icmpv6,
            other => Self::Number(other.parse().map_err(|_| ProtocolError(text.to_owned()))?),
        })
    }
}

impl Protocol {
    /// The name that EC2's API takes.
    pub fn for_ec2(self) -> String {
        match self {
            Self::All => "-1".to_owned(),
            other => other.to_string(),
        }
    }

    /// Whether rules about it say ports (or, for ICMP, type and code).
    pub fn has_ports(self) -> bool {
        !matches!(self, Self::All | Self::Number(_))
    }
}

impl Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Protocol and ports of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Traffic {
    /// The protocol.
    pub protocol: Protocol,
    /// The first port; for ICMP the type. 0 where the protocol has no ports.
    pub from_port: i32,
    /// The last port; for ICMP the code. 0 where the protocol has no ports.
    pub to_port: i32,
}

impl Traffic {
    /// Everything.
    pub const ALL: Self = Self { protocol: Protocol::All, from_port: 0, to_port: 0 };
    /// "Packet too big" for IPv4: without it, path MTU discovery fails.
    pub const ICMP_PMTU: Self = Self { protocol: Protocol::Icmp, from_port: 3, to_port: 4 };
    /// All of ICMPv6, as kops admits it.
    pub const ICMPV6: Self = Self { protocol: Protocol::Icmpv6, from_port: -1, to_port: -1 };

    /// The traffic of a protocol on ports, in the one form in which equal traffic is equal.
    pub fn new(protocol: Protocol, from_port: i32, to_port: i32) -> Self {
        match protocol.has_ports() {
            true => Self { protocol, from_port, to_port },
            false => Self { protocol, from_port: 0, to_port: 0 },
        }
    }

    /// TCP on one port.
    pub const fn tcp(port: i32) -> Self {
        Self { protocol: Protocol::Tcp, from_port: port, to_port: port }
    }
}

/// The first and last port that Kubernetes gives to services of type `NodePort`.
pub const NODE_PORTS: (i32, i32) = (30000, 32767);

/// Ports of a control-plane group on which rules from address ranges are kops's own
/// (`pkg/model/awsmodel/firewall.go`, `RemoveExtraRules`).
const MASTER_PORTS: [i32; 10] = [22, 443, 2380, 2381, 3988, 4001, 4002, 4789, 179, 8443];

impl SecurityGroupRule {
    /// A managed rule about traffic that enters `group`.
    pub fn ingress(group: impl Into<String>, peer: Peer, traffic: Traffic) -> Self {
        Self { ownership: Ownership::Managed, security_group: group.into(), peer, traffic, egress: false }
    }

    /// A managed rule about traffic that leaves `group`.
    pub fn egress(group: impl Into<String>, peer: Peer, traffic: Traffic) -> Self {
        Self { egress: true, ..Self::ingress(group, peer, traffic) }
    }

    /// Whether the rule, found in `cluster`, is one that plans manage: the groups' rules among themselves, rules for
    /// all traffic that leaves, and from address ranges those on the ports that kops manages. Other rules were made
    /// by people, or by the cloud controller for services, and are left alone.
    pub fn is_managed(&self, cluster: &str) -> bool {
        let own = |group: &str| role_of(group, cluster).is_some();
        let Some(role) = role_of(&self.security_group, cluster) else { return false };
        let Traffic { protocol, from_port, to_port } = self.traffic;
        match &self.peer {
            Peer::Group(group) => own(group),
            _ if self.egress => protocol == Protocol::All,
            _ => match (protocol, role) {
                (Protocol::Icmp, _) => self.traffic == Traffic::ICMP_PMTU,
                (Protocol::Icmpv6, _) => self.traffic == Traffic::ICMPV6,
                (Protocol::Tcp, "masters") => from_port == to_port && MASTER_PORTS.contains(&from_port),
                (Protocol::Tcp, "api-elb") => from_port == to_port && matches!(from_port, 443 | 3988 | 8443),
                (Protocol::Tcp, "bastion" | "bastion-elb") => (from_port, to_port) == (22, 22),
                (Protocol::Tcp, "nodes") if (from_port, to_port) == (22, 22) => true,
                (Protocol::Tcp | Protocol::Udp, "nodes") => (from_port, to_port) == NODE_PORTS,
                _ => false,
            },
        }
    }

    /// Names that kops gives by purpose, where the purpose shows in the content.
    fn fixed_name(&self) -> Option<String> {
        let (to, to_cluster) = self.security_group.split_once('.')?;
        if self.egress {
            return None;
        }
        let Peer::Group(from) = &self.peer else {
            return match (to, self.traffic) {
                ("api-elb", Traffic::ICMP_PMTU) => Some(format!("icmp-pmtu-api-elb-{}", self.peer)),
                ("api-elb", Traffic::ICMPV6) => Some(format!("icmpv6-pmtu-api-elb-{}", self.peer)),
                _ => None,
            };
        };
        let (from, from_cluster) = from.split_once('.')?;
        let https = Traffic::tcp(443);
        let kops_controller = Traffic::tcp(3988);
        let name = match (from, to, self.traffic) {
            _ if from_cluster != to_cluster => return None,
            ("api-elb", "masters", traffic) if traffic == https => "https-elb-to-master",
            ("api-elb", "masters", traffic) if traffic == kops_controller => "kops-controller-elb-to-cp",
            ("api-elb", "masters", Traffic::ICMP_PMTU) => "icmp-pmtu-elb-to-cp",
            ("masters", "api-elb", Traffic::ICMP_PMTU) => "icmp-pmtu-cp-to-elb",
            ("nodes", "api-elb", Traffic::ALL) => "node-to-elb",
            _ => return None,
        };
        Some(name.to_owned())
    }
}

/// What one of the cluster's own groups is for, if `group` is one.
fn role_of<'a>(group: &'a str, cluster: &str) -> Option<&'a str> {
    let role = group.strip_suffix(cluster)?.strip_suffix('.')?;
    matches!(role, "masters" | "nodes" | "bastion" | "api-elb" | "bastion-elb").then_some(role)
}

impl Part for SecurityGroupRule {
    fn kind(&self) -> Kind {
        kind::SECURITY_GROUP_RULE
    }

    fn name(&self) -> String {
        self.fixed_name().unwrap_or_else(|| {
            let Self { security_group, peer, traffic: Traffic { protocol, from_port, to_port }, .. } = self;
            let ports = format!("{protocol}-{from_port}to{to_port}");
            match self.egress {
                false => format!("from-{peer}-ingress-{ports}-{security_group}"),
                true => format!("from-{security_group}-egress-{ports}-{peer}"),
            }
        })
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        let mut groups = vec![ResourceId::new(kind::SECURITY_GROUP, &self.security_group)];
        if let Peer::Group(group) = &self.peer
            && *group != self.security_group
        {
            groups.push(ResourceId::new(kind::SECURITY_GROUP, group));
        }
        groups
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[])
    }

    fn relation(&self, _: &ResourceId) -> Relation {
        // Without it, members of either group no longer reach the other one, or are no longer reached.
        Relation::Shapes
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::SECURITY_GROUP, &mut self.security_group);
        if let Peer::Group(group) = &mut self.peer {
            names.of(&kind::SECURITY_GROUP, group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: &str = "minimal.example.com";

    fn group(role: &str) -> String {
        format!("{role}.{C}")
    }

    fn from_group(from: &str, to: &str, traffic: Traffic) -> SecurityGroupRule {
        SecurityGroupRule::ingress(group(to), Peer::Group(group(from)), traffic)
    }

    #[test]
    fn names_are_those_of_kops() {
        let anywhere = Peer::Ipv4("0.0.0.0/0".parse().unwrap());
        let anywhere6 = Peer::Ipv6("::/0".parse().unwrap());
        let rules = [
            from_group("nodes", "masters", Traffic::new(Protocol::Tcp, 1, 2379)),
            from_group("nodes", "masters", Traffic::new(Protocol::Number(4), 9, 9)),
            from_group("api-elb", "masters", Traffic::tcp(443)),
            from_group("api-elb", "masters", Traffic::tcp(3988)),
            from_group("masters", "api-elb", Traffic::ICMP_PMTU),
            from_group("nodes", "api-elb", Traffic::ALL),
            SecurityGroupRule::ingress(group("masters"), anywhere.clone(), Traffic::tcp(22)),
            SecurityGroupRule::ingress(group("api-elb"), anywhere.clone(), Traffic::ICMP_PMTU),
            SecurityGroupRule::ingress(group("api-elb"), anywhere6.clone(), Traffic::ICMPV6),
            SecurityGroupRule::egress(group("nodes"), anywhere6, Traffic::ALL),
            SecurityGroupRule::ingress("sg-1", Peer::Group("sg-2".into()), Traffic::tcp(80)),
        ];
        let names: Vec<String> = rules.iter().map(Part::name).collect();
        insta::assert_snapshot!(names.join("\n"), @r"
        from-nodes.minimal.example.com-ingress-tcp-1to2379-masters.minimal.example.com
        from-nodes.minimal.example.com-ingress-4-0to0-masters.minimal.example.com
        https-elb-to-master
        kops-controller-elb-to-cp
        icmp-pmtu-cp-to-elb
        node-to-elb
        from-0.0.0.0/0-ingress-tcp-22to22-masters.minimal.example.com
        icmp-pmtu-api-elb-0.0.0.0/0
        icmpv6-pmtu-api-elb-::/0
        from-nodes.minimal.example.com-egress-all-0to0-::/0
        from-sg-2-ingress-tcp-80to80-sg-1
        ");
    }

    #[test]
    fn only_kopss_own_rules_are_managed() {
        let range = || Peer::Ipv4("10.0.0.0/8".parse().unwrap());
        let ingress = |role: &str, traffic| SecurityGroupRule::ingress(group(role), range(), traffic);
        let managed = [
            from_group("nodes", "masters", Traffic::new(Protocol::Udp, 5, 7)),
            ingress("masters", Traffic::tcp(22)),
            ingress("nodes", Traffic::new(Protocol::Udp, NODE_PORTS.0, NODE_PORTS.1)),
            ingress("api-elb", Traffic::tcp(443)),
            SecurityGroupRule::egress(group("nodes"), range(), Traffic::ALL),
        ];
        for rule in managed {
            assert!(rule.is_managed(C), "{}", rule.name());
            assert!(!rule.is_managed("example.com"), "{}", rule.name());
        }
        let left_alone = [
            // A node port of one service behind a network load balancer, and a service's classic load balancer.
            ingress("nodes", Traffic::tcp(30080)),
            SecurityGroupRule::ingress(group("nodes"), Peer::Group("sg-1".into()), Traffic::ALL),
            ingress("masters", Traffic::tcp(9100)),
            SecurityGroupRule::egress(group("nodes"), range(), Traffic::tcp(443)),
            SecurityGroupRule::ingress("sg-1", range(), Traffic::tcp(443)),
        ];
        for rule in left_alone {
            assert!(!rule.is_managed(C), "{}", rule.name());
        }
    }

    #[test]
    fn traffic_without_ports_has_one_form() {
        assert_eq!(Traffic::new("-1".parse().unwrap(), -1, -1), Traffic::ALL);
        assert_eq!("58".parse::<Protocol>().unwrap(), Protocol::Icmpv6);
        assert_eq!(Protocol::All.for_ec2(), "-1");
        assert!("ipx".parse::<Protocol>().is_err());
    }
}

//! Security groups and their rules, and the key pair.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use kops_core::manifest::{AccessSource, LoadBalancerClass, Role};
use kops_core::resource::Ownership;

use super::{Context, bastion};
use crate::names;
use crate::resource::{
    AwsResource, NODE_PORTS, Peer, Protocol, SecurityGroup, SecurityGroupRule, SshKey, Traffic,
};

/// TCP ports that workers must not reach on control-plane machines: etcd's, peers' and clients', main and events.
const ETCD_PORTS: [i32; 4] = [2380, 2381, 4001, 4002];

pub(super) fn build(context: &Context<'_>) -> Vec<AwsResource> {
    let masters = names::security_group(Role::ControlPlane, context.cluster);
    let nodes = names::security_group(Role::Node, context.cluster);
    let mut resources = vec![
        group(context, &masters, "Security group for masters"),
        group(context, &nodes, "Security group for nodes"),
    ];
    let mut rules = Vec::new();
    for name in [&masters, &nodes] {
        rules.extend(leave(name));
        // Where there are bastions, there is no other way.
        let ssh = context.spec.ssh_access.iter().filter(|_| !bastion::is_used(context));
        rules.extend(ssh.map(|source| enter(name, peer(source), Traffic::tcp(22))));
    }
    rules.extend([
        enter(&masters, Peer::Group(masters.clone()), Traffic::ALL),
        enter(&nodes, Peer::Group(masters.clone()), Traffic::ALL),
        enter(&nodes, Peer::Group(nodes.clone()), Traffic::ALL),
    ]);
    rules.extend(
        workers_to_control_plane().map(|traffic| enter(&masters, Peer::Group(nodes.clone()), traffic)),
    );
    for source in &context.spec.node_port_access {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            rules.push(enter(&nodes, peer(source), Traffic::new(protocol, NODE_PORTS.0, NODE_PORTS.1)));
        }
    }
    match context.completed.load_balancer() {
        Some(balancer) => {
            let elb = context.api_security_group();
            let class = balancer.class.unwrap_or_default();
            rules.extend(from_balancer(&elb, &masters, class));
            // Somebody else's group has somebody else's rules.
            if balancer.security_group_override.is_none() {
                resources.push(group(context, &elb, "Security group for api ELB"));
                rules.extend(api_rules(context, &elb, &masters, &nodes, class));
            }
        }
        None => {
            let api = context.spec.kubernetes_api_access.iter();
            rules.extend(api.map(|source| enter(&masters, peer(source), Traffic::tcp(443))));
        }
    }
    resources.extend(bastion::security_groups(context));
    rules.extend(bastion::rules(context));
    resources.extend(rules.into_iter().map(AwsResource::SecurityGroupRule));
    resources.extend(key_pair(context));
    resources
}

pub(super) fn group(context: &Context<'_>, name: &str, description: &str) -> AwsResource {
    AwsResource::SecurityGroup(SecurityGroup {
        name: name.to_owned(),
        ownership: Ownership::Managed,
        description: description.to_owned(),
        vpc: context.vpc(),
        tags: context.tags(name),
    })
}

pub(super) fn enter(group: &str, peer: Peer, traffic: Traffic) -> SecurityGroupRule {
    SecurityGroupRule::ingress(group, peer, traffic)
}

/// All traffic may leave, IPv4 and IPv6.
pub(super) fn leave(group: &str) -> [SecurityGroupRule; 2] {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
    let v6 = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0);
    [Peer::Ipv4(v4), Peer::Ipv6(v6)].map(|peer| SecurityGroupRule::egress(group, peer, Traffic::ALL))
}

pub(super) fn peer(source: &AccessSource) -> Peer {
    match source {
        AccessSource::Cidr(IpNet::V4(range)) => Peer::Ipv4(range.trunc()),
        AccessSource::Cidr(IpNet::V6(range)) => Peer::Ipv6(range.trunc()),
        AccessSource::PrefixList(id) => Peer::PrefixList(id.clone()),
    }
}

/// Everything over UDP, and over TCP everything but etcd.
fn workers_to_control_plane() -> impl Iterator<Item = Traffic> {
    let mut start = 1;
    let mut ranges = Vec::new();
    for port in ETCD_PORTS.into_iter().chain([65536]) {
        if start < port {
            ranges.push(Traffic::new(Protocol::Tcp, start, port - 1));
        }
        start = port + 1;
    }
    ranges.into_iter().chain([Traffic::new(Protocol::Udp, 1, 65535)])
}

fn api_rules(
    context: &Context<'_>,
    elb: &str,
    masters: &str,
    nodes: &str,
    class: LoadBalancerClass,
) -> Vec<SecurityGroupRule> {
    let mut rules = Vec::from(leave(elb));
    for source in &context.spec.kubernetes_api_access {
        let peer = peer(source);
        // Without "packet too big", clients with a small MTU hang.
        let pmtu = if matches!(peer, Peer::Ipv6(_)) { Traffic::ICMPV6 } else { Traffic::ICMP_PMTU };
        rules.extend([enter(elb, peer.clone(), Traffic::tcp(443)), enter(elb, peer, pmtu)]);
    }
    rules.push(enter(elb, Peer::Group(nodes.to_owned()), Traffic::ALL));
    if class == LoadBalancerClass::Network {
        rules.push(enter(elb, Peer::Group(masters.to_owned()), Traffic::ICMP_PMTU));
    }
    rules
}

/// What the load balancer may send to the control plane.
fn from_balancer(elb: &str, masters: &str, class: LoadBalancerClass) -> Vec<SecurityGroupRule> {
    let pmtu = (class == LoadBalancerClass::Network).then_some(Traffic::ICMP_PMTU);
    let traffic = [Traffic::tcp(443)].into_iter().chain(pmtu);
    traffic.map(|traffic| enter(masters, Peer::Group(elb.to_owned()), traffic)).collect()
}

/// The key pair, unless the manifest names one.
fn key_pair(context: &Context<'_>) -> Option<AwsResource> {
    let key = context.facts.ssh_public_key.as_ref().filter(|_| context.spec.ssh_key_name.is_none())?;
    Some(AwsResource::SshKey(SshKey {
        name: context.key_pair()?,
        ownership: Ownership::Managed,
        public_key: key.to_string(),
        key_fingerprint: names::ec2_fingerprint(key),
        tags: context.tags(context.cluster),
    }))
}

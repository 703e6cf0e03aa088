//! Bastions: machines through which private ones are reached by SSH, behind a load balancer.
//!
//! They run nothing of Kubernetes, and fetch nothing.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::manifest::{Bastion, LoadBalancerType, Role, SubnetType};
use kops_core::resource::Ownership;

use super::Context;
use super::api::{balanced_subnets, target_group};
use super::security::{enter, group, leave, peer};
use crate::names;
use crate::resource::{
    AwsResource, LoadBalancerScheme, NetworkLoadBalancer, NetworkLoadBalancerListener, Peer,
    SecurityGroupRule, TargetGroup, Traffic,
};

const PORT: u16 = 22;
const SSH: Traffic = Traffic::tcp(PORT as i32);

/// Whether the cluster has bastions.
pub(super) fn is_used(context: &Context<'_>) -> bool {
    context.completed.groups_of(Role::Bastion).next().is_some()
}

fn settings<'a>(context: &Context<'a>) -> Option<&'a Bastion> {
    context.spec.topology.as_ref()?.bastion.as_ref()
}

/// The name that people gave the bastions, if there are any.
pub(super) fn public_name<'a>(context: &Context<'a>) -> Option<&'a str> {
    settings(context)?.bastion_public_name.as_deref().filter(|_| is_used(context))
}

/// The name of the load balancer.
pub(super) fn name(context: &Context<'_>) -> String {
    format!("{}.{}", names::BASTION, context.cluster)
}

/// The load balancer; nothing without bastions.
pub(super) fn build(context: &Context<'_>) -> Vec<AwsResource> {
    if !is_used(context) {
        return Vec::new();
    }
    let name = name(context);
    let balancer = settings(context).and_then(|bastion| bastion.load_balancer.as_ref());
    let internal = balancer.is_some_and(|balancer| balancer.type_ == Some(LoadBalancerType::Internal));
    let scheme = if internal { LoadBalancerScheme::Internal } else { LoadBalancerScheme::InternetFacing };
    let more = balancer.into_iter().flat_map(|balancer| &balancer.additional_security_groups);
    let ownership = Ownership::Managed;
    let targets = target_group_name(context);
    vec![
        AwsResource::NetworkLoadBalancer(NetworkLoadBalancer {
            name: name.clone(),
            ownership,
            load_balancer_name: targets.clone(),
            subnets: balanced_subnets(context, scheme),
            addresses: BTreeMap::new(),
            security_groups: more.cloned().chain([security_group(context)]).collect(),
            scheme,
            cross_zone_load_balancing: false,
            ip_address_type: "ipv4".to_owned(),
            tags: context.tags(&name),
            after: context.gateway_id().filter(|_| !internal).into_iter().collect(),
        }),
        AwsResource::NetworkLoadBalancerListener(NetworkLoadBalancerListener {
            name: format!("{name}-{PORT}"),
            ownership,
            network_load_balancer: name,
            port: PORT,
            protocol: "TCP".to_owned(),
            target_group: Some(targets.clone()),
        }),
        AwsResource::TargetGroup(TargetGroup { port: PORT, ..target_group(context, targets) }),
    ]
}

/// What machines of the role are registered with.
pub(super) fn target_group_name(context: &Context<'_>) -> String {
    names::load_balancer("bastion", context.cluster)
}

fn security_group(context: &Context<'_>) -> String {
    format!("{}{}", names::BASTION_SECURITY_GROUP, context.cluster)
}

/// The security groups of bastions and of their load balancer; nothing without bastions.
pub(super) fn security_groups(context: &Context<'_>) -> Vec<AwsResource> {
    if !is_used(context) {
        return Vec::new();
    }
    vec![
        group(context, &names::security_group(Role::Bastion, context.cluster), "Security group for bastion"),
        group(context, &security_group(context), "Security group for bastion ELB"),
    ]
}

/// SSH comes in through the load balancer, and goes on to the machines.
pub(super) fn rules(context: &Context<'_>) -> Vec<SecurityGroupRule> {
    if !is_used(context) {
        return Vec::new();
    }
    let bastion = names::security_group(Role::Bastion, context.cluster);
    let balancer = security_group(context);
    let mut rules = Vec::from(leave(&bastion));
    rules.extend(leave(&balancer));
    // Without "packet too big", connections over paths with a small MTU hang.
    rules.extend([
        enter(&bastion, Peer::Group(balancer.clone()), SSH),
        enter(&bastion, Peer::Group(balancer.clone()), Traffic::ICMP_PMTU),
        enter(&balancer, Peer::Group(bastion.clone()), Traffic::ICMP_PMTU),
    ]);
    for role in [Role::ControlPlane, Role::Node] {
        let machines = names::security_group(role, context.cluster);
        rules.push(enter(&machines, Peer::Group(bastion.clone()), SSH));
    }
    let outside = context.spec.ssh_access.iter().map(peer);
    // The load balancer checks its targets from its subnets.
    let utility = context.spec.subnets.iter().filter(|subnet| subnet.type_ == Some(SubnetType::Utility));
    let inside = utility.filter_map(|subnet| context.range(subnet)).map(Peer::Ipv4);
    let peers: BTreeSet<Peer> = outside.chain(inside).collect();
    for peer in peers {
        let pmtu = if matches!(peer, Peer::Ipv6(_)) { Traffic::ICMPV6 } else { Traffic::ICMP_PMTU };
        rules.extend([enter(&balancer, peer.clone(), SSH), enter(&balancer, peer, pmtu)]);
    }
    rules
}

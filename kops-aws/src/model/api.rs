//! The load balancer of the Kubernetes API.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::manifest::{
    LoadBalancer, LoadBalancerClass, LoadBalancerSubnet, LoadBalancerType, Subnet, SubnetType,
};
use kops_core::resource::{Ownership, ResourceId};

use super::Context;
use crate::names;
use crate::resource::{
    AwsResource, BalancerAddress, ClassicHealthCheck, ClassicListener, ClassicLoadBalancer,
    LoadBalancerScheme, NetworkLoadBalancer, NetworkLoadBalancerListener, TargetGroup, TargetHealthCheck,
    kind,
};

const PORT: u16 = 443;

pub(super) fn build(context: &Context<'_>) -> Vec<AwsResource> {
    let Some(balancer) = context.completed.load_balancer() else { return Vec::new() };
    match balancer.class.unwrap_or_default() {
        LoadBalancerClass::Classic => vec![classic(context, balancer)],
        LoadBalancerClass::Network => network(context, balancer),
    }
}

/// The classic load balancers and the target groups that control-plane machines are registered with.
pub(super) fn attachments(context: &Context<'_>) -> (Option<String>, Option<String>) {
    match context.completed.load_balancer().map(|balancer| balancer.class.unwrap_or_default()) {
        Some(LoadBalancerClass::Classic) => (Some(name(context)), None),
        Some(LoadBalancerClass::Network) => (None, Some(target_group_name(context))),
        None => (None, None),
    }
}

fn name(context: &Context<'_>) -> String {
    format!("api.{}", context.cluster)
}

fn target_group_name(context: &Context<'_>) -> String {
    names::load_balancer("tcp", context.cluster)
}

/// What the two classes share.
struct Common {
    subnets: BTreeSet<String>,
    security_groups: BTreeSet<String>,
    scheme: LoadBalancerScheme,
    after: BTreeSet<ResourceId>,
}

fn common(context: &Context<'_>, balancer: &LoadBalancer) -> Common {
    let (scheme, after) = match balancer.type_ {
        Some(LoadBalancerType::Internal) => (LoadBalancerScheme::Internal, None),
        // ELB refuses public addresses in a network without a gateway.
        Some(LoadBalancerType::Public) | None => (LoadBalancerScheme::InternetFacing, context.gateway_id()),
    };
    let groups = balancer.additional_security_groups.iter().cloned();
    Common {
        subnets: match balancer.subnets.as_slice() {
            [] => balanced_subnets(context, scheme),
            given => given_subnets(context, given).map(|(_, subnet)| subnet).collect(),
        },
        security_groups: groups.chain([context.api_security_group()]).collect(),
        scheme,
        after: after.into_iter().collect(),
    }
}

/// The subnets that the manifest names for the load balancer.
fn given_subnets<'a>(
    context: &Context<'a>,
    given: &'a [LoadBalancerSubnet],
) -> impl Iterator<Item = (&'a LoadBalancerSubnet, String)> {
    given.iter().filter_map(|given| Some((given, context.subnet(context.completed.subnet(&given.name)?))))
}

/// The addresses that the manifest gives the load balancer, by subnet.
fn addresses(context: &Context<'_>, given: &[LoadBalancerSubnet]) -> BTreeMap<String, BalancerAddress> {
    let address = |given: &LoadBalancerSubnet| {
        let public = given.allocation_id.clone().map(BalancerAddress::ElasticIp);
        public.or(given.private_ipv4_address.map(BalancerAddress::Private))
    };
    given_subnets(context, given).filter_map(|(given, subnet)| Some((subnet, address(given)?))).collect()
}

/// One subnet a zone: of several, that which the scheme suits best, then the first by name.
pub(super) fn balanced_subnets(context: &Context<'_>, scheme: LoadBalancerScheme) -> BTreeSet<String> {
    let has_private = context.completed.has_private_subnets();
    let rank = |subnet: &Subnet| match (scheme, subnet.type_) {
        (LoadBalancerScheme::InternetFacing, Some(SubnetType::Utility)) => Some(0),
        (LoadBalancerScheme::InternetFacing, Some(SubnetType::Public)) => Some(1),
        (LoadBalancerScheme::Internal, Some(SubnetType::Private | SubnetType::DualStack)) => Some(0),
        // A cluster without private subnets has its internal load balancer in the public ones.
        (LoadBalancerScheme::Internal, Some(SubnetType::Public)) if !has_private => Some(1),
        _ => None,
    };
    let mut best: BTreeMap<&str, (i32, &Subnet)> = BTreeMap::new();
    for subnet in &context.spec.subnets {
        let Some(rank) = rank(subnet) else { continue };
        let entry = best.entry(subnet.zone()).or_insert((rank, subnet));
        if (rank, &subnet.name) < (entry.0, &entry.1.name) {
            *entry = (rank, subnet);
        }
    }
    best.into_values().map(|(_, subnet)| context.subnet(subnet)).collect()
}

fn classic(context: &Context<'_>, balancer: &LoadBalancer) -> AwsResource {
    let name = name(context);
    let Common { subnets, security_groups, scheme, after } = common(context, balancer);
    AwsResource::ClassicLoadBalancer(ClassicLoadBalancer {
        load_balancer_name: names::load_balancer("api", context.cluster),
        ownership: Ownership::Managed,
        subnets,
        security_groups,
        listeners: BTreeSet::from([ClassicListener {
            protocol: "TCP".to_owned(),
            load_balancer_port: PORT,
            instance_protocol: "TCP".to_owned(),
            instance_port: PORT,
        }]),
        scheme,
        health_check: ClassicHealthCheck {
            // An `SSL` check never passes: its prober knows key exchange by RSA alone, which an API server does not offer.
            // <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html>
            target: format!("TCP:{PORT}"),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            interval: 10,
            timeout: 5,
        },
        // The API's watches are silent for minutes.
        idle_timeout: balancer.idle_timeout_seconds.unwrap_or(300),
        cross_zone_load_balancing: balancer.cross_zone_load_balancing.unwrap_or(false),
        tags: context.tags(&name),
        after,
        name,
    })
}

fn network(context: &Context<'_>, balancer: &LoadBalancer) -> Vec<AwsResource> {
    let name = name(context);
    let target_group = target_group_name(context);
    let Common { subnets, security_groups, scheme, after } = common(context, balancer);
    let ownership = Ownership::Managed;
    vec![
        AwsResource::NetworkLoadBalancer(NetworkLoadBalancer {
            name: name.clone(),
            ownership,
            load_balancer_name: names::load_balancer("api", context.cluster),
            subnets,
            addresses: addresses(context, &balancer.subnets),
            security_groups,
            scheme,
            cross_zone_load_balancing: balancer.cross_zone_load_balancing.unwrap_or(true),
            ip_address_type: "ipv4".to_owned(),
            tags: context.tags(&name),
            after,
        }),
        AwsResource::NetworkLoadBalancerListener(NetworkLoadBalancerListener {
            name: format!("{name}-{PORT}"),
            ownership,
            network_load_balancer: name,
            port: PORT,
            protocol: "TCP".to_owned(),
            target_group: Some(target_group.clone()),
        }),
        AwsResource::TargetGroup(self::target_group(context, target_group)),
    ]
}

/// Machines that clients reach through a load balancer, on the port of the API.
pub(super) fn target_group(context: &Context<'_>, name: String) -> TargetGroup {
    TargetGroup {
        ownership: Ownership::Managed,
        vpc: context.vpc(),
        port: PORT,
        protocol: "TCP".to_owned(),
        health_check: TargetHealthCheck {
            protocol: "TCP".to_owned(),
            path: None,
            interval: 10,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        },
        attributes: BTreeMap::from([
            ("deregistration_delay.connection_termination.enabled".to_owned(), "true".to_owned()),
            ("deregistration_delay.timeout_seconds".to_owned(), "30".to_owned()),
        ]),
        tags: context.tags(&name),
        name,
    }
}

impl Context<'_> {
    /// The security group of the API's load balancer: its own, or the one that the manifest names.
    pub(super) fn api_security_group(&self) -> String {
        let given =
            self.completed.load_balancer().and_then(|balancer| balancer.security_group_override.clone());
        given.unwrap_or_else(|| self.own_api_security_group())
    }

    fn own_api_security_group(&self) -> String {
        format!("{}{}", names::API_SECURITY_GROUP, self.cluster)
    }

    /// The internet gateway, if the cluster makes or names it.
    pub(super) fn gateway_id(&self) -> Option<ResourceId> {
        let name = self.internet_gateway().filter(|_| self.has_own_routes())?;
        Some(ResourceId::new(kind::INTERNET_GATEWAY, name))
    }
}

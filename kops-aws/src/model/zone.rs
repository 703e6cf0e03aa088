//! The names of a cluster in its hosted zone.

use kops_core::manifest::LoadBalancerClass;
use kops_core::resource::Ownership;
use kops_core::zone::is_within;

use super::{Context, bastion};
use crate::names;
use crate::resource::{AwsResource, DnsName};

/// The API's name leads to its load balancer. Without one, and for machines always, the control plane keeps the addresses.
pub(super) fn build(context: &Context<'_>) -> Vec<AwsResource> {
    let (Some(zone), Some(reference)) =
        (context.facts.hosted_zone(), context.completed.cluster.hosted_zone())
    else {
        return Vec::new();
    };
    let named = |name: String| DnsName {
        name,
        ownership: Ownership::Managed,
        zone: zone.id.clone(),
        resource_type: "A".to_owned(),
        classic_load_balancer: None,
        network_load_balancer: None,
        elsewhere: None,
    };
    let balancer = Some(format!("api.{}", context.cluster));
    let class = context.completed.load_balancer().map(|balancer| balancer.class.unwrap_or_default());
    let api = named(reference.api_name);
    let api = match class {
        Some(LoadBalancerClass::Classic) => DnsName { classic_load_balancer: balancer, ..api },
        Some(LoadBalancerClass::Network) => DnsName { network_load_balancer: balancer, ..api },
        None => api,
    };
    let internal = named(format!("{}.{}", names::API_INTERNAL, context.cluster));
    let bastion = bastion::public_name(context).map(|name| {
        let balancer = Some(bastion::name(context));
        DnsName { network_load_balancer: balancer, ..named(name.to_owned()) }
    });
    // Of a name elsewhere somebody else takes care.
    let own = [api, internal].into_iter().chain(bastion).filter(|name| is_within(&name.name, &zone.name));
    own.map(AwsResource::DnsName).collect()
}

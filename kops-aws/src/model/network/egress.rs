//! How traffic of private subnets leaves the network, zone by zone.

use std::collections::BTreeMap;

use kops_core::manifest::{Subnet as SubnetSpec, SubnetType};
use kops_core::resource::Ownership;

use super::{ANYWHERE, association, table};
use crate::model::{Context, ModelError};
use crate::resource::{AwsResource, ElasticIp, NatGateway, RouteTarget};

/// The private subnets of a zone share a table of routes, and what it leads to.
pub(super) fn build(context: &Context<'_>, private: &[&SubnetSpec]) -> Result<Vec<AwsResource>, ModelError> {
    let mut zones: BTreeMap<&str, Vec<&SubnetSpec>> = BTreeMap::new();
    for subnet in private {
        zones.entry(subnet.zone()).or_default().push(subnet);
    }
    let mut resources = Vec::new();
    for (zone, subnets) in zones {
        let role = format!("private-{zone}");
        let name = format!("{role}.{}", context.cluster);
        let (target, made) = way_out(context, zone, subnets[0].egress.as_deref())?;
        resources.extend(made);
        resources.extend(table(context, &name, &role, route_of(zone), Some(target)));
        resources.extend(subnets.into_iter().map(|subnet| association(context, &name, subnet)));
    }
    Ok(resources)
}

/// The name of the route to everywhere of a zone.
pub(super) fn route_of(zone: &str) -> String {
    format!("private-{zone}-{ANYWHERE}")
}

/// What traffic of a zone is sent to, and what has to be made for it.
fn way_out(
    context: &Context<'_>,
    zone: &str,
    egress: Option<&str>,
) -> Result<(RouteTarget, Vec<AwsResource>), ModelError> {
    let given = egress.unwrap_or_default();
    let address = match given.split_once('-').map(|(kind, _)| kind) {
        Some("nat") => return Ok((RouteTarget::NatGateway(given.to_owned()), Vec::new())),
        Some("i") => return Ok((RouteTarget::Instance(given.to_owned()), Vec::new())),
        Some("tgw") => return Ok((RouteTarget::TransitGateway(given.to_owned()), Vec::new())),
        Some("eipalloc") => Some(given.to_owned()),
        // What else there could be, validation refuses.
        _ => None,
    };
    let name = format!("{zone}.{}", context.cluster);
    let tags = context.tags(&name);
    let ownership = Ownership::Managed;
    let mut made = Vec::new();
    let elastic_ip = address.unwrap_or_else(|| {
        made.push(AwsResource::ElasticIp(ElasticIp { name: name.clone(), ownership, tags: tags.clone() }));
        name.clone()
    });
    let subnet = utility_subnet(context, zone).ok_or_else(|| ModelError::NoUtilitySubnet(zone.to_owned()))?;
    made.push(AwsResource::NatGateway(NatGateway {
        name: name.clone(),
        ownership,
        subnet: context.subnet(subnet),
        elastic_ip,
        tags,
    }));
    Ok((RouteTarget::NatGateway(name), made))
}

/// Where a gateway of the zone stands.
fn utility_subnet<'a>(context: &Context<'a>, zone: &str) -> Option<&'a SubnetSpec> {
    let in_zone = |type_| {
        let mut subnets = context.spec.subnets.iter();
        subnets.find(|subnet| subnet.zone() == zone && subnet.type_ == Some(type_))
    };
    in_zone(SubnetType::Utility).or_else(|| in_zone(SubnetType::Public))
}

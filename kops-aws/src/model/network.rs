//! Network, subnets and routes.

mod egress;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kops_core::manifest::{Subnet as SubnetSpec, SubnetType};
use kops_core::resource::Ownership;

use super::{Context, ModelError};
use crate::resource::{
    AwsResource, DhcpOptions, InternetGateway, Route, RouteTable, RouteTableAssociation, RouteTarget, Shared,
    Subnet, Vpc, VpcDhcpOptionsAssociation, kind,
};
use crate::tags;

/// What stands for a way to the internet that somebody else sets up.
const EXTERNAL: &str = "External";
const ANYWHERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

pub(super) fn build(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    let mut resources = vpc(context)?;
    let subnets = context.spec.subnets.iter();
    let (shared, own): (Vec<_>, Vec<_>) = subnets.partition(|subnet| subnet.id.is_some());
    shared.into_iter().try_for_each(|subnet| check_shared_subnet(context, subnet))?;
    for subnet in &own {
        resources.push(own_subnet(context, subnet, context.subnet(subnet))?);
    }
    // Of others somebody else sets up the routes.
    let routed: Vec<_> = own.into_iter().filter(|subnet| !is_external(subnet)).collect();
    let (private, public): (Vec<&SubnetSpec>, Vec<_>) =
        routed.into_iter().partition(|subnet| is_private(subnet));
    if !public.is_empty() || !private.is_empty() {
        resources.push(gateway(context)?);
        resources.extend(public_routes(context, &public));
    }
    resources.extend(egress::build(context, &private)?);
    Ok(resources)
}

impl Context<'_> {
    /// Whether the cluster makes subnets and sets up their routes.
    pub(super) fn has_own_routes(&self) -> bool {
        self.spec.subnets.iter().any(|subnet| subnet.id.is_none() && !is_external(subnet))
    }
}

fn is_private(subnet: &SubnetSpec) -> bool {
    matches!(subnet.type_, Some(SubnetType::Private | SubnetType::DualStack))
}

fn is_external(subnet: &SubnetSpec) -> bool {
    subnet.egress.as_deref() == Some(EXTERNAL)
}

/// The name of the route by which machines in a subnet reach the internet; nothing where somebody else sets up the routes.
pub(super) fn way_out_of(subnet: &SubnetSpec) -> Option<String> {
    if subnet.id.is_some() || is_external(subnet) {
        return None;
    }
    Some(match is_private(subnet) {
        true => egress::route_of(subnet.zone()),
        false => ANYWHERE.to_string(),
    })
}

/// The routes of subnets with a direct way to the internet.
fn public_routes(context: &Context<'_>, subnets: &[&SubnetSpec]) -> Vec<AwsResource> {
    let target = context.internet_gateway().map(RouteTarget::InternetGateway);
    let mut resources = Vec::from(table(context, context.cluster, "public", ANYWHERE.to_string(), target));
    resources.extend(subnets.iter().map(|subnet| association(context, context.cluster, subnet)));
    resources
}

/// A table of routes, with its route to everywhere.
fn table(
    context: &Context<'_>,
    name: &str,
    role: &str,
    route: String,
    target: Option<RouteTarget>,
) -> [AwsResource; 2] {
    let mut tags = context.tags(name);
    tags.insert(tags::ROUTE_TABLE_ROLE.to_owned(), role.to_owned());
    let ownership = Ownership::Managed;
    [
        AwsResource::RouteTable(RouteTable { name: name.to_owned(), ownership, vpc: context.vpc(), tags }),
        AwsResource::Route(Route {
            name: route,
            ownership,
            route_table: name.to_owned(),
            cidr: ANYWHERE,
            target,
        }),
    ]
}

fn association(context: &Context<'_>, table: &str, subnet: &SubnetSpec) -> AwsResource {
    let name = context.subnet(subnet);
    AwsResource::RouteTableAssociation(RouteTableAssociation {
        name: name.clone(),
        ownership: Ownership::Managed,
        route_table: table.to_owned(),
        subnet: name,
    })
}

fn vpc(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    if context.spec.network_id.is_some() {
        // Its owner decides which options it uses.
        let options = context.facts.vpc.as_ref().and_then(|vpc| vpc.dhcp_options.clone());
        let options = options.map(|options| AwsResource::Shared(Shared::new(kind::DHCP_OPTIONS, options)));
        return Ok(options.into_iter().collect());
    }
    let name = context.cluster.to_owned();
    let ownership = Ownership::Managed;
    let cidr = context.spec.network_cidr.ok_or(ModelError::Missing("spec.networkCIDR"))?;
    // EC2 user guide, "DHCP option sets in Amazon VPC".
    let domain_name = match context.facts.region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    Ok(vec![
        AwsResource::Vpc(Vpc {
            name: name.clone(),
            ownership,
            cidr,
            enable_dns_hostnames: true,
            enable_dns_support: true,
            tags: context.tags(&name),
        }),
        AwsResource::DhcpOptions(DhcpOptions {
            name: name.clone(),
            ownership,
            domain_name,
            domain_name_servers: vec!["AmazonProvidedDNS".to_owned()],
            tags: context.tags(&name),
        }),
        AwsResource::VpcDhcpOptionsAssociation(VpcDhcpOptionsAssociation {
            name: name.clone(),
            ownership,
            vpc: name.clone(),
            dhcp_options: name,
        }),
    ])
}

fn gateway(context: &Context<'_>) -> Result<AwsResource, ModelError> {
    if let Some(id) = &context.spec.network_id {
        let gateway = context.internet_gateway().ok_or_else(|| ModelError::NoInternetGateway(id.clone()))?;
        return Ok(AwsResource::Shared(Shared::new(kind::INTERNET_GATEWAY, gateway)));
    }
    let name = context.cluster.to_owned();
    let tags = context.tags(&name);
    let vpc = Some(context.vpc());
    Ok(AwsResource::InternetGateway(InternetGateway { name, ownership: Ownership::Managed, vpc, tags }))
}

fn has_dual_stack(context: &Context<'_>, zone: &str) -> bool {
    let is_one = |subnet: &SubnetSpec| subnet.type_ == Some(SubnetType::DualStack) && subnet.zone() == zone;
    context.spec.subnets.iter().any(is_one)
}

fn own_subnet(context: &Context<'_>, subnet: &SubnetSpec, name: String) -> Result<AwsResource, ModelError> {
    let mut tags = context.tags(&name);
    // In a topology without private subnets, internal load balancers go to the public ones.
    let balancers: &[&str] = match subnet.type_ {
        Some(SubnetType::Public) if !context.completed.has_private_subnets() => {
            &[tags::SUBNET_ELB, tags::SUBNET_INTERNAL_ELB]
        }
        Some(SubnetType::Public | SubnetType::Utility) => &[tags::SUBNET_ELB],
        // Where a zone has subnets of both kinds, internal load balancers go to those with IPv6.
        Some(SubnetType::Private) if has_dual_stack(context, subnet.zone()) => &[],
        Some(SubnetType::Private | SubnetType::DualStack) => &[tags::SUBNET_INTERNAL_ELB],
        None => &[],
    };
    tags.extend(balancers.iter().map(|key| ((*key).to_owned(), "1".to_owned())));
    if let Some(type_) = subnet.type_ {
        tags.insert(tags::SUBNET_TYPE.to_owned(), format!("{type_:?}"));
    }
    Ok(AwsResource::Subnet(Subnet {
        name,
        ownership: Ownership::Managed,
        short_name: subnet.name.clone(),
        vpc: context.vpc(),
        availability_zone: subnet.zone().to_owned(),
        cidr: subnet.cidr.ok_or(ModelError::Missing("spec.subnets[].cidr"))?,
        resource_based_naming: true,
        tags,
    }))
}

/// What the manifest says of somebody else's subnet has to be true.
fn check_shared_subnet(context: &Context<'_>, subnet: &SubnetSpec) -> Result<(), ModelError> {
    let id = context.subnet(subnet);
    let Some(fact) = context.facts.subnets.get(&subnet.name) else {
        return Err(ModelError::UnknownSubnet(id));
    };
    let differs = |what, manifest: &str, aws: &str| {
        let (manifest, aws) = (manifest.to_owned(), aws.to_owned());
        Err(ModelError::SubnetDiffers { subnet: id.clone(), what, manifest, aws })
    };
    if fact.zone != subnet.zone() {
        return differs("zone", subnet.zone(), &fact.zone);
    }
    if let Some(cidr) = subnet.cidr
        && cidr != fact.cidr
    {
        return differs("address range", &cidr.to_string(), &fact.cidr.to_string());
    }
    if context.vpc() != fact.vpc {
        return differs("network", &context.vpc(), &fact.vpc);
    }
    Ok(())
}

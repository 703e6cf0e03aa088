//! Network, subnets and routes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kops_core::manifest::{Subnet as SubnetSpec, SubnetType};
use kops_core::resource::Ownership;

use super::{Context, ModelError};
use crate::resource::{
    AwsResource, DhcpOptions, InternetGateway, Route, RouteTable, RouteTableAssociation, Shared, Subnet, Vpc,
    VpcDhcpOptionsAssociation, kind,
};
use crate::tags;

const ANYWHERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

pub(super) fn build(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    let mut resources = vpc(context)?;
    let subnets = context.spec.subnets.iter();
    let (shared, own): (Vec<_>, Vec<_>) = subnets.partition(|subnet| subnet.id.is_some());
    shared.into_iter().try_for_each(|subnet| check_shared_subnet(context, subnet))?;
    if own.is_empty() {
        return Ok(resources);
    }
    let cluster = context.cluster.to_owned();
    let mut route_table_tags = context.tags(&cluster);
    route_table_tags.insert(tags::ROUTE_TABLE_ROLE.to_owned(), "public".to_owned());
    resources.extend([
        gateway(context)?,
        AwsResource::RouteTable(RouteTable {
            name: cluster.clone(),
            ownership: Ownership::Managed,
            vpc: context.vpc(),
            tags: route_table_tags,
        }),
        AwsResource::Route(Route {
            name: ANYWHERE.to_string(),
            ownership: Ownership::Managed,
            route_table: cluster.clone(),
            cidr: ANYWHERE,
            internet_gateway: context.internet_gateway(),
        }),
    ]);
    for subnet in own {
        let name = context.subnet(subnet);
        resources.push(own_subnet(context, subnet, name.clone())?);
        resources.push(AwsResource::RouteTableAssociation(RouteTableAssociation {
            name: name.clone(),
            ownership: Ownership::Managed,
            route_table: cluster.clone(),
            subnet: name,
        }));
    }
    Ok(resources)
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

fn own_subnet(context: &Context<'_>, subnet: &SubnetSpec, name: String) -> Result<AwsResource, ModelError> {
    let mut tags = context.tags(&name);
    // In a topology without private subnets, internal load balancers go to the public ones.
    let balancers: &[&str] = match subnet.type_ {
        Some(SubnetType::Public) if !context.completed.has_private_subnets() => {
            &[tags::SUBNET_ELB, tags::SUBNET_INTERNAL_ELB]
        }
        Some(SubnetType::Public | SubnetType::Utility) => &[tags::SUBNET_ELB],
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

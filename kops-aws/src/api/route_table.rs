//! Route tables, their routes, and the subnets that use them: one call reads all three.

use aws_sdk_ec2::types::{
    ResourceType, Route as Ec2Route, RouteOrigin, RouteTable as Ec2RouteTable,
    RouteTableAssociation as Ec2Association, Tag,
};
use ipnet::Ipv4Net;
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::{Names, name_tag};
use super::nat_gateway;
use super::tag;
use crate::resource::{AwsResource, Route, RouteTable, RouteTableAssociation, RouteTarget, kind};
use crate::tags;

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2RouteTable>, CloudError> {
    let pages = api
        .ec2
        .describe_route_tables()
        .filters(tag::owned(scope))
        .into_paginator()
        .page_size(100)
        .items()
        .send();
    api.ec2(Purpose::OBSERVE, "ec2:DescribeRouteTables", pages.collect::<Result<_, _>>()).await
}

/// What the names of tables of private subnets begin with, before the zone.
const PRIVATE: &str = "private-";

/// The cluster's own tables go by what they are for, others by their handles.
pub(super) fn learn(tables: &[Ec2RouteTable], scope: &Scope, names: &mut Names) {
    for table in tables {
        let handle = table.route_table_id().unwrap_or_default();
        names.learn(handle, own_name(table.tags(), scope).as_deref().unwrap_or(handle));
    }
}

fn own_name(of: &[Tag], scope: &Scope) -> Option<String> {
    let role = of.iter().find(|tag| tag.key() == Some(tags::ROUTE_TABLE_ROLE)).and_then(|tag| tag.value());
    let zone = |name: &str| name.starts_with(PRIVATE);
    match role {
        Some("public") => return Some(scope.cluster.clone()),
        Some(role) if zone(role) => return Some(format!("{role}.{}", scope.cluster)),
        _ => {}
    }
    let name = name_tag(of)?;
    let rest = name.strip_suffix(scope.cluster.as_str())?;
    (rest.is_empty() || zone(rest) && rest.ends_with('.')).then(|| name.to_owned())
}

pub(super) fn resources(tables: &[Ec2RouteTable], names: &Names) -> Vec<Observed<AwsResource>> {
    tables.iter().flat_map(|table| of_table(table, names)).collect()
}

fn of_table(table: &Ec2RouteTable, names: &Names) -> Vec<Observed<AwsResource>> {
    let (Some(handle), Some(vpc)) = (table.route_table_id(), table.vpc_id()) else { return Vec::new() };
    let name = names.of(handle);
    let itself = Observed {
        resource: AwsResource::RouteTable(RouteTable {
            name: name.clone(),
            ownership: names.ownership(handle),
            vpc: names.of(vpc),
            tags: tag::from_ec2(table.tags()),
        }),
        handle: Handle(handle.to_owned()),
        uses: vec![Handle(vpc.to_owned())],
    };
    let routes = table.routes().iter().filter(|r| r.origin() == Some(&RouteOrigin::CreateRoute));
    let routes = routes.filter_map(|route| {
        let cidr: Ipv4Net = route.destination_cidr_block()?.parse().ok()?;
        let target = target_of(route);
        let resource = AwsResource::Route(Route {
            name: route_name(&name, cidr, names.is_named(handle)),
            // The way to the internet is kops's; the cloud controller adds the ranges of pods, people other networks.
            ownership: if cidr.prefix_len() == 0 { names.ownership(handle) } else { Ownership::Dependent },
            route_table: name.clone(),
            cidr,
            target: target.clone().map(|(kind, target)| kind(names.of(target))),
        });
        let target = target.map(|(_, target)| target);
        let uses = std::iter::once(handle).chain(target).map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(format!("{handle}/{cidr}")), uses })
    });
    let associations = table.associations().iter().filter_map(|association| {
        let subnet = association.subnet_id()?;
        let association = association.route_table_association_id()?;
        let resource = AwsResource::RouteTableAssociation(RouteTableAssociation {
            name: names.of(subnet),
            ownership: if names.is_named(subnet) { names.ownership(handle) } else { Ownership::Dependent },
            route_table: name.clone(),
            subnet: names.of(subnet),
        });
        let uses = vec![Handle(handle.to_owned()), Handle(subnet.to_owned())];
        Some(Observed { resource, handle: Handle(association.to_owned()), uses })
    });
    std::iter::once(itself).chain(routes).chain(associations).collect()
}

/// Where a route leads to: of which kind it is, and its handle.
fn target_of(route: &Ec2Route) -> Option<(fn(String) -> RouteTarget, &str)> {
    let targets: [(fn(String) -> RouteTarget, Option<&str>); 6] = [
        (RouteTarget::InternetGateway, route.gateway_id()),
        (RouteTarget::NatGateway, route.nat_gateway_id()),
        (RouteTarget::Instance, route.instance_id()),
        (RouteTarget::TransitGateway, route.transit_gateway_id()),
        (RouteTarget::VpcPeeringConnection, route.vpc_peering_connection_id()),
        // Of a machine, EC2 names the interface beside it.
        (RouteTarget::NetworkInterface, route.network_interface_id()),
    ];
    targets.into_iter().find_map(|(kind, handle)| Some((kind, handle?)))
}

/// The name of a route: its destination, after the zone where its table is that of private subnets, and after the table
/// where that is not kops's.
fn route_name(table: &str, cidr: Ipv4Net, is_own: bool) -> String {
    match table.split_once('.').map(|(first, _)| first).filter(|first| first.starts_with(PRIVATE)) {
        Some(private) => format!("{private}-{cidr}"),
        None if is_own => cidr.to_string(),
        None => format!("{table}-{cidr}"),
    }
}

/// The cluster's table of that name in a network, if there is one: of several the first.
async fn find(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
    vpc: &Handle,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let tables = read(api, scope).await?;
    let mut names = Names::default();
    learn(&tables, scope, &mut names);
    let id = request.desired.id();
    let mut found: Vec<_> = resources(&tables, &names)
        .into_iter()
        .filter(|o| o.resource.id() == id && o.uses.contains(vpc))
        .filter(|o| request.bindings.check_adoption(&id, &o.handle).is_ok())
        .collect();
    found.sort_by(|a, b| a.handle.cmp(&b.handle));
    Ok(found.into_iter().next())
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &RouteTable,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let vpc = request.bindings.resolve(&id, &ResourceId::new(kind::VPC, &desired.vpc))?;
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = match request.current {
        Some(current) => Some(current.clone()),
        None => find(api, scope, request, &vpc).await?,
    };
    if let Some(Observed { resource: AwsResource::RouteTable(current), handle, .. }) = found {
        let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
        let outcome = if tagged { Outcome::Updated } else { Outcome::Unchanged };
        slot.finish();
        return Ok(Ensured { handle, outcome });
    }
    let call = api
        .ec2
        .create_route_table()
        .vpc_id(vpc.as_str())
        .client_token(slot.token(scope, request.desired, Some(&vpc), SystemClock.now()))
        .tag_specifications(tag::specification(ResourceType::RouteTable, &desired.tags))
        .send();
    let made = api.ec2(Purpose::create(&id), "ec2:CreateRouteTable", call).await?;
    let handle = made.route_table.and_then(|table| table.route_table_id);
    let handle = Handle(handle.ok_or_else(|| missing(Purpose::create(&id), "an id"))?);
    slot.finish();
    // What the token once made may be what this run deletes.
    request.bindings.check_adoption(&id, &handle)?;
    Ok(Ensured { handle, outcome: Outcome::Created })
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_route_table().route_table_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteRouteTable", call).await;
    deleted(api, target, result).await
}

pub(super) async fn ensure_route(
    api: &Api,
    desired: &Route,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let table = request.bindings.resolve(&id, &ResourceId::new(kind::ROUTE_TABLE, &desired.route_table))?;
    let to = desired.target.as_ref().ok_or_else(|| missing(Purpose::create(&id), "a target"))?;
    let target = match to {
        RouteTarget::InternetGateway(name) => {
            request.bindings.resolve(&id, &ResourceId::new(kind::INTERNET_GATEWAY, name))?.0
        }
        RouteTarget::NatGateway(name) => {
            request.bindings.resolve(&id, &ResourceId::new(kind::NAT_GATEWAY, name))?.0
        }
        RouteTarget::Instance(handle)
        | RouteTarget::TransitGateway(handle)
        | RouteTarget::VpcPeeringConnection(handle)
        | RouteTarget::NetworkInterface(handle) => handle.clone(),
    };
    let given = |is_it: fn(&RouteTarget) -> bool| is_it(to).then(|| target.clone());
    let gateway = given(|to| matches!(to, RouteTarget::InternetGateway(_)));
    let nat = given(|to| matches!(to, RouteTarget::NatGateway(_)));
    let instance = given(|to| matches!(to, RouteTarget::Instance(_)));
    let transit = given(|to| matches!(to, RouteTarget::TransitGateway(_)));
    let peering = given(|to| matches!(to, RouteTarget::VpcPeeringConnection(_)));
    let interface = given(|to| matches!(to, RouteTarget::NetworkInterface(_)));
    let cidr = desired.cidr.to_string();
    let handle = Handle(format!("{table}/{cidr}"));
    let same = |current: &Observed<AwsResource>| {
        current.handle == handle && current.uses.get(1).map(Handle::as_str) == Some(target.as_str())
    };
    if request.current.is_some_and(same) {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    if request.current.is_none() {
        let create = api.ec2.create_route().route_table_id(table.as_str()).destination_cidr_block(&cidr);
        let call = create
            .set_gateway_id(gateway.clone())
            .set_nat_gateway_id(nat.clone())
            .set_instance_id(instance.clone())
            .set_transit_gateway_id(transit.clone())
            .set_vpc_peering_connection_id(peering.clone())
            .set_network_interface_id(interface.clone())
            .send();
        match api.ec2(Purpose::create(&id), "ec2:CreateRoute", call).await {
            Ok(_) => return Ok(Ensured { handle, outcome: Outcome::Created }),
            // There is one to that destination: it is made to lead where it should.
            Err(error) if error.class == ErrorClass::AlreadyExists => {}
            Err(error) => return Err(unreachable(api, &id, nat.as_deref(), error).await),
        }
    }
    let replace = api.ec2.replace_route().route_table_id(table.as_str()).destination_cidr_block(&cidr);
    let call = replace
        .set_gateway_id(gateway)
        .set_nat_gateway_id(nat.clone())
        .set_instance_id(instance)
        .set_transit_gateway_id(transit)
        .set_vpc_peering_connection_id(peering)
        .set_network_interface_id(interface)
        .send();
    match api.ec2(Purpose::change(&id), "ec2:ReplaceRoute", call).await {
        Ok(_) => Ok(Ensured { handle, outcome: Outcome::Updated }),
        Err(error) => Err(unreachable(api, &id, nat.as_deref(), error).await),
    }
}

/// Why a route cannot lead where it should: of a gateway that is still being made it is worth waiting, of one that failed
/// it is not.
async fn unreachable(api: &Api, id: &ResourceId, nat: Option<&str>, error: CloudError) -> CloudError {
    match nat.filter(|_| error.class == ErrorClass::NotYetVisible) {
        None => error,
        Some(nat) => match nat_gateway::failure(api, id, nat).await {
            Ok(Some(failed)) => failed,
            Ok(None) | Err(_) => error,
        },
    }
}

pub(super) async fn delete_route(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let (table, cidr) = target.handle.as_str().split_once('/').unwrap_or_default();
    let call = api.ec2.delete_route().route_table_id(table).destination_cidr_block(cidr).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DeleteRoute", call).await).map(drop)
}

pub(super) async fn ensure_association(
    api: &Api,
    desired: &RouteTableAssociation,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let table = request.bindings.resolve(&id, &ResourceId::new(kind::ROUTE_TABLE, &desired.route_table))?;
    let subnet = request.bindings.resolve(&id, &ResourceId::new(kind::SUBNET, &desired.subnet))?;
    let (found, used) = match request.current {
        Some(current) => (current.handle.clone(), current.uses.first().cloned()),
        None => {
            let call = api
                .ec2
                .associate_route_table()
                .route_table_id(table.as_str())
                .subnet_id(subnet.as_str())
                .send();
            match api.ec2(Purpose::create(&id), "ec2:AssociateRouteTable", call).await {
                Ok(made) => {
                    let handle = made.association_id.ok_or_else(|| missing(Purpose::create(&id), "an id"))?;
                    return Ok(Ensured { handle: Handle(handle), outcome: Outcome::Created });
                }
                // `Resource.AlreadyAssociated`: a subnet uses one table, be it this one or another.
                Err(error) if error.class == ErrorClass::Conflict => {
                    find_association(api, &id, &subnet).await?.ok_or(error)?
                }
                Err(error) => return Err(error),
            }
        }
    };
    if used.as_ref() == Some(&table) {
        return Ok(Ensured { handle: found, outcome: Outcome::Unchanged });
    }
    let replace = api.ec2.replace_route_table_association().association_id(found.as_str());
    let call = replace.route_table_id(table.as_str()).send();
    let made = api.ec2(Purpose::change(&id), "ec2:ReplaceRouteTableAssociation", call).await?;
    let handle = made.new_association_id.ok_or_else(|| missing(Purpose::change(&id), "an id"))?;
    Ok(Ensured { handle: Handle(handle), outcome: Outcome::Updated })
}

/// The association of a subnet, and whose table it is to.
async fn find_association(
    api: &Api,
    id: &ResourceId,
    subnet: &Handle,
) -> Result<Option<(Handle, Option<Handle>)>, CloudError> {
    let of_subnet = tag::filter("association.subnet-id", subnet.as_str());
    let call = api.ec2.describe_route_tables().filters(of_subnet).send();
    let tables = api.ec2(Purpose::change(id), "ec2:DescribeRouteTables", call).await?;
    Ok(tables.route_tables().iter().find_map(|table| {
        let its = |it: &&Ec2Association| it.subnet_id() == Some(subnet.as_str());
        let association = table.associations().iter().find(its)?.route_table_association_id()?;
        let table = table.route_table_id().map(|table| Handle(table.to_owned()));
        Some((Handle(association.to_owned()), table))
    }))
}

pub(super) async fn delete_association(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.disassociate_route_table().association_id(target.handle.as_str()).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DisassociateRouteTable", call).await).map(drop)
}

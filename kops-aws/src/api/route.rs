//! The routes of route tables.

use aws_sdk_ec2::types::{Route as Ec2Route, RouteOrigin, RouteTable as Ec2RouteTable};
use ipnet::Ipv4Net;
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::Names;
use super::nat_gateway;
use super::route_table::PRIVATE;
use crate::resource::{AwsResource, Route, RouteTarget, kind};

/// The routes of a table that is called `table`, but for those that EC2 makes.
pub(super) fn resources(
    of: &Ec2RouteTable,
    handle: &str,
    table: &str,
    names: &Names,
) -> Vec<Observed<AwsResource>> {
    let routes = of.routes().iter().filter(|route| route.origin() == Some(&RouteOrigin::CreateRoute));
    let one = |route: &Ec2Route| {
        let cidr: Ipv4Net = route.destination_cidr_block()?.parse().ok()?;
        let target = target_of(route);
        let resource = AwsResource::Route(Route {
            name: route_name(table, cidr, names.is_named(handle)),
            // The way to the internet is kops's; the cloud controller adds the ranges of pods, people other networks.
            ownership: if cidr.prefix_len() == 0 { names.ownership(handle) } else { Ownership::Dependent },
            route_table: table.to_owned(),
            cidr,
            target: target.as_ref().map(|target| (target.kind)(names.of(target.handle))),
        });
        let target = target.map(|target| target.handle);
        let uses = std::iter::once(handle).chain(target).map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(format!("{handle}/{cidr}")), uses })
    };
    routes.filter_map(one).collect()
}

/// Where a route leads to.
struct Target<'a> {
    kind: fn(String) -> RouteTarget,
    handle: &'a str,
}

fn target_of(route: &Ec2Route) -> Option<Target<'_>> {
    let target = |kind: fn(String) -> RouteTarget, handle| Some(Target { kind, handle: handle? });
    target(RouteTarget::InternetGateway, route.gateway_id())
        .or_else(|| target(RouteTarget::NatGateway, route.nat_gateway_id()))
        .or_else(|| target(RouteTarget::Instance, route.instance_id()))
        .or_else(|| target(RouteTarget::TransitGateway, route.transit_gateway_id()))
        .or_else(|| target(RouteTarget::VpcPeeringConnection, route.vpc_peering_connection_id()))
        // Of a machine, EC2 names the interface beside it.
        .or_else(|| target(RouteTarget::NetworkInterface, route.network_interface_id()))
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

pub(super) async fn ensure(
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

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let (table, cidr) = target.handle.as_str().split_once('/').unwrap_or_default();
    let call = api.ec2.delete_route().route_table_id(table).destination_cidr_block(cidr).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DeleteRoute", call).await).map(drop)
}

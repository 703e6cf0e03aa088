//! NAT gateways, by which machines in private subnets reach the internet.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{NatGateway as Ec2NatGateway, NatGatewayState, ResourceType};
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Deletion, Ensure, Ensured, Outcome, Scope};
use kops_core::error::{ErrorClass, Retry};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, missing};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, NatGateway, kind};

/// Those that are there, or will be. One that failed or was deleted is listed for an hour, and is nothing.
pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2NatGateway>, CloudError> {
    let pages = api.ec2.describe_nat_gateways().filter(tag::owned(scope)).into_paginator().items().send();
    let all: Vec<Ec2NatGateway> =
        api.ec2(Purpose::OBSERVE, "ec2:DescribeNatGateways", pages.collect::<Result<_, _>>()).await?;
    Ok(all.into_iter().filter(is_there).collect())
}

fn is_there(gateway: &Ec2NatGateway) -> bool {
    matches!(gateway.state(), Some(NatGatewayState::Pending | NatGatewayState::Available))
}

/// The cluster's own gateways go by their names, others by their handles.
pub(super) fn learn(gateways: &[Ec2NatGateway], scope: &Scope, names: &mut Names) {
    for gateway in gateways {
        names.learn_own(gateway.nat_gateway_id().unwrap_or_default(), gateway.tags(), scope);
    }
}

pub(super) fn resources(gateways: &[Ec2NatGateway], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |gateway: &Ec2NatGateway| {
        let handle = gateway.nat_gateway_id()?;
        let subnet = gateway.subnet_id()?;
        let address = gateway.nat_gateway_addresses().iter().find_map(|address| address.allocation_id());
        let resource = AwsResource::NatGateway(NatGateway {
            name: names.of(handle),
            ownership: names.ownership(handle),
            subnet: names.of(subnet),
            elastic_ip: address.map(|address| names.of(address)).unwrap_or_default(),
            tags: tag::from_ec2(gateway.tags()),
        });
        let uses = std::iter::once(subnet).chain(address).map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses })
    };
    gateways.iter().filter_map(one).collect()
}

/// Returns as soon as EC2 has begun. A route to a gateway that is not available yet is refused, and tried again.
pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &NatGateway,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let resolve = |kind, name: &str| request.bindings.resolve(&id, &ResourceId::new(kind, name));
    let subnet = resolve(kind::SUBNET, &desired.subnet)?;
    let address = resolve(kind::ELASTIC_IP, &desired.elastic_ip)?;
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = match request.current {
        Some(current) => Some(current.clone()),
        None => find(api, scope, request, &subnet, &address).await?,
    };
    if let Some(Observed { resource: AwsResource::NatGateway(current), handle, .. }) = found {
        let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
        slot.finish();
        let outcome = if tagged { Outcome::Updated } else { Outcome::Unchanged };
        return Ok(Ensured { handle, outcome });
    }
    let call = api
        .ec2
        .create_nat_gateway()
        .subnet_id(subnet.as_str())
        .allocation_id(address.as_str())
        .client_token(slot.token(scope, request.desired, Some(&address), SystemClock.now()))
        .tag_specifications(tag::specification(ResourceType::Natgateway, &desired.tags))
        .send();
    let made = api.ec2(Purpose::create(&id), "ec2:CreateNatGateway", call).await?;
    let gateway = made.nat_gateway.ok_or_else(|| missing(Purpose::create(&id), "the gateway"))?;
    let handle = gateway.nat_gateway_id.clone().map(Handle);
    let handle = handle.ok_or_else(|| missing(Purpose::create(&id), "an id"))?;
    slot.finish();
    // What the token once made may be what this run deletes, or what has failed.
    request.bindings.check_adoption(&id, &handle)?;
    Ok(Ensured { handle, outcome: Outcome::Created })
}

/// The cluster's gateway of that name in that place, if there is one: of several the first.
async fn find(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
    subnet: &Handle,
    address: &Handle,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let id = request.desired.id();
    let gateways = read(api, scope).await?;
    let mut names = Names::default();
    learn(&gateways, scope, &mut names);
    let mut found = resources(&gateways, &names);
    found.retain(|o| {
        o.resource.id() == id
            && o.uses == [subnet.clone(), address.clone()]
            && request.bindings.check_adoption(&id, &o.handle).is_ok()
    });
    found.sort_by(|a, b| a.handle.cmp(&b.handle));
    Ok(found.into_iter().next())
}

/// Says why a gateway that a route is to lead to will never be there, if that is so.
pub(super) async fn failure(
    api: &Api,
    id: &ResourceId,
    handle: &str,
) -> Result<Option<CloudError>, CloudError> {
    let call = api.ec2.describe_nat_gateways().nat_gateway_ids(handle).send();
    let found = api.ec2(Purpose::change(id), "ec2:DescribeNatGateways", call).await?;
    let gateway =
        found.nat_gateways().first().filter(|gateway| gateway.state() == Some(&NatGatewayState::Failed));
    Ok(gateway.map(|gateway| {
        let why = gateway.failure_message().or(gateway.failure_code()).unwrap_or("AWS does not say why");
        let error =
            Purpose::create(id).error(ErrorClass::Invalid, format!("the NAT gateway {handle} failed: {why}"));
        let hint = "see to the cause, and run the same again: another gateway is made then";
        CloudError { retry: Retry::Never, ..error }.with_hint(hint)
    }))
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<Deletion, CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_nat_gateway().nat_gateway_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteNatGateway", call).await;
    deleted(api, target, result).await?;
    // Its address and its subnet are in use until it is gone.
    Ok(Deletion::Going)
}

/// Those that are still there, and what they are doing.
pub(super) async fn going(api: &Api, ids: &[&Handle]) -> Result<BTreeMap<Handle, String>, CloudError> {
    let reads =
        tag::filters_any("nat-gateway-id", ids.iter().map(|id| id.as_str())).into_iter().map(|of_these| {
            let pages = api.ec2.describe_nat_gateways().filter(of_these).into_paginator().items().send();
            api.ec2(Purpose::OBSERVE, "ec2:DescribeNatGateways", pages.collect::<Result<Vec<_>, _>>())
        });
    let gateways = futures::future::try_join_all(reads).await?.into_iter().flatten();
    let doing = |gateway: Ec2NatGateway| {
        let over =
            |state: &&NatGatewayState| !matches!(state, NatGatewayState::Deleted | NatGatewayState::Failed);
        let state = gateway.state().filter(over)?;
        Some((Handle(gateway.nat_gateway_id.clone()?), format!("AWS says that it is {}", state.as_str())))
    };
    Ok(gateways.filter_map(doing).collect())
}

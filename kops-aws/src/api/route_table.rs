//! Route tables and the subnets that use them; one call reads these and the routes.

use aws_sdk_ec2::types::{
    ResourceType, RouteTable as Ec2RouteTable, RouteTableAssociation as Ec2Association, Tag,
};
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::{Names, name_tag};
use super::route;
use super::tag;
use crate::resource::{AwsResource, RouteTable, RouteTableAssociation, kind};
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
pub(super) const PRIVATE: &str = "private-";

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
    let routes = route::resources(table, handle, &name, names);
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

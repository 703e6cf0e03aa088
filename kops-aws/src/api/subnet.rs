//! Subnets.

use aws_sdk_ec2::types::{AttributeBooleanValue, HostnameType, ResourceType, Subnet as Ec2Subnet};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::{ErrorClass, Retry};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, missing};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, Subnet, kind};

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2Subnet>, CloudError> {
    let pages =
        api.ec2.describe_subnets().filters(tag::owned(scope)).into_paginator().page_size(1000).items().send();
    api.ec2(Purpose::OBSERVE, "ec2:DescribeSubnets", pages.collect::<Result<_, _>>()).await
}

/// The cluster's own subnets go by their names, others by their handles.
pub(super) fn learn(subnets: &[Ec2Subnet], scope: &Scope, names: &mut Names) {
    for subnet in subnets {
        names.learn_own(subnet.subnet_id().unwrap_or_default(), subnet.tags(), scope);
    }
}

pub(super) fn resources(subnets: &[Ec2Subnet], scope: &Scope, names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |subnet: &Ec2Subnet| {
        let handle = subnet.subnet_id()?;
        let vpc = subnet.vpc_id()?;
        let name = names.of(handle);
        let short = name.strip_suffix(&format!(".{}", scope.cluster)).unwrap_or(&name);
        let naming = subnet.private_dns_name_options_on_launch();
        let resource_based = naming.is_some_and(|options| {
            options.hostname_type() == Some(&HostnameType::ResourceName)
                && options.enable_resource_name_dns_a_record() == Some(true)
        });
        let resource = AwsResource::Subnet(Subnet {
            short_name: short.to_owned(),
            ownership: names.ownership(handle),
            vpc: names.of(vpc),
            availability_zone: subnet.availability_zone().unwrap_or_default().to_owned(),
            cidr: subnet.cidr_block()?.parse().ok()?,
            resource_based_naming: resource_based,
            tags: tag::from_ec2(subnet.tags()),
            name,
        });
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses: vec![Handle(vpc.to_owned())] })
    };
    subnets.iter().filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &Subnet,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let vpc = request.bindings.resolve(&id, &ResourceId::new(kind::VPC, &desired.vpc))?;
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = match request.current {
        Some(current) => Some(current.clone()),
        None => match create(api, desired, &vpc, &id).await {
            Ok(handle) => {
                slot.begin(&handle);
                if desired.resource_based_naming {
                    set_naming(api, &id, &handle, true).await?;
                }
                slot.finish();
                return Ok(Ensured { handle, outcome: Outcome::Created });
            }
            // The range is taken: by this very subnet, if an answer was lost.
            Err(error) if error.class == ErrorClass::Conflict => {
                let found = find(api, scope, &id, &vpc).await?.ok_or_else(|| slot.unseen(taken(error)))?;
                request.bindings.check_adoption(&id, &found.handle)?;
                Some(found)
            }
            Err(error) => return Err(error),
        },
    };
    let Some(Observed { resource: AwsResource::Subnet(current), handle, .. }) = found else {
        return Err(missing(Purpose::create(&id), "the subnet"));
    };
    let renamed = current.resource_based_naming != desired.resource_based_naming;
    if renamed {
        set_naming(api, &id, &handle, desired.resource_based_naming).await?;
    }
    let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
    slot.finish();
    let outcome = if tagged || renamed { Outcome::Updated } else { Outcome::Unchanged };
    Ok(Ensured { handle, outcome })
}

/// The cluster's subnet of that name in a network. One that only has the same range is another one.
async fn find(
    api: &Api,
    scope: &Scope,
    id: &ResourceId,
    vpc: &Handle,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let read = read(api, scope).await?;
    let mut names = Names::default();
    learn(&read, scope, &mut names);
    let same = |o: &Observed<AwsResource>| o.resource.id() == *id && o.uses.first() == Some(vpc);
    Ok(resources(&read, scope, &names).into_iter().find(same))
}

/// A range that somebody else has stays taken, however long one waits.
fn taken(error: CloudError) -> CloudError {
    CloudError { retry: Retry::Never, ..error }
        .with_hint("another subnet of the network has these addresses: choose a range that is free")
}

async fn create(api: &Api, desired: &Subnet, vpc: &Handle, id: &ResourceId) -> Result<Handle, CloudError> {
    let call = api
        .ec2
        .create_subnet()
        .vpc_id(vpc.as_str())
        .cidr_block(desired.cidr.to_string())
        .availability_zone(&desired.availability_zone)
        .tag_specifications(tag::specification(ResourceType::Subnet, &desired.tags))
        .send();
    let made = api.ec2(Purpose::create(id), "ec2:CreateSubnet", call).await?;
    let handle = made.subnet.and_then(|subnet| subnet.subnet_id);
    handle.map(Handle).ok_or_else(|| missing(Purpose::create(id), "an id"))
}

/// One attribute a call: EC2 takes no more.
async fn set_naming(
    api: &Api,
    id: &ResourceId,
    handle: &Handle,
    resource_based: bool,
) -> Result<(), CloudError> {
    let kind = if resource_based { HostnameType::ResourceName } else { HostnameType::IpName };
    let modify = || api.ec2.modify_subnet_attribute().subnet_id(handle.as_str());
    let call = modify().private_dns_hostname_type_on_launch(kind).send();
    api.ec2(Purpose::change(id), "ec2:ModifySubnetAttribute", call).await?;
    let records = AttributeBooleanValue::builder().value(resource_based).build();
    let call = modify().enable_resource_name_dns_a_record_on_launch(records).send();
    api.ec2(Purpose::change(id), "ec2:ModifySubnetAttribute", call).await.map(drop)
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_subnet().subnet_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteSubnet", call).await;
    deleted(api, target, result).await
}

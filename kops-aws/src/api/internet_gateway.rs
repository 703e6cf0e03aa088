//! Internet gateways.

use aws_sdk_ec2::types::{InternetGateway as Ec2InternetGateway, ResourceType};
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, absent_is_fine, missing, once};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, InternetGateway, kind};

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2InternetGateway>, CloudError> {
    let pages = api
        .ec2
        .describe_internet_gateways()
        .filters(tag::owned(scope))
        .into_paginator()
        .page_size(1000)
        .items()
        .send();
    api.ec2(Purpose::OBSERVE, "ec2:DescribeInternetGateways", pages.collect::<Result<_, _>>()).await
}

/// A cluster has one gateway: whatever its `Name` tag says, it goes by the cluster's name.
pub(super) fn learn(gateways: &[Ec2InternetGateway], scope: &Scope, names: &mut Names) {
    for gateway in gateways {
        names.learn(gateway.internet_gateway_id().unwrap_or_default(), &scope.cluster);
    }
}

pub(super) fn resources(gateways: &[Ec2InternetGateway], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |gateway: &Ec2InternetGateway| {
        let handle = gateway.internet_gateway_id().unwrap_or_default();
        let vpc = gateway.attachments().iter().find_map(|attachment| attachment.vpc_id());
        let resource = AwsResource::InternetGateway(InternetGateway {
            name: names.of(handle),
            ownership: Ownership::Managed,
            vpc: vpc.map(|vpc| names.of(vpc)),
            tags: tag::from_ec2(gateway.tags()),
        });
        let uses = vpc.map(|vpc| Handle(vpc.to_owned())).into_iter().collect();
        Observed { resource, handle: Handle(handle.to_owned()), uses }
    };
    gateways.iter().map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &InternetGateway,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let wanted =
        desired.vpc.as_ref().map(|vpc| request.bindings.resolve(&id, &ResourceId::new(kind::VPC, vpc)));
    let wanted = wanted.transpose()?;
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = match request.current {
        Some(current) => Some(current.clone()),
        None => find(api, scope, request, wanted.as_ref()).await?,
    };
    let (handle, attached, outcome) = match found {
        Some(Observed { resource: AwsResource::InternetGateway(current), handle, uses }) => {
            let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
            (handle, uses.into_iter().next(), if tagged { Outcome::Updated } else { Outcome::Unchanged })
        }
        _ => match slot.recent() {
            Some(handle) => (handle, None, Outcome::Unchanged),
            None => (create(api, &id, desired).await?, None, Outcome::Created),
        },
    };
    let Some(vpc) = wanted.filter(|vpc| attached.as_ref() != Some(vpc)) else {
        return Ok(Ensured { handle, outcome });
    };
    slot.begin(&handle);
    if let Some(other) = attached {
        detach(api, Purpose::change(&id), &handle, &other).await?;
    }
    let attach = api.ec2.attach_internet_gateway().internet_gateway_id(handle.as_str()).vpc_id(vpc.as_str());
    let result = api.ec2(Purpose::change(&id), "ec2:AttachInternetGateway", attach.send()).await;
    match result {
        Ok(_) => {}
        // Of this very network, if an answer was lost.
        Err(error) if error.class == ErrorClass::Conflict => {
            let found = find(api, scope, request, Some(&vpc)).await?;
            found.filter(|o| o.handle == handle && o.uses.contains(&vpc)).ok_or(error)?;
        }
        Err(error) => {
            if error.class == ErrorClass::NotYetVisible && outcome == Outcome::Unchanged {
                // Perhaps it went meanwhile: the next try believes what AWS lists.
                slot.forget_if_gone(SystemClock.now());
            }
            return Err(error);
        }
    }
    slot.finish();
    let outcome = if outcome == Outcome::Created { outcome } else { Outcome::Updated };
    Ok(Ensured { handle, outcome })
}

/// The cluster's gateway, if there is one that no other network uses: of several the first.
async fn find(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
    vpc: Option<&Handle>,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let id = request.desired.id();
    let read = read(api, scope).await?;
    let mut names = Names::default();
    learn(&read, scope, &mut names);
    let mut found = resources(&read, &names);
    found.sort_by(|a, b| a.handle.cmp(&b.handle));
    Ok(found.into_iter().find(|o| {
        o.resource.id() == id
            && o.uses.iter().all(|attached| Some(attached) == vpc)
            && request.bindings.check_adoption(&id, &o.handle).is_ok()
    }))
}

/// Gateways have neither unique names nor client tokens: whoever makes one has looked before, and holds its lock.
async fn create(api: &Api, id: &ResourceId, desired: &InternetGateway) -> Result<Handle, CloudError> {
    let tags = tag::specification(ResourceType::InternetGateway, &desired.tags);
    let create = api.ec2.create_internet_gateway().tag_specifications(tags);
    let call = create.customize().config_override(once()).send();
    let made = api.ec2(Purpose::create(id), "ec2:CreateInternetGateway", call).await?;
    let handle = made.internet_gateway.and_then(|gateway| gateway.internet_gateway_id);
    handle.map(Handle).ok_or_else(|| missing(Purpose::create(id), "an id"))
}

async fn detach(api: &Api, purpose: Purpose<'_>, gateway: &Handle, vpc: &Handle) -> Result<(), CloudError> {
    let call =
        api.ec2.detach_internet_gateway().internet_gateway_id(gateway.as_str()).vpc_id(vpc.as_str()).send();
    // `Gateway.NotAttached`, too, is an absence: an earlier call did it.
    absent_is_fine(api.ec2(purpose, "ec2:DetachInternetGateway", call).await).map(drop)
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    for vpc in &target.uses {
        let result = detach(api, Purpose::delete(&id), &target.handle, vpc).await;
        deleted(api, target, result).await?;
    }
    let call = api.ec2.delete_internet_gateway().internet_gateway_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteInternetGateway", call).await;
    deleted(api, target, result).await
}

//! Networks.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, Vpc as Ec2Vpc, VpcAttributeName};
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, missing, once};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, Vpc};

/// A network as read, with what a second and third call bring.
#[derive(Debug)]
pub(super) struct Read {
    vpc: Ec2Vpc,
    dns_hostnames: bool,
    dns_support: bool,
}

impl Read {
    pub(super) fn id(&self) -> &str {
        self.vpc.vpc_id().unwrap_or_default()
    }

    pub(super) fn dhcp_options(&self) -> Option<&str> {
        self.vpc.dhcp_options_id()
    }
}

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Read>, CloudError> {
    let pages =
        api.ec2.describe_vpcs().filters(tag::owned(scope)).into_paginator().page_size(1000).items().send();
    let vpcs: Vec<_> = api.ec2(Purpose::OBSERVE, "ec2:DescribeVpcs", pages.collect::<Result<_, _>>()).await?;
    futures::future::try_join_all(vpcs.into_iter().map(async |vpc| {
        let id = vpc.vpc_id().unwrap_or_default();
        let (dns_hostnames, dns_support) = futures::try_join!(
            attribute(api, id, VpcAttributeName::EnableDnsHostnames),
            attribute(api, id, VpcAttributeName::EnableDnsSupport)
        )?;
        Ok(Read { dns_hostnames, dns_support, vpc })
    }))
    .await
}

async fn attribute(api: &Api, id: &str, name: VpcAttributeName) -> Result<bool, CloudError> {
    let call = api.ec2.describe_vpc_attribute().vpc_id(id).attribute(name.clone()).send();
    let answer = api.ec2(Purpose::OBSERVE, "ec2:DescribeVpcAttribute", call).await?;
    let value = match name {
        VpcAttributeName::EnableDnsHostnames => answer.enable_dns_hostnames,
        _ => answer.enable_dns_support,
    };
    Ok(value.and_then(|value| value.value).unwrap_or_default())
}

/// A cluster has one network: whatever its `Name` tag says, it goes by the cluster's name.
pub(super) fn learn(vpcs: &[Read], scope: &Scope, names: &mut Names) {
    for vpc in vpcs {
        names.learn(vpc.id(), &scope.cluster);
    }
}

pub(super) fn resources(vpcs: &[Read], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |read: &Read| {
        let cidr = read.vpc.cidr_block()?.parse().ok()?;
        let resource = AwsResource::Vpc(Vpc {
            name: names.of(read.id()),
            ownership: Ownership::Managed,
            cidr,
            enable_dns_hostnames: read.dns_hostnames,
            enable_dns_support: read.dns_support,
            tags: tag::from_ec2(read.vpc.tags()),
        });
        Some(Observed { resource, handle: Handle(read.id().to_owned()), uses: Vec::new() })
    };
    vpcs.iter().filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &Vpc,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    if let Some(Observed { resource: AwsResource::Vpc(current), handle, .. }) = request.current {
        return bring_up_to(api, &id, handle, desired, current).await;
    }
    // Networks have neither unique names nor client tokens: look before making one, one at a time.
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = find(api, scope, request).await?;
    // A new network has DNS support, and no DNS host names (EC2 API, CreateVpc).
    let new = || Vpc { enable_dns_support: true, enable_dns_hostnames: false, ..desired.clone() };
    let found = found.or_else(|| Some((new(), slot.recent()?)));
    let (current, handle, is_new) = match found {
        Some((current, handle)) => (current, handle, false),
        None => (new(), create(api, &id, desired).await?, true),
    };
    slot.begin(&handle);
    let ensured = bring_up_to(api, &id, &handle, desired, &current).await;
    match &ensured {
        Ok(_) => slot.finish(),
        // Perhaps it went meanwhile: the next try believes what AWS lists.
        Err(error) if error.class == ErrorClass::NotYetVisible && !is_new => {
            slot.forget_if_gone(SystemClock.now());
        }
        Err(_) => {}
    }
    let ensured = ensured?;
    Ok(if is_new { Ensured { outcome: Outcome::Created, ..ensured } } else { ensured })
}

async fn create(api: &Api, id: &ResourceId, desired: &Vpc) -> Result<Handle, CloudError> {
    let call = api
        .ec2
        .create_vpc()
        .cidr_block(desired.cidr.to_string())
        .tag_specifications(tag::specification(ResourceType::Vpc, &desired.tags))
        .customize()
        .config_override(once())
        .send();
    let made = api.ec2(Purpose::create(id), "ec2:CreateVpc", call).await?;
    let handle = made.vpc.and_then(|vpc| vpc.vpc_id);
    handle.map(Handle).ok_or_else(|| missing(Purpose::create(id), "an id"))
}

async fn bring_up_to(
    api: &Api,
    id: &ResourceId,
    handle: &Handle,
    desired: &Vpc,
    current: &Vpc,
) -> Result<Ensured, CloudError> {
    let changed = set_attributes(api, id, handle.as_str(), desired, current).await?;
    let tagged = api.tag(id, handle.as_str(), &desired.tags, &current.tags).await?;
    let outcome = if changed || tagged { Outcome::Updated } else { Outcome::Unchanged };
    Ok(Ensured { handle: handle.clone(), outcome })
}

async fn find(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
) -> Result<Option<(Vpc, Handle)>, CloudError> {
    let vpcs = read(api, scope).await?;
    let mut names = Names::default();
    learn(&vpcs, scope, &mut names);
    let mut found = resources(&vpcs, &names);
    let id = request.desired.id();
    found.retain(|o| request.bindings.check_adoption(&id, &o.handle).is_ok());
    found.sort_by(|a, b| a.handle.cmp(&b.handle));
    Ok(found.into_iter().find_map(|o| match o.resource {
        AwsResource::Vpc(vpc) => Some((vpc, o.handle)),
        _ => None,
    }))
}

/// One attribute a call: EC2 takes no more.
async fn set_attributes(
    api: &Api,
    id: &ResourceId,
    handle: &str,
    desired: &Vpc,
    current: &Vpc,
) -> Result<bool, CloudError> {
    let value = |value| AttributeBooleanValue::builder().value(value).build();
    let modify = || api.ec2.modify_vpc_attribute().vpc_id(handle);
    let mut changed = false;
    if desired.enable_dns_support != current.enable_dns_support {
        let call = modify().enable_dns_support(value(desired.enable_dns_support)).send();
        api.ec2(Purpose::change(id), "ec2:ModifyVpcAttribute", call).await?;
        changed = true;
    }
    if desired.enable_dns_hostnames != current.enable_dns_hostnames {
        let call = modify().enable_dns_hostnames(value(desired.enable_dns_hostnames)).send();
        api.ec2(Purpose::change(id), "ec2:ModifyVpcAttribute", call).await?;
        changed = true;
    }
    Ok(changed)
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_vpc().vpc_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteVpc", call).await;
    deleted(api, target, result).await
}

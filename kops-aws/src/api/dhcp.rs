//! DHCP options, and which of them a network uses.

use aws_sdk_ec2::types::{DhcpOptions as Ec2DhcpOptions, NewDhcpConfiguration, ResourceType};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, absent_is_fine, missing, once};
use super::cloud::Api;
use super::names::Names;
use super::{tag, vpc};
use crate::resource::{AwsResource, DhcpOptions, VpcDhcpOptionsAssociation, kind};

/// What a network without options of its own is told to use.
const DEFAULT: &str = "default";

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2DhcpOptions>, CloudError> {
    let pages = api
        .ec2
        .describe_dhcp_options()
        .filters(tag::owned(scope))
        .into_paginator()
        .page_size(1000)
        .items()
        .send();
    api.ec2(Purpose::OBSERVE, "ec2:DescribeDhcpOptions", pages.collect::<Result<_, _>>()).await
}

/// A cluster has one set of options: whatever its `Name` tag says, it goes by the cluster's name.
pub(super) fn learn(options: &[Ec2DhcpOptions], scope: &Scope, names: &mut Names) {
    for options in options {
        names.learn(options.dhcp_options_id().unwrap_or_default(), &scope.cluster);
    }
}

pub(super) fn resources(options: &[Ec2DhcpOptions], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |options: &Ec2DhcpOptions| {
        let handle = options.dhcp_options_id().unwrap_or_default();
        let values = |key: &str| -> Vec<String> {
            let of_key = options.dhcp_configurations().iter().filter(|c| c.key() == Some(key));
            of_key.flat_map(|c| c.values()).filter_map(|value| value.value().map(ToOwned::to_owned)).collect()
        };
        let resource = AwsResource::DhcpOptions(DhcpOptions {
            name: names.of(handle),
            ownership: Ownership::Managed,
            domain_name: values("domain-name").join(" "),
            domain_name_servers: values("domain-name-servers"),
            tags: tag::from_ec2(options.tags()),
        });
        Observed { resource, handle: Handle(handle.to_owned()), uses: Vec::new() }
    };
    options.iter().map(one).collect()
}

/// The networks that use options of the cluster. Which ones a network uses is part of the network on AWS.
pub(super) fn associations(vpcs: &[vpc::Read], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |vpc: &vpc::Read| {
        let options = vpc.dhcp_options().filter(|options| names.knows(options))?;
        let resource = AwsResource::VpcDhcpOptionsAssociation(VpcDhcpOptionsAssociation {
            name: names.of(vpc.id()),
            ownership: Ownership::Managed,
            vpc: names.of(vpc.id()),
            dhcp_options: names.of(options),
        });
        let uses = vec![Handle(vpc.id().to_owned()), Handle(options.to_owned())];
        Some(Observed { resource, handle: Handle(format!("{}/{options}", vpc.id())), uses })
    };
    vpcs.iter().filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &DhcpOptions,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    // Neither unique names nor client tokens: look before making one, one at a time.
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let found = match request.current {
        Some(current) => Some(current.clone()),
        None => {
            let read = read(api, scope).await?;
            let mut names = Names::default();
            learn(&read, scope, &mut names);
            let mut found = resources(&read, &names);
            found.sort_by(|a, b| a.handle.cmp(&b.handle));
            found
                .into_iter()
                .find(|o| o.resource.id() == id && request.bindings.check_adoption(&id, &o.handle).is_ok())
        }
    };
    if let Some(Observed { resource: AwsResource::DhcpOptions(current), handle, .. }) = found {
        let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
        let outcome = if tagged { Outcome::Updated } else { Outcome::Unchanged };
        return Ok(Ensured { handle, outcome });
    }
    if let Some(handle) = slot.recent() {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    let setting = |key: &str, values: Vec<String>| {
        NewDhcpConfiguration::builder().key(key).set_values(Some(values)).build()
    };
    let call = api
        .ec2
        .create_dhcp_options()
        .dhcp_configurations(setting("domain-name", vec![desired.domain_name.clone()]))
        .dhcp_configurations(setting("domain-name-servers", desired.domain_name_servers.clone()))
        .tag_specifications(tag::specification(ResourceType::DhcpOptions, &desired.tags))
        .customize()
        .config_override(once())
        .send();
    let made = api.ec2(Purpose::create(&id), "ec2:CreateDhcpOptions", call).await?;
    let made = made.dhcp_options.ok_or_else(|| missing(Purpose::create(&id), "the options"))?;
    let handle = made.dhcp_options_id.ok_or_else(|| missing(Purpose::create(&id), "an id"))?;
    let handle = Handle(handle);
    slot.begin(&handle);
    // The answer has the tags, unless it is moto's, which does not tag new options: nobody would find them again.
    let tags = tag::from_ec2(&made.tags.unwrap_or_default());
    api.tag(&id, handle.as_str(), &desired.tags, &tags).await?;
    slot.finish();
    Ok(Ensured { handle, outcome: Outcome::Created })
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_dhcp_options().dhcp_options_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteDhcpOptions", call).await;
    deleted(api, target, result).await
}

pub(super) async fn ensure_association(
    api: &Api,
    desired: &VpcDhcpOptionsAssociation,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let vpc = request.bindings.resolve(&id, &ResourceId::new(kind::VPC, &desired.vpc))?;
    let options =
        request.bindings.resolve(&id, &ResourceId::new(kind::DHCP_OPTIONS, &desired.dhcp_options))?;
    let handle = Handle(format!("{vpc}/{options}"));
    if request.current.is_some_and(|current| current.handle == handle) {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    // Associating what is associated already changes nothing.
    let call = api.ec2.associate_dhcp_options().vpc_id(vpc.as_str()).dhcp_options_id(options.as_str()).send();
    api.ec2(Purpose::create(&id), "ec2:AssociateDhcpOptions", call).await?;
    let outcome = if request.current.is_some() { Outcome::Updated } else { Outcome::Created };
    Ok(Ensured { handle, outcome })
}

pub(super) async fn delete_association(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let vpc = target.handle.as_str().split('/').next().unwrap_or_default();
    let call = api.ec2.associate_dhcp_options().vpc_id(vpc).dhcp_options_id(DEFAULT).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:AssociateDhcpOptions", call).await).map(drop)
}

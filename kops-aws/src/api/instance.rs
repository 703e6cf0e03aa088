//! Instances: made by scaling groups, read only to be deleted or shown.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance as Ec2Instance, InstanceStateName};
use kops_core::cloud::{CloudError, Deletion, Scope};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource};

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, Instance};

/// The tags that Auto Scaling itself gives to instances.
const GROUP: &str = "aws:autoscaling:groupName";
const TEMPLATE_VERSION: &str = "aws:ec2launchtemplate:version";

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2Instance>, CloudError> {
    let pages = api
        .ec2
        .describe_instances()
        .filters(tag::owned(scope))
        .into_paginator()
        .page_size(1000)
        .items()
        .send();
    let reservations: Vec<_> =
        api.ec2(Purpose::OBSERVE, "ec2:DescribeInstances", pages.collect::<Result<_, _>>()).await?;
    let instances =
        reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    Ok(instances.filter(|instance| state(instance) != Some(&InstanceStateName::Terminated)).collect())
}

fn state(instance: &Ec2Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

pub(super) fn resources(instances: &[Ec2Instance], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |instance: &Ec2Instance| {
        let handle = instance.instance_id()?;
        let tag_of = |key: &str| {
            let tag = instance.tags().iter().find(|tag| tag.key() == Some(key));
            tag.and_then(|tag| tag.value()).map(ToOwned::to_owned)
        };
        let groups: Vec<&str> =
            instance.security_groups().iter().filter_map(|group| group.group_id()).collect();
        let volumes = instance.block_device_mappings().iter().filter_map(|mapping| mapping.ebs());
        let kept: Vec<&str> = volumes
            .filter(|volume| volume.delete_on_termination() == Some(false))
            .filter_map(|volume| volume.volume_id())
            .collect();
        let resource = AwsResource::Instance(Box::new(Instance {
            name: handle.to_owned(),
            ownership: Ownership::Dependent,
            state: state(instance).map(|state| state.as_str().to_owned()).unwrap_or_default(),
            autoscaling_group: tag_of(GROUP),
            launch_template_version: tag_of(TEMPLATE_VERSION),
            image_id: instance.image_id().unwrap_or_default().to_owned(),
            instance_type: instance.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
            subnet: instance.subnet_id().map(|subnet| names.of(subnet)),
            security_groups: groups.iter().map(|group| names.of(group)).collect(),
            volumes: kept.iter().map(|volume| names.of(volume)).collect(),
            private_ip: instance.private_ip_address().map(ToOwned::to_owned),
            public_ip: instance.public_ip_address().map(ToOwned::to_owned),
            tags: tag::from_ec2(instance.tags()),
            after: Default::default(),
        }));
        let uses = instance.subnet_id().into_iter().chain(groups).chain(kept);
        let uses = uses.map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses })
    };
    instances.iter().filter_map(one).collect()
}

/// Terminates. What the instance holds on to can go only when it is gone.
pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<Deletion, CloudError> {
    let id = target.resource.id();
    let call = api.ec2.terminate_instances().instance_ids(target.handle.as_str()).send();
    let answer = absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:TerminateInstances", call).await)?;
    let changes = answer.and_then(|answer| answer.terminating_instances).unwrap_or_default();
    let state = changes.first().and_then(|change| change.current_state()).and_then(|state| state.name());
    Ok(match state {
        None | Some(InstanceStateName::Terminated) => Deletion::Gone,
        Some(_) => Deletion::Going,
    })
}

/// Returns what those of the instances do that are not gone. By filter: an id that is gone would be an error.
pub(super) async fn going(api: &Api, ids: &[&Handle]) -> Result<BTreeMap<Handle, String>, CloudError> {
    let reads =
        tag::filters_any("instance-id", ids.iter().map(|id| id.as_str())).into_iter().map(|of_these| {
            let pages = api.ec2.describe_instances().filters(of_these).into_paginator().items().send();
            api.ec2(Purpose::OBSERVE, "ec2:DescribeInstances", pages.collect::<Result<Vec<_>, _>>())
        });
    let reservations = futures::future::try_join_all(reads).await?.into_iter().flatten();
    let instances = reservations.flat_map(|reservation| reservation.instances.unwrap_or_default());
    let doing = |instance: Ec2Instance| {
        let state = state(&instance).filter(|state| **state != InstanceStateName::Terminated)?;
        Some((Handle(instance.instance_id.clone()?), format!("AWS says that it is {state}")))
    };
    Ok(instances.filter_map(doing).collect())
}

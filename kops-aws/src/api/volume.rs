//! EBS volumes: etcd's own, and those that the cluster's claims left.

use aws_sdk_ec2::types::{ResourceType, Volume as Ec2Volume, VolumeState, VolumeType};
use kops_core::clock::{Clock, SystemClock};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource};

use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::{Names, name_tag};
use super::tag;
use crate::resource::{AwsResource, EbsVolume, has_provisioned_iops};
use crate::tags;

pub(super) async fn read(api: &Api, scope: &Scope, reach: Reach) -> Result<Vec<Ec2Volume>, CloudError> {
    let reads = tag::searches(scope, reach).into_iter().map(|filter| {
        let pages = api.ec2.describe_volumes().filters(filter).into_paginator().page_size(500).items().send();
        api.ec2(Purpose::OBSERVE, "ec2:DescribeVolumes", pages.collect::<Result<Vec<_>, _>>())
    });
    let pages = futures::future::try_join_all(reads).await?;
    let volumes = tag::merge(scope, pages, |volume| volume.volume_id(), |volume| volume.tags());
    let is_there = |v: &Ec2Volume| !matches!(v.state(), Some(VolumeState::Deleting | VolumeState::Deleted));
    Ok(volumes.into_iter().filter(is_there).collect())
}

/// etcd's volumes go by their names, others by their handles.
pub(super) fn learn(volumes: &[Ec2Volume], names: &mut Names) {
    for volume in volumes.iter().filter(|volume| is_etcds(volume)) {
        names.learn_tagged(volume.volume_id().unwrap_or_default(), volume.tags());
    }
}

fn is_etcds(volume: &Ec2Volume) -> bool {
    let mut keys = volume.tags().iter().filter_map(|tag| tag.key());
    name_tag(volume.tags()).is_some() && keys.any(|key| key.starts_with(tags::ETCD_PREFIX))
}

pub(super) fn resources(volumes: &[Ec2Volume], reach: Reach, names: &Names) -> Vec<Observed<AwsResource>> {
    let reached = volumes.iter().filter(|volume| reach == Reach::Everything || is_etcds(volume));
    let one = |volume: &Ec2Volume| {
        let handle = volume.volume_id()?;
        let volume_type = volume.volume_type().map(VolumeType::as_str).unwrap_or_default();
        let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
        let own = is_etcds(volume);
        let resource = AwsResource::EbsVolume(EbsVolume {
            name: names.of(handle),
            ownership: if own { Ownership::Managed } else { Ownership::Dependent },
            availability_zone: volume.availability_zone().unwrap_or_default().to_owned(),
            volume_type: volume_type.to_owned(),
            size_gb: number(volume.size()).unwrap_or_default(),
            volume_iops: number(volume.iops()).filter(|_| has_provisioned_iops(volume_type)),
            volume_throughput: number(volume.throughput()).filter(|_| volume_type == "gp3"),
            kms_key_id: volume.kms_key_id().map(ToOwned::to_owned),
            encrypted: volume.encrypted().unwrap_or_default(),
            tags: tag::from_ec2(volume.tags()),
        });
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses: Vec::new() })
    };
    reached.filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &EbsVolume,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let number = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
    let volume_type = VolumeType::from(desired.volume_type.as_str());
    let Some(Observed { resource: AwsResource::EbsVolume(current), handle, .. }) = request.current else {
        let mut slot = api.locks.hold(&scope.cluster, &id).await;
        let found = find(api, scope, &id).await?;
        if let Some(handle) = found {
            request.bindings.check_adoption(&id, &handle)?;
            slot.finish();
            return Ok(Ensured { handle, outcome: Outcome::Unchanged });
        }
        let call = api
            .ec2
            .create_volume()
            .availability_zone(&desired.availability_zone)
            .volume_type(volume_type)
            .set_size(number(Some(desired.size_gb)))
            .set_iops(number(desired.volume_iops))
            .set_throughput(number(desired.volume_throughput))
            .set_encrypted(desired.encrypted.then_some(true))
            .set_kms_key_id(desired.kms_key_id.clone())
            .client_token(slot.token(scope, request.desired, None, SystemClock.now()))
            .tag_specifications(tag::specification(ResourceType::Volume, &desired.tags))
            .send();
        let made = api.ec2(Purpose::create(&id), "ec2:CreateVolume", call).await?;
        let handle = made.volume_id.ok_or_else(|| missing(Purpose::create(&id), "an id"))?;
        slot.finish();
        return Ok(Ensured { handle: Handle(handle), outcome: Outcome::Created });
    };
    let shape = |v: &EbsVolume| (v.volume_type.clone(), v.size_gb, v.volume_iops, v.volume_throughput);
    let resized = shape(desired) != shape(current);
    if resized {
        let call = api
            .ec2
            .modify_volume()
            .volume_id(handle.as_str())
            .volume_type(volume_type)
            .set_size(number(Some(desired.size_gb)))
            .set_iops(number(desired.volume_iops))
            .set_throughput(number(desired.volume_throughput))
            .send();
        api.ec2(Purpose::change(&id), "ec2:ModifyVolume", call).await?;
    }
    let tagged = api.tag(&id, handle.as_str(), &desired.tags, &current.tags).await?;
    let outcome = if resized || tagged { Outcome::Updated } else { Outcome::Unchanged };
    Ok(Ensured { handle: handle.clone(), outcome })
}

async fn find(
    api: &Api,
    scope: &Scope,
    id: &kops_core::resource::ResourceId,
) -> Result<Option<Handle>, CloudError> {
    let volumes = read(api, scope, Reach::Managed).await?;
    let mut names = Names::default();
    learn(&volumes, &mut names);
    let mut found: Vec<_> = resources(&volumes, Reach::Managed, &names)
        .into_iter()
        .filter(|o| o.resource.id() == *id)
        .map(|o| o.handle)
        .collect();
    found.sort();
    Ok(found.into_iter().next())
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_volume().volume_id(target.handle.as_str()).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DeleteVolume", call).await).map(drop)
}

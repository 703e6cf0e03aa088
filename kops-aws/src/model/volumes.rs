//! The volumes of etcd's members.

use kops_core::manifest::{EtcdCluster, EtcdMember, Role};
use kops_core::resource::Ownership;

use super::{Context, ModelError};
use crate::resource::{AwsResource, EbsVolume, has_provisioned_iops};
use crate::tags;

pub(super) fn build(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    let clusters = context.spec.etcd_clusters.iter();
    let members = clusters.flat_map(|etcd| etcd.etcd_members.iter().map(move |member| (etcd, member)));
    members.map(|(etcd, member)| volume(context, etcd, member)).collect()
}

/// The name of a member's volume.
pub(super) fn name(context: &Context<'_>, etcd: &EtcdCluster, member: &EtcdMember) -> String {
    format!("{}.etcd-{}.{}", member.name, etcd.name, context.cluster)
}

fn volume(context: &Context<'_>, etcd: &EtcdCluster, member: &EtcdMember) -> Result<AwsResource, ModelError> {
    let group = context.completed.group(&member.instance_group);
    let subnet = group.and_then(|group| context.completed.subnets_of(group).next());
    let zone =
        subnet.map(|subnet| subnet.zone().to_owned()).ok_or_else(|| ModelError::MemberWithoutZone {
            member: format!("{}/{}", etcd.name, member.name),
            group: member.instance_group.clone(),
        })?;
    let name = name(context, etcd, member);
    let mut tags = context.tags(&name);
    let members: Vec<&str> = etcd.etcd_members.iter().map(|member| member.name.as_str()).collect();
    tags.extend([tags::etcd(&etcd.name, &member.name, &members)]);
    tags.extend(tags::roles(Role::ControlPlane).iter().map(|key| ((*key).to_owned(), "1".to_owned())));
    let volume_type = member.volume_type.clone().unwrap_or_else(|| "gp3".to_owned());
    Ok(AwsResource::EbsVolume(EbsVolume {
        name,
        ownership: Ownership::Managed,
        availability_zone: zone,
        size_gb: member
            .volume_size
            .ok_or(ModelError::Missing("spec.etcdClusters[].etcdMembers[].volumeSize"))?,
        volume_iops: member.volume_iops.filter(|_| has_provisioned_iops(&volume_type)),
        volume_throughput: member.volume_throughput.filter(|_| volume_type == "gp3"),
        volume_type,
        kms_key_id: member.kms_key_id.clone(),
        encrypted: member.encrypted_volume.unwrap_or(false),
        tags,
    }))
}

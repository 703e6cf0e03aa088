//! What the manifests name by its handle: somebody else's, whatever its tags say.

use std::collections::BTreeSet;

use kops_core::manifest::{CompletedCluster, InstanceGroup};
use kops_core::resource::Kind;

use crate::resource::{AwsResource, Shared, kind};

/// Returns all that the manifests name by its handle, each once.
pub fn named(completed: &CompletedCluster) -> Vec<AwsResource> {
    let spec = &completed.cluster.spec;
    let groups = || completed.groups.iter().map(|group| &group.spec);
    let balancers = || groups().flat_map(|group| &group.external_load_balancers);
    let of_machines = groups().flat_map(|group| &group.additional_security_groups);
    let balancer = completed.load_balancer();
    let of_balancer = balancer.into_iter().flat_map(|balancer| {
        balancer.additional_security_groups.iter().chain(&balancer.security_group_override)
    });
    let addresses = balancer.into_iter().flat_map(|balancer| &balancer.subnets);
    let addresses = addresses.filter_map(|subnet| subnet.allocation_id.clone());
    let bastions =
        spec.topology.as_ref().and_then(|topology| topology.bastion.as_ref()?.load_balancer.as_ref());
    let of_bastions = bastions.into_iter().flat_map(|balancer| &balancer.additional_security_groups);
    let key = spec.ssh_key_name.iter().filter(|name| !name.is_empty());
    let egress = |kind: &str| -> BTreeSet<String> {
        let given = spec.subnets.iter().filter_map(|subnet| subnet.egress.clone());
        given.filter(|egress| egress.split_once('-').is_some_and(|(of, _)| of == kind)).collect()
    };
    let all: [(Kind, BTreeSet<String>); 9] = [
        (kind::VPC, spec.network_id.iter().cloned().collect()),
        (kind::SUBNET, spec.subnets.iter().filter_map(|subnet| subnet.id.clone()).collect()),
        (kind::NAT_GATEWAY, egress("nat")),
        (kind::ELASTIC_IP, egress("eipalloc").into_iter().chain(addresses).collect()),
        (kind::SECURITY_GROUP, of_machines.chain(of_balancer).chain(of_bastions).cloned().collect()),
        (kind::IAM_INSTANCE_PROFILE, completed.groups.iter().filter_map(profile).collect()),
        (kind::CLASSIC_LOAD_BALANCER, balancers().filter_map(|b| b.load_balancer_name.clone()).collect()),
        (kind::TARGET_GROUP, balancers().filter_map(|b| b.target_group_arn.clone()).collect()),
        (kind::SSH_KEY, key.cloned().collect()),
    ];
    let shared = |(kind, handles): (Kind, BTreeSet<String>)| {
        handles.into_iter().map(move |handle| AwsResource::Shared(Shared::new(kind.clone(), handle)))
    };
    all.into_iter().flat_map(shared).collect()
}

/// Returns the instance profile that the manifest of a group names: the name in the profile's ARN, or what the manifest
/// says if that is no ARN.
pub(crate) fn profile(group: &InstanceGroup) -> Option<String> {
    let given = group.spec.iam.as_ref()?.profile.as_deref()?;
    Some(given.rsplit('/').next().unwrap_or(given).to_owned())
}

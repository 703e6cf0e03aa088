//! What the contract asks of a case beside the resources of a cluster (law C14).

use kops_aws::resource::{AwsResource, Shared, kind};
use kops_core::resource::{Handle, Kind, NewIds, Resource, ResourceId};

/// The kinds that manifests name by their handles, and those that are looked up by what they name.
const NAMEABLE: [Kind; 8] = [
    kind::VPC,
    kind::INTERNET_GATEWAY,
    kind::DHCP_OPTIONS,
    kind::SUBNET,
    kind::SECURITY_GROUP,
    kind::IAM_INSTANCE_PROFILE,
    kind::CLASSIC_LOAD_BALANCER,
    kind::TARGET_GROUP,
];

pub(crate) fn named(kind: &Kind, handle: &Handle) -> Option<AwsResource> {
    let shared = || AwsResource::Shared(Shared::new(kind.clone(), handle.as_str()));
    NAMEABLE.contains(kind).then(shared)
}

/// The same resources, but that a subnet has another name.
pub(crate) fn renamed(desired: &[AwsResource]) -> Vec<AwsResource> {
    let is_subnet = |resource: &&AwsResource| matches!(resource, AwsResource::Subnet(_));
    let Some(old) = desired.iter().find(is_subnet).map(|subnet| subnet.id().name) else { return Vec::new() };
    let new = format!("other-{old}");
    let pair = |kind: Kind| (ResourceId::new(kind.clone(), &old), ResourceId::new(kind, &new));
    let ids = NewIds::from([pair(kind::SUBNET), pair(kind::ROUTE_TABLE_ASSOCIATION)]);
    let rename = |resource: &AwsResource| {
        let mut resource = resource.clone().renamed(&ids);
        if let AwsResource::Subnet(subnet) = &mut resource {
            subnet.tags.insert("Name".to_owned(), subnet.name.clone());
        }
        resource
    };
    desired.iter().map(rename).collect()
}

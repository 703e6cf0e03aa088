//! Network interfaces that the cluster's services or plugins left; those of instances go with them.

use aws_sdk_ec2::types::{NetworkInterface as Ec2NetworkInterface, NetworkInterfaceStatus};
use kops_core::cloud::{CloudError, Reach, Scope};
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource};

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::resource::{AwsResource, NetworkInterface};

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Ec2NetworkInterface>, CloudError> {
    let reads = tag::searches(scope, Reach::Everything).into_iter().map(|filter| {
        let pages = api
            .ec2
            .describe_network_interfaces()
            .filters(filter)
            .into_paginator()
            .page_size(1000)
            .items()
            .send();
        api.ec2(Purpose::OBSERVE, "ec2:DescribeNetworkInterfaces", pages.collect::<Result<Vec<_>, _>>())
    });
    let pages = futures::future::try_join_all(reads).await?;
    let all = tag::merge(
        scope,
        pages,
        |interface| interface.network_interface_id(),
        |interface| interface.tag_set(),
    );
    Ok(all.into_iter().filter(|i| i.status() == Some(&NetworkInterfaceStatus::Available)).collect())
}

pub(super) fn resources(interfaces: &[Ec2NetworkInterface], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |interface: &Ec2NetworkInterface| {
        let handle = interface.network_interface_id()?;
        let subnet = interface.subnet_id()?;
        let groups: Vec<&str> = interface.groups().iter().filter_map(|group| group.group_id()).collect();
        let resource = AwsResource::NetworkInterface(NetworkInterface {
            name: handle.to_owned(),
            ownership: Ownership::Dependent,
            description: interface.description().unwrap_or_default().to_owned(),
            subnet: names.of(subnet),
            security_groups: groups.iter().map(|group| names.of(group)).collect(),
            tags: tag::from_ec2(interface.tag_set()),
        });
        let uses = std::iter::once(subnet).chain(groups).map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(handle.to_owned()), uses })
    };
    interfaces.iter().filter_map(one).collect()
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_network_interface().network_interface_id(target.handle.as_str()).send();
    absent_is_fine(api.ec2(Purpose::delete(&id), "ec2:DeleteNetworkInterface", call).await).map(drop)
}

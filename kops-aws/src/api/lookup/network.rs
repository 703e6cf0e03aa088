//! The networks of others that the manifests name.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Subnet as Ec2Subnet, Vpc, VpcCidrBlockStateCode};
use ipnet::Ipv4Net;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::manifest::CompletedCluster;

use super::PLAN;
use crate::api::cloud::Api;
use crate::api::tag::filter;
use crate::facts::{SharedSubnet, SharedVpc};
use crate::resource::{AwsResource, Shared, kind};
use crate::tags;

/// The existing network and those of its subnets that the manifest names: three calls if the manifest names a network,
/// otherwise none.
pub(super) async fn network(
    api: &Api,
    completed: &CompletedCluster,
) -> Result<(Option<SharedVpc>, BTreeMap<String, SharedSubnet>), CloudError> {
    let Some(id) = &completed.cluster.spec.network_id else { return Ok((None, BTreeMap::new())) };
    // A filter, not an id: so what is missing is our error, which names the field.
    let vpcs = api.ec2.describe_vpcs().filters(filter("vpc-id", id)).send();
    let gateways = api.ec2.describe_internet_gateways().filters(filter("attachment.vpc-id", id)).send();
    let subnets = api.ec2.describe_subnets().filters(filter("vpc-id", id));
    let subnets = subnets.into_paginator().page_size(1000).items().send();
    let (vpcs, gateways, subnets) = futures::try_join!(
        api.ec2(PLAN, "ec2:DescribeVpcs", vpcs),
        api.ec2(PLAN, "ec2:DescribeInternetGateways", gateways),
        api.ec2(PLAN, "ec2:DescribeSubnets", subnets.collect::<Result<Vec<_>, _>>())
    )?;
    let Some(vpc) = vpcs.vpcs().first() else {
        let message = format!("spec.networkID: there is no VPC {id} in {}", api.region());
        return Err(PLAN.error(ErrorClass::NotFound, message));
    };
    let internet_gateway = gateways.internet_gateways().first();
    let shared = SharedVpc {
        id: id.clone(),
        cidrs: ranges(vpc),
        internet_gateway: internet_gateway
            .and_then(|gateway| gateway.internet_gateway_id().map(str::to_owned)),
        dhcp_options: options_of(vpc),
        foreign_subnets: foreign(&subnets, completed.name()),
    };
    Ok((Some(shared), named(&subnets, completed)?))
}

fn options_of(vpc: &Vpc) -> Option<String> {
    vpc.dhcp_options_id().filter(|options| options.starts_with("dopt-")).map(str::to_owned)
}

/// The DHCP options of the existing network, if it still exists.
pub(in crate::api) async fn dhcp_options(
    api: &Api,
    completed: &CompletedCluster,
) -> Result<Option<AwsResource>, CloudError> {
    let Some(id) = &completed.cluster.spec.network_id else { return Ok(None) };
    let vpcs = api.ec2.describe_vpcs().filters(filter("vpc-id", id)).send();
    let vpcs = api.ec2(PLAN, "ec2:DescribeVpcs", vpcs).await?;
    let options = vpcs.vpcs().first().and_then(options_of);
    Ok(options.map(|options| AwsResource::Shared(Shared::new(kind::DHCP_OPTIONS, options))))
}

fn ranges(vpc: &Vpc) -> Vec<Ipv4Net> {
    let more = vpc.cidr_block_association_set().iter().filter(|association| {
        association
            .cidr_block_state()
            .is_none_or(|state| state.state() == Some(&VpcCidrBlockStateCode::Associated))
    });
    let more = more.filter_map(|association| association.cidr_block());
    let mut ranges = Vec::new();
    for range in vpc.cidr_block().into_iter().chain(more).filter_map(|range| range.parse().ok()) {
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    ranges
}

/// The ranges of the subnets that the cluster does not own.
fn foreign(subnets: &[Ec2Subnet], cluster: &str) -> BTreeMap<String, Ipv4Net> {
    let ownership = tags::ownership(cluster);
    let is_own = |subnet: &&Ec2Subnet| {
        subnet.tags().iter().any(|tag| tag.key() == Some(&ownership) && tag.value() == Some(tags::OWNED))
    };
    let foreign = subnets.iter().filter(|subnet| !is_own(subnet));
    foreign
        .filter_map(|subnet| Some((subnet.subnet_id()?.to_owned(), subnet.cidr_block()?.parse().ok()?)))
        .collect()
}

/// The subnets that the manifest names.
fn named(
    subnets: &[Ec2Subnet],
    completed: &CompletedCluster,
) -> Result<BTreeMap<String, SharedSubnet>, CloudError> {
    let spec = &completed.cluster.spec;
    let named =
        spec.subnets.iter().enumerate().filter_map(|(at, subnet)| Some((at, subnet, subnet.id.as_ref()?)));
    let found = named.map(|(position, subnet, id)| {
        let found = subnets.iter().find(|found| found.subnet_id() == Some(id)).and_then(to_subnet);
        found.map(|found| (subnet.name.clone(), found)).ok_or_else(|| {
            let network = spec.network_id.as_deref().unwrap_or_default();
            let message = format!(
                "spec.subnets[{position}].id: there is no subnet {id} with IPv4 addresses in {network}"
            );
            PLAN.error(ErrorClass::NotFound, message)
        })
    });
    found.collect()
}

fn to_subnet(subnet: &Ec2Subnet) -> Option<SharedSubnet> {
    Some(SharedSubnet {
        id: subnet.subnet_id()?.to_owned(),
        vpc: subnet.vpc_id()?.to_owned(),
        zone: subnet.availability_zone()?.to_owned(),
        cidr: subnet.cidr_block()?.parse().ok()?,
    })
}

//! What the model has to know of AWS.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{EphemeralNvmeSupport, Image as Ec2Image, InstanceType, VpcCidrBlockStateCode};
use futures::future::try_join_all;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::manifest::CompletedCluster;
use kops_core::ssh::PublicKey;

use super::call::Purpose;
use super::cloud::Api;
use super::tag::filter;
use crate::facts::{Facts, Image, SharedSubnet, SharedVpc, StateLocation};
use crate::partition;
use crate::resource::{AwsResource, Shared, kind};

/// A look-up on behalf of the plan.
const PLAN: Purpose<'static> = Purpose { operation: "plan", resource: None };

/// The owners of images that kops knows by name (`resolveImage` of its `awsup`).
const OWNERS: [(&str, &str); 10] = [
    ("amazon", "137112412989"),
    ("amazon.com", "137112412989"),
    ("centos", "125523088429"),
    ("debian10", "136693071363"),
    ("debian11", "136693071363"),
    ("debian12", "136693071363"),
    ("flatcar", "075585003325"),
    ("redhat", "309956199498"),
    ("redhat.com", "309956199498"),
    ("ubuntu", "099720109477"),
];

/// The families whose instance-store disks show only when mapped; those after them have NVMe disks or none.
const EARLY_FAMILIES: [&str; 14] =
    ["c1", "c3", "cc2", "cr1", "d2", "g2", "h1", "hs1", "i2", "m1", "m2", "m3", "r3", "x1"];

/// Reads all facts, side by side.
pub(super) async fn facts(
    api: &Api,
    completed: &CompletedCluster,
    state: StateLocation,
    ssh_public_key: Option<PublicKey>,
) -> Result<Facts, CloudError> {
    let region = api.region();
    if let Some(asked) = completed.region().filter(|asked| *asked != region) {
        let message = format!("its subnets are in {asked}, but this is a connection to {region}");
        return Err(PLAN.error(ErrorClass::Invalid, message));
    }
    let (images, ephemeral_disks, vpc, subnets) = futures::try_join!(
        images(api, completed),
        ephemeral_disks(api, completed),
        vpc(api, completed),
        subnets(api, completed)
    )?;
    Ok(Facts {
        region: region.to_owned(),
        partition: partition::of_region(region).to_owned(),
        images,
        ephemeral_disks,
        vpc,
        subnets,
        state,
        ssh_public_key,
        node_programs: BTreeMap::new(),
        node_assets: BTreeMap::new(),
        addons: Vec::new(),
    })
}

/// One call for each image that the manifests name.
async fn images(api: &Api, completed: &CompletedCluster) -> Result<BTreeMap<String, Image>, CloudError> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in &completed.groups {
        if let Some(image) = &group.spec.image {
            groups.entry(image).or_default().push(group.name());
        }
    }
    let images = groups.iter().map(async |(name, groups)| {
        let found = image(api, name).await.map_err(|error| {
            let message = format!("instance group {}: spec.image: {}", groups.join(", "), error.message);
            CloudError { message: message.into(), ..error }
        })?;
        Ok(((*name).to_owned(), found))
    });
    try_join_all(images).await.map(BTreeMap::from_iter)
}

/// An image by its id, or the newest of an owner's by name, as kops writes it: `<owner>/<name>`.
async fn image(api: &Api, name: &str) -> Result<Image, CloudError> {
    if name.starts_with("ssm:") {
        let message = format!(
            "{name} is looked up in Systems Manager, which is not supported yet: give the image itself"
        );
        return Err(PLAN.error(ErrorClass::Unsupported, message));
    }
    let describe = api.ec2.describe_images();
    let describe = match name.split_once('/') {
        _ if name.starts_with("ami-") => describe.filters(filter("image-id", name)),
        Some((owner, name)) => describe.owners(owner_id(owner)).filters(filter("name", name)),
        None => describe.owners("self").filters(filter("name", name)),
    };
    let call = describe.filters(filter("state", "available")).send();
    let found = api.ec2(PLAN, "ec2:DescribeImages", call).await?.images.unwrap_or_default();
    let newest = found.into_iter().max_by(|a, b| a.creation_date().cmp(&b.creation_date()));
    newest.as_ref().and_then(to_image).ok_or_else(|| {
        let message = format!("there is no available image {name} in {}", api.region());
        PLAN.error(ErrorClass::NotFound, message)
    })
}

fn owner_id(owner: &str) -> &str {
    OWNERS.iter().find(|(name, _)| *name == owner).map_or(owner, |(_, id)| id)
}

fn to_image(image: &Ec2Image) -> Option<Image> {
    Some(Image {
        id: image.image_id()?.to_owned(),
        root_device: image.root_device_name()?.to_owned(),
        architecture: image.architecture()?.as_str().to_owned(),
    })
}

/// Asks only when a type may have any.
async fn ephemeral_disks(
    api: &Api,
    completed: &CompletedCluster,
) -> Result<BTreeMap<String, u32>, CloudError> {
    let types = completed.groups.iter().filter_map(|group| group.spec.machine_type.as_deref());
    let is_early =
        |name: &&str| name.split_once('.').is_some_and(|(family, _)| EARLY_FAMILIES.contains(&family));
    let types: BTreeSet<&str> = types.filter(is_early).collect();
    if types.is_empty() {
        return Ok(BTreeMap::new());
    }
    let types = types.into_iter().map(InstanceType::from).collect();
    let call = api.ec2.describe_instance_types().set_instance_types(Some(types)).send();
    let found = api.ec2(PLAN, "ec2:DescribeInstanceTypes", call).await?.instance_types.unwrap_or_default();
    let disks = found.iter().filter_map(|found| {
        let storage = found.instance_storage_info()?;
        if storage.nvme_support().is_some_and(|nvme| *nvme != EphemeralNvmeSupport::Unsupported) {
            return None;
        }
        let count: i32 = storage.disks().iter().filter_map(|disk| disk.count()).sum();
        Some((found.instance_type()?.as_str().to_owned(), u32::try_from(count).ok()?))
    });
    Ok(disks.collect())
}

/// The existing network: two calls if the manifest names one, otherwise none.
async fn vpc(api: &Api, completed: &CompletedCluster) -> Result<Option<SharedVpc>, CloudError> {
    let Some(id) = &completed.cluster.spec.network_id else { return Ok(None) };
    // A filter, not an id: so what is missing is our error, which names the field.
    let vpcs = api.ec2.describe_vpcs().filters(filter("vpc-id", id)).send();
    let gateways = api.ec2.describe_internet_gateways().filters(filter("attachment.vpc-id", id)).send();
    let (vpcs, gateways) = futures::try_join!(
        api.ec2(PLAN, "ec2:DescribeVpcs", vpcs),
        api.ec2(PLAN, "ec2:DescribeInternetGateways", gateways)
    )?;
    let vpcs = vpcs.vpcs.unwrap_or_default();
    let Some(vpc) = vpcs.first() else {
        let message = format!("spec.networkID: there is no VPC {id} in {}", api.region());
        return Err(PLAN.error(ErrorClass::NotFound, message));
    };
    let more = vpc.cidr_block_association_set().iter().filter(|association| {
        association
            .cidr_block_state()
            .is_none_or(|state| state.state() == Some(&VpcCidrBlockStateCode::Associated))
    });
    let more = more.filter_map(|association| association.cidr_block());
    let mut cidrs = Vec::new();
    for cidr in vpc.cidr_block().into_iter().chain(more).filter_map(|cidr| cidr.parse().ok()) {
        if !cidrs.contains(&cidr) {
            cidrs.push(cidr);
        }
    }
    let gateways = gateways.internet_gateways.unwrap_or_default();
    let internet_gateway =
        gateways.first().and_then(|gateway| gateway.internet_gateway_id().map(str::to_owned));
    let dhcp_options = vpc.dhcp_options_id().filter(|options| options.starts_with("dopt-"));
    let dhcp_options = dhcp_options.map(str::to_owned);
    Ok(Some(SharedVpc { id: id.clone(), cidrs, internet_gateway, dhcp_options }))
}

/// The DHCP options of the existing network, if it still exists.
pub(super) async fn dhcp_options(
    api: &Api,
    completed: &CompletedCluster,
) -> Result<Option<AwsResource>, CloudError> {
    match vpc(api, completed).await {
        Ok(vpc) => {
            let options = vpc.and_then(|vpc| vpc.dhcp_options);
            Ok(options.map(|options| AwsResource::Shared(Shared::new(kind::DHCP_OPTIONS, options))))
        }
        Err(error) if error.class == ErrorClass::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The existing subnets: one call if the manifest names any, otherwise none.
async fn subnets(
    api: &Api,
    completed: &CompletedCluster,
) -> Result<BTreeMap<String, SharedSubnet>, CloudError> {
    let named = completed.cluster.spec.subnets.iter().enumerate();
    let named: Vec<_> = named
        .filter_map(|(position, subnet)| Some((position, subnet.name.as_str(), subnet.id.as_ref()?)))
        .collect();
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = named.iter().map(|(_, _, id)| (*id).clone()).collect();
    let wanted = aws_sdk_ec2::types::Filter::builder().name("subnet-id").set_values(Some(ids)).build();
    let pages = api.ec2.describe_subnets().filters(wanted).into_paginator().page_size(1000).items().send();
    let found: Vec<_> = api.ec2(PLAN, "ec2:DescribeSubnets", pages.collect::<Result<_, _>>()).await?;
    let subnets = named.into_iter().map(|(position, name, id)| {
        let subnet = found.iter().find(|subnet| subnet.subnet_id() == Some(id)).and_then(to_subnet);
        subnet.map(|subnet| (name.to_owned(), subnet)).ok_or_else(|| {
            let message = format!(
                "spec.subnets[{position}].id: there is no subnet {id} with IPv4 addresses in {}",
                api.region()
            );
            PLAN.error(ErrorClass::NotFound, message)
        })
    });
    subnets.collect()
}

fn to_subnet(subnet: &aws_sdk_ec2::types::Subnet) -> Option<SharedSubnet> {
    Some(SharedSubnet {
        id: subnet.subnet_id()?.to_owned(),
        vpc: subnet.vpc_id()?.to_owned(),
        zone: subnet.availability_zone()?.to_owned(),
        cidr: subnet.cidr_block()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_may_go_by_name() {
        assert_eq!(owner_id("ubuntu"), "099720109477");
        assert_eq!(owner_id("123456789012"), "123456789012");
    }
}

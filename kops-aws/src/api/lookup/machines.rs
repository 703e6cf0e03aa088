//! Regions, zones, and the machine types that they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use aws_config::Region;
use aws_sdk_ec2::types::{
    EphemeralNvmeSupport, Filter, InstanceTypeInfo, InstanceTypeOffering, LocationType,
};
use kops_core::cloud::CloudError;
use kops_core::manifest::{CompletedCluster, Subnet};

use super::PLAN;
use crate::api::cloud::Api;
use crate::api::tag::filters_any;
use crate::facts::{MachineType, machine_types};
use crate::region;

/// The machine types that were looked up before. They change so rarely that they are looked up once a connection.
#[derive(Debug, Default)]
pub(in crate::api) struct KnownTypes(Mutex<BTreeMap<String, MachineType>>);

impl KnownTypes {
    /// Those of the types that are known.
    fn of(&self, names: &BTreeSet<&str>) -> BTreeMap<String, MachineType> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|(name, _)| names.contains(name.as_str()))
            .map(|(n, t)| (n.clone(), t.clone()))
            .collect()
    }

    fn learn(&self, found: &BTreeMap<String, MachineType>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(found.clone());
    }
}

/// What the region has of what the manifests name.
#[derive(Debug)]
pub(super) struct Offers {
    pub(super) zones: BTreeSet<String>,
    pub(super) machine_types: BTreeMap<String, MachineType>,
    pub(super) other_machine_types: BTreeSet<String>,
}

/// Looks up zones and machine types: two calls for types that are new to this connection, none for others, and one more
/// each where a zone or a type seems not to be there.
pub(super) async fn offers(api: &Api, completed: &CompletedCluster) -> Result<Offers, CloudError> {
    let names: BTreeSet<&str> = completed.groups.iter().flat_map(machine_types).collect();
    let mut machine_types = api.known_types.of(&names);
    let new: Vec<&str> = names.iter().copied().filter(|name| !machine_types.contains_key(*name)).collect();
    if !new.is_empty() {
        let found = look_up(api, &new).await?;
        api.known_types.learn(&found);
        machine_types.extend(found);
    }
    // Where a machine type is, there is a zone.
    let mut zones: BTreeSet<String> = machine_types.values().flat_map(|found| found.zones.clone()).collect();
    let named = completed.cluster.spec.subnets.iter().map(Subnet::zone);
    if named.into_iter().any(|zone| !zones.contains(zone)) {
        zones.extend(all_zones(api).await?);
    }
    let is_missing = names.iter().any(|name| !machine_types.contains_key(*name));
    let other_machine_types = if is_missing { all_types(api).await? } else { BTreeSet::new() };
    Ok(Offers { zones, machine_types, other_machine_types })
}

async fn look_up(api: &Api, names: &[&str]) -> Result<BTreeMap<String, MachineType>, CloudError> {
    let mut found = BTreeMap::new();
    for filter in filters_any("instance-type", names.iter().copied()) {
        let types = api.ec2.describe_instance_types().filters(filter.clone()).into_paginator().items().send();
        let types = api.ec2(PLAN, "ec2:DescribeInstanceTypes", types.collect::<Result<Vec<_>, _>>());
        let (types, offers) =
            futures::try_join!(types, offerings(api, LocationType::AvailabilityZone, Some(filter)))?;
        for described in &types {
            let Some((name, mut machine_type)) = to_machine_type(described) else { continue };
            let of_type =
                offers.iter().filter(|offer| offer.instance_type().is_some_and(|t| t.as_str() == name));
            machine_type.zones = of_type.filter_map(|offer| offer.location().map(str::to_owned)).collect();
            found.insert(name, machine_type);
        }
    }
    Ok(found)
}

async fn offerings(
    api: &Api,
    location: LocationType,
    filter: Option<Filter>,
) -> Result<Vec<InstanceTypeOffering>, CloudError> {
    let call = api.ec2.describe_instance_type_offerings().location_type(location);
    let call = call.set_filters(filter.map(|filter| vec![filter]));
    let pages = call.into_paginator().page_size(1000).items().send();
    api.ec2(PLAN, "ec2:DescribeInstanceTypeOfferings", pages.collect::<Result<_, _>>()).await
}

fn to_machine_type(found: &InstanceTypeInfo) -> Option<(String, MachineType)> {
    let architectures = found.processor_info().map(|processor| processor.supported_architectures());
    let machine_type = MachineType {
        architectures: architectures
            .unwrap_or_default()
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        ephemeral_disks: ephemeral_disks(found),
        zones: BTreeSet::new(),
    };
    Some((found.instance_type()?.as_str().to_owned(), machine_type))
}

/// Instance-store disks that show only when mapped.
fn ephemeral_disks(found: &InstanceTypeInfo) -> u32 {
    let storage = found.instance_storage_info();
    let early = storage.filter(|storage| {
        storage.nvme_support().is_none_or(|nvme| *nvme == EphemeralNvmeSupport::Unsupported)
    });
    let disks = early.into_iter().flat_map(|storage| storage.disks());
    disks.filter_map(|disk| u32::try_from(disk.count()?).ok()).sum()
}

/// The names of all machine types of the region.
async fn all_types(api: &Api) -> Result<BTreeSet<String>, CloudError> {
    let offers = offerings(api, LocationType::Region, None).await?;
    Ok(offers.iter().filter_map(|offer| Some(offer.instance_type()?.as_str().to_owned())).collect())
}

/// The zones that the account can use.
async fn all_zones(api: &Api) -> Result<BTreeSet<String>, CloudError> {
    let call = api.ec2.describe_availability_zones().send();
    let zones = api.ec2(PLAN, "ec2:DescribeAvailabilityZones", call).await?;
    Ok(zones.availability_zones().iter().filter_map(|zone| zone.zone_name().map(str::to_owned)).collect())
}

/// The names of all regions, asked for in one that is there.
pub(super) async fn regions(api: &Api) -> Result<BTreeSet<String>, CloudError> {
    let first = Region::new(region::first_of_partition(api.region()));
    let elsewhere = aws_sdk_ec2::config::Builder::new().region(first);
    let call = api.ec2.describe_regions().all_regions(true).customize().config_override(elsewhere).send();
    let found = api.ec2(PLAN, "ec2:DescribeRegions", call).await?;
    Ok(found.regions().iter().filter_map(|region| region.region_name().map(str::to_owned)).collect())
}

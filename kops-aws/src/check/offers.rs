//! Regions, zones, machine types and images.

use std::collections::BTreeSet;

use kops_core::manifest::{CompletedCluster, InstanceGroup, Subnet, Violation};
use kops_core::nearest::nearest;

use super::{list, of_group, violation};
use crate::facts::{Facts, MachineType, machine_types};

/// Returns whether there is the region: nothing else can be said otherwise.
pub(super) fn check(found: &mut Vec<Violation>, completed: &CompletedCluster, facts: &Facts) -> bool {
    let region = &facts.region;
    if facts.zones.is_empty() {
        let message = format!("there is no region `{region}`");
        found.push(violation("cluster.spec.subnets[0].zone", message, did_you_mean(region, &facts.regions)));
        return false;
    }
    for (index, subnet) in completed.cluster.spec.subnets.iter().enumerate() {
        let zone = subnet.zone();
        if !facts.zones.contains(zone) {
            let message = format!("there is no zone `{zone}` that the account can use in {region}");
            let hint = format!("the zones are {}", list(&facts.zones));
            found.push(violation(format!("cluster.spec.subnets[{index}].zone"), message, hint));
        }
    }
    for group in &completed.groups {
        let types: BTreeSet<&str> = machine_types(group).collect();
        for name in types {
            match facts.machine_types.get(name) {
                None => found.push(unknown_type(group, name, facts)),
                Some(machine_type) => check_zones(found, completed, group, (name, machine_type), facts),
            }
        }
        check_image(found, group, facts);
    }
    true
}

fn did_you_mean<'a>(written: &str, names: impl IntoIterator<Item = &'a String>) -> Option<String> {
    nearest(written, names).first().map(|name| format!("did you mean {name}?"))
}

fn unknown_type(group: &InstanceGroup, name: &str, facts: &Facts) -> Violation {
    let message = format!("there is no machine type `{name}` in {}", facts.region);
    let hint = did_you_mean(name, facts.machine_types.keys().chain(&facts.other_machine_types));
    violation(of_group(group.name(), "spec.machineType"), message, hint)
}

fn check_zones(
    found: &mut Vec<Violation>,
    completed: &CompletedCluster,
    group: &InstanceGroup,
    (name, machine_type): (&str, &MachineType),
    facts: &Facts,
) {
    let zones: BTreeSet<&str> = completed.subnets_of(group).map(Subnet::zone).collect();
    let without =
        zones.into_iter().filter(|zone| facts.zones.contains(*zone) && !machine_type.zones.contains(*zone));
    let without: Vec<&str> = without.collect();
    if !without.is_empty() {
        let others = match list(&machine_type.zones) {
            others if others.is_empty() => "no zone of the region has it".to_owned(),
            others => format!("these have it: {others}"),
        };
        let message = format!("{} does not have the machine type `{name}`; {others}", list(&without));
        let hint = "choose another machine type, or give the group subnets in other zones".to_owned();
        found.push(violation(of_group(group.name(), "spec.machineType"), message, hint));
    }
}

fn check_image(found: &mut Vec<Violation>, group: &InstanceGroup, facts: &Facts) {
    let Some(image) = facts.image(group) else { return };
    let architecture = &image.architecture;
    for name in machine_types(group) {
        let Some(machine_type) = facts.machine_types.get(name) else { continue };
        if !machine_type.architectures.contains(architecture) {
            let message = format!(
                "the image is for {architecture}, and {name} is {}",
                list(&machine_type.architectures)
            );
            let hint = "choose an image for the machine type, or another machine type".to_owned();
            found.push(violation(of_group(group.name(), "spec.image"), message, hint));
        }
    }
    if let Some(size) = group.spec.root_volume_size
        && size < image.size
    {
        let message = format!("{size} GiB are less than the image has, which is {} GiB", image.size);
        found.push(violation(of_group(group.name(), "spec.rootVolumeSize"), message, None::<String>));
    }
}

/// Says which images stand in for those that the manifests name, since these are for another architecture.
pub(super) fn replaced_images(completed: &CompletedCluster, facts: &Facts) -> Vec<String> {
    let replaced = completed.groups.iter().filter_map(|group| {
        let name = group.spec.image.as_deref()?;
        let (used, named) = (facts.image(group)?, facts.images.get(name)?.first()?);
        (used != named).then(|| {
            format!(
                "instance group {}: {name} is for {}, and machines of the type {} are {}: they get {}, the same image for \
                 that",
                group.name(),
                named.architecture,
                group.spec.machine_type.as_deref().unwrap_or_default(),
                used.architecture,
                used.id
            )
        })
    });
    replaced.collect()
}

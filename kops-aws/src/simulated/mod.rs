//! The simulated AWS: the zones and machine types that there are.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::resource::Handle;

use crate::facts::{Facts, MachineType};
use crate::resource::AwsResource;
use crate::{region, tags};

/// A family of machine types a line: its name, its architecture, and its sizes.
const MACHINE_TYPES: &str = include_str!("machine_types.txt");

/// A zone that has old families alone, and that many new clusters are tried in.
const POOR_ZONE: (&str, [&str; 14]) =
    ("us-east-1e", ["c3", "c4", "d2", "f2", "i2", "i3", "i4i", "m3", "m4", "p5", "r3", "r4", "t2", "x1"]);

/// Puts the zones and machine types of the facts' region in the place of those that were made up, and what is in the world
/// already beside the cluster.
pub(crate) fn in_world<'a>(
    facts: Facts,
    world: impl Iterator<Item = (&'a Handle, &'a AwsResource)>,
    cluster: &str,
) -> Facts {
    let mut vpc = facts.vpc.clone();
    if let Some(vpc) = &mut vpc {
        let ownership = tags::ownership(cluster);
        let foreign = world.filter_map(|(handle, resource)| match resource {
            AwsResource::Subnet(subnet) if subnet.vpc == vpc.id && !subnet.tags.contains_key(&ownership) => {
                Some((handle.to_string(), subnet.cidr))
            }
            _ => None,
        });
        vpc.foreign_subnets.extend(foreign);
    }
    let letters = region::known().find(|(name, _)| *name == facts.region).map(|(_, letters)| letters);
    let zones = letters.unwrap_or_default().chars().map(|letter| format!("{}{letter}", facts.region));
    let zones: BTreeSet<String> = zones.collect();
    let machine_types = machine_types(&zones, |name| facts.machine_types.contains_key(name));
    // As on AWS: all are looked up only to find the nearest one.
    let is_missing = facts.machine_types.keys().any(|name| !machine_types.contains_key(name));
    let other_machine_types = if is_missing { all_names().collect() } else { BTreeSet::new() };
    let regions = region::known().map(|(name, _)| name.to_owned()).collect();
    Facts { regions, zones, machine_types, other_machine_types, vpc, ..facts }
}

/// The families with their architectures and sizes.
fn families() -> impl Iterator<Item = (&'static str, &'static str, std::str::Split<'static, char>)> {
    MACHINE_TYPES.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut words = line.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words)
    })
}

fn all_names() -> impl Iterator<Item = String> {
    families().flat_map(|(family, _, sizes)| sizes.map(move |size| format!("{family}.{size}")))
}

fn machine_types(zones: &BTreeSet<String>, is_named: impl Fn(&str) -> bool) -> BTreeMap<String, MachineType> {
    let mut types = BTreeMap::new();
    for (family, architecture, sizes) in families() {
        let (poor, families) = POOR_ZONE;
        let is_there = |zone: &&String| *zone != poor || families.contains(&family);
        for name in sizes.map(|size| format!("{family}.{size}")).filter(|name| is_named(name)) {
            let zones = zones.iter().filter(is_there).cloned().collect();
            let architectures = vec![architecture.to_owned()];
            types.insert(name, MachineType { architectures, ephemeral_disks: 0, zones });
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_type::architecture;

    #[test]
    fn every_type_has_an_architecture_and_its_name_says_which() {
        let types = machine_types(&BTreeSet::from(["x".to_owned()]), |_| true);
        assert!(types.len() > 1000);
        for (name, machine_type) in &types {
            let [only] = machine_type.architectures.as_slice() else { panic!("{name}") };
            assert_eq!(*only, crate::facts::ec2_name(architecture(name)), "{name}");
        }
    }
}

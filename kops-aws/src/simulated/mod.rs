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
    let machine_types = machine_types(&zones);
    let regions = region::known().map(|(name, _)| name.to_owned()).collect();
    Facts { regions, zones, machine_types, vpc, ..facts }
}

fn machine_types(zones: &BTreeSet<String>) -> BTreeMap<String, MachineType> {
    let lines = MACHINE_TYPES.lines().filter(|line| !line.starts_with('#'));
    let types = lines.flat_map(|line| {
        let mut words = line.split(' ');
        let (family, architecture) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (poor, families) = POOR_ZONE;
        let is_there = |zone: &&String| *zone != poor || families.contains(&family);
        let zones: BTreeSet<String> = zones.iter().filter(is_there).cloned().collect();
        words.map(move |size| {
            let machine_type = MachineType {
                architectures: vec![architecture.to_owned()],
                ephemeral_disks: 0,
                zones: zones.clone(),
            };
            (format!("{family}.{size}"), machine_type)
        })
    });
    types.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_type::architecture;

    #[test]
    fn every_type_has_an_architecture_and_its_name_says_which() {
        let types = machine_types(&BTreeSet::from(["x".to_owned()]));
        assert!(types.len() > 1000);
        for (name, machine_type) in &types {
            let [only] = machine_type.architectures.as_slice() else { panic!("{name}") };
            assert_eq!(*only, crate::facts::ec2_name(architecture(name)), "{name}");
        }
    }
}

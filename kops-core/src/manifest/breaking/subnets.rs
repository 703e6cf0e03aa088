use super::change;
use crate::manifest::{Cluster, Subnet, Violation};

/// A subnet that stays what it is called cannot become another: machines and load balancers are in it.
pub(super) fn check(found: &mut Vec<Violation>, before: &Cluster, after: &Cluster) {
    let way = "add a subnet of another name, let the groups use it, and remove this one once its machines are replaced";
    for (index, new) in after.spec.subnets.iter().enumerate() {
        let Some(old) = before.spec.subnets.iter().find(|old| old.name == new.name) else { continue };
        // Another id stands for another subnet, made by somebody else.
        if old.id != new.id {
            continue;
        }
        let range = |subnet: &Subnet| subnet.cidr.map(|range| range.to_string());
        let zone = |subnet: &Subnet| Some(subnet.zone().to_owned());
        for (field, old, new) in [("cidr", range(old), range(new)), ("zone", zone(old), zone(new))] {
            if let (Some(old), Some(new)) = (old, new)
                && old != new
            {
                let path = format!("cluster.spec.subnets[{index}].{field}");
                let why = "the subnet would be made again under the machines that are in it";
                found.push(change(&path, &old, &new, why, way));
            }
        }
    }
}

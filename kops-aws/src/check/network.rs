//! Address ranges in networks of others.

use ipnet::Ipv4Net;
use kops_core::manifest::{CompletedCluster, Violation};

use super::{list, violation};
use crate::facts::Facts;

pub(super) fn check(found: &mut Vec<Violation>, completed: &CompletedCluster, facts: &Facts) {
    let Some(vpc) = &facts.vpc else { return };
    let spec = &completed.cluster.spec;
    let ranges = list(vpc.cidrs.iter().map(ToString::to_string));
    let network = spec.network_cidr.iter().map(|range| ("cluster.spec.networkCIDR".to_owned(), range));
    let more = spec.additional_network_cidrs.iter().enumerate();
    let more = more.map(|(index, range)| (format!("cluster.spec.additionalNetworkCIDRs[{index}]"), range));
    for (path, range) in network.chain(more) {
        if !vpc.cidrs.contains(range) {
            let message = format!("{} does not have the range {range}", vpc.id);
            found.push(violation(path, message, format!("its ranges are {ranges}")));
        }
    }
    for (index, subnet) in spec.subnets.iter().enumerate().filter(|(_, subnet)| subnet.id.is_none()) {
        let Some(range) = subnet.cidr else { continue };
        let path = format!("cluster.spec.subnets[{index}].cidr");
        if !vpc.cidrs.iter().any(|network| network.contains(&range)) {
            let message = format!("{range} is not inside {} ({ranges})", vpc.id);
            found.push(violation(path.clone(), message, None::<String>));
        }
        for (id, taken) in vpc.foreign_subnets.iter().filter(|(_, taken)| overlap(**taken, range)) {
            let message = format!("{range} overlaps the existing subnet {id} ({taken}) of {}", vpc.id);
            let hint = "choose a range that is free, or name the existing subnet by its id".to_owned();
            found.push(violation(path.clone(), message, hint));
        }
    }
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

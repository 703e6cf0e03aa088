mod egress;
mod load_balancer;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use super::{Below, Violations, cilium};
use crate::manifest::ranges::overlap;
use crate::manifest::{ClusterSpec, CompletedCluster, Networking, Subnet, zone_fault};

/// The sizes of networks and subnets that clouds make.
const PREFIX_LENGTHS: RangeInclusive<u8> = 16..=28;

pub(super) fn check(violations: &mut Violations, completed: &CompletedCluster) {
    let mut found = violations.below("cluster");
    let spec = &completed.cluster.spec;
    check_network(&mut found, spec);
    check_pods_and_services(&mut found, spec);
    check_subnets(&mut found, spec);
    egress::check(&mut found, &spec.subnets);
    if let Some(balancer) = completed.load_balancer() {
        load_balancer::check(&mut found, balancer, completed);
    }
    if let Some(Networking::Cilium(settings)) = &spec.networking {
        cilium::check(&mut found, spec, settings);
    }
}

fn check_network(found: &mut Below<'_>, spec: &ClusterSpec) {
    match spec.network_cidr {
        None => found.add_with_hint(
            "spec.networkCIDR",
            "the address range of the existing network is missing",
            "write the range of the network that `spec.networkID` names",
        ),
        Some(network) => check_range(found, "spec.networkCIDR", network),
    }
    for (index, range) in spec.additional_network_cidrs.iter().enumerate() {
        check_range(found, &format!("spec.additionalNetworkCIDRs[{index}]"), *range);
    }
}

fn check_range(found: &mut Below<'_>, path: &str, range: Ipv4Net) {
    if range.addr() != range.network() {
        found.add_with_hint(
            path,
            format!("{range} does not begin its range"),
            format!("write {}", range.trunc()),
        );
    }
    if !PREFIX_LENGTHS.contains(&range.prefix_len()) {
        let (largest, smallest) = (PREFIX_LENGTHS.start(), PREFIX_LENGTHS.end());
        found.add(path, format!("{range} is not between /{largest} and /{smallest}"));
    }
}

fn check_pods_and_services(found: &mut Below<'_>, spec: &ClusterSpec) {
    let (pods, services) = (spec.pod_cidr, spec.service_cluster_ip_range);
    // With this plugin pods have addresses of the network itself.
    let pods_are_in_network = matches!(spec.networking, Some(Networking::AmazonVpc(_)));
    if let Some(outer) = spec.non_masquerade_cidr {
        for (path, range) in [("spec.podCIDR", pods), ("spec.serviceClusterIPRange", services)] {
            if let Some(range) = range
                && !outer.contains(&range)
            {
                found.add(path, format!("{range} is not inside `spec.nonMasqueradeCIDR` ({outer})"));
            }
        }
        if let Some(network) = spec.network_cidr
            && overlap(outer, network)
            && !pods_are_in_network
        {
            found.add("spec.nonMasqueradeCIDR", format!("{outer} overlaps `spec.networkCIDR` ({network})"));
        }
    }
    if let (Some(pods), Some(services)) = (pods, services)
        && overlap(pods, services)
    {
        found.add("spec.serviceClusterIPRange", format!("{services} overlaps `spec.podCIDR` ({pods})"));
    }
}

fn check_subnets(found: &mut Below<'_>, spec: &ClusterSpec) {
    if spec.subnets.is_empty() {
        found.add("spec.subnets", "there is no subnet");
    }
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (index, subnet) in spec.subnets.iter().enumerate() {
        let path = format!("spec.subnets[{index}]");
        if subnet.name.is_empty() {
            found.add(format!("{path}.name"), "the name is missing");
        } else if !names.insert(&subnet.name) {
            found.add(format!("{path}.name"), format!("another subnet has the name `{}`", subnet.name));
        }
        check_subnet_range(found, &path, subnet, spec);
        check_overlaps(found, &path, subnet, &spec.subnets[..index]);
        check_zone(found, &path, subnet, &spec.subnets[0]);
        if let Some(id) = &subnet.id {
            if !ids.insert(id) {
                found.add(format!("{path}.id"), format!("another subnet has the id `{id}`"));
            }
            if spec.network_id.is_none() {
                let hint = "write the id of its network in `spec.networkID`";
                found.add_with_hint(
                    format!("{path}.id"),
                    "an existing subnet needs an existing network",
                    hint,
                );
            }
        }
    }
}

fn check_subnet_range(found: &mut Below<'_>, path: &str, subnet: &Subnet, spec: &ClusterSpec) {
    let path = format!("{path}.cidr");
    let Some(range) = subnet.cidr else {
        // That of an existing subnet is known to its owner.
        if subnet.id.is_some() {
            return;
        }
        let message =
            format!("the subnet `{}` has no address range, and none is left to give it", subnet.name);
        return found.add_with_hint(path, message, "write the range");
    };
    check_range(found, &path, range);
    let networks = || spec.network_cidr.iter().chain(&spec.additional_network_cidrs);
    if networks().next().is_some() && !networks().any(|network| network.contains(&range)) {
        let networks: Vec<_> = networks().map(ToString::to_string).collect();
        found.add(path, format!("{range} is not inside the network ({})", networks.join(", ")));
    }
}

fn check_overlaps(found: &mut Below<'_>, path: &str, subnet: &Subnet, others: &[Subnet]) {
    let Some(range) = subnet.cidr else { return };
    for other in others {
        if let Some(taken) = other.cidr
            && overlap(range, taken)
        {
            found.add(
                format!("{path}.cidr"),
                format!("{range} overlaps the subnet `{}` ({taken})", other.name),
            );
        }
    }
}

fn check_zone(found: &mut Below<'_>, path: &str, subnet: &Subnet, first: &Subnet) {
    let (path, zone) = (format!("{path}.zone"), subnet.zone());
    if subnet.region.is_none()
        && let Some((message, hint)) = zone_fault(zone)
    {
        return found.add_with_hint(path, message, hint);
    }
    if let (Some(region), Some(other)) = (subnet.region(), first.region())
        && region != other
    {
        found.add(path, format!("`{zone}` is not in the region of `{}` ({other})", first.zone()));
    }
}

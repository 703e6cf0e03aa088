//! Where instances run.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Member;

/// How many addresses at the start of a range the network keeps for itself.
const RESERVED: usize = 3;

/// A part of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its zone.
    pub zone: String,
    /// Its addresses.
    pub addresses: Ipv4Net,
}

/// Returns the zone in which a group has the fewest of its members, and an address there that no member has.
pub(super) fn choose<'a>(
    places: &[Place],
    of_group: impl Iterator<Item = &'a Member>,
    all: impl Iterator<Item = &'a Member>,
) -> (Option<String>, Option<Ipv4Addr>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for zone in of_group.filter_map(|member| member.zone.as_deref()) {
        *counts.entry(zone).or_default() += 1;
    }
    let count = |place: &&Place| counts.get(place.zone.as_str()).copied().unwrap_or(0);
    let Some(place) = places.iter().min_by_key(count) else { return (None, None) };
    let taken: Vec<Ipv4Addr> = all.filter_map(|member| member.address).collect();
    let address = place.addresses.hosts().skip(RESERVED).find(|address| !taken.contains(address));
    (Some(place.zone.clone()), address)
}

//! Where instances run.

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

/// Returns an address in a zone that no instance has.
pub(super) fn address<'a>(
    places: &[Place],
    zone: Option<&str>,
    all: impl Iterator<Item = &'a Member>,
) -> Option<Ipv4Addr> {
    let place = places.iter().find(|place| Some(place.zone.as_str()) == zone)?;
    let taken: Vec<Ipv4Addr> = all.filter_map(|member| member.address).collect();
    place.addresses.hosts().skip(RESERVED).find(|address| !taken.contains(address))
}

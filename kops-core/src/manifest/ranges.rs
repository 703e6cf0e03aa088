//! Address ranges: what is split from what.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::{Subnet, SubnetType};

/// Which address of the services' range is that of the cluster's DNS.
pub(crate) const CLUSTER_DNS: u32 = 10;

/// Why a range of IPv6 is refused.
pub(super) const NO_IPV6: &str = "IPv6 ranges are not supported yet";

/// A text that is no address range of IPv4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is one of IPv6.
    #[error("{NO_IPV6} (write an address range such as 10.0.0.0/16)")]
    Ipv6,
    /// It is none at all.
    #[error("`{0}` is not an address range such as 10.0.0.0/16")]
    NotARange(String),
}

/// Reads an address range.
///
/// # Errors
/// The text is something else.
pub fn parse_range(text: &str) -> Result<Ipv4Net, RangeError> {
    text.parse().map_err(|_| match is_ipv6(text) {
        true => RangeError::Ipv6,
        false => RangeError::NotARange(text.to_owned()),
    })
}

/// Whether a text is an address or a range of IPv6.
pub(super) fn is_ipv6(text: &str) -> bool {
    text.split_once('/').map_or(text, |(address, _)| address).parse::<Ipv6Addr>().is_ok()
}

/// The n-th address of a range.
pub(crate) fn nth(range: Ipv4Net, n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(range.network().to_bits().saturating_add(n))
}

/// Gives every subnet without an address range one out of the network's, as kops does.
///
/// The network is split in 1, 2, 4 or 8 equal parts, of which the first is split in 8 for utility subnets if there are
/// any; subnets take parts in the order of their zones. Parts that overlap a range already given are left out. Subnets
/// for which no part is left stay without a range, as do existing ones, whose range is known only to the cloud.
pub(super) fn assign(network: Ipv4Net, subnets: &mut [Subnet]) {
    if subnets.iter().all(|subnet| subnet.cidr.is_some()) {
        return;
    }
    let given: Vec<Ipv4Net> =
        subnets.iter().filter_map(|subnet| subnet.cidr).filter(|c| overlap(*c, network)).collect();
    let takes_part = |subnet: &Subnet| match subnet.cidr {
        Some(cidr) => network.contains(&cidr.addr()),
        None => subnet.id.is_none(),
    };
    let mut order: Vec<usize> = (0..subnets.len()).collect();
    order.sort_by(|a, b| subnets[*a].zone().cmp(subnets[*b].zone()));
    order.retain(|index| takes_part(&subnets[*index]));
    let (little, big): (Vec<usize>, Vec<usize>) =
        order.into_iter().partition(|index| subnets[*index].type_ == Some(SubnetType::Utility));

    let parts = (big.len() + usize::from(!little.is_empty())).next_power_of_two().min(8);
    let mut parts = split(network, parts.ilog2())
        .into_iter()
        .filter(|part| given.iter().all(|range| !overlap(*range, *part)));
    if !little.is_empty()
        && let Some(first) = parts.next()
    {
        hand_out(subnets, little, split(first, 3).into_iter());
    }
    hand_out(subnets, big, parts);
}

fn hand_out(subnets: &mut [Subnet], order: Vec<usize>, mut parts: impl Iterator<Item = Ipv4Net>) {
    for index in order {
        if subnets[index].cidr.is_none() {
            subnets[index].cidr = parts.next();
        }
    }
}

/// Splits a range in 2^bits equal parts. None if it is too small for that.
fn split(range: Ipv4Net, bits: u32) -> Vec<Ipv4Net> {
    let length = u32::from(range.prefix_len()) + bits;
    let length = u8::try_from(length).unwrap_or(u8::MAX);
    range.subnets(length).map(Iterator::collect).unwrap_or_default()
}

/// Whether two ranges have an address in common.
pub(super) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// The part of the non-masqueraded range from which pods get addresses: its upper half.
pub(super) fn pods(non_masquerade: Ipv4Net) -> Option<Ipv4Net> {
    split(non_masquerade, 1).into_iter().next_back()
}

/// The part of the non-masqueraded range from which services get addresses: its first eighth.
pub(super) fn services(non_masquerade: Ipv4Net) -> Option<Ipv4Net> {
    split(non_masquerade, 3).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(type_: SubnetType, zone: &str, cidr: Option<&str>) -> Subnet {
        Subnet {
            name: format!("{zone}-{type_:?}"),
            zone: Some(zone.to_owned()),
            type_: Some(type_),
            cidr: cidr.map(|cidr| cidr.parse().unwrap()),
            ..Subnet::default()
        }
    }

    fn assigned(network: &str, mut subnets: Vec<Subnet>) -> String {
        assign(network.parse().unwrap(), &mut subnets);
        let text = |subnet: &Subnet| subnet.cidr.map_or("-".to_owned(), |cidr| cidr.to_string());
        subnets.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn public_subnets_share_the_network() {
        let public =
            |zones: &[&str]| zones.iter().map(|zone| subnet(SubnetType::Public, zone, None)).collect();
        assert_eq!(assigned("172.20.0.0/16", public(&["a"])), "172.20.0.0/16");
        assert_eq!(assigned("172.20.0.0/16", public(&["b", "a"])), "172.20.128.0/17 172.20.0.0/17");
        assert_eq!(
            assigned("172.20.0.0/16", public(&["a", "b", "c"])),
            "172.20.0.0/18 172.20.64.0/18 172.20.128.0/18"
        );
        let nine = assigned("172.20.0.0/16", public(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]));
        assert!(nine.ends_with("172.20.224.0/19 -"), "{nine}");
    }

    #[test]
    fn utility_subnets_share_the_first_part() {
        let both = |zones: &[&str]| {
            let pair = |zone: &&str| {
                [subnet(SubnetType::Private, zone, None), subnet(SubnetType::Utility, zone, None)]
            };
            zones.iter().flat_map(pair).collect()
        };
        assert_eq!(assigned("172.20.0.0/16", both(&["a"])), "172.20.128.0/17 172.20.0.0/20");
        assert_eq!(
            assigned("172.20.0.0/16", both(&["a", "b", "c"])),
            "172.20.64.0/18 172.20.0.0/21 172.20.128.0/18 172.20.8.0/21 172.20.192.0/18 172.20.16.0/21"
        );
    }

    #[test]
    fn ranges_already_given_are_kept_and_left_out() {
        let subnets = vec![
            subnet(SubnetType::Public, "a", Some("172.20.0.0/24")),
            subnet(SubnetType::Public, "b", None),
            subnet(SubnetType::Public, "c", Some("10.0.0.0/24")),
            Subnet { id: Some("subnet-1".into()), ..subnet(SubnetType::Public, "d", None) },
        ];
        assert_eq!(assigned("172.20.0.0/16", subnets), "172.20.0.0/24 172.20.128.0/17 10.0.0.0/24 -");
    }

    #[test]
    fn networks_too_small_to_split_give_nothing() {
        let two = vec![subnet(SubnetType::Public, "a", None), subnet(SubnetType::Public, "b", None)];
        assert_eq!(assigned("172.20.0.0/32", two), "- -");
    }

    #[test]
    fn pods_and_services_are_parts_of_one_range() {
        let range = "100.64.0.0/10".parse().unwrap();
        assert_eq!(pods(range), Some("100.96.0.0/11".parse().unwrap()));
        assert_eq!(services(range), Some("100.64.0.0/13".parse().unwrap()));
    }
}

//! How traffic of private subnets leaves the network.

use std::collections::BTreeMap;

use super::Below;
use crate::manifest::{Subnet, SubnetType};

/// What `egress` may begin with: the ids of what traffic can be sent to, and of an address for a new gateway.
const KINDS: [&str; 4] = ["nat-", "eipalloc-", "i-", "tgw-"];
/// Somebody else sets up the routes of the subnet.
const EXTERNAL: &str = "External";

pub(super) fn check(found: &mut Below<'_>, subnets: &[Subnet]) {
    // The subnets of a zone share one table of routes.
    let mut first: BTreeMap<&str, (&str, Option<&str>)> = BTreeMap::new();
    for (index, subnet) in subnets.iter().enumerate() {
        let path = format!("spec.subnets[{index}]");
        let egress = subnet.egress.as_deref().filter(|egress| !egress.is_empty());
        let is_private = matches!(subnet.type_, Some(SubnetType::Private | SubnetType::DualStack));
        if let Some(egress) = egress {
            check_form(found, &path, egress, is_private);
        }
        if !is_private || subnet.id.is_some() || egress == Some(EXTERNAL) {
            continue;
        }
        match first.get(subnet.zone()) {
            None => {
                first.insert(subnet.zone(), (&subnet.name, egress));
            }
            Some((name, other)) if *other != egress => {
                let message = format!("`{}` and `{name}` share the routes of {}", subnet.name, subnet.zone());
                let hint = "write the same `egress` for both, or `External`";
                found.add_with_hint(format!("{path}.egress"), message, hint);
            }
            Some(_) => {}
        }
        let needs_gateway = egress.is_none_or(|egress| egress.starts_with("eipalloc-"));
        if needs_gateway && !has_place(subnets, subnet.zone()) {
            let message = format!("{} has no subnet in which a NAT gateway could stand", subnet.zone());
            let hint =
                "add a subnet of the type Utility in that zone, or say with `egress` what traffic is sent to";
            found.add_with_hint(path, message, hint);
        }
    }
}

fn has_place(subnets: &[Subnet], zone: &str) -> bool {
    subnets.iter().any(|subnet| {
        subnet.zone() == zone && matches!(subnet.type_, Some(SubnetType::Utility | SubnetType::Public))
    })
}

fn check_form(found: &mut Below<'_>, path: &str, egress: &str, is_private: bool) {
    let path = format!("{path}.egress");
    if egress == EXTERNAL {
        return;
    }
    if !is_private {
        let hint = "remove it, or write `External` if somebody else sets up the routes";
        return found.add_with_hint(path, "the subnet has a direct way to the internet", hint);
    }
    let id = KINDS.iter().find_map(|kind| egress.strip_prefix(kind));
    if !id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        let message = format!("`{egress}` is nothing that traffic can be sent to");
        let hint = format!("write an id that begins with {}, or `{EXTERNAL}`", KINDS.join(", "));
        found.add_with_hint(path, message, hint);
    }
}

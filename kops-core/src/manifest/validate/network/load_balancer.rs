//! The settings of the API's load balancer that have to go together.

use std::collections::BTreeSet;

use crate::manifest::validate::Below;
use crate::manifest::{
    CompletedCluster, LoadBalancer, LoadBalancerClass, LoadBalancerSubnet, LoadBalancerType, Subnet,
    SubnetType,
};

const PATH: &str = "spec.api.loadBalancer";

pub(super) fn check(found: &mut Below<'_>, balancer: &LoadBalancer, completed: &CompletedCluster) {
    let mut zones = BTreeSet::new();
    for (index, given) in balancer.subnets.iter().enumerate() {
        let path = format!("{PATH}.subnets[{index}]");
        let Some(subnet) = completed.subnet(&given.name) else {
            found.add(format!("{path}.name"), format!("there is no subnet `{}`", given.name));
            continue;
        };
        if !zones.insert(subnet.zone()) {
            let message =
                format!("a load balancer has one subnet in a zone, and another one is in {}", subnet.zone());
            found.add(format!("{path}.name"), message);
        }
        check_type(found, &path, balancer, subnet);
        check_address(found, &path, balancer, given, subnet);
    }
}

/// Public addresses need a direct way to the internet.
fn check_type(found: &mut Below<'_>, path: &str, balancer: &LoadBalancer, subnet: &Subnet) {
    let is_private = matches!(subnet.type_, Some(SubnetType::Private | SubnetType::DualStack));
    if is_private && balancer.type_ == Some(LoadBalancerType::Public) {
        let message = format!("`{}` is private, and the load balancer has public addresses", subnet.name);
        let hint = "name a public or a utility subnet, or write `type: Internal`";
        found.add_with_hint(format!("{path}.name"), message, hint);
    }
}

fn check_address(
    found: &mut Below<'_>,
    path: &str,
    balancer: &LoadBalancer,
    given: &LoadBalancerSubnet,
    subnet: &Subnet,
) {
    let is_network = balancer.class == Some(LoadBalancerClass::Network);
    let is_internal = balancer.type_ == Some(LoadBalancerType::Internal);
    if let Some(id) = &given.allocation_id {
        let path = format!("{path}.allocationId");
        if !id.starts_with("eipalloc-") {
            found.add_with_hint(&path, format!("`{id}` is not the id of an address"), "write `eipalloc-…`");
        }
        if !is_network || is_internal {
            let message = "only a load balancer of class Network and type Public has public addresses that can be chosen";
            found.add_with_hint(path, message, "remove the field");
        }
    }
    if let Some(address) = given.private_ipv4_address {
        let path = format!("{path}.privateIPv4Address");
        if !is_network || !is_internal {
            let message =
                "only a load balancer of class Network and type Internal has addresses that can be chosen";
            return found.add_with_hint(path, message, "remove the field");
        }
        if let Some(range) = subnet.cidr
            && !range.contains(&address)
        {
            found.add(path, format!("{address} is not inside the subnet `{}` ({range})", subnet.name));
        }
    }
}

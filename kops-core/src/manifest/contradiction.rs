//! What a manifest says in vain, and what it leaves to others. Of a topology: where kops 1.10 says it twice, the types of the subnets count, as in kops today.

use super::{CompletedCluster, LoadBalancerClass, Placement, Role, SubnetType, Warning};

/// Warns of a topology that says something else than the subnets of the machines.
pub fn contradicted_topology(completed: &CompletedCluster) -> Vec<Warning> {
    let Some(topology) = &completed.cluster.spec.topology else { return Vec::new() };
    let mut warnings = Vec::new();
    for (field, role, said) in
        [("masters", Role::ControlPlane, topology.masters), ("nodes", Role::Node, topology.nodes)]
    {
        let mut subnets = completed.groups_of(role).flat_map(|group| completed.subnets_of(group));
        let other = subnets.find(|subnet| {
            let placement = match subnet.type_ {
                Some(SubnetType::Private | SubnetType::DualStack) => Placement::Private,
                Some(SubnetType::Public) => Placement::Public,
                Some(SubnetType::Utility) | None => return false,
            };
            said.is_some_and(|said| said != placement)
        });
        warnings.extend(other.map(|subnet| Warning {
            place: None,
            path: format!("spec.topology.{field}"),
            message: format!("the type of the subnet `{}` counts, which says something else", subnet.name),
            hint: Some("remove it".to_owned()),
        }));
    }
    let bastion = topology.bastion.as_ref();
    let idle = bastion.filter(|bastion| bastion.idle_timeout_seconds.is_some());
    warnings.extend(idle.map(|_| Warning {
        place: None,
        path: "spec.topology.bastion.idleTimeoutSeconds".to_owned(),
        message:
            "the load balancer of bastions is a network load balancer, which has no such setting".to_owned(),
        hint: Some("remove it".to_owned()),
    }));
    // kops writes the usual name in any case.
    let usual = format!("bastion.{}", completed.name());
    let named = bastion.and_then(|bastion| bastion.bastion_public_name.as_ref());
    let named = named.filter(|name| **name != usual && !completed.has_hosted_zone());
    warnings.extend(named.map(|_| Warning {
        place: None,
        path: "spec.topology.bastion.bastionPublicName".to_owned(),
        message: "there is no hosted zone that could hold the name".to_owned(),
        hint: Some("remove it".to_owned()),
    }));
    warnings.extend(of_balancer(completed));
    warnings
}

/// Warns of what the load balancer of the API does not do.
fn of_balancer(completed: &CompletedCluster) -> impl Iterator<Item = Warning> {
    let balancer = completed.load_balancer();
    let idle = balancer.filter(|balancer| {
        balancer.class == Some(LoadBalancerClass::Network) && balancer.idle_timeout_seconds.is_some()
    });
    let idle = idle.map(|_| Warning {
        place: None,
        path: "spec.api.loadBalancer.idleTimeoutSeconds".to_owned(),
        message: "network load balancers have no such setting".to_owned(),
        hint: Some("remove it".to_owned()),
    });
    let group = balancer.and_then(|balancer| balancer.security_group_override.as_ref());
    let group = group.map(|group| Warning {
        place: None,
        path: "spec.api.loadBalancer.securityGroupOverride".to_owned(),
        message: format!(
            "{group} gets no rules: it has to let in clients and machines on port 443, and everything out"
        ),
        hint: None,
    });
    idle.into_iter().chain(group)
}

//! What a topology says in vain: where kops 1.10 says it twice, the types of the subnets count, as in kops today.

use super::{CompletedCluster, Placement, Role, SubnetType, Warning};

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
    warnings
}

//! What kops 1.10 says twice, by the topology and by the types of subnets. Today the subnets count, as in kops.

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
    warnings
}

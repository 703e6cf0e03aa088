use crate::manifest::{Cluster, InstanceGroup, InstanceGroupSpec, Metadata, Recommendations, Role};

/// The manifest of another instance group of a cluster: in these subnets, or in all of them, of the recommended machine
/// type and the size that kops gives to groups of the role.
pub fn group(
    cluster: &Cluster,
    name: &str,
    role: Role,
    subnets: &[String],
    recommendations: &Recommendations,
) -> InstanceGroup {
    let all = || cluster.spec.subnets.iter().map(|subnet| subnet.name.clone()).collect();
    let (size, machine_type) = match role {
        Role::Node => (2, &recommendations.node_machine_type),
        Role::ControlPlane => (1, &recommendations.control_plane_machine_type),
        Role::Bastion => (1, &recommendations.bastion_machine_type),
    };
    InstanceGroup {
        metadata: Metadata::in_cluster(name, cluster.name()),
        spec: InstanceGroupSpec {
            role: Some(role),
            machine_type: Some(machine_type.clone()),
            min_size: Some(size),
            max_size: Some(size),
            subnets: if subnets.is_empty() { all() } else { subnets.to_vec() },
            ..InstanceGroupSpec::default()
        },
    }
}

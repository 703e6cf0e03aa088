use super::versions::{KubernetesVersion, VersionError};
use super::{Cluster, DnsType, InstanceGroup, LoadBalancer, Role, Subnet, SubnetType};

/// A cluster and its instance groups with every default filled in: what the model of a cloud is made from.
///
/// The groups are sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletedCluster {
    /// The completed cluster.
    pub cluster: Cluster,
    /// The completed groups, sorted by name.
    pub groups: Vec<InstanceGroup>,
}

impl CompletedCluster {
    /// The name of the cluster.
    pub fn name(&self) -> &str {
        self.cluster.name()
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&InstanceGroup> {
        self.groups.iter().find(|group| group.name() == name)
    }

    /// The groups of a role.
    pub fn groups_of(&self, role: Role) -> impl Iterator<Item = &InstanceGroup> {
        self.groups.iter().filter(move |group| group.role() == role)
    }

    /// The subnet of that name.
    pub fn subnet(&self, name: &str) -> Option<&Subnet> {
        self.cluster.spec.subnets.iter().find(|subnet| subnet.name == name)
    }

    /// The subnets of a group, in the group's order.
    pub fn subnets_of<'a>(&'a self, group: &'a InstanceGroup) -> impl Iterator<Item = &'a Subnet> {
        group.spec.subnets.iter().filter_map(|name| self.subnet(name))
    }

    /// The region, which all subnets share. `None` if their zones do not say it.
    pub fn region(&self) -> Option<&str> {
        self.cluster.spec.subnets.iter().find_map(Subnet::region)
    }

    /// The version of Kubernetes.
    ///
    /// # Errors
    /// If the field is not a version, which validation says too.
    pub fn kubernetes_version(&self) -> Result<KubernetesVersion, VersionError> {
        self.cluster.spec.kubernetes_version.as_deref().unwrap_or_default().parse()
    }

    /// The load balancer of the API, if the API has one.
    pub fn load_balancer(&self) -> Option<&LoadBalancer> {
        self.cluster.spec.api.as_ref()?.load_balancer.as_ref()
    }

    /// Whether the names of the cluster are in a hosted zone.
    pub fn has_hosted_zone(&self) -> bool {
        self.cluster.has_hosted_zone()
    }

    /// Whether machines tell each other where the API is.
    pub fn gossips(&self) -> bool {
        !self.has_hosted_zone() && !self.joins_by_load_balancer()
    }

    /// Whether workers reach the API by its load balancer, since nothing else would tell them where it is.
    pub fn joins_by_load_balancer(&self) -> bool {
        self.dns_type() == Some(DnsType::None) && self.load_balancer().is_some()
    }

    /// Whether any machine is in a private subnet.
    pub fn has_private_subnets(&self) -> bool {
        let is_private =
            |subnet: &Subnet| matches!(subnet.type_, Some(SubnetType::Private | SubnetType::DualStack));
        self.cluster.spec.subnets.iter().any(is_private)
    }

    fn dns_type(&self) -> Option<DnsType> {
        self.cluster.spec.topology.as_ref()?.dns?.type_
    }
}

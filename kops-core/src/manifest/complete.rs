#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::ranges;
use super::versions::{KubernetesVersion, RECOMMENDED};
use super::{
    Api, Authorization, Cluster, ClusterIam, ClusterSpec, CompletedCluster, DnsAccess, DnsType, Empty,
    EtcdMember, FileAsset, HttpTokens, InstanceGroup, LoadBalancer, LoadBalancerClass, LoadBalancerType,
    Networking, Role, Settings, Subnet, SubnetType,
};
use crate::node::Architecture;

const NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 20, 0, 0), 16);
const NON_MASQUERADE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);

/// Machine types and images for groups that do not say which.
#[derive(Clone, Debug)]
pub struct Recommendations {
    /// Tells the architecture of machines from the name of their type, as far as names say it.
    pub architecture: fn(&str) -> Architecture,
    /// The machine type of bastions.
    pub bastion_machine_type: String,
    /// The machine type of control-plane machines.
    pub control_plane_machine_type: String,
    /// The machine image. `None`: the one that goes with the version of Kubernetes.
    pub image: Option<String>,
    /// The machine type of worker machines.
    pub node_machine_type: String,
}

impl Default for Recommendations {
    /// The types that kops prefers today.
    fn default() -> Self {
        Self {
            architecture: |_| Architecture::Amd64,
            bastion_machine_type: "t3.micro".to_owned(),
            control_plane_machine_type: "t3.medium".to_owned(),
            image: None,
            node_machine_type: "t3.medium".to_owned(),
        }
    }
}

impl Recommendations {
    /// The image of machines of a type that do not say which.
    pub(crate) fn image_for(&self, machine_type: &str, version: KubernetesVersion) -> String {
        self.image.clone().unwrap_or_else(|| version.image((self.architecture)(machine_type)))
    }
}

/// Settles what must not change later by itself: version, address ranges of the network and of its subnets.
///
/// The result is what is stored, so that a later release with other defaults leaves the cluster as it is.
pub fn assign(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    let spec = &mut cluster.spec;
    spec.kubernetes_version.get_or_insert_with(|| RECOMMENDED.to_string());
    if spec.network_id.is_none() {
        spec.network_cidr.get_or_insert(NETWORK);
    }
    spec.non_masquerade_cidr.get_or_insert(NON_MASQUERADE);
    if let Some(network) = spec.network_cidr {
        ranges::assign(network, &mut spec.subnets);
    }
    cluster
}

/// Fills in every default, of a cluster and of its groups. Pure, and idempotent.
pub fn complete(
    cluster: &Cluster,
    groups: &[InstanceGroup],
    recommendations: &Recommendations,
) -> CompletedCluster {
    let mut cluster = assign(cluster);
    let is_local = cluster.is_local();
    let public_name = format!("api.{}", cluster.name());
    cluster.spec.master_public_name.get_or_insert(public_name);
    complete_cluster(&mut cluster.spec, is_local);
    let mut groups = groups.to_vec();
    for group in &mut groups {
        complete_group(group, &cluster.spec, recommendations);
    }
    groups.sort_by(|a, b| a.name().cmp(b.name()));
    CompletedCluster { cluster, groups }
}

fn complete_cluster(spec: &mut ClusterSpec, is_local: bool) {
    if let Some(version) = &mut spec.kubernetes_version
        && let Some(number) = version.strip_prefix('v')
    {
        *version = number.to_owned();
    }
    spec.channel.get_or_insert_with(|| "stable".to_owned());
    spec.cluster_dns_domain.get_or_insert_with(|| "cluster.local".to_owned());
    spec.networking.get_or_insert_with(|| Networking::Kubenet(Settings::default()));
    if let Some(range) = spec.non_masquerade_cidr {
        spec.pod_cidr = spec.pod_cidr.or_else(|| ranges::pods(range));
        spec.service_cluster_ip_range = spec.service_cluster_ip_range.or_else(|| ranges::services(range));
    }
    // kops takes "absent" for AlwaysAllow, which was right before 1.5. Nobody who leaves the field out today means it.
    spec.authorization.get_or_insert(Authorization::Rbac(Empty {}));
    let iam = spec.iam.get_or_insert_with(ClusterIam::default);
    iam.allow_container_registry.get_or_insert(false);
    iam.legacy.get_or_insert(false);
    for subnet in &mut spec.subnets {
        let zone = subnet.zone().to_owned();
        subnet.zone.get_or_insert(zone);
        subnet.type_.get_or_insert(SubnetType::Public);
    }
    complete_api(spec, is_local);
    let release = kubernetes_version(spec).nearest_release();
    spec.file_assets.iter_mut().for_each(FileAsset::complete);
    for etcd in &mut spec.etcd_clusters {
        etcd.version.get_or_insert_with(|| release.etcd.to_owned());
        etcd.etcd_members.iter_mut().for_each(complete_member);
    }
}

fn complete_api(spec: &mut ClusterSpec, is_local: bool) {
    let dns = spec.topology.get_or_insert_default().dns.get_or_insert_default();
    let dns_type = *dns.type_.get_or_insert(DnsType::Public);
    let has_hosted_zone = !is_local && dns_type != DnsType::None;
    let has_private_subnets = spec.subnets.iter().any(|subnet| subnet.type_ == Some(SubnetType::Private));

    let api = spec.api.get_or_insert_with(Api::default);
    if api.dns.is_none() && api.load_balancer.is_none() {
        if has_hosted_zone && !has_private_subnets {
            api.dns = Some(DnsAccess {});
        } else {
            let class = if is_local { LoadBalancerClass::Classic } else { LoadBalancerClass::Network };
            api.load_balancer = Some(LoadBalancer { class: Some(class), ..LoadBalancer::default() });
        }
    }
    if let Some(balancer) = &mut api.load_balancer {
        balancer.type_.get_or_insert(LoadBalancerType::Public);
        match balancer.class.get_or_insert_default() {
            LoadBalancerClass::Classic => {
                balancer.idle_timeout_seconds.get_or_insert(300);
                balancer.cross_zone_load_balancing.get_or_insert(false);
            }
            LoadBalancerClass::Network => {
                balancer.cross_zone_load_balancing.get_or_insert(true);
            }
        }
    }
}

fn complete_member(member: &mut EtcdMember) {
    member.encrypted_volume.get_or_insert(false);
    member.volume_size.get_or_insert(20);
    let type_ = member.volume_type.get_or_insert_with(|| "gp3".to_owned());
    (member.volume_iops, member.volume_throughput) =
        volume_performance(type_, member.volume_iops, member.volume_throughput);
}

/// What a volume type provides that is not asked for otherwise.
fn volume_performance(type_: &str, iops: Option<u32>, throughput: Option<u32>) -> (Option<u32>, Option<u32>) {
    match type_ {
        "gp3" => (iops.or(Some(3000)), throughput.or(Some(125))),
        "io1" | "io2" => (iops.or(Some(100)), throughput),
        _ => (iops, throughput),
    }
}

fn complete_group(group: &mut InstanceGroup, cluster: &ClusterSpec, recommendations: &Recommendations) {
    let role = group.role();
    let spec = &mut group.spec;
    spec.role = Some(role);
    let (size, disk, machine_type) = match role {
        Role::ControlPlane => (1, 64, &recommendations.control_plane_machine_type),
        Role::Node => (2, 128, &recommendations.node_machine_type),
        Role::Bastion => (1, 32, &recommendations.bastion_machine_type),
    };
    let (min, max) = match (spec.min_size, spec.max_size) {
        (Some(min), max) => (min, max.unwrap_or(size.max(min))),
        (None, Some(max)) => (size.min(max), max),
        (None, None) => (size, size),
    };
    (spec.min_size, spec.max_size) = (Some(min), Some(max));
    let machine_type = spec.machine_type.get_or_insert_with(|| machine_type.clone());
    spec.image.get_or_insert_with(|| recommendations.image_for(machine_type, kubernetes_version(cluster)));
    if spec.subnets.is_empty() {
        let suitable = |subnet: &&Subnet| subnet.type_ != Some(SubnetType::Utility);
        spec.subnets = cluster.subnets.iter().filter(suitable).map(|subnet| subnet.name.clone()).collect();
        spec.subnets.sort();
    }
    let is_public = |name: &String| {
        let subnet = cluster.subnets.iter().find(|subnet| subnet.name == *name);
        subnet.is_some_and(|subnet| matches!(subnet.type_, Some(SubnetType::Public | SubnetType::Utility)))
    };
    spec.associate_public_ip.get_or_insert_with(|| spec.subnets.iter().all(is_public));
    spec.detailed_instance_monitoring.get_or_insert(false);
    spec.root_volume_size.get_or_insert(disk);
    let type_ = spec.root_volume_type.get_or_insert_with(|| "gp3".to_owned());
    (spec.root_volume_iops, spec.root_volume_throughput) =
        volume_performance(type_, spec.root_volume_iops, spec.root_volume_throughput);
    spec.root_volume_encryption.get_or_insert(true);
    spec.root_volume_delete_on_termination.get_or_insert(true);
    let metadata = spec.instance_metadata.get_or_insert_default();
    metadata.http_put_response_hop_limit.get_or_insert(1);
    metadata.http_tokens.get_or_insert(HttpTokens::Required);
    spec.file_assets.iter_mut().for_each(FileAsset::complete);
}

/// The version that is asked for, or the recommended one where it makes no sense (which validation says).
fn kubernetes_version(spec: &ClusterSpec) -> KubernetesVersion {
    spec.kubernetes_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(RECOMMENDED)
}

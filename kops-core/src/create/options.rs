use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use crate::manifest::{
    AccessSource, Cluster, DnsType, InstanceGroup, LoadBalancerClass, LoadBalancerType, Manifest, Placement,
    Recommendations, SshCredential, Warning,
};

/// The options of `create cluster`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who may reach the API, and SSH unless [`ssh_access`](Self::ssh_access) says otherwise. Nothing: everybody.
    pub admin_access: Vec<AccessSource>,
    /// The kind of load balancer of the API.
    pub api_load_balancer_class: Option<LoadBalancerClass>,
    /// Where the API is reached from.
    pub api_load_balancer_type: Option<LoadBalancerType>,
    /// Whether there is a host through which machines in private subnets are reached.
    pub bastion: bool,
    /// Tags for everything the cluster owns in the cloud.
    pub cloud_labels: BTreeMap<String, String>,
    /// The cloud, as manifests name it.
    pub cloud_provider: String,
    /// How many control-plane machines there are. Absent: one a zone given for them, or one.
    pub control_plane_count: Option<u32>,
    /// Existing security groups for control-plane machines.
    pub control_plane_security_groups: Vec<String>,
    /// Machine type of control-plane machines.
    pub control_plane_size: Option<String>,
    /// Size of the root volume of control-plane machines in GiB.
    pub control_plane_volume_size: Option<u32>,
    /// Zones of control-plane machines. Nothing: the first of [`zones`](Self::zones).
    pub control_plane_zones: Vec<String>,
    /// The kind of hosted zone. Absent: none.
    pub dns: Option<DnsType>,
    /// The machine image of every group.
    pub image: Option<String>,
    /// The version of Kubernetes. Absent: the recommended one.
    pub kubernetes_version: Option<String>,
    /// The name of the cluster, a domain name.
    pub name: String,
    /// The address range of the network.
    pub network_cidr: Option<Ipv4Net>,
    /// The id of an existing network.
    pub network_id: Option<String>,
    /// The network plugin, such as `kubenet` (which is the default) or `cni`.
    pub networking: Option<String>,
    /// How many worker machines there are. Absent: 2, or one a zone.
    pub node_count: Option<u32>,
    /// Existing security groups for worker machines.
    pub node_security_groups: Vec<String>,
    /// Machine type of worker machines.
    pub node_size: Option<String>,
    /// Size of the root volume of worker machines in GiB.
    pub node_volume_size: Option<u32>,
    /// Machine types for groups whose size is not given.
    pub recommendations: Recommendations,
    /// Fields to set at the end, as `cluster.spec.FIELD=VALUE`.
    pub sets: Vec<String>,
    /// Who may reach the machines' SSH. Nothing: who may reach the API.
    pub ssh_access: Vec<AccessSource>,
    /// The public key that may log in to the machines, in OpenSSH's one-line form.
    pub ssh_public_key: Option<String>,
    /// The URL of the state store, such as `s3://bucket`.
    pub state_store: String,
    /// Whether machines are in public or in private subnets.
    pub topology: Placement,
    /// Zones of worker machines.
    pub zones: Vec<String>,
}

/// The manifests of a new cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedManifests {
    /// The cluster.
    pub cluster: Cluster,
    /// Its groups, sorted by name.
    pub groups: Vec<InstanceGroup>,
    /// The public key that may log in to its machines, if one was given.
    pub ssh_credential: Option<SshCredential>,
    /// What the user should know before the cluster is made.
    pub warnings: Vec<Warning>,
}

impl CreatedManifests {
    /// The cluster, then its groups, then the key.
    pub fn manifests(&self) -> Vec<Manifest> {
        let groups = self.groups.iter().cloned().map(Manifest::from);
        let key = self.ssh_credential.clone().map(Manifest::from);
        std::iter::once(self.cluster.clone().into()).chain(groups).chain(key).collect()
    }
}

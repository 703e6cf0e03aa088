//! The manifests that describe a cluster: [`Cluster`], [`InstanceGroup`] and [`SshCredential`].
//!
//! They are read as `kops.k8s.io/v1alpha2` and as `kops/v1alpha2` (kops 1.10), and written as the former. The types
//! hold what a user wrote: an absent field is `None` (or an empty list), and what it then means is decided when the
//! manifests are completed.

mod api;
mod cluster;
mod count;
mod etcd;
mod instance_group;
mod metadata;
mod network;
mod settings;
mod source;
mod ssh_credential;

pub use api::{Api, DnsAccess, LoadBalancer, LoadBalancerClass, LoadBalancerType};
pub use cluster::{Authorization, Cluster, ClusterIam, ClusterSpec, Empty};
pub use count::{CountOrPercent, CountOrPercentError};
pub use etcd::{EtcdCluster, EtcdManager, EtcdMember};
pub use instance_group::{
    ExternalLoadBalancer, GroupIam, HttpTokens, InstanceGroup, InstanceGroupSpec, InstanceMetadata,
    InstanceRequirements, MixedInstancesPolicy, Range, Role, RollingUpdate, UserData,
};
pub use metadata::{CLUSTER_LABEL, GROUP_LABEL, Metadata};
pub use network::{Bastion, Dns, DnsType, Networking, Placement, Subnet, SubnetType, Topology};
pub use settings::Settings;
pub use source::{AccessSource, AccessSourceError};
pub use ssh_credential::{SshCredential, SshCredentialSpec};

/// The API version that manifests are written with.
pub const API_VERSION: &str = "kops.k8s.io/v1alpha2";

/// The API version of kops 1.10, which is read like [`API_VERSION`].
pub const OLD_API_VERSION: &str = "kops/v1alpha2";

/// The suffix of the names of clusters that need no hosted zone (in kops: gossip clusters).
pub const LOCAL_SUFFIX: &str = ".k8s.local";

/// One document of a manifest file.
#[derive(Clone, Debug, PartialEq)]
pub enum Manifest {
    /// `kind: Cluster`
    Cluster(Box<Cluster>),
    /// `kind: InstanceGroup`
    InstanceGroup(Box<InstanceGroup>),
    /// `kind: SSHCredential`
    SshCredential(SshCredential),
}

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

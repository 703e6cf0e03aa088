//! The manifests that describe a cluster: [`Cluster`], [`InstanceGroup`] and [`SshCredential`].
//!
//! They are read as `kops.k8s.io/v1alpha2` and as `kops/v1alpha2` (kops 1.10), and written as the former. The types
//! hold what a user wrote: an absent field is `None` (or an empty list), and what it then means is decided when the
//! manifests are completed.

mod addon_settings;
mod api;
mod breaking;
mod cilium;
mod cluster;
mod complete;
mod completed;
mod contradiction;
mod count;
mod dns;
mod duration;
mod etcd;
mod etcd_version;
mod exposure;
mod fields;
mod file_asset;
mod hook;
mod instance_group;
mod members;
mod metadata;
mod network;
mod program_settings;
mod quantity;
pub(crate) mod ranges;
mod read;
mod report;
mod settings;
mod source;
mod ssh_credential;
mod validate;
pub mod versions;
mod weakening;
mod write;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use addon_settings::{ClusterAutoscaler, MetricsServer, NodeProblemDetector};
pub use api::{Api, DnsAccess, LoadBalancer, LoadBalancerClass, LoadBalancerSubnet, LoadBalancerType};
pub use breaking::{breaking, breaking_roles};
pub use cilium::{Cilium, CiliumGatewayApi, CiliumHubble, CiliumIngress};
pub use cluster::{AddonSpec, Assets, Authorization, Cluster, ClusterIam, ClusterSpec, Empty};
pub use complete::{Recommendations, assign, complete};
pub use completed::CompletedCluster;
pub use contradiction::contradicted_topology;
pub use count::{CountOrPercent, CountOrPercentError};
pub use dns::{KubeDns, NodeLocalDns};
pub use duration::parse_duration;
pub use etcd::{BackupPolicy, EtcdCluster, EtcdManager, EtcdMember};
pub use etcd_version::EtcdVersion;
pub use exposure::open_to_the_world;
pub use file_asset::FileAsset;
pub use hook::{ExecContainer, Hook};
pub use instance_group::{
    ExternalLoadBalancer, GroupIam, HttpTokens, InstanceGroup, InstanceGroupSpec, InstanceMetadata,
    InstanceRequirements, MixedInstancesPolicy, Range, Role, RollingUpdate, UserData,
};
pub use metadata::{CLUSTER_LABEL, GROUP_LABEL, Metadata};
pub(crate) use network::zone_fault;
pub use network::{
    Bastion, BastionLoadBalancer, Dns, DnsType, Networking, Placement, Subnet, SubnetType, Topology,
};
pub use program_settings::unheeded_settings;
pub use quantity::parse_quantity;
pub use ranges::{RangeError, parse_range};
pub use read::{ManifestError, Read, read, read_stored};
pub use report::{Place, Problem, Violation, Warning};
pub use settings::Settings;
pub use source::{AccessSource, AccessSourceError};
pub use ssh_credential::{SshCredential, SshCredentialSpec};
pub(crate) use validate::even_etcd_clusters;
pub use validate::{Taint, TaintEffect, TaintError, unsupported, validate};
#[cfg(test)]
pub(crate) use validate::{is_own_file, is_own_unit};
pub use weakening::weakened;
pub use write::write;

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

/// The kind of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A cluster.
    Cluster,
    /// A group of machines.
    InstanceGroup,
    /// A public key for logging in to machines.
    SshCredential,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::InstanceGroup, Self::SshCredential];

    /// The kind's name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::InstanceGroup => "InstanceGroup",
            Self::SshCredential => "SSHCredential",
        }
    }
}

impl Manifest {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cluster(_) => Kind::Cluster,
            Self::InstanceGroup(_) => Kind::InstanceGroup,
            Self::SshCredential(_) => Kind::SshCredential,
        }
    }

    /// Name and labels.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Cluster(cluster) => &cluster.metadata,
            Self::InstanceGroup(group) => &group.metadata,
            Self::SshCredential(credential) => &credential.metadata,
        }
    }

    /// Name and labels, to be changed.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        match self {
            Self::Cluster(cluster) => &mut cluster.metadata,
            Self::InstanceGroup(group) => &mut group.metadata,
            Self::SshCredential(credential) => &mut credential.metadata,
        }
    }

    /// The name of the cluster that the manifest is or belongs to.
    pub fn cluster_name(&self) -> &str {
        match self {
            Self::Cluster(cluster) => cluster.name(),
            _ => self.metadata().cluster().unwrap_or_default(),
        }
    }
}

impl From<Cluster> for Manifest {
    fn from(cluster: Cluster) -> Self {
        Self::Cluster(Box::new(cluster))
    }
}

impl From<InstanceGroup> for Manifest {
    fn from(group: InstanceGroup) -> Self {
        Self::InstanceGroup(Box::new(group))
    }
}

impl From<SshCredential> for Manifest {
    fn from(credential: SshCredential) -> Self {
        Self::SshCredential(credential)
    }
}

impl Serialize for Manifest {
    /// Writes the object with its API version and kind.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Manifest", 4)?;
        object.serialize_field("apiVersion", API_VERSION)?;
        object.serialize_field("kind", self.kind().name())?;
        object.serialize_field("metadata", self.metadata())?;
        match self {
            Self::Cluster(cluster) => object.serialize_field("spec", &cluster.spec)?,
            Self::InstanceGroup(group) => object.serialize_field("spec", &group.spec)?,
            Self::SshCredential(credential) => object.serialize_field("spec", &credential.spec)?,
        }
        object.end()
    }
}

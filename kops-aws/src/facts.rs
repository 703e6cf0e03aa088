//! What the model has to know of the world beside the manifests: gathered from AWS, or invented for a simulated one.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use kops_core::addon::Addon;
use kops_core::digest::sha256_hex;
use kops_core::manifest::CompletedCluster;
use kops_core::node::{Architecture, Asset, Catalog, NodeProgram};
use kops_core::ssh::PublicKey;

/// Facts about the account, the region, and what the cluster uses there but does not own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The region, such as `ap-northeast-1`.
    pub region: String,
    /// The partition, as ARNs have it: `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The machine images, by what the manifests call them.
    pub images: BTreeMap<String, Image>,
    /// How many instance-store disks machine types have that show only when mapped: those of EC2's early types
    /// (NVMe ones always show). Types without any need not be listed.
    pub ephemeral_disks: BTreeMap<String, u32>,
    /// The existing network, if the manifest names one.
    pub vpc: Option<SharedVpc>,
    /// The existing subnets that the manifest names, by their names there.
    pub subnets: BTreeMap<String, SharedSubnet>,
    /// Where the cluster's state is.
    pub state: StateLocation,
    /// The public key that logs in to the machines.
    pub ssh_public_key: Option<PublicKey>,
    /// The programs that turn machines into nodes, by EC2's names of architectures (`x86_64`, `arm64`).
    pub node_programs: BTreeMap<String, NodeProgram>,
    /// The programs of Kubernetes and etcd that machines fetch from the state store, by the same names.
    pub node_assets: BTreeMap<String, Vec<Asset>>,
    /// The add-ons that the cluster's users bring.
    pub addons: Vec<Addon>,
}

/// A machine image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The id, `ami-…`.
    pub id: String,
    /// The device name of its root volume, such as `/dev/xvda`.
    pub root_device: String,
    /// EC2's name of its architecture, such as `x86_64`.
    pub architecture: String,
}

/// A network that belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedVpc {
    /// The id, `vpc-…`.
    pub id: String,
    /// The address ranges.
    pub cidrs: Vec<Ipv4Net>,
    /// The id of its internet gateway, if it has one.
    pub internet_gateway: Option<String>,
    /// The id of the DHCP options that it uses, if that is known.
    pub dhcp_options: Option<String>,
}

/// A subnet that belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSubnet {
    /// The id, `subnet-…`.
    pub id: String,
    /// The id of its network.
    pub vpc: String,
    /// The zone.
    pub zone: String,
    /// The address range.
    pub cidr: Ipv4Net,
}

/// Where the state of clusters is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// In an S3 bucket, which machines can read.
    S3 {
        /// The bucket.
        bucket: String,
        /// The bucket's region.
        region: String,
        /// What keys start with, without slashes at the ends; often nothing.
        prefix: String,
        /// The customer's KMS key that its objects are encrypted with: an ARN, an id or an alias.
        kms_key: Option<String>,
    },
    /// Where machines cannot reach it, such as a directory; how people call it.
    Unreachable(String),
}

impl Facts {
    /// Facts that fit the manifests, for a world that does not exist. The same for the same manifests.
    pub fn simulated(
        completed: &CompletedCluster,
        state: StateLocation,
        ssh_public_key: Option<PublicKey>,
    ) -> Self {
        let spec = &completed.cluster.spec;
        let images = completed.groups.iter().filter_map(|group| group.spec.image.as_deref());
        let images = images.map(|name| (name.to_owned(), simulated_image(name)));
        let vpc = spec.network_id.as_ref().map(|id| SharedVpc {
            id: id.clone(),
            cidrs: spec.network_cidr.iter().chain(&spec.additional_network_cidrs).copied().collect(),
            internet_gateway: Some(format!("igw-{}", &sha256_hex(id.as_bytes())[..17])),
            dhcp_options: None,
        });
        let subnets = spec.subnets.iter().filter_map(|subnet| {
            let shared = SharedSubnet {
                id: subnet.id.clone()?,
                vpc: spec.network_id.clone()?,
                zone: subnet.zone().to_owned(),
                cidr: subnet.cidr?,
            };
            Some((subnet.name.clone(), shared))
        });
        Self {
            region: completed.region().unwrap_or_default().to_owned(),
            partition: "aws".to_owned(),
            images: images.collect(),
            ephemeral_disks: BTreeMap::new(),
            vpc,
            subnets: subnets.collect(),
            state,
            ssh_public_key,
            node_programs: ARCHITECTURES.map(|(name, _)| (name.to_owned(), simulated_program())).into(),
            node_assets: BTreeMap::new(),
            addons: Vec::new(),
        }
    }

    /// The same, with the add-ons that the cluster's users bring.
    #[must_use]
    pub fn with_addons(mut self, addons: &[Addon]) -> Self {
        self.addons = addons.to_vec();
        self
    }

    /// The same, with what has been published for the cluster's machines.
    #[must_use]
    pub fn with_programs(mut self, completed: &CompletedCluster, catalog: &Catalog) -> Self {
        let version = completed.cluster.spec.kubernetes_version.as_deref().unwrap_or_default();
        for (name, architecture) in ARCHITECTURES {
            self.node_programs
                .extend(catalog.node_program(architecture).map(|program| (name.to_owned(), program)));
            self.node_assets.insert(name.to_owned(), catalog.assets(architecture, version));
        }
        self
    }
}

/// EC2's names of architectures, beside Kubernetes's.
const ARCHITECTURES: [(&str, Architecture); 2] =
    [("x86_64", Architecture::Amd64), ("arm64", Architecture::Arm64)];

/// Machines that do not exist run anything.
fn simulated_program() -> NodeProgram {
    let sha256 = sha256_hex(b"simulated");
    NodeProgram { key: format!("programs/{sha256}/kops-node"), sha256 }
}

fn simulated_image(name: &str) -> Image {
    let id = match name.starts_with("ami-") {
        true => name.to_owned(),
        false => format!("ami-{}", &sha256_hex(name.as_bytes())[..17]),
    };
    let architecture = if name.contains("arm64") { "arm64" } else { "x86_64" };
    Image { id, root_device: "/dev/sda1".to_owned(), architecture: architecture.to_owned() }
}

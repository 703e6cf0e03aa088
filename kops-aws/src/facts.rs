//! What the model has to know of the world beside the manifests: gathered from AWS, or invented for a simulated one.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use kops_core::addon::Addon;
use kops_core::digest::sha256_hex;
use kops_core::manifest::{CompletedCluster, InstanceGroup, Violation};
use kops_core::node::{Architecture, NodeProgram, Programs};
use kops_core::ssh::PublicKey;

use crate::machine_type::architecture;
use crate::partition;

/// Facts about the account, the region, and what the cluster uses there but does not own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The region, such as `ap-northeast-1`.
    pub region: String,
    /// The partition, as ARNs have it: `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The regions that there are. Need not be known as long as the cluster's is one of them.
    pub regions: BTreeSet<String>,
    /// The zones of the region that the account can use. None: there is no such region.
    pub zones: BTreeSet<String>,
    /// The machine types that the region has, at least those that the manifests name.
    pub machine_types: BTreeMap<String, MachineType>,
    /// The names of more machine types, in case the manifests name one that the region does not have.
    pub other_machine_types: BTreeSet<String>,
    /// The machine images, by what the manifests call them: first that of the name itself, if there is one, then those that
    /// differ from it in their architecture alone.
    pub images: BTreeMap<String, Vec<Image>>,
    /// The existing network, if the manifest names one.
    pub vpc: Option<SharedVpc>,
    /// The existing subnets that the manifest names, by their names there.
    pub subnets: BTreeMap<String, SharedSubnet>,
    /// The roles in the instance profiles that the manifests name, by the profiles' names. One that may not be read is not among
    /// them.
    pub profile_roles: BTreeMap<String, String>,
    /// The hosted zones that the manifest may mean: one, if all is well; none, if the cluster keeps its names elsewhere.
    pub hosted_zones: Vec<HostedZone>,
    /// What else the manifests name and is not there, or not where the cluster is.
    pub missing: Vec<Violation>,
    /// Where the cluster's state is.
    pub state: StateLocation,
    /// The public key that logs in to the machines.
    pub ssh_public_key: Option<PublicKey>,
    /// The programs that turn machines into nodes, by EC2's names of architectures (`x86_64`, `arm64`).
    pub node_programs: BTreeMap<String, NodeProgram>,
    /// Where machines fetch the others.
    pub programs: Programs,
    /// The add-ons that the cluster's users bring.
    pub addons: Vec<Addon>,
}

/// A machine type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineType {
    /// EC2's names of the architectures that it runs, such as `x86_64`.
    pub architectures: Vec<String>,
    /// How many instance-store disks it has that show only when mapped: those of EC2's early types (NVMe ones always
    /// show).
    pub ephemeral_disks: u32,
    /// The zones that have it.
    pub zones: BTreeSet<String>,
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
    /// The size in GiB of what is copied to the root volume; 0 if it is not known.
    pub size: u32,
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
    /// Its subnets that are not the cluster's own, by their ids.
    pub foreign_subnets: BTreeMap<String, Ipv4Net>,
}

/// A hosted zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedZone {
    /// The id, `Z…`.
    pub id: String,
    /// The name, without a dot at its end.
    pub name: String,
    /// Whether only networks see it.
    pub is_private: bool,
    /// The name of the zone above it, if that does not lead there.
    pub undelegated_by: Option<String>,
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
        let images = images.map(|name| (name.to_owned(), simulated_images(name)));
        let zones: BTreeSet<String> = spec.subnets.iter().map(|subnet| subnet.zone().to_owned()).collect();
        let machine_types = completed.groups.iter().flat_map(machine_types).map(|name| {
            let architectures = vec![ec2_name(architecture(name)).to_owned()];
            (name.to_owned(), MachineType { architectures, ephemeral_disks: 0, zones: zones.clone() })
        });
        let vpc = spec.network_id.as_ref().map(|id| SharedVpc {
            id: id.clone(),
            cidrs: spec.network_cidr.iter().chain(&spec.additional_network_cidrs).copied().collect(),
            internet_gateway: Some(format!("igw-{}", &sha256_hex(id.as_bytes())[..17])),
            dhcp_options: None,
            foreign_subnets: BTreeMap::new(),
        });
        let subnets = spec.subnets.iter().filter_map(|subnet| {
            let shared = SharedSubnet {
                id: subnet.id.clone()?,
                vpc: spec.network_id.clone()?,
                zone: subnet.zone().to_owned(),
                // Of one that does not exist, nothing more is known than its network.
                cidr: subnet.cidr.or(spec.network_cidr)?,
            };
            Some((subnet.name.clone(), shared))
        });
        Self {
            region: completed.region().unwrap_or_default().to_owned(),
            partition: partition::of_region(completed.region().unwrap_or_default()).to_owned(),
            regions: BTreeSet::new(),
            machine_types: machine_types.collect(),
            zones,
            other_machine_types: BTreeSet::new(),
            images: images.collect(),
            vpc,
            subnets: subnets.collect(),
            profile_roles: BTreeMap::new(),
            hosted_zones: simulated_zone(completed).into_iter().collect(),
            missing: Vec::new(),
            state,
            ssh_public_key,
            node_programs: ARCHITECTURES.map(|(name, _)| (name.to_owned(), simulated_program())).into(),
            programs: Programs::default(),
            addons: Vec::new(),
        }
    }

    /// The image of a group's machines: of those that its name stands for, the first that runs on its machine type.
    pub fn image(&self, group: &InstanceGroup) -> Option<&Image> {
        let images = self.images.get(group.spec.image.as_deref()?)?;
        let machine_type = group.spec.machine_type.as_deref().and_then(|name| self.machine_types.get(name));
        let runs = |image: &&Image| {
            machine_type.is_none_or(|machine_type| machine_type.architectures.contains(&image.architecture))
        };
        images.iter().find(runs).or_else(|| images.first())
    }

    /// What a group's machines are, if their image is known.
    pub fn architecture(&self, group: &InstanceGroup) -> Option<Architecture> {
        let image = self.image(group)?;
        ARCHITECTURES
            .iter()
            .find(|(name, _)| *name == image.architecture)
            .map(|(_, architecture)| *architecture)
    }

    /// The zone that the cluster's names are in.
    pub fn hosted_zone(&self) -> Option<&HostedZone> {
        match self.hosted_zones.as_slice() {
            [zone] => Some(zone),
            _ => None,
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
    pub fn with_programs(mut self, programs: &Programs) -> Self {
        for (name, architecture) in ARCHITECTURES {
            self.node_programs
                .extend(programs.node_program(architecture).map(|program| (name.to_owned(), program)));
        }
        self.programs = programs.clone();
        self
    }
}

/// EC2's names of architectures, beside Kubernetes's.
const ARCHITECTURES: [(&str, Architecture); 2] =
    [("x86_64", Architecture::Amd64), ("arm64", Architecture::Arm64)];

/// Returns EC2's name of an architecture.
pub(crate) fn ec2_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "arm64",
    }
}

/// Returns the machine types that a group names.
pub(crate) fn machine_types(group: &InstanceGroup) -> impl Iterator<Item = &str> {
    let mixed = group.spec.mixed_instances_policy.iter().flat_map(|policy| &policy.instances);
    group.spec.machine_type.iter().chain(mixed).map(String::as_str)
}

/// Returns the names of the images that are the same as the one of this name but for the architecture. Publishers have
/// different words for architectures.
pub(crate) fn other_architectures(image: &str) -> Vec<String> {
    const WORDS: [(&str, &[&str]); 3] =
        [("amd64", &["arm64"]), ("x86_64", &["arm64"]), ("arm64", &["amd64", "x86_64"])];
    let Some((word, others)) = WORDS.iter().find(|(word, _)| image.contains(word)) else { return Vec::new() };
    others.iter().map(|other| image.replace(word, other)).collect()
}

/// The zone that the manifest names, or that of the domain that the cluster's name is in.
fn simulated_zone(completed: &CompletedCluster) -> Option<HostedZone> {
    let reference = completed.cluster.hosted_zone()?;
    let domain = completed.name().split_once('.').map_or(completed.name(), |(_, domain)| domain);
    let named = reference.zone.as_deref().filter(|_| reference.id().is_none());
    let name = named.unwrap_or(domain).trim_end_matches('.').to_ascii_lowercase();
    let hash = || format!("Z{}", sha256_hex(name.as_bytes())[..13].to_ascii_uppercase());
    let id = reference.id().map_or_else(hash, str::to_owned);
    Some(HostedZone { id, name, is_private: reference.is_private, undelegated_by: None })
}

/// Machines that do not exist run anything.
fn simulated_program() -> NodeProgram {
    let sha256 = sha256_hex(b"simulated");
    NodeProgram { key: format!("programs/{sha256}/kops-node"), sha256 }
}

/// Images by id run anywhere; by name, there is one for each architecture.
fn simulated_images(name: &str) -> Vec<Image> {
    if name.starts_with("ami-") {
        return ARCHITECTURES.map(|(architecture, _)| simulated_image(name.to_owned(), architecture)).into();
    }
    let names = std::iter::once(name.to_owned()).chain(other_architectures(name).into_iter().take(1));
    let images = names.map(|name| {
        let architecture = if name.contains("arm64") { "arm64" } else { "x86_64" };
        simulated_image(format!("ami-{}", &sha256_hex(name.as_bytes())[..17]), architecture)
    });
    images.collect()
}

fn simulated_image(id: String, architecture: &str) -> Image {
    Image { id, root_device: "/dev/sda1".to_owned(), architecture: architecture.to_owned(), size: 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_differ_in_their_architecture() {
        let others = |name| other_architectures(name).join(" ");
        assert_eq!(others("ubuntu-noble-24.04-amd64-server-1"), "ubuntu-noble-24.04-arm64-server-1");
        assert_eq!(others("al2023-kernel-6.1-x86_64"), "al2023-kernel-6.1-arm64");
        assert_eq!(others("debian-12-arm64-1"), "debian-12-amd64-1 debian-12-x86_64-1");
        assert_eq!(others("mine"), "");
    }
}

//! What a cluster is made of on AWS: one struct for each kind, named as kops names its tasks.
//!
//! References to other resources are their names: those of the cluster's own, and the physical handle for what
//! belongs to somebody else. [`AwsResource`] dispatches, and does only that.

mod autoscaling_group;
mod classic_load_balancer;
mod dns_name;
mod ebs_volume;
mod iam;
mod instance;
mod keypair;
pub mod kind;
mod launch_template;
mod managed_file;
mod mixed_instances;
mod nat_gateway;
mod network_load_balancer;
mod secret;
mod security_group;
mod security_group_rule;
mod shared;
mod simulated;
mod ssh_key;
mod subnet;
#[cfg(test)]
mod tests;
mod vpc;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use kops_core::etcd::{EtcdBacked, MemberId};
use kops_core::resource::{FieldRule, Kind, NewIds, Ownership, Relation, Resource, ResourceId, Tie};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use autoscaling_group::AZ_REBALANCE;
pub use autoscaling_group::AutoscalingGroup;
pub use classic_load_balancer::{ClassicHealthCheck, ClassicListener, ClassicLoadBalancer};
pub use dns_name::DnsName;
pub use ebs_volume::{EbsVolume, has_provisioned_iops};
pub use iam::{IamInstanceProfile, IamInstanceProfileRole, IamRole, IamRolePolicy};
pub use instance::{Instance, NetworkInterface};
pub use keypair::Keypair;
pub use launch_template::LaunchTemplate;
pub use managed_file::ManagedFile;
pub(crate) use mixed_instances::Prices;
pub use mixed_instances::{InstanceRequirements, MixedInstances};
pub use nat_gateway::{ElasticIp, NatGateway};
pub use network_load_balancer::{
    BalancerAddress, LoadBalancerScheme, NetworkLoadBalancer, NetworkLoadBalancerListener, TargetGroup,
    TargetHealthCheck,
};
pub use secret::Secret;
pub use security_group::SecurityGroup;
pub use security_group_rule::{NODE_PORTS, Peer, Protocol, ProtocolError, SecurityGroupRule, Traffic};
pub use shared::Shared;
pub use ssh_key::SshKey;
pub use subnet::{Route, RouteTable, RouteTableAssociation, RouteTarget, Subnet};
pub use vpc::{DhcpOptions, InternetGateway, Vpc, VpcDhcpOptionsAssociation};

/// Tags: key → value.
pub type Tags = BTreeMap<String, String>;

/// A resource of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "Kind")]
#[expect(missing_docs, reason = "each variant holds the struct of its name")]
pub enum AwsResource {
    #[serde(rename = "VPC")]
    Vpc(Vpc),
    #[serde(rename = "DHCPOptions")]
    DhcpOptions(DhcpOptions),
    #[serde(rename = "VPCDHCPOptionsAssociation")]
    VpcDhcpOptionsAssociation(VpcDhcpOptionsAssociation),
    InternetGateway(InternetGateway),
    Subnet(Subnet),
    #[serde(rename = "ElasticIP")]
    ElasticIp(ElasticIp),
    NatGateway(NatGateway),
    RouteTable(RouteTable),
    Route(Route),
    RouteTableAssociation(RouteTableAssociation),
    SecurityGroup(SecurityGroup),
    SecurityGroupRule(SecurityGroupRule),
    #[serde(rename = "SSHKey")]
    SshKey(SshKey),
    #[serde(rename = "IAMRole")]
    IamRole(IamRole),
    #[serde(rename = "IAMRolePolicy")]
    IamRolePolicy(IamRolePolicy),
    #[serde(rename = "IAMInstanceProfile")]
    IamInstanceProfile(IamInstanceProfile),
    #[serde(rename = "IAMInstanceProfileRole")]
    IamInstanceProfileRole(IamInstanceProfileRole),
    #[serde(rename = "EBSVolume")]
    EbsVolume(EbsVolume),
    ClassicLoadBalancer(ClassicLoadBalancer),
    NetworkLoadBalancer(NetworkLoadBalancer),
    NetworkLoadBalancerListener(NetworkLoadBalancerListener),
    TargetGroup(TargetGroup),
    #[serde(rename = "DNSName")]
    DnsName(DnsName),
    LaunchTemplate(Box<LaunchTemplate>),
    AutoscalingGroup(Box<AutoscalingGroup>),
    ManagedFile(ManagedFile),
    Keypair(Keypair),
    Secret(Secret),
    Instance(Box<Instance>),
    NetworkInterface(NetworkInterface),
    /// Somebody else's, of any kind.
    Shared(Shared),
}

/// What every kind says of itself.
pub(crate) trait Part {
    fn kind(&self) -> Kind;
    fn name(&self) -> String;
    fn ownership(&self) -> Ownership;
    fn requires(&self) -> Vec<ResourceId>;
    fn rules(&self) -> Rules;

    fn tie(&self, _to: &ResourceId) -> Tie {
        Tie::Firm
    }

    fn relation(&self, _to: &ResourceId) -> Relation {
        Relation::Uses
    }

    fn range(&self) -> Option<(ResourceId, Ipv4Net)> {
        None
    }

    /// Takes new names of itself, if manifests can name it by its handle, and of what it refers to.
    fn rename(&mut self, _names: &NewNames<'_>) {}

    fn holds_data(&self) -> Option<&'static str> {
        None
    }

    fn etcd_member(&self) -> Option<MemberId> {
        None
    }

    /// Serialised fields that are not compared.
    fn hidden(&self) -> &'static [&'static str] {
        &[]
    }
}

/// New names of resources, by kind and old name.
pub(crate) struct NewNames<'a>(&'a NewIds);

impl NewNames<'_> {
    fn of(&self, kind: &Kind, name: &mut String) {
        if let Some(new) = self.0.get(&ResourceId::new(kind.clone(), name.as_str())) {
            name.clone_from(&new.name);
        }
    }

    fn of_all(&self, kind: &Kind, names: &mut BTreeSet<String>) {
        *names = std::mem::take(names)
            .into_iter()
            .map(|mut name| {
                self.of(kind, &mut name);
                name
            })
            .collect();
    }

    fn of_ids(&self, ids: &mut BTreeSet<ResourceId>) {
        *ids = std::mem::take(ids).into_iter().map(|id| self.0.get(&id).cloned().unwrap_or(id)).collect();
    }
}

/// How the fields of a kind change: those that are named, and all others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    fields: &'static [(&'static str, FieldRule)],
    otherwise: FieldRule,
}

impl Rules {
    fn in_place(fields: &'static [(&'static str, FieldRule)]) -> Self {
        Self { fields, otherwise: FieldRule::IN_PLACE }
    }

    fn replace(fields: &'static [(&'static str, FieldRule)]) -> Self {
        Self { fields, otherwise: FieldRule::REPLACE }
    }

    fn refuse(fields: &'static [(&'static str, FieldRule)]) -> Self {
        Self { fields, otherwise: FieldRule::REFUSE }
    }

    fn of(self, field: &str) -> FieldRule {
        self.fields.iter().find(|(name, _)| *name == field).map_or(self.otherwise, |(_, rule)| *rule)
    }
}

fn refer<'a>(kind: Kind, names: impl IntoIterator<Item = &'a String>) -> impl Iterator<Item = ResourceId> {
    names.into_iter().map(move |name| ResourceId::new(kind.clone(), name.as_str()))
}

impl AwsResource {
    fn part(&self) -> &dyn Part {
        match self {
            Self::Vpc(part) => part,
            Self::DhcpOptions(part) => part,
            Self::VpcDhcpOptionsAssociation(part) => part,
            Self::InternetGateway(part) => part,
            Self::Subnet(part) => part,
            Self::ElasticIp(part) => part,
            Self::NatGateway(part) => part,
            Self::RouteTable(part) => part,
            Self::Route(part) => part,
            Self::RouteTableAssociation(part) => part,
            Self::SecurityGroup(part) => part,
            Self::SecurityGroupRule(part) => part,
            Self::SshKey(part) => part,
            Self::IamRole(part) => part,
            Self::IamRolePolicy(part) => part,
            Self::IamInstanceProfile(part) => part,
            Self::IamInstanceProfileRole(part) => part,
            Self::EbsVolume(part) => part,
            Self::ClassicLoadBalancer(part) => part,
            Self::NetworkLoadBalancer(part) => part,
            Self::NetworkLoadBalancerListener(part) => part,
            Self::TargetGroup(part) => part,
            Self::DnsName(part) => part,
            Self::LaunchTemplate(part) => part.as_ref(),
            Self::AutoscalingGroup(part) => part.as_ref(),
            Self::ManagedFile(part) => part,
            Self::Keypair(part) => part,
            Self::Secret(part) => part,
            Self::Instance(part) => part.as_ref(),
            Self::NetworkInterface(part) => part,
            Self::Shared(part) => part,
        }
    }

    fn part_mut(&mut self) -> &mut dyn Part {
        match self {
            Self::Vpc(part) => part,
            Self::DhcpOptions(part) => part,
            Self::VpcDhcpOptionsAssociation(part) => part,
            Self::InternetGateway(part) => part,
            Self::Subnet(part) => part,
            Self::ElasticIp(part) => part,
            Self::NatGateway(part) => part,
            Self::RouteTable(part) => part,
            Self::Route(part) => part,
            Self::RouteTableAssociation(part) => part,
            Self::SecurityGroup(part) => part,
            Self::SecurityGroupRule(part) => part,
            Self::SshKey(part) => part,
            Self::IamRole(part) => part,
            Self::IamRolePolicy(part) => part,
            Self::IamInstanceProfile(part) => part,
            Self::IamInstanceProfileRole(part) => part,
            Self::EbsVolume(part) => part,
            Self::ClassicLoadBalancer(part) => part,
            Self::NetworkLoadBalancer(part) => part,
            Self::NetworkLoadBalancerListener(part) => part,
            Self::TargetGroup(part) => part,
            Self::DnsName(part) => part,
            Self::LaunchTemplate(part) => part.as_mut(),
            Self::AutoscalingGroup(part) => part.as_mut(),
            Self::ManagedFile(part) => part,
            Self::Keypair(part) => part,
            Self::Secret(part) => part,
            Self::Instance(part) => part.as_mut(),
            Self::NetworkInterface(part) => part,
            Self::Shared(part) => part,
        }
    }
}

/// Serialised fields that say which resource it is, not how it is.
const IDENTITY: [&str; 4] = ["Kind", "Name", "Ownership", "After"];

impl Resource for AwsResource {
    fn id(&self) -> ResourceId {
        let part = self.part();
        ResourceId::new(part.kind(), part.name())
    }

    fn requires(&self) -> Vec<ResourceId> {
        self.part().requires()
    }

    fn tie(&self, to: &ResourceId) -> Tie {
        self.part().tie(to)
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        self.part().relation(to)
    }

    fn range(&self) -> Option<(ResourceId, Ipv4Net)> {
        self.part().range()
    }

    fn renamed(mut self, ids: &NewIds) -> Self {
        self.part_mut().rename(&NewNames(ids));
        self
    }

    fn ownership(&self) -> Ownership {
        self.part().ownership()
    }

    fn fields(&self) -> Map<String, Value> {
        // Every kind is a struct with string keys, which always serialises to a map.
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Map::new() };
        let hidden = self.part().hidden();
        let shown = |name: &str| !IDENTITY.contains(&name) && !hidden.contains(&name);
        fields.into_iter().filter(|(name, _)| shown(name)).collect()
    }

    fn rule(&self, field: &str) -> FieldRule {
        self.part().rules().of(field)
    }

    fn holds_data(&self) -> Option<&'static str> {
        self.part().holds_data()
    }
}

impl EtcdBacked for AwsResource {
    fn etcd_member(&self) -> Option<MemberId> {
        self.part().etcd_member()
    }
}

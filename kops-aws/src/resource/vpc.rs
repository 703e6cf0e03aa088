use ipnet::Ipv4Net;
use kops_core::resource::{FieldRule, Kind, Ownership, Relation, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind};

/// A virtual network. Its name is that of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Vpc {
    /// The cluster's name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The address range. Everything would have to go to change it.
    #[serde(rename = "CIDR")]
    pub cidr: Ipv4Net,
    /// Whether instances with public addresses get public DNS names.
    #[serde(rename = "EnableDNSHostnames")]
    pub enable_dns_hostnames: bool,
    /// Whether Amazon's resolver answers in the network.
    #[serde(rename = "EnableDNSSupport")]
    pub enable_dns_support: bool,
    /// Tags.
    pub tags: Tags,
}

impl Part for Vpc {
    fn kind(&self) -> Kind {
        kind::VPC
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        Vec::new()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[("CIDR", FieldRule::REFUSE), ("Tags", FieldRule::TAGS)])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::VPC, &mut self.name);
    }
}

/// What DHCP tells the instances of a network: their domain and resolver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DhcpOptions {
    /// The cluster's name.
    pub name: String,
    /// Whose they are.
    pub ownership: Ownership,
    /// The domain of instance names.
    pub domain_name: String,
    /// The resolvers, `AmazonProvidedDNS`.
    pub domain_name_servers: Vec<String>,
    /// Tags.
    pub tags: Tags,
}

impl Part for DhcpOptions {
    fn kind(&self) -> Kind {
        kind::DHCP_OPTIONS
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        Vec::new()
    }

    fn rules(&self) -> Rules {
        // A set of options cannot be modified once it exists (EC2 API, CreateDhcpOptions).
        Rules::replace(&[("Tags", FieldRule::TAGS)])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::DHCP_OPTIONS, &mut self.name);
    }
}

/// That a network uses a set of DHCP options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VpcDhcpOptionsAssociation {
    /// The cluster's name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The network.
    #[serde(rename = "VPC")]
    pub vpc: String,
    /// The options.
    #[serde(rename = "DHCPOptions")]
    pub dhcp_options: String,
}

impl Part for VpcDhcpOptionsAssociation {
    fn kind(&self) -> Kind {
        kind::VPC_DHCP_OPTIONS_ASSOCIATION
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![ResourceId::new(kind::VPC, &self.vpc), ResourceId::new(kind::DHCP_OPTIONS, &self.dhcp_options)]
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[])
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::VPC { Relation::Shapes } else { Relation::Uses }
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        let named_as_vpc = self.name == self.vpc;
        names.of(&kind::VPC, &mut self.vpc);
        names.of(&kind::DHCP_OPTIONS, &mut self.dhcp_options);
        if named_as_vpc {
            self.name.clone_from(&self.vpc);
        }
    }
}

/// The way from a network to the internet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InternetGateway {
    /// The cluster's name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The network it is attached to; nothing when it is found detached.
    #[serde(rename = "VPC", default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// Tags.
    pub tags: Tags,
}

impl Part for InternetGateway {
    fn kind(&self) -> Kind {
        kind::INTERNET_GATEWAY
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        self.vpc.iter().map(|vpc| ResourceId::new(kind::VPC, vpc)).collect()
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[("Tags", FieldRule::TAGS)])
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::VPC { Relation::Shapes } else { Relation::Uses }
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::INTERNET_GATEWAY, &mut self.name);
        if let Some(vpc) = &mut self.vpc {
            names.of(&kind::VPC, vpc);
        }
    }
}

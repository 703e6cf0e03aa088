use ipnet::Ipv4Net;
use kops_core::resource::{FieldRule, Kind, Ownership, Relation, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind};

/// A part of a network, in one zone. Named `<subnet>.<cluster>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Subnet {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The name in the manifest.
    pub short_name: String,
    /// The network.
    #[serde(rename = "VPC")]
    pub vpc: String,
    /// The zone.
    pub availability_zone: String,
    /// The address range.
    #[serde(rename = "CIDR")]
    pub cidr: Ipv4Net,
    /// Whether instances are named after their ids (`i-….<region>.compute.internal`) and these names resolve.
    pub resource_based_naming: bool,
    /// Tags.
    pub tags: Tags,
}

impl Part for Subnet {
    fn kind(&self) -> Kind {
        kind::SUBNET
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![ResourceId::new(kind::VPC, &self.vpc)]
    }

    fn rules(&self) -> Rules {
        // All machines and volumes in it would have to go first.
        Rules::refuse(&[("ResourceBasedNaming", FieldRule::IN_PLACE), ("Tags", FieldRule::TAGS)])
    }

    fn hidden(&self) -> &'static [&'static str] {
        // It is part of the name already.
        &["ShortName"]
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::VPC { Relation::LiesWithin } else { Relation::Uses }
    }

    fn range(&self) -> Option<(ResourceId, Ipv4Net)> {
        Some((ResourceId::new(kind::VPC, &self.vpc), self.cidr))
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::SUBNET, &mut self.name);
        names.of(&kind::VPC, &mut self.vpc);
    }
}

/// The routes of subnets. Named after the cluster, or `private-<zone>.<cluster>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RouteTable {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The network.
    #[serde(rename = "VPC")]
    pub vpc: String,
    /// Tags, among them `kubernetes.io/kops/role`.
    pub tags: Tags,
}

impl Part for RouteTable {
    fn kind(&self) -> Kind {
        kind::ROUTE_TABLE
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![ResourceId::new(kind::VPC, &self.vpc)]
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[("Tags", FieldRule::TAGS)])
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::VPC { Relation::LiesWithin } else { Relation::Uses }
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::VPC, &mut self.vpc);
    }
}

/// One route of a table. Named after its destination, and its table's zone where that is private.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Route {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The table.
    pub route_table: String,
    /// The destination.
    #[serde(rename = "CIDR")]
    pub cidr: Ipv4Net,
    /// Where traffic is sent to; nothing when what it was sent to is gone (a black hole).
    #[serde(flatten)]
    pub target: Option<RouteTarget>,
}

/// Where a route sends traffic to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteTarget {
    /// The network's way to the internet, for machines with public addresses.
    InternetGateway(String),
    /// A gateway that translates addresses.
    NatGateway(String),
    /// A machine that forwards, by its id.
    Instance(String),
    /// A hub between networks, by its id.
    TransitGateway(String),
    /// Another network, by the id of the connection.
    VpcPeeringConnection(String),
    /// An interface of a machine, by its id.
    NetworkInterface(String),
}

impl RouteTarget {
    /// The resource that it is, if the cluster makes or names it.
    fn id(&self) -> Option<ResourceId> {
        match self {
            Self::InternetGateway(name) => Some(ResourceId::new(kind::INTERNET_GATEWAY, name)),
            Self::NatGateway(name) => Some(ResourceId::new(kind::NAT_GATEWAY, name)),
            Self::Instance(_)
            | Self::TransitGateway(_)
            | Self::VpcPeeringConnection(_)
            | Self::NetworkInterface(_) => None,
        }
    }
}

impl Part for Route {
    fn kind(&self) -> Kind {
        kind::ROUTE
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        let target = self.target.as_ref().and_then(RouteTarget::id);
        std::iter::once(ResourceId::new(kind::ROUTE_TABLE, &self.route_table)).chain(target).collect()
    }

    fn rules(&self) -> Rules {
        // Where it leads to changes in place; where it comes from does not.
        Rules {
            fields: &[("RouteTable", FieldRule::REPLACE), ("CIDR", FieldRule::REPLACE)],
            otherwise: FieldRule::IN_PLACE,
        }
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::ROUTE_TABLE { Relation::Shapes } else { Relation::Uses }
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        match &mut self.target {
            Some(RouteTarget::InternetGateway(gateway)) => names.of(&kind::INTERNET_GATEWAY, gateway),
            Some(RouteTarget::NatGateway(gateway)) => names.of(&kind::NAT_GATEWAY, gateway),
            _ => {}
        }
    }
}

/// That a subnet uses a route table. Named as the subnet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RouteTableAssociation {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The table.
    pub route_table: String,
    /// The subnet.
    pub subnet: String,
}

impl Part for RouteTableAssociation {
    fn kind(&self) -> Kind {
        kind::ROUTE_TABLE_ASSOCIATION
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![
            ResourceId::new(kind::ROUTE_TABLE, &self.route_table),
            ResourceId::new(kind::SUBNET, &self.subnet),
        ]
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[("RouteTable", FieldRule::IN_PLACE)])
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::SUBNET { Relation::Shapes } else { Relation::Uses }
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        let named_as_subnet = self.name == self.subnet;
        names.of(&kind::SUBNET, &mut self.subnet);
        if named_as_subnet {
            self.name.clone_from(&self.subnet);
        }
    }
}

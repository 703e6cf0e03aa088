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
    /// The gateway that traffic is sent to; nothing when what it was sent to is gone (a black hole).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_gateway: Option<String>,
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
        let gateway = self.internet_gateway.iter().map(|name| ResourceId::new(kind::INTERNET_GATEWAY, name));
        std::iter::once(ResourceId::new(kind::ROUTE_TABLE, &self.route_table)).chain(gateway).collect()
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[("InternetGateway", FieldRule::IN_PLACE)])
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::ROUTE_TABLE { Relation::Shapes } else { Relation::Uses }
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        if let Some(gateway) = &mut self.internet_gateway {
            names.of(&kind::INTERNET_GATEWAY, gateway);
        }
    }
}

/// That a subnet uses a route table. Named as the subnet, or `private-<zone>.<cluster>`.
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

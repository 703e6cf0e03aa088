use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind};

/// A public address that stays. Named `<zone>.<cluster>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ElasticIp {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// Tags.
    pub tags: Tags,
}

impl Part for ElasticIp {
    fn kind(&self) -> Kind {
        kind::ELASTIC_IP
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
        Rules::replace(&[("Tags", FieldRule::TAGS)])
    }
}

/// What translates the addresses of machines in private subnets on their way out. Named `<zone>.<cluster>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NatGateway {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The subnet that it stands in, from which the internet is reached.
    pub subnet: String,
    /// Its public address.
    #[serde(rename = "ElasticIP")]
    pub elastic_ip: String,
    /// Tags.
    pub tags: Tags,
}

impl Part for NatGateway {
    fn kind(&self) -> Kind {
        kind::NAT_GATEWAY
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![ResourceId::new(kind::SUBNET, &self.subnet), ResourceId::new(kind::ELASTIC_IP, &self.elastic_ip)]
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[("Tags", FieldRule::TAGS)])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::SUBNET, &mut self.subnet);
        names.of(&kind::ELASTIC_IP, &mut self.elastic_ip);
    }
}

use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{NewNames, Part, Rules, Tags, kind};

/// A security group. Named `masters.<cluster>`, `nodes.<cluster>`, `api-elb.<cluster>`; those that services made
/// are named by their handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecurityGroup {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// What it is for.
    pub description: String,
    /// The network.
    #[serde(rename = "VPC")]
    pub vpc: String,
    /// Tags.
    pub tags: Tags,
}

impl Part for SecurityGroup {
    fn kind(&self) -> Kind {
        kind::SECURITY_GROUP
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
        // All machines in it would have to go first.
        Rules::replace(&[("VPC", FieldRule::REFUSE), ("Tags", FieldRule::TAGS)])
    }

    fn rename(&mut self, names: &NewNames<'_>) {
        names.of(&kind::SECURITY_GROUP, &mut self.name);
        names.of(&kind::VPC, &mut self.vpc);
    }
}

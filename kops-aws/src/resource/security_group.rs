use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{Part, Rules, Tags, kind};

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
        Rules::replace(&[("Tags", FieldRule::TAGS)])
    }
}

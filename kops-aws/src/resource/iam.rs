use std::collections::BTreeSet;

use kops_core::resource::{FieldRule, Kind, Ownership, Relation, ResourceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Part, Rules, Tags, kind};

/// A role that machines take on. Named `masters.<cluster>`, `nodes.<cluster>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IamRole {
    /// The name, also IAM's.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// Who may take it on.
    pub role_policy_document: Value,
    /// The ARN of the policy that bounds its permissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
    /// The ARNs of existing policies that are attached.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub external_policies: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
}

impl Part for IamRole {
    fn kind(&self) -> Kind {
        kind::IAM_ROLE
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
        Rules::in_place(&[("Tags", FieldRule::TAGS)])
    }
}

/// A policy inside a role. Named as the role, or `additional.<role>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IamRolePolicy {
    /// The name, also IAM's.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The role.
    pub role: String,
    /// What it permits.
    pub policy_document: Value,
}

impl Part for IamRolePolicy {
    fn kind(&self) -> Kind {
        kind::IAM_ROLE_POLICY
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![ResourceId::new(kind::IAM_ROLE, &self.role)]
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[("Role", FieldRule::REPLACE)])
    }

    fn relation(&self, _: &ResourceId) -> Relation {
        Relation::Shapes
    }
}

/// What gives a role to machines. Named as the role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IamInstanceProfile {
    /// The name, also IAM's.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// Tags.
    pub tags: Tags,
}

impl Part for IamInstanceProfile {
    fn kind(&self) -> Kind {
        kind::IAM_INSTANCE_PROFILE
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
        Rules::in_place(&[("Tags", FieldRule::TAGS)])
    }
}

/// That an instance profile holds a role. Named as the profile, which can hold one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IamInstanceProfileRole {
    /// The name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The profile.
    pub instance_profile: String,
    /// The role.
    pub role: String,
}

impl Part for IamInstanceProfileRole {
    fn kind(&self) -> Kind {
        kind::IAM_INSTANCE_PROFILE_ROLE
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        vec![
            ResourceId::new(kind::IAM_INSTANCE_PROFILE, &self.instance_profile),
            ResourceId::new(kind::IAM_ROLE, &self.role),
        ]
    }

    fn rules(&self) -> Rules {
        Rules::replace(&[])
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        if to.kind == kind::IAM_INSTANCE_PROFILE { Relation::Shapes } else { Relation::Uses }
    }
}

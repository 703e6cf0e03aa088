use kops_core::resource::{Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{Part, Rules, kind};

/// Random bytes in the state store that the machines share. kops's name for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Secret {
    /// The secret's name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
}

impl Part for Secret {
    fn kind(&self) -> Kind {
        kind::SECRET
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
        Rules::in_place(&[])
    }
}

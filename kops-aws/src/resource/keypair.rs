use kops_core::resource::{Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{Part, Rules, kind};

/// A keyset in the state store: an authority with its private key, or what signs tokens. kops's name for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Keypair {
    /// The keyset's name.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
}

impl Part for Keypair {
    fn kind(&self) -> Kind {
        kind::KEYPAIR
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

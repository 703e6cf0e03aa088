use kops_core::resource::{Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{Part, Rules};

/// Somebody else's resource that the cluster uses: never tagged, changed or deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Shared {
    /// What it is.
    pub of: Kind,
    /// Its handle: an id, an ARN, or what else AWS knows it by.
    pub name: String,
}

impl Shared {
    /// Somebody else's `handle` of `kind`.
    pub fn new(kind: Kind, handle: impl Into<String>) -> Self {
        Self { of: kind, name: handle.into() }
    }
}

impl Part for Shared {
    fn kind(&self) -> Kind {
        self.of.clone()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn ownership(&self) -> Ownership {
        Ownership::Shared
    }

    fn requires(&self) -> Vec<ResourceId> {
        Vec::new()
    }

    fn rules(&self) -> Rules {
        Rules::refuse(&[])
    }

    fn hidden(&self) -> &'static [&'static str] {
        &["Of"]
    }
}

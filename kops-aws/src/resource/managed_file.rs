use std::collections::BTreeSet;

use kops_core::manifest::Role;
use kops_core::resource::{Kind, Ownership, ResourceId, Tie};
use kops_core::state_object::{StateBacked, StateObject};
use serde::{Deserialize, Serialize};

use super::{AwsResource, Keypair, Part, Rules, Secret, kind};
use crate::model::kubernetes_version;
use crate::tags;

/// A file in the state store. Named by its place below the cluster's part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ManagedFile {
    /// Whose it is.
    pub ownership: Ownership,
    /// What is stored, and where.
    #[serde(flatten)]
    pub object: StateObject,
    /// What must be there before whoever reads the file.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ResourceId>,
}

impl ManagedFile {
    /// The id of the file that holds `object`.
    pub fn id_of(object: &StateObject) -> ResourceId {
        ResourceId::new(kind::MANAGED_FILE, &object.location)
    }
}

impl Part for ManagedFile {
    fn kind(&self) -> Kind {
        kind::MANAGED_FILE
    }

    fn name(&self) -> String {
        self.object.location.clone()
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn requires(&self) -> Vec<ResourceId> {
        self.after.iter().cloned().collect()
    }

    fn tie(&self, _to: &ResourceId) -> Tie {
        Tie::Loose
    }

    fn rules(&self) -> Rules {
        Rules::in_place(&[])
    }

    fn hidden(&self) -> &'static [&'static str] {
        // The location is the name; where it names the contents by hash, it stands for them too.
        match self.object.content_addressed {
            true => &["Location", "ContentAddressed", "Contents"],
            false => &["Location", "ContentAddressed"],
        }
    }
}

/// Whether user data fetches nodeup, with which kops sets up machines.
fn is_of_nodeup(user_data: &str) -> bool {
    user_data.contains("NODEUP_URL") && kubernetes_version(user_data).is_none()
}

impl StateBacked for AwsResource {
    const KINDS: [Kind; 3] = [kind::MANAGED_FILE, kind::KEYPAIR, kind::SECRET];

    fn state_object(&self) -> Option<&StateObject> {
        match self {
            Self::ManagedFile(file) => Some(&file.object),
            _ => None,
        }
    }

    fn from_state_object(object: StateObject) -> Self {
        let ownership = if object.content_addressed { Ownership::Dependent } else { Ownership::Managed };
        Self::ManagedFile(ManagedFile { ownership, object, after: BTreeSet::new() })
    }

    fn node_config(&self) -> Option<&str> {
        let Self::LaunchTemplate(template) = self else { return None };
        // As the script names it, `config_path='/…/igconfig/…/<sha256>.yaml'`.
        let (_, path) = template.user_data.split_once("config_path='")?;
        let (path, _) = path.split_once('\'')?;
        path.find("igconfig/").and_then(|start| path.get(start..))
    }

    fn is_control_plane_of_kops(&self) -> bool {
        let Self::LaunchTemplate(template) = self else { return false };
        let has_role = tags::roles(Role::ControlPlane).iter().any(|role| template.tags.contains_key(*role));
        has_role && is_of_nodeup(&template.user_data)
    }

    fn keyset(&self) -> Option<&str> {
        match self {
            Self::Keypair(keypair) => Some(&keypair.name),
            _ => None,
        }
    }

    fn from_keyset(name: &str) -> Self {
        // An update deletes no key, whoever made it: something out there may be signed by it.
        Self::Keypair(Keypair { name: name.to_owned(), ownership: Ownership::Dependent })
    }

    fn secret(&self) -> Option<&str> {
        match self {
            Self::Secret(secret) => Some(&secret.name),
            _ => None,
        }
    }

    fn from_secret(name: &str) -> Self {
        // Nor a secret: machines out there have it.
        Self::Secret(Secret { name: name.to_owned(), ownership: Ownership::Dependent })
    }
}

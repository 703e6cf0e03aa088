use kops_core::resource::{FieldRule, Kind, Ownership, ResourceId};
use serde::{Deserialize, Serialize};

use super::{Part, Rules, Tags, kind};

/// A key pair that logs in to the machines. Named `kubernetes.<cluster>-<fingerprint>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SshKey {
    /// The name, also EC2's.
    pub name: String,
    /// Whose it is.
    pub ownership: Ownership,
    /// The public key as one line (`ssh-rsa AAAA…`). Not compared: the fingerprint stands for it. Empty where it was
    /// not read.
    pub public_key: String,
    /// EC2's fingerprint of it; see [`names::ec2_fingerprint`](crate::names::ec2_fingerprint).
    pub key_fingerprint: String,
    /// Tags.
    pub tags: Tags,
}

impl Part for SshKey {
    fn kind(&self) -> Kind {
        kind::SSH_KEY
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

    fn hidden(&self) -> &'static [&'static str] {
        &["PublicKey"]
    }
}

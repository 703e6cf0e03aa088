use serde::{Deserialize, Serialize};

use super::Metadata;

/// A public key that may log in to the machines. Its name is `admin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SshCredential {
    /// Name (`admin`) and cluster.
    pub metadata: Metadata,
    /// The key.
    pub spec: SshCredentialSpec,
}

/// The key of an [`SshCredential`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SshCredentialSpec {
    /// The public key in OpenSSH's one-line form (`ssh-ed25519 AAAA… comment`).
    pub public_key: String,
}

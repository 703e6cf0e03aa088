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

impl SshCredentialSpec {
    /// Whether the text has the form of a public key: a type, the key in base64, and a comment if need be, on one line.
    pub fn is_public_key(&self) -> bool {
        let mut words = self.public_key.split_ascii_whitespace();
        let is_type = |word: &str| {
            ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
        };
        let is_base64 =
            |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        words.next().is_some_and(is_type)
            && words.next().is_some_and(is_base64)
            && !self.public_key.trim().contains(['\n', '\r'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_line_public_keys_are_taken() {
        let is_public_key = |text: &str| SshCredentialSpec { public_key: text.to_owned() }.is_public_key();
        for right in ["ssh-ed25519 AAAA+/9=", "ssh-rsa AAAA me@home or else\n", "ecdsa-sha2-nistp256 AAAA"] {
            assert!(is_public_key(right), "{right}");
        }
        for wrong in [
            "",
            "ssh-rsa",
            "AAAA",
            "ssh-rsa AAAA\nssh-rsa BBBB",
            "ssh-rsa AA*A",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA",
        ] {
            assert!(!is_public_key(wrong), "{wrong}");
        }
    }
}

//! SSH public keys, as far as their names go.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// An SSH public key in OpenSSH's one-line form: kind, key in base64, comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    line: String,
    blob: Vec<u8>,
}

/// A text that is not an SSH public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not an SSH public key: {0}; expected one line such as `ssh-ed25519 AAAA… comment`")]
pub struct InvalidPublicKey(&'static str);

impl PublicKey {
    /// Reads a public key. White space around it is dropped.
    ///
    /// # Errors
    /// Says what is wrong with the text, never the text itself: it may be a private key given by mistake.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicKey> {
        let line = text.trim();
        if line.starts_with("-----BEGIN") {
            return Err(InvalidPublicKey("it is a PEM file, such as a private key"));
        }
        if line.contains('\n') {
            return Err(InvalidPublicKey("it has more than one line"));
        }
        let mut words = line.split_whitespace();
        let (Some(kind), Some(key)) = (words.next(), words.next()) else {
            return Err(InvalidPublicKey("it has less than two words"));
        };
        let blob = STANDARD.decode(key).map_err(|_| InvalidPublicKey("its second word is not base64"))?;
        // The key starts with the name of its kind, after the name's length in four bytes (RFC 4253, 6.6).
        let named = blob.split_first_chunk::<4>().and_then(|(length, rest)| {
            rest.get(..usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX))
        });
        if named != Some(kind.as_bytes()) {
            return Err(InvalidPublicKey("its two words are of different kinds"));
        }
        Ok(Self { line: line.to_owned(), blob })
    }

    /// The MD5 fingerprint as OpenSSH writes it: sixteen bytes in hexadecimal, colons between them.
    pub fn fingerprint(&self) -> String {
        Md5::digest(&self.blob).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen -t ed25519`; the fingerprint by `ssh-keygen -l -E md5`.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5x5QvIH3KAUKycdG0bG0DChDCRm8womEMjFknuysTs admin@example.com";

    #[test]
    fn fingerprints_are_those_of_openssh() {
        assert_eq!(
            PublicKey::parse(KEY).unwrap().fingerprint(),
            "3b:c4:d2:c3:14:fe:ac:bc:eb:e7:cf:17:97:bb:8e:6c"
        );
        let other_comment = KEY.rsplit_once(' ').unwrap().0.to_owned() + " somebody else\n";
        assert_eq!(
            PublicKey::parse(&other_comment).unwrap().fingerprint(),
            "3b:c4:d2:c3:14:fe:ac:bc:eb:e7:cf:17:97:bb:8e:6c"
        );
    }

    #[test]
    fn other_texts_are_refused_without_showing_them() {
        for (text, reason) in [
            ("", "less than two words"),
            ("ssh-ed25519", "less than two words"),
            ("ssh-ed25519 !!!", "not base64"),
            (&KEY.replace("ssh-ed25519 ", "ssh-rsa "), "different kinds"),
            ("ssh-rsa AAAA", "different kinds"),
            (&format!("{KEY}\n{KEY}"), "more than one line"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret", "private key"),
        ] {
            let message = PublicKey::parse(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
            assert!(!message.contains("secret"));
        }
    }
}

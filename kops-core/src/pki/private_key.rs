use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use zeroize::Zeroizing;

use super::{Certificate, PkiError};
use crate::digest::sha256_hex;

/// A private key in PEM: PKCS #8, or PKCS #1 and SEC 1 where others made it. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<String>);

/// Shows nothing of the key.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// A new key for ECDSA on P-256: as safe as kops's RSA keys of 2048 bits, and made in well under a millisecond.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn generate() -> Result<Self, PkiError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| PkiError::signing("a private key", error))?;
        Ok(Self(Zeroizing::new(pair.serialize_pem())))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// It is none, or of a kind that nothing can be signed with; says nothing of what it is.
    pub fn from_pem(pem: impl Into<String>) -> Result<Self, PkiError> {
        let key = Self(Zeroizing::new(pem.into()));
        key.pair()?;
        Ok(key)
    }

    /// The key itself. Only for what has to hold it: a private file, the state store.
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// Its public half in PEM.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn public_pem(&self) -> Result<String, PkiError> {
        Ok(self.pair()?.public_key_pem())
    }

    /// The SHA-256 of its public half (`SubjectPublicKeyInfo`) in lower-case hexadecimal.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn public_hash(&self) -> Result<String, PkiError> {
        Ok(sha256_hex(&self.pair()?.subject_public_key_info()))
    }

    /// Whether it is the one whose public half `certificate` certifies.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        let certified = certificate.x509().map(|x509| x509.public_key().raw.to_vec());
        self.pair()
            .is_ok_and(|pair| certified.is_ok_and(|certified| pair.subject_public_key_info() == certified))
    }

    pub(super) fn pair(&self) -> Result<KeyPair, PkiError> {
        // The parser's own error could quote the text.
        KeyPair::from_pem(&self.0).map_err(|_| {
            PkiError::unreadable("a private key", "it is not an RSA, ECDSA or Ed25519 key in PEM")
        })
    }
}

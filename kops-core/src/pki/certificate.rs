use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use super::PkiError;
use crate::clock::Timestamp;

/// A certificate, and what people ask of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pem: String,
    der: Vec<u8>,
    subject: String,
    not_before: Timestamp,
    not_after: Timestamp,
    is_authority: bool,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish()
    }
}

impl Certificate {
    /// Reads the first certificate of a text.
    ///
    /// # Errors
    /// There is none, or it is broken.
    pub fn from_pem(pem: impl Into<String>) -> Result<Self, PkiError> {
        let pem = pem.into();
        let unreadable = |reason: &dyn fmt::Display| PkiError::unreadable("a certificate", reason);
        let block = Pem::iter_from_buffer(pem.as_bytes())
            .next()
            .ok_or_else(|| unreadable(&"it is empty"))?
            .map_err(|_| unreadable(&"it is not PEM"))?;
        let (_, x509) = X509Certificate::from_der(&block.contents).map_err(|error| unreadable(&error))?;
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|error| unreadable(&error))
        };
        let validity = x509.validity();
        let (not_before, not_after) = (time(validity.not_before)?, time(validity.not_after)?);
        let subject = x509.subject().to_string();
        let is_authority = x509.is_ca();
        Ok(Self { pem, der: block.contents, subject, not_before, not_after, is_authority })
    }

    /// Its text.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom it is for, as `CN=…`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// From when it holds.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it holds.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it may certify others.
    pub fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// The certified public key in PEM.
    ///
    /// # Errors
    /// The certificate is broken.
    pub fn public_key_pem(&self) -> Result<String, PkiError> {
        Ok(super::stored::pem("PUBLIC KEY", self.x509()?.public_key().raw))
    }

    pub(super) fn x509(&self) -> Result<X509Certificate<'_>, PkiError> {
        let read = X509Certificate::from_der(&self.der);
        read.map(|(_, x509)| x509).map_err(|error| PkiError::unreadable("a certificate", error))
    }
}

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Certificate, KeyId, Leaf, PkiError, PrivateKey, Usage};
use crate::clock::{Timestamp, later};

/// How long before it was made a certificate holds: not all clocks are right. As in kops.
const BACKDATED: Duration = Duration::from_hours(48);
/// How long an authority holds. As in kops.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What others are shown.
    pub certificate: Certificate,
    /// What proves that it is one's own.
    pub key: PrivateKey,
}

/// Something that certificates can be had from.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// The authority with this certificate and key.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(certificate: &Certificate, key: &PrivateKey) -> Result<Self, PkiError> {
        let issuer = Issuer::from_ca_cert_der(&certificate.der().into(), key.pair()?)
            .map_err(|error| PkiError::unreadable("the authority's certificate", error))?;
        Ok(Self { issuer, certificate: certificate.clone() })
    }

    /// A new authority, certified by itself for ten years.
    pub(super) fn certify_itself(
        name: &str,
        id: &KeyId,
        key: PrivateKey,
        now: Timestamp,
    ) -> Result<Credential, PkiError> {
        let mut params = params(name, None, id, now, later(now, AUTHORITY_LIFETIME))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key.pair()?).map_err(|error| PkiError::signing(name, error))?;
        Ok(Credential { certificate: Certificate::from_pem(certificate.pem())?, key })
    }

    /// Issues a certificate and makes its key.
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn issue(&self, leaf: &Leaf, now: Timestamp) -> Result<Credential, PkiError> {
        let what = || format!("a certificate for {}", leaf.common_name);
        let until = later(now, leaf.lifetime).min(self.certificate.not_after());
        let id = KeyId::new(now)?;
        let mut params = params(&leaf.common_name, leaf.organization.as_deref(), &id, now, until)?;
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        for name in &leaf.names {
            let name = name.as_str().try_into().map_err(|error| PkiError::signing(what(), error))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if leaf.usage != Usage::Client {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if leaf.usage != Usage::Server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        let key = PrivateKey::generate()?;
        let certificate =
            params.signed_by(&key.pair()?, &self.issuer).map_err(|error| PkiError::signing(what(), error))?;
        Ok(Credential { certificate: Certificate::from_pem(certificate.pem())?, key })
    }

    /// Whether a credential can serve as what [`issue`](Self::issue) would make of `leaf`, and goes on to for `margin`:
    /// the authority signed it, it says what `leaf` says, and its key is its own. One that lasts as long as the
    /// authority itself serves to the end, since no better one can be had.
    pub fn stands_behind(
        &self,
        credential: &Credential,
        leaf: &Leaf,
        now: Timestamp,
        margin: Duration,
    ) -> bool {
        let Credential { certificate, key } = credential;
        certificate.not_after() >= later(now, margin).min(self.certificate.not_after())
            && key.is_of(certificate)
            && leaf.describes(certificate)
            && self.has_signed(certificate, leaf.usage, now)
    }

    fn has_signed(&self, certificate: &Certificate, usage: Usage, now: Timestamp) -> bool {
        let (own, its) =
            (CertificateDer::from(self.certificate.der()), CertificateDer::from(certificate.der()));
        let (Ok(anchor), Ok(leaf)) = (anchor_from_trusted_cert(&own), EndEntityCert::try_from(&its)) else {
            return false;
        };
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let usage = if usage == Usage::Client { KeyUsage::client_auth() } else { KeyUsage::server_auth() };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &[anchor], &[], now, usage, None, None).is_ok()
    }
}

fn params(
    common_name: &str,
    organization: Option<&str>,
    id: &KeyId,
    now: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, PkiError> {
    let time = |at: Timestamp| {
        OffsetDateTime::from_unix_timestamp(at.as_second())
            .map_err(|error| PkiError::signing(format!("a certificate for {common_name}"), error))
    };
    let mut params = CertificateParams::default();
    params.not_before = time(now.saturating_sub(BACKDATED).unwrap_or(now))?;
    params.not_after = time(until)?;
    params.serial_number = Some(SerialNumber::from(id.serial()));
    params.distinguished_name = DistinguishedName::new();
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

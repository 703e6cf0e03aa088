use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use serde::Serialize;
use time::OffsetDateTime;

use super::{Certificate, KeyId, PkiError, PrivateKey};
use crate::clock::{Timestamp, later};

/// How long before it was made a certificate holds: not all clocks are right. As in kops.
const BACKDATED: Duration = Duration::from_hours(48);
/// How long an authority holds. As in kops.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// What a certificate proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    /// Who calls.
    Client,
    /// Who is called.
    Server,
    /// Both.
    Both,
}

/// A certificate that an authority is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whom it is for; Kubernetes takes it for the user's name.
    pub common_name: String,
    /// Kubernetes takes it for the user's group.
    pub organization: Option<String>,
    /// The host names it is for.
    pub names: Vec<String>,
    /// The addresses it is for.
    pub addresses: Vec<IpAddr>,
    /// What it proves.
    pub usage: Usage,
    /// How long it holds; no longer than its authority in any case.
    pub lifetime: Duration,
}

impl Leaf {
    /// One that proves who calls.
    pub fn client(common_name: impl Into<String>, organization: Option<&str>, lifetime: Duration) -> Self {
        Self {
            common_name: common_name.into(),
            organization: organization.map(str::to_owned),
            names: Vec::new(),
            addresses: Vec::new(),
            usage: Usage::Client,
            lifetime,
        }
    }

    /// A person's, with every right in the cluster. Named as kops names it.
    pub fn admin(user: &str, lifetime: Duration) -> Self {
        Self::client(format!("kubecfg-{user}"), Some("system:masters"), lifetime)
    }
}

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
    not_after: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.not_after).finish_non_exhaustive()
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
        Ok(Self { issuer, not_after: certificate.not_after() })
    }

    /// A new authority, certified by itself for ten years.
    pub(super) fn generate(name: &str, id: &KeyId, now: Timestamp) -> Result<Credential, PkiError> {
        let key = PrivateKey::generate()?;
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
        let until = later(now, leaf.lifetime).min(self.not_after);
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

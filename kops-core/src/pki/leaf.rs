use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::Certificate;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaf {
    /// Whom it is for; Kubernetes takes it for the user's name.
    pub common_name: String,
    /// Kubernetes takes it for the user's group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The host names it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The addresses it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// What it proves.
    pub usage: Usage,
    /// How long it holds; no longer than its authority in any case.
    #[serde(serialize_with = "compact::required::serialize")]
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

    /// How long a person's certificate holds unless somebody says otherwise. As in kops.
    pub const ADMIN_LIFETIME: Duration = Duration::from_hours(18);

    /// A person's, with every right in the cluster. Named as kops names it.
    pub fn admin(user: &str, lifetime: Duration) -> Self {
        Self::client(format!("kubecfg-{user}"), Some("system:masters"), lifetime)
    }

    /// Whether a certificate says the same of whom it is for and what it proves.
    pub(super) fn describes(&self, certificate: &Certificate) -> bool {
        certificate.x509().is_ok_and(|x509| {
            let subject = x509.subject();
            let common_names: Vec<_> = subject.iter_common_name().map(|name| name.as_str().ok()).collect();
            let organizations: Vec<_> = subject.iter_organization().map(|name| name.as_str().ok()).collect();
            let (names, addresses) = alternatives(&x509);
            common_names == [Some(self.common_name.as_str())]
                && organizations
                    == self.organization.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>()
                && names == self.names.iter().map(String::as_str).collect()
                && addresses == self.addresses.iter().copied().collect()
                && usage(&x509) == Some(self.usage)
        })
    }
}

fn alternatives<'a>(x509: &'a X509Certificate<'_>) -> (BTreeSet<&'a str>, BTreeSet<IpAddr>) {
    let extension = x509.subject_alternative_name().ok().flatten();
    let all = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let name = |name: &GeneralName<'a>| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    };
    (all.iter().filter_map(name).collect(), all.iter().filter_map(address).collect())
}

/// An address among alternative names.
pub(super) fn address(name: &GeneralName<'_>) -> Option<IpAddr> {
    match name {
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        },
        _ => None,
    }
}

fn usage(x509: &X509Certificate<'_>) -> Option<Usage> {
    let purposes = x509.extended_key_usage().ok().flatten()?.value;
    match (purposes.client_auth, purposes.server_auth) {
        (true, true) => Some(Usage::Both),
        (true, false) => Some(Usage::Client),
        (false, true) => Some(Usage::Server),
        (false, false) => None,
    }
}

use std::collections::BTreeSet;
use std::net::IpAddr;

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use super::leaf::address;
use super::{Leaf, PkiError, PrivateKey};
use crate::digest::sha256_hex;

/// A request for a certificate, as far as anybody decides by it. Who took it in has checked that it is signed with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Whom the certificate is to be for; empty if the request names nobody, or several.
    pub common_name: String,
    /// The groups.
    pub organizations: Vec<String>,
    /// The host names.
    pub names: BTreeSet<String>,
    /// The addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Whether it asks for anything else to be certified.
    pub asks_more: bool,
    /// The SHA-256 of the public key (`SubjectPublicKeyInfo`) in lower-case hexadecimal.
    pub key: String,
}

impl CertificateRequest {
    /// Writes a request for what `leaf` says, signed with `key`, as PEM. How long it is to hold is not asked for.
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn write(leaf: &Leaf, key: &PrivateKey) -> Result<String, PkiError> {
        let signing = |error| PkiError::signing(format!("a request for {}", leaf.common_name), error);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(organization) = &leaf.organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.distinguished_name.push(DnType::CommonName, &leaf.common_name);
        for name in &leaf.names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into().map_err(signing)?));
        }
        params.subject_alt_names.extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
        params.serialize_request(&key.pair()?).and_then(|request| request.pem()).map_err(signing)
    }

    /// Reads a request in PEM.
    ///
    /// # Errors
    /// It is none.
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        let unreadable = || PkiError::unreadable("a request for a certificate", "it is not PKCS #10 in PEM");
        let block = Pem::iter_from_buffer(pem.as_bytes()).next().ok_or_else(unreadable)?;
        let block = block.map_err(|_| unreadable())?;
        let (_, request) = X509CertificationRequest::from_der(&block.contents).map_err(|_| unreadable())?;
        let info = &request.certification_request_info;
        let mut read = Self {
            common_name: String::new(),
            organizations: Vec::new(),
            names: BTreeSet::new(),
            addresses: BTreeSet::new(),
            asks_more: false,
            key: sha256_hex(info.subject_pki.raw),
        };
        for attribute in info.subject.iter_attributes() {
            match (attribute.attr_type(), attribute.as_str()) {
                (kind, Ok(name)) if *kind == OID_X509_COMMON_NAME && read.common_name.is_empty() => {
                    read.common_name = name.to_owned();
                }
                (kind, Ok(name)) if *kind == OID_X509_ORGANIZATION_NAME => {
                    read.organizations.push(name.to_owned());
                }
                _ => read.asks_more = true,
            }
        }
        for extension in request.requested_extensions().into_iter().flatten() {
            match extension {
                ParsedExtension::SubjectAlternativeName(names) => {
                    names.general_names.iter().for_each(|name| read.add(name));
                }
                ParsedExtension::KeyUsage(_) | ParsedExtension::ExtendedKeyUsage(_) => {}
                _ => read.asks_more = true,
            }
        }
        Ok(read)
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        match (name, address(name)) {
            (GeneralName::DNSName(name), _) => drop(self.names.insert((*name).to_owned())),
            (_, Some(address)) => drop(self.addresses.insert(address)),
            _ => self.asks_more = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pki::Usage;

    #[test]
    fn what_is_asked_for_is_read() {
        let key = PrivateKey::generate().unwrap();
        let mut leaf = Leaf::client("system:node:i-1", Some("system:nodes"), Duration::ZERO);
        let request = CertificateRequest::from_pem(&CertificateRequest::write(&leaf, &key).unwrap()).unwrap();
        assert_eq!(request.common_name, "system:node:i-1");
        assert_eq!(request.organizations, ["system:nodes"]);
        assert!(request.names.is_empty() && request.addresses.is_empty() && !request.asks_more);
        assert_eq!(request.key, key.public_hash().unwrap());

        leaf.names = vec!["i-1".to_owned()];
        leaf.addresses = vec!["10.0.0.5".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        leaf.usage = Usage::Server;
        let other = PrivateKey::generate().unwrap();
        let request =
            CertificateRequest::from_pem(&CertificateRequest::write(&leaf, &other).unwrap()).unwrap();
        assert_eq!(request.names.iter().collect::<Vec<_>>(), ["i-1"]);
        assert_eq!(request.addresses, leaf.addresses.iter().copied().collect());
        assert_ne!(request.key, key.public_hash().unwrap());
    }

    /// `openssl req -new -newkey ed25519 -nodes -keyout /dev/null -subj '/CN=a/CN=b/O=c'`, and the same with `-subj '/CN=a/O=c'
    /// -addext 'subjectAltName=email:a@b.c'`.
    #[test]
    fn more_than_that_is_seen() {
        let twice = "MIGjMFcCAQAwJDEKMAgGA1UEAwwBYTEKMAgGA1UEAwwBYjEKMAgGA1UECgwBYzAq
MAUGAytlcAMhAJ7ynMIDd8BWKMm/725lOkpbGQTjyHBHHvqzvnwVy6H6oAAwBQYD
K2VwA0EAx1vJajpniESbP3Y8PWopbeqTK+LW05OgDdgF6FYwtvVCFGv1RdAYoHe3
5jv4stwstmz7NGZNNuZVKktR9n85Cw==";
        let mail = "MIG6MG4CAQAwGDEKMAgGA1UEAwwBYTEKMAgGA1UECgwBYzAqMAUGAytlcAMhAPFt
Cp5Vh8+xDmXXnitr92jOnsPXq9gTRhWGZCvEjapUoCMwIQYJKoZIhvcNAQkOMRQw
EjAQBgNVHREECTAHgQVhQGIuYzAFBgMrZXADQQAF6bRRbP/+rD/0lloaAfOKtJP9
cS50FLIJISjuTpTMtwnMFqyZEMchJsxZFxWwjF5U9UvTdXO1B71I9VQOI+sP";
        let wrapped = |body: &str| {
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
        };
        for more in [twice, mail] {
            let request = CertificateRequest::from_pem(&wrapped(more)).unwrap();
            assert!(request.asks_more && request.common_name == "a" && request.organizations == ["c"]);
        }
        for broken in [String::new(), wrapped("AAAA"), wrapped(&twice[..64])] {
            assert!(CertificateRequest::from_pem(&broken).is_err(), "{broken}");
        }
    }
}

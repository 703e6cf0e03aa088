//! Keysets as kops writes them (`pkg/apis/kops/v1alpha2/keyset.go`): materials are base64 of PEM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Certificate, KeyId, Keyset, Pair, PkiError, PrivateKey};
use crate::clock::Timestamp;
use crate::yaml;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: String,
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Serialize, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    keys: Vec<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary_id: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_material: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_material: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distrust_timestamp: Option<Timestamp>,
}

/// Reads a keyset: all of it, or the private half with `issued`, the public half, as kops 1.10 kept them.
pub(super) fn read(name: &str, text: &str, issued: Option<&str>) -> Result<Keyset, PkiError> {
    let what = || format!("keyset {name}");
    let document = document(name, text)?;
    let issued = issued.map(|text| self::document(name, text)).transpose()?;
    let public = issued.map(|document| document.spec.keys).unwrap_or_default();
    let id = |text: &str| {
        KeyId::parse(text).ok_or_else(|| PkiError::unreadable(what(), "the id of a key is not a number"))
    };
    let mut pairs = Vec::new();
    for item in &document.spec.keys {
        let elsewhere = || public.iter().find(|p| p.id == item.id)?.public_material.as_ref();
        let material = item.public_material.as_ref().or_else(elsewhere);
        let material = material
            .ok_or_else(|| PkiError::unreadable(what(), format!("key {} has no certificate", item.id)))?;
        let key = item.private_material.as_deref().map(|text| PrivateKey::from_pem(decode(name, text)?));
        pairs.push(Pair {
            id: id(&item.id)?,
            certificate: Certificate::from_pem(decode(name, material)?)?,
            key: key.transpose()?,
            distrusted: item.distrust_timestamp,
        });
    }
    let primary = document.spec.primary_id.as_deref().map(id).transpose()?;
    Keyset::new(name, primary, pairs)
}

/// Whether certificates have to be looked for elsewhere.
pub(super) fn lacks_certificates(name: &str, text: &str) -> Result<bool, PkiError> {
    Ok(document(name, text)?.spec.keys.iter().any(|item| item.public_material.is_none()))
}

/// Writes a keyset as today's kops does.
pub(super) fn write(keyset: &Keyset) -> Result<String, PkiError> {
    let item = |pair: &Pair| Item {
        id: pair.id.to_string(),
        public_material: Some(STANDARD.encode(pair.certificate.pem())),
        private_material: pair.key.as_ref().map(|key| STANDARD.encode(key.pem())),
        distrust_timestamp: pair.distrusted,
    };
    let document = Document {
        api_version: "kops.k8s.io/v1alpha2".to_owned(),
        kind: "Keyset".to_owned(),
        metadata: Metadata { name: Some(keyset.name().to_owned()) },
        spec: Spec {
            keys: keyset.pairs().iter().map(item).collect(),
            primary_id: Some(keyset.primary().to_string()),
            kind: Some("Keypair".to_owned()),
        },
    };
    yaml::write(&document).map_err(|_| PkiError::unreadable(format!("keyset {}", keyset.name()), "not YAML"))
}

/// Bytes under a label.
pub(super) fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: String =
        text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// What is wrong is not said in the parser's words: they could quote the text.
fn document(name: &str, text: &str) -> Result<Document, PkiError> {
    let document: Document = serde_saphyr::from_str(text)
        .map_err(|_| PkiError::unreadable(format!("keyset {name}"), "it is not a Keyset in YAML"))?;
    if document.kind != "Keyset" {
        return Err(PkiError::unreadable(format!("keyset {name}"), "it is not of kind Keyset"));
    }
    Ok(document)
}

fn decode(name: &str, text: &str) -> Result<String, PkiError> {
    let unreadable = || PkiError::unreadable(format!("keyset {name}"), "its material is not base64 of PEM");
    let bytes = STANDARD.decode(text.trim()).map_err(|_| unreadable())?;
    String::from_utf8(bytes).map_err(|_| unreadable())
}

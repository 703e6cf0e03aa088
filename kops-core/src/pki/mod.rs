//! Who is who: certificate authorities kept as keysets in the state store, and the certificates they issue.
//!
//! Everything is signed in memory. Private keys never show in `Debug`, errors or plans.

mod authority;
mod certificate;
mod error;
mod keyset;
mod keystore;
mod leaf;
mod private_key;
mod request;
mod rotation;
mod stored;
#[cfg(test)]
mod tests;
mod token;

pub use authority::{Authority, Credential};
pub use certificate::Certificate;
pub use error::PkiError;
pub use keyset::{KeyId, Keyset, Pair};
pub use keystore::{Keystore, StoredKeyset};
pub use leaf::{Leaf, Usage};
pub use private_key::PrivateKey;
pub use request::CertificateRequest;
pub use rotation::{KeypairSummary, Material, Standing, is_rotatable};
pub use token::BootstrapToken;

/// The authority of everything but etcd and the aggregation layer.
pub const KUBERNETES_CA: &str = "kubernetes-ca";
/// The authority of what the API server says to extension API servers.
pub const AGGREGATOR_CA: &str = "apiserver-aggregator-ca";
/// What signs the tokens of service accounts.
pub const SERVICE_ACCOUNT: &str = "service-account";
/// The authority of etcd's clients and servers.
pub const ETCD_CLIENTS_CA: &str = "etcd-clients-ca";

/// The keysets that a cluster with these etcd clusters (`main`, `events`) has, named as kops names them.
pub fn keyset_names<'a>(etcd: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> =
        [KUBERNETES_CA, AGGREGATOR_CA, SERVICE_ACCOUNT, ETCD_CLIENTS_CA].map(str::to_owned).into();
    for cluster in etcd {
        names.push(format!("etcd-manager-ca-{cluster}"));
        names.push(format!("etcd-peers-ca-{cluster}"));
    }
    names
}

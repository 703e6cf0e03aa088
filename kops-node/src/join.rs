//! How a worker joins: it reads what the control plane has published (`kops_core::state::layout::node_join`), makes a key, asks the API
//! for a certificate with a proof of what it is, and waits for it. After that its kubelet renews the certificate by itself.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use kops_core::clock::{Timestamp, later};
use kops_core::node::{NodeConfig, render};
use kops_core::pki::{Certificate, CertificateRequest, Leaf, PrivateKey};
use kops_core::state::{StateStore, layout};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Done, NodeError};
use crate::files::Root;
use crate::https::{Credentials, Server};
use crate::node::Node;
use crate::requests::Requests;

/// The document. It has no `Debug`: the token is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Join {
    /// The certificates of the cluster's authority, as PEM: the only one that the API's certificate may come from.
    pub(crate) authority: String,
    /// The bootstrap token, `id.secret`. It lets who has it ask for a certificate, and no more.
    pub(crate) token: String,
    /// Until when the API takes the token.
    pub(crate) expires: Timestamp,
    /// Whether the API has to forget all tokens before this one: there was none, or it was withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) alone: bool,
    /// Where the API's load balancer is, if workers reach the API by it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) api: BTreeSet<Ipv4Addr>,
}

pub(crate) const STEP: &str = "join";
/// Where the machine keeps what it has asked for until it gets it.
const PENDING: &str = "/var/lib/kubelet/pki/join.json";
/// The file of the certificate that the machine joined with, beside those that its kubelet gets.
const FIRST: &str = "kubelet-client-first.pem";
/// How long an answer is waited for. A proof holds for five minutes.
const PATIENCE: Duration = Duration::from_mins(4);

/// What the machine has asked for.
#[derive(Serialize, Deserialize)]
struct Pending {
    key: String,
    made: Timestamp,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// The document that is published.
pub(crate) async fn read(config: &NodeConfig, store: &dyn StateStore) -> Result<Join, NodeError> {
    let key =
        layout::node_join(&config.cluster).map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
    let object = store.get(&key).await.map_err(|error| NodeError::of_store(STEP, error))?;
    let Some(object) = object else {
        return Err(NodeError::waiting(STEP, "the control plane has not published a bootstrap token yet"));
    };
    // The parser's words may quote what it read.
    serde_json::from_slice(&object.bytes).map_err(|_| {
        NodeError::waiting(STEP, format!("{store}/{key} is not what the control plane publishes"))
    })
}

/// Puts the authority where the kubelet looks for it, and the document's token to use, if the machine has yet to join.
pub(crate) async fn join(node: &Node, machine: &str, authority: &str, knows_api: bool) -> Done {
    let document = read(&node.config, node.store.as_ref()).await?;
    node.root.write(STEP, authority, document.authority.as_bytes(), 0o644)?;
    if has_joined(&node.root, machine, node.clock.now()) {
        return node.root.remove(STEP, PENDING);
    }
    // Where the API is, is said to be missing by the step that looks for it.
    if !knows_api {
        return Ok(());
    }
    enter(node, machine, document).await
}

/// Whether there is a certificate that holds, the first one or one that the kubelet has got since.
fn has_joined(root: &Root, machine: &str, now: Timestamp) -> bool {
    let text = root.read(render::KUBELET_CREDENTIAL).and_then(|bytes| String::from_utf8(bytes).ok());
    let certificate = text.and_then(|text| Certificate::from_pem(text).ok());
    certificate.is_some_and(|found| now < found.not_after() && found.subject().ends_with(&user(machine)))
}

fn user(machine: &str) -> String {
    format!("system:node:{machine}")
}

async fn enter(node: &Node, machine: &str, document: Join) -> Done {
    let broken =
        |error: kops_core::pki::PkiError| NodeError::lasting(STEP, error.to_string()).with_source(error);
    let server = Server {
        host: node.config.internal_api_name(),
        authority: document.authority.into_bytes(),
        credentials: Credentials::Token(Zeroizing::new(document.token)),
    };
    let requests = Requests { https: node.https.as_ref(), server: &server, step: STEP };
    let now = node.clock.now();
    let kept = kept(&node.root).filter(|kept| kept.made <= now && now < later(kept.made, PATIENCE));
    let (key, made) = match kept {
        Some(kept) => (PrivateKey::from_pem(kept.key.as_str()).map_err(broken)?, kept.made),
        None => (PrivateKey::generate().map_err(broken)?, now),
    };
    let pending = Pending { key: key.pem().to_owned(), made };
    let text = serde_json::to_vec(&pending).map(Zeroizing::new);
    let text = text.map_err(|_| NodeError::lasting(STEP, "what was asked for cannot be written"))?;
    node.root.write(STEP, PENDING, &text, 0o600)?;
    let hash = key.public_hash().map_err(broken)?;
    let name = format!("kops-node-{machine}-{}", &hash[..16]);
    let mut found = requests.get(&name).await?;
    if found.is_none() {
        let leaf = Leaf::client(user(machine), Some("system:nodes"), Duration::ZERO);
        let pem = CertificateRequest::write(&leaf, &key).map_err(broken)?;
        let proof = node.cloud.prove(&node.config.cluster, &hash).await;
        let proof = proof.map_err(|error| NodeError::of_cloud(STEP, error))?;
        requests.create(&name, &pem, &proof).await?;
        found = requests.get(&name).await?;
    }
    let request = found.ok_or_else(|| NodeError::waiting(STEP, "its request is not there yet"))?;
    if let Some(reason) = request.refusal() {
        return Err(NodeError::waiting(STEP, format!("the control plane refuses this machine: {reason}"))
            .with_hint("it asks again every 4 minutes; if the reason stays, replace the machine"));
    }
    let Some(certificate) = request.certificate() else {
        return Err(NodeError::waiting(STEP, "the control plane has not approved this machine yet"));
    };
    let certificate = Certificate::from_pem(certificate).map_err(broken)?;
    if !key.is_of(&certificate) {
        return Err(NodeError::waiting(STEP, "the certificate is one for another key"));
    }
    settle(&node.root, &certificate, &key)
}

fn kept(root: &Root) -> Option<Pending> {
    serde_json::from_slice(&Zeroizing::new(root.read(PENDING)?)).ok()
}

/// Puts the certificate where the kubelet has its own: a link to the newest.
fn settle(root: &Root, certificate: &Certificate, key: &PrivateKey) -> Done {
    let text = Zeroizing::new(format!("{}\n{}", certificate.pem().trim_end(), key.pem()));
    let path = render::KUBELET_CREDENTIAL;
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    root.write(STEP, &format!("{directory}/{FIRST}"), text.as_bytes(), 0o600)?;
    root.link(STEP, path, FIRST)?;
    root.remove(STEP, PENDING)
}

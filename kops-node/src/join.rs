//! What workers need to join, published by the control plane (`kops_core::state::layout::node_join`).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use kops_core::clock::Timestamp;
use kops_core::node::{NodeConfig, render};
use kops_core::state::{StateStore, layout};
use serde::{Deserialize, Serialize};

use crate::error::{Done, NodeError};
use crate::files::Root;

/// The document. It has no `Debug`: the token is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Join {
    /// The certificates of the cluster's authority, as PEM: the only one that the API's certificate may come from.
    pub(crate) authority: String,
    /// The bootstrap token, `id.secret`.
    pub(crate) token: String,
    /// Until when the API takes the token.
    pub(crate) expires: Timestamp,
    /// Where the API's load balancer is, if workers reach the API by it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) api: BTreeSet<Ipv4Addr>,
}

const STEP: &str = "join";

/// Puts the authority and the token where the kubelet looks for them.
pub(crate) async fn fetch(config: &NodeConfig, authority: &str, store: &dyn StateStore, root: &Root) -> Done {
    let join = read(config, store).await?;
    root.write(STEP, authority, join.authority.as_bytes(), 0o644)?;
    root.write(STEP, render::BOOTSTRAP_TOKEN, join.token.as_bytes(), 0o600).map(drop)
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

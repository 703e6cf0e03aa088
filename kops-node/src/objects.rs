//! What the cluster is given first: applied once for each content and each cluster that remembers it.

use kops_core::digest::sha256_hex;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::error::{Done, NodeError};
use crate::files::Root;

/// What was applied last, and to which cluster.
const APPLIED: &str = "/var/lib/kops/applied";
const STEP: &str = "objects";

/// What tells the cluster from any other, once its API answers: an etcd that starts empty makes this namespace anew.
pub(crate) async fn cluster(api: Api<'_>) -> Result<String, NodeError> {
    const STEP: &str = "api";
    let starting = |error: NodeError| {
        error.with_hint("it may still be starting: `journalctl -u kube-apiserver -u etcd` tells")
    };
    let namespace: Option<Namespace> =
        api.get(STEP, &["namespace", "kube-system"]).await.map_err(starting)?;
    let namespace =
        namespace.ok_or_else(|| NodeError::waiting(STEP, "it has not made the namespace kube-system yet"))?;
    Ok(namespace.metadata.uid)
}

/// Makes sure that the objects have been applied to `cluster`. Not again as long as they stay the same: what people
/// change is left to them, and of machines with different objects, during a rolling update, the newer one is not undone.
pub(crate) async fn ensure(objects: &[Value], cluster: &str, api: Api<'_>, root: &Root) -> Done {
    let contents = Value::from(objects.to_vec()).to_string();
    let fingerprint = format!("{cluster} {}\n", sha256_hex(contents.as_bytes()));
    if root.read(APPLIED).is_some_and(|applied| applied == fingerprint.as_bytes()) {
        return Ok(());
    }
    api.apply(STEP, objects).await?;
    root.write(STEP, APPLIED, fingerprint.as_bytes(), 0o644).map(drop)
}

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

//! The cluster's add-ons: applied once for each content, and taken back when they are no longer wanted.
//!
//! Which contents hold says the channel in the state store; which were applied last says the cluster itself, in
//! annotations of its first namespace, as kops writes them. So all machines of the control plane agree, and whatever
//! people change afterwards is left to them.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::addon::{self, Channel, Entry, ObjectId, SYSTEM};
use kops_core::digest::sha256_hex;
use kops_core::state::{InvalidKey, Key, StateStore, layout};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::error::{Done, NodeError};

/// What the annotations begin with, before the add-on's name.
const APPLIED: &str = "addons.k8s.io/";
const STEP: &str = "add-ons";

/// The hashes of what was applied last, by the names of the add-ons.
pub(crate) type Applied = BTreeMap<String, String>;

/// What has been applied to the cluster, once its API answers.
pub(crate) async fn applied(api: Api<'_>) -> Result<Applied, NodeError> {
    const STEP: &str = "api";
    let starting = |error: NodeError| {
        error.with_hint("it may still be starting: `journalctl -u kube-apiserver -u etcd` tells")
    };
    let namespace: Option<Namespace> = api.get(STEP, &["namespace", SYSTEM]).await.map_err(starting)?;
    let namespace =
        namespace.ok_or_else(|| NodeError::waiting(STEP, "it has not made the namespace kube-system yet"))?;
    let annotations = namespace.metadata.annotations.into_iter();
    let records = annotations.filter_map(|(key, text)| {
        let record: Record = serde_json::from_str(&text).ok()?;
        Some((key.strip_prefix(APPLIED)?.to_owned(), record.manifest_hash))
    });
    Ok(records.collect())
}

/// What add-ons are applied with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addons<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) store: &'a dyn StateStore,
    pub(crate) api: Api<'a>,
}

impl Addons<'_> {
    /// Makes sure that what the channel names was applied last. `applied` must have been read before: then a machine
    /// that has applied something newer has it from a channel that is read here, too.
    pub(crate) async fn ensure(&self, applied: &Applied) -> Vec<Done> {
        let channel = match self.channel().await {
            Ok(channel) => channel,
            Err(error) => return vec![Err(error)],
        };
        let mut results = Vec::new();
        for entry in channel.entries() {
            let last = applied.get(&entry.name);
            if last != Some(&entry.manifest_hash) {
                results.push(self.apply(entry, last).await);
            }
        }
        for (name, last) in applied.iter().filter(|(name, _)| channel.entry(name).is_none()) {
            results.push(self.remove(name, last).await);
        }
        results
    }

    async fn channel(&self) -> Result<Channel, NodeError> {
        let key = valid(STEP, layout::bootstrap_channel(self.cluster))?;
        let text = self.text(STEP, &key).await?;
        let text = text.ok_or_else(|| {
            NodeError::waiting(STEP, format!("{key} is not in the state store yet"))
                .with_hint("`kops update cluster --yes` puts it there")
        })?;
        Channel::read(&text).map_err(|error| NodeError::lasting(STEP, format!("{key}: {error}")))
    }

    async fn apply(&self, entry: &Entry, last: Option<&String>) -> Done {
        let step = step(&entry.name);
        let place = layout::addons(self.cluster).and_then(|addons| addons.key(&entry.manifest));
        let key = valid(&step, place)?;
        let text = self.text(&step, &key).await?;
        let text = text.ok_or_else(|| NodeError::waiting(&*step, format!("{key} is not there")))?;
        let found = sha256_hex(text.as_bytes());
        if found != entry.manifest_hash {
            let reason = format!("{key} has SHA-256 {found}, expected {}", entry.manifest_hash);
            return Err(NodeError::waiting(step, reason));
        }
        self.api.apply(&step, &text).await?;
        if let Some(last) = last {
            let before = self.objects(&entry.name, last).await?.unwrap_or_default();
            let kept = objects(&step, &key, &text)?;
            let kept: BTreeSet<ObjectId> = kept.iter().filter_map(ObjectId::of).collect();
            self.delete(&entry.name, &before, &kept).await?;
        }
        let record = json!({ "manifestHash": entry.manifest_hash }).to_string();
        let annotation = format!("{APPLIED}{}={record}", entry.name);
        self.api.annotate(&step, &["namespace", SYSTEM], &annotation).await
    }

    /// Takes an add-on back that was applied from this state store. What kops has applied itself is left alone: nobody
    /// knows its objects.
    async fn remove(&self, name: &str, last: &str) -> Done {
        let Some(before) = self.objects(name, last).await? else { return Ok(()) };
        self.delete(name, &before, &BTreeSet::new()).await?;
        self.api.annotate(&step(name), &["namespace", SYSTEM], &format!("{APPLIED}{name}-")).await
    }

    /// Deletes what was there before and is not kept, in reverse order.
    async fn delete(&self, name: &str, before: &[Value], kept: &BTreeSet<ObjectId>) -> Done {
        let gone =
            before.iter().rev().filter_map(ObjectId::of).filter(|id| !kept.contains(id) && !id.holds_more());
        for id in gone {
            self.api.delete_labelled(&step(name), &id, &format!("{}={name}", addon::NAME_LABEL)).await?;
        }
        Ok(())
    }

    /// The objects of an add-on with this hash, if the state store has them.
    async fn objects(&self, name: &str, sha256: &str) -> Result<Option<Vec<Value>>, NodeError> {
        let step = step(name);
        let Ok(key) = layout::addon(self.cluster, name, sha256) else { return Ok(None) };
        let Some(text) = self.text(&step, &key).await? else { return Ok(None) };
        objects(&step, &key, &text).map(Some)
    }

    async fn text(&self, step: &str, key: &Key) -> Result<Option<String>, NodeError> {
        let object = self.store.get(key).await.map_err(|error| NodeError::of_store(step, error))?;
        Ok(object.map(|object| String::from_utf8_lossy(&object.bytes).into_owned()))
    }
}

fn step(addon: &str) -> String {
    format!("add-on {addon}")
}

fn valid(step: &str, key: Result<Key, InvalidKey>) -> Result<Key, NodeError> {
    key.map_err(|error| NodeError::lasting(step, error.to_string()))
}

fn objects(step: &str, key: &Key, text: &str) -> Result<Vec<Value>, NodeError> {
    addon::read(key.as_str(), text).map_err(|error| NodeError::lasting(step, error.to_string()))
}

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What kops remembers of an add-on, as much of it as matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    manifest_hash: String,
}

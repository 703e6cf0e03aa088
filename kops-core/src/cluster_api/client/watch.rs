//! What has changed since nodes and pods were last read, told by the server as it happens.

use std::future::pending;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use futures::future::select;
use k8s_openapi::api::core::v1::{Node as KubeNode, Pod as KubePod};
use kube::Resource;
use kube::api::{Api, PartialObjectMeta, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;

/// The server's version of a list when it was last read.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<String>>);

impl Seen {
    pub(super) fn note(&self, version: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    fn version(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns when a node has changed, or a pod is gone. Of pods everything else changes all the time.
pub(super) async fn changed(nodes: (Api<KubeNode>, &Seen), pods: (Api<KubePod>, &Seen)) {
    let any = |event: &Event<KubeNode>| !matches!(event, WatchEvent::Bookmark(_));
    let gone = |event: &Event<KubePod>| matches!(event, WatchEvent::Deleted(_) | WatchEvent::Error(_));
    let nodes = Box::pin(first(nodes.0, nodes.1, any));
    let pods = Box::pin(first(pods.0, pods.1, gone));
    select(nodes, pods).await;
}

type Event<K> = WatchEvent<PartialObjectMeta<K>>;

/// Returns at the first event that counts; never where nothing can be watched. An error as an event says that the version
/// is too old: much has changed.
async fn first<K>(api: Api<K>, seen: &Seen, counts: impl Fn(&Event<K>) -> bool)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let Some(version) = seen.version() else { return pending().await };
    let Ok(events) = api.watch_metadata(&WatchParams::default(), &version).await else {
        return pending().await;
    };
    let mut events = Box::pin(events);
    loop {
        match events.next().await {
            Some(Ok(event)) if counts(&event) => return,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return pending().await,
        }
    }
}

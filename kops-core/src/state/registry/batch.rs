//! Several writes that belong together, as nearly all-or-nothing as a store of single objects allows.

use futures::{StreamExt, stream};

use super::{PARALLEL, RegistryError, Text};
use crate::state::{Key, Put, StateError, StateStore, Version};

/// One manifest to write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) cluster: String,
    pub(super) key: Key,
    /// Whether it is the cluster's own manifest.
    pub(super) is_config: bool,
    pub(super) text: String,
    /// What it takes the place of. It is an error to find anything else there.
    pub(super) before: Option<Text>,
}

/// Writes everything and says at which version; if one write fails, takes the others back.
pub(super) async fn write(
    store: &dyn StateStore,
    writes: Vec<Write>,
) -> Result<Vec<(Write, Version)>, RegistryError> {
    // A cluster's own manifest goes first: of two who create the same cluster, one stops there.
    let (configs, others): (Vec<Write>, Vec<Write>) = writes.into_iter().partition(|write| write.is_config);
    let mut done = Vec::new();
    for batch in [configs, others] {
        let mut first_error = None;
        let mut unknown = Vec::new();
        let mut results = stream::iter(batch)
            .map(|write| async move { (put(store, &write).await, write) })
            .buffer_unordered(PARALLEL);
        while let Some((result, write)) = results.next().await {
            match result {
                Ok(version) => done.push((write, version)),
                Err(error) => {
                    if !matches!(error, StateError::Exists { .. } | StateError::Changed(_)) {
                        unknown.push(write);
                    }
                    first_error.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first_error {
            let suspects = done.into_iter().map(|(write, _)| write).chain(unknown).collect();
            return Err(take_back(store, suspects, error).await);
        }
    }
    Ok(done)
}

async fn put(store: &dyn StateStore, write: &Write) -> Result<Version, StateError> {
    let put = match &write.before {
        None => Put::IfAbsent,
        Some(before) => Put::IfUnchanged(before.version.clone()),
    };
    store.put(&write.key, write.text.as_bytes(), put).await
}

/// Undoes what took place of `writes`, the cluster's own manifest last.
async fn take_back(store: &dyn StateStore, writes: Vec<Write>, error: StateError) -> RegistryError {
    let mut left = Vec::new();
    for write in writes.into_iter().rev() {
        if undo(store, &write).await.is_err() {
            left.push(write.key);
        }
    }
    if left.is_empty() {
        return RegistryError::Store(error);
    }
    left.sort();
    RegistryError::Partial { written: left, source: error }
}

/// A write whose answer was lost may have taken place or not, so what is there decides.
async fn undo(store: &dyn StateStore, write: &Write) -> Result<(), StateError> {
    let Some(found) = store.get(&write.key).await?.filter(|found| found.bytes == write.text.as_bytes())
    else {
        return Ok(());
    };
    match &write.before {
        None => store.delete(&write.key).await,
        Some(before) => {
            store.put(&write.key, before.text.as_bytes(), Put::IfUnchanged(found.version)).await?;
            Ok(())
        }
    }
}

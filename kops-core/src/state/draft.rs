use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::digest::sha256_hex;
use crate::state::{Entry, Key, LostUpdate, Object, Prefix, Put, StateError, StateStore, Version};

/// A store that shows what another one would hold after some writes, which it keeps to itself.
///
/// A plan for manifests that are not stored yet is made over it. It goes by the name of the store behind it, so the plan
/// is the one that is made when they are stored.
#[derive(Debug)]
pub struct DraftStore {
    behind: Arc<dyn StateStore>,
    /// What was written, and `None` for what was deleted.
    drafts: Mutex<BTreeMap<Key, Option<Object>>>,
}

impl DraftStore {
    /// Shows what is in `behind`, and never writes to it.
    pub fn new(behind: Arc<dyn StateStore>) -> Self {
        Self { behind, drafts: Mutex::default() }
    }

    fn drafts(&self) -> MutexGuard<'_, BTreeMap<Key, Option<Object>>> {
        // Every change under the lock is a single call on the map: there is no half-done state to protect from.
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for DraftStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.behind.fmt(f)
    }
}

#[async_trait]
impl StateStore for DraftStore {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        let draft = self.drafts().get(key).cloned();
        match draft {
            Some(object) => Ok(object),
            None => self.behind.get(key).await,
        }
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        let behind = self.behind.get(key).await?;
        let location = format!("{self}/{key}");
        let mut drafts = self.drafts();
        let found =
            drafts.get(key).map_or(behind.as_ref(), Option::as_ref).map(|found| found.version.clone());
        match (put, found) {
            (Put::Always, _) | (Put::IfAbsent, None) => {}
            (Put::IfAbsent, Some(_)) => return Err(StateError::Exists { location }),
            (Put::IfUnchanged(expected), Some(found)) if found == expected => {}
            (Put::IfUnchanged(_), found) => {
                return Err(LostUpdate { location, found, modified: None, writer: None }.into());
            }
        }
        let version = Version::new(format!("draft-{}", sha256_hex(bytes)));
        drafts.insert(key.clone(), Some(Object { bytes: bytes.to_vec(), version: version.clone() }));
        Ok(version)
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        let behind = self.behind.list(prefix).await?;
        let mut entries: BTreeMap<Key, Entry> =
            behind.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        for (key, draft) in self.drafts().iter().filter(|(key, _)| prefix.rest(key).is_some()) {
            match draft {
                Some(Object { bytes, version }) => {
                    let size = bytes.len() as u64;
                    entries.insert(key.clone(), Entry { key: key.clone(), version: version.clone(), size });
                }
                None => {
                    entries.remove(key);
                }
            }
        }
        Ok(entries.into_values().collect())
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        self.drafts().insert(key.clone(), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        crate::contract::state::run(|| async {
            Arc::new(DraftStore::new(Arc::new(MemoryStore::new()))) as Arc<dyn StateStore>
        })
        .await;
    }

    #[tokio::test]
    async fn the_store_behind_is_seen_and_never_written_to() {
        let [kept, changed, gone, new] =
            ["a/kept", "a/changed", "a/gone", "a/new"].map(|key| Key::new(key).unwrap());
        let behind = Arc::new(MemoryStore::new());
        for key in [&kept, &changed, &gone] {
            behind.put(key, b"old", Put::IfAbsent).await.unwrap();
        }
        let draft = DraftStore::new(behind.clone());
        let version = draft.get(&changed).await.unwrap().unwrap().version;
        draft.put(&changed, b"new", Put::IfUnchanged(version.clone())).await.unwrap();
        assert!(draft.put(&changed, b"lost", Put::IfUnchanged(version)).await.is_err());
        assert!(draft.put(&kept, b"new", Put::IfAbsent).await.is_err());
        draft.put(&new, b"new", Put::IfAbsent).await.unwrap();
        draft.delete(&gone).await.unwrap();
        let listed = async |store: &dyn StateStore| {
            let entries = store.list(&Prefix::root()).await.unwrap();
            entries.into_iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(listed(&draft).await, ["a/changed", "a/kept", "a/new"]);
        assert_eq!(draft.get(&gone).await.unwrap(), None);
        assert_eq!(listed(&*behind).await, ["a/changed", "a/gone", "a/kept"]);
        assert_eq!(behind.get(&changed).await.unwrap().unwrap().bytes, b"old");
        assert_eq!(draft.to_string(), behind.to_string());
    }
}

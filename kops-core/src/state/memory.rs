use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::digest::sha256_hex;
use crate::state::{Entry, Key, LostUpdate, Object, Prefix, Put, StateError, StateStore, Version};

/// A store in this process's memory. Clones share the content, which is gone with the last of them.
///
/// Versions are content hashes, so it forgives A → B → A as S3 does.
#[derive(Clone)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<Key, Stored>>>,
    clock: Arc<dyn Clock>,
}

struct Stored {
    object: Object,
    modified: Timestamp,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that dates its writes by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Arc::default(), clock }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Stored>> {
        // Every change under the lock is a single call on the map: there is no half-done state to protect from.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("objects", &self.objects().len()).finish_non_exhaustive()
    }
}

impl fmt::Display for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        Ok(self.objects().get(key).map(|stored| stored.object.clone()))
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        let version = Version::new(sha256_hex(bytes));
        let object = Object { bytes: bytes.to_vec(), version: version.clone() };
        let modified = self.clock.now();
        let mut objects = self.objects();
        let found = objects.get(key);
        match (put, found) {
            (Put::Always, _) | (Put::IfAbsent, None) => {}
            (Put::IfAbsent, Some(_)) => return Err(StateError::Exists { location: format!("{self}/{key}") }),
            (Put::IfUnchanged(expected), Some(found)) if found.object.version == expected => {}
            (Put::IfUnchanged(_), found) => {
                return Err(LostUpdate {
                    location: format!("{self}/{key}"),
                    found: found.map(|found| found.object.version.clone()),
                    modified: found.map(|found| found.modified),
                    writer: None,
                }
                .into());
            }
        }
        objects.insert(key.clone(), Stored { object, modified });
        Ok(version)
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        let objects = self.objects();
        // Keys below `a` start with `a/`; neighbours such as `a-b` sort before them and are passed over.
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        Ok(objects
            .range::<str, _>(from)
            .take_while(|(key, _)| key.as_str().starts_with(prefix.as_str()))
            .filter(|(key, _)| prefix.rest(key).is_some())
            .map(|(key, Stored { object, .. })| Entry {
                key: key.clone(),
                version: object.version.clone(),
                size: object.bytes.len() as u64,
            })
            .collect())
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        self.objects().remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        crate::contract::state::run(|| async { Arc::new(MemoryStore::new()) as Arc<dyn StateStore> }).await;
    }

    #[test]
    fn contents_do_not_show_in_debug_output() {
        let object = Object { bytes: b"PRIVATE KEY".to_vec(), version: Version::new("1") };
        assert!(!format!("{object:?}").contains("PRIVATE"));
    }
}

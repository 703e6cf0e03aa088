//! What all machines of a cluster share, made anew after an incident: the key of their gossip, and the token that they join with.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Registry, RegistryError, Secret};
use crate::clock::{Timestamp, later};
use crate::state::{Key, Put, Version, layout};

/// How many bytes a key of the gossip has.
pub const GOSSIP_KEY_LENGTH: usize = 32;
/// How long it takes at most until every machine has read a changed key.
pub const KEY_IS_KNOWN: Duration = Duration::from_mins(15);

/// The keys of a cluster's gossip, of which one is the rule. The first seals what machines say; all of them open what is heard.
#[derive(Clone, PartialEq, Eq)]
pub struct GossipKeys {
    keys: Vec<Secret>,
    /// When the last one was added.
    added: Option<Timestamp>,
}

/// Shows nothing of them.
impl std::fmt::Debug for GossipKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GossipKeys({})", self.keys.len())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Added {
    #[serde(rename = "Added", default, skip_serializing_if = "Option::is_none")]
    added: Option<Timestamp>,
}

impl GossipKeys {
    /// Reads what a state store keeps: a secret as all others, of one key or two. None if it is none.
    pub fn from_stored(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let added = serde_json::from_slice::<Added>(&bytes).ok()?.added;
        let secret = Secret::from_stored(bytes.to_vec())?;
        let (keys, rest) = secret.value().as_chunks::<GOSSIP_KEY_LENGTH>();
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
        (rest.is_empty() && (1..=2).contains(&keys.len())).then_some(Self { keys, added })
    }

    fn to_stored(&self) -> Zeroizing<String> {
        let value = Zeroizing::new(self.keys.iter().flat_map(Secret::value).copied().collect::<Vec<u8>>());
        let stored = Secret::new(value.to_vec()).to_stored();
        match self.added {
            None => stored,
            Some(added) => {
                let rest = stored.strip_suffix('}').unwrap_or_default();
                Zeroizing::new(format!(r#"{rest},"Added":"{added}"}}"#))
            }
        }
    }

    /// The keys, the one that seals first.
    pub fn keys(&self) -> &[Secret] {
        &self.keys
    }

    /// The next step of a rotation.
    fn next(&self, new: Secret, now: Timestamp) -> (Self, GossipRotation) {
        // People read it.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        match (self.keys.as_slice(), self.added.map(|added| later(added, KEY_IS_KNOWN))) {
            ([old], _) => {
                let added = Self { keys: vec![old.clone(), new], added: Some(now) };
                (added, GossipRotation::Added { known: later(now, KEY_IS_KNOWN) })
            }
            (_, Some(known)) if now < known => (self.clone(), GossipRotation::TooEarly { known }),
            (keys, _) => {
                let newest = keys.last().cloned().unwrap_or(new);
                (Self { keys: vec![newest], added: None }, GossipRotation::Finished)
            }
        }
    }
}

/// How far the rotation of a gossip's key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GossipRotation {
    /// There is a new key beside the old one; machines take both.
    Added {
        /// When all machines know it.
        known: Timestamp,
    },
    /// Nothing was done: there may be machines that do not know the new key.
    TooEarly {
        /// When all machines know it.
        known: Timestamp,
    },
    /// The new key is the only one.
    Finished,
}

impl Registry {
    /// Takes the next step in giving a cluster's gossip another key: a new one is added, and, when all machines know it, the old one
    /// is taken away. So no machine goes deaf.
    ///
    /// # Errors
    /// There is no such cluster or no key, it is not this project's, somebody else rotates it, or the store fails.
    pub async fn rotate_gossip_key(&self, cluster: &str) -> Result<GossipRotation, RegistryError> {
        self.may_rotate(cluster).await?;
        let key = layout::gossip_key(cluster)?;
        let (keys, version) = self.gossip_keys(cluster, &key).await?;
        let (next, rotation) = keys.next(Secret::generate()?, self.clock.now());
        if next != keys {
            self.store.put(&key, next.to_stored().as_bytes(), Put::IfUnchanged(version)).await?;
        }
        Ok(rotation)
    }

    async fn gossip_keys(&self, cluster: &str, key: &Key) -> Result<(GossipKeys, Version), RegistryError> {
        let Some(object) = self.store.get(key).await? else {
            return Err(self.secret_not_found(cluster, layout::GOSSIP_KEY).await);
        };
        let version = object.version;
        let keys = GossipKeys::from_stored(object.bytes).ok_or_else(|| RegistryError::Unreadable {
            location: self.at(key),
            source: "it is no key of the gossip".into(),
        })?;
        Ok((keys, version))
    }

    /// Withdraws what machines join with. The control plane makes another token, and the API forgets those before. Says whether there was
    /// one.
    ///
    /// # Errors
    /// There is no such cluster, it is not this project's, or the store fails.
    pub async fn rotate_join_token(&self, cluster: &str) -> Result<bool, RegistryError> {
        self.may_rotate(cluster).await?;
        let key = layout::node_join(cluster)?;
        let was_there = self.store.get(&key).await?.is_some();
        self.store.delete(&key).await?;
        Ok(was_there)
    }

    async fn may_rotate(&self, cluster: &str) -> Result<(), RegistryError> {
        self.find(cluster).await?;
        Ok(self.maker(cluster).await?.check(cluster)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::manifest::{Cluster, Metadata};
    use crate::state::{MemoryStore, StateStore};

    const DEMO: &str = "demo.k8s.local";

    async fn registry() -> (Registry, Arc<ManualClock>, Arc<MemoryStore>) {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::new("2026-01-15T12:00:00Z".parse().unwrap()));
        let cluster = Cluster { metadata: Metadata::named(DEMO), ..Cluster::default() };
        let text = crate::manifest::write([&cluster.into()]).unwrap();
        store.put(&layout::config(DEMO).unwrap(), text.as_bytes(), Put::IfAbsent).await.unwrap();
        let registry = Registry { store: store.clone(), clock: clock.clone() };
        (registry, clock, store)
    }

    async fn keys(store: &MemoryStore) -> Vec<Secret> {
        let object = store.get(&layout::gossip_key(DEMO).unwrap()).await.unwrap().unwrap();
        GossipKeys::from_stored(object.bytes).unwrap().keys().to_vec()
    }

    #[tokio::test]
    async fn the_old_key_goes_only_when_all_machines_know_the_new_one() {
        let (registry, clock, store) = registry().await;
        let refused = registry.rotate_gossip_key(DEMO).await.unwrap_err();
        assert!(matches!(refused, RegistryError::NotFound(_)), "{refused:?}");
        registry.create_secret(DEMO, layout::GOSSIP_KEY, &Secret::new([7; 32])).await.unwrap();
        let known = later(clock.now(), KEY_IS_KNOWN);
        assert_eq!(registry.rotate_gossip_key(DEMO).await.unwrap(), GossipRotation::Added { known });
        let both = keys(&store).await;
        assert_eq!((both.len(), both[0].value()), (2, &[7; 32][..]), "the old one still seals");
        clock.advance(KEY_IS_KNOWN - Duration::from_secs(1));
        assert_eq!(registry.rotate_gossip_key(DEMO).await.unwrap(), GossipRotation::TooEarly { known });
        assert_eq!(keys(&store).await, both);
        clock.advance(Duration::from_secs(1));
        assert_eq!(registry.rotate_gossip_key(DEMO).await.unwrap(), GossipRotation::Finished);
        assert_eq!(keys(&store).await, both[1..]);
        assert_eq!(
            registry.secret(DEMO, layout::GOSSIP_KEY).await.unwrap(),
            both[1],
            "a secret as all others"
        );
    }

    #[tokio::test]
    async fn what_machines_join_with_is_withdrawn() {
        let (registry, _, store) = registry().await;
        assert!(!registry.rotate_join_token(DEMO).await.unwrap());
        let key = layout::node_join(DEMO).unwrap();
        store.put(&key, b"{}", Put::IfAbsent).await.unwrap();
        assert!(registry.rotate_join_token(DEMO).await.unwrap());
        assert!(store.get(&key).await.unwrap().is_none());
        let unknown = registry.rotate_join_token("other.k8s.local").await.unwrap_err();
        assert!(matches!(unknown, RegistryError::NotFound(_)), "{unknown:?}");
    }

    #[test]
    fn only_whole_keys_are_keys() {
        for (length, is_one) in [(0, false), (31, false), (32, true), (33, false), (64, true), (96, false)] {
            let stored = Secret::new(vec![1; length]).to_stored().as_bytes().to_vec();
            assert_eq!(GossipKeys::from_stored(stored).is_some(), is_one, "{length}");
        }
        assert!(GossipKeys::from_stored(b"s3cr3t".to_vec()).is_none());
    }
}

use std::sync::Arc;
use std::time::Duration;

use super::{Credential, KUBERNETES_CA, Keyset, Leaf, PkiError, stored};
use crate::clock::Clock;
use crate::state::{Key, Put, StateError, StateStore, Version, layout};

/// What the kubernetes-ca was called by kops 1.10.
const LEGACY_CA: &str = "ca";
/// How many objects are read or written side by side.
pub(super) const PARALLEL: usize = 8;

/// The keysets of the clusters in a state store, where kops keeps them.
#[derive(Clone, Debug)]
pub struct Keystore {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) clock: Arc<dyn Clock>,
}

/// A keyset, and what an update of it names.
#[derive(Clone, Debug)]
pub struct StoredKeyset {
    /// The keyset.
    pub keyset: Keyset,
    put: Put,
}

impl StoredKeyset {
    /// A keyset that is not there yet.
    pub(super) fn absent(keyset: Keyset) -> Self {
        Self { keyset, put: Put::IfAbsent }
    }
}

impl Keystore {
    /// The keysets in `store`; new keys are dated by `clock`.
    pub fn new(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The names of a cluster's keysets, sorted.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn names(&self, cluster: &str) -> Result<Vec<String>, PkiError> {
        let prefix = layout::keysets(cluster)?;
        let entries = self.store.list(&prefix).await?;
        let name = |key: &Key| prefix.rest(key)?.strip_suffix("/keyset.yaml").map(str::to_owned);
        Ok(entries.iter().filter_map(|entry| name(&entry.key)).collect())
    }

    /// Reads a keyset.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn keyset(&self, cluster: &str, name: &str) -> Result<Keyset, PkiError> {
        Ok(self.load(cluster, name).await?.keyset)
    }

    /// Reads a keyset that is going to be [saved](Self::save) again.
    ///
    /// # Errors
    /// As [`keyset`](Self::keyset).
    pub async fn load(&self, cluster: &str, name: &str) -> Result<StoredKeyset, PkiError> {
        if let Some((keyset, version)) = self.read(cluster, name, name).await? {
            return Ok(StoredKeyset { keyset, put: Put::IfUnchanged(version) });
        }
        if name == KUBERNETES_CA
            && let Some((keyset, _)) = self.read(cluster, LEGACY_CA, name).await?
        {
            return Ok(StoredKeyset::absent(keyset));
        }
        Err(PkiError::NotFound(format!("keyset {name} of cluster {cluster}")))
    }

    /// Writes a keyset back, unless it has changed since it was read.
    ///
    /// # Errors
    /// Somebody else was first, or the store failed.
    pub async fn save(&self, cluster: &str, stored: &StoredKeyset) -> Result<(), PkiError> {
        let key = layout::keyset(cluster, stored.keyset.name())?;
        self.store.put(&key, stored::write(&stored.keyset)?.as_bytes(), stored.put.clone()).await?;
        Ok(())
    }

    /// Issues a certificate with every right in the cluster to a person, who should not have it for long. Nobody but its
    /// holder has the key.
    ///
    /// # Errors
    /// The cluster has no authority yet, or its private key is not known.
    pub async fn admin(&self, cluster: &str, user: &str, lifetime: Duration) -> Result<Credential, PkiError> {
        let authority = self.keyset(cluster, KUBERNETES_CA).await?.authority()?;
        authority.issue(&Leaf::admin(user, lifetime), self.clock.now())
    }

    /// Creates a keyset unless it is there, and says whether it did. Of two who create one at once, one wins and the
    /// other leaves it alone.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn create(&self, cluster: &str, name: &str) -> Result<bool, PkiError> {
        // A cluster of kops 1.10 keeps its authority: its machines know no other.
        let legacy = match name {
            KUBERNETES_CA => self.read(cluster, LEGACY_CA, name).await?,
            _ => None,
        };
        let keyset = match legacy {
            Some((keyset, _)) => keyset,
            None => Keyset::generate(name, self.clock.now())?,
        };
        match self.save(cluster, &StoredKeyset::absent(keyset)).await {
            Ok(()) => Ok(true),
            Err(PkiError::Store(StateError::Exists { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn read(
        &self,
        cluster: &str,
        stored_as: &str,
        name: &str,
    ) -> Result<Option<(Keyset, Version)>, PkiError> {
        let Some((text, version)) = self.text(&layout::keyset(cluster, stored_as)?).await? else {
            return Ok(None);
        };
        let issued = if stored::lacks_certificates(name, &text)? {
            self.text(&layout::issued(cluster, stored_as)?).await?
        } else {
            None
        };
        let issued = issued.as_ref().map(|(text, _)| text.as_str());
        Ok(Some((stored::read(name, &text, issued)?, version)))
    }

    async fn text(&self, key: &Key) -> Result<Option<(String, Version)>, PkiError> {
        let Some(object) = self.store.get(key).await? else { return Ok(None) };
        let text = String::from_utf8(object.bytes)
            .map_err(|_| PkiError::unreadable(format!("{}/{key}", self.store), "it is not text"))?;
        Ok(Some((text, object.version)))
    }
}

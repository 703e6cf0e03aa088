//! Keypairs are looked at, added, promoted and distrusted: with kops's meanings.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::keystore::PARALLEL;
use super::{Certificate, KeyId, Keyset, Keystore, Pair, PkiError, PrivateKey, SERVICE_ACCOUNT};
use crate::clock::Timestamp;
use crate::state::maker;

/// What is told of a key pair: nothing of its private half but whether it is there. Field names are those of kops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeypairSummary {
    /// Its keyset.
    pub name: String,
    /// Its number.
    pub id: String,
    /// Since when it is not trusted any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distrust_timestamp: Option<Timestamp>,
    /// Whether it is the one that signs.
    pub is_primary: bool,
    /// Whom its certificate is for.
    pub subject: String,
    /// From when its certificate holds.
    pub not_before: Timestamp,
    /// Until when its certificate holds.
    pub not_after: Timestamp,
    /// Whether its private key is known here.
    pub has_private_key: bool,
}

/// What a new key pair is made from. By default it is all new.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The certificate; without one, the key certifies itself.
    pub certificate: Option<Certificate>,
    /// The private key; with a certificate and without a key, the pair is trusted and signs nothing.
    pub key: Option<PrivateKey>,
}

/// What a new key pair is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// To be trusted beside the primary, and promoted once everybody trusts it.
    Secondary,
    /// To sign at once. The first key pair of a keyset has to.
    Primary,
}

/// Whether a keyset is one whose keys are rotated: an authority's, or that of service accounts.
pub fn is_rotatable(keyset: &str) -> bool {
    keyset == SERVICE_ACCOUNT || keyset.contains("-ca")
}

impl Keystore {
    /// Makes sure that the keys of a keyset are rotated, and here.
    async fn check_change(&self, cluster: &str, keyset: &str) -> Result<(), PkiError> {
        refuse_fixed(keyset)?;
        Ok(maker::maker(&*self.store, cluster).await?.check(cluster)?)
    }

    /// The keysets whose keys are rotated, by name.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn rotatable(&self, cluster: &str) -> Result<Vec<String>, PkiError> {
        let mut names = self.names(cluster).await?;
        names.retain(|name| is_rotatable(name));
        Ok(names)
    }

    /// All key pairs of a cluster, sorted by keyset and number.
    ///
    /// # Errors
    /// The store fails, or a keyset cannot be read.
    pub async fn keypairs(&self, cluster: &str) -> Result<Vec<KeypairSummary>, PkiError> {
        let names = self.names(cluster).await?;
        let keysets: Vec<Keyset> = stream::iter(names)
            .map(|name| async move { self.keyset(cluster, &name).await })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(keysets.iter().flat_map(summaries).collect())
    }

    /// Adds a key pair to a keyset, and makes the keyset if it is to be its first.
    ///
    /// # Errors
    /// The keyset is none whose keys are rotated; the first key pair is not to be primary; the material does not fit
    /// together, is there already or cannot sign; somebody else changes the keyset at the same time.
    pub async fn add_keypair(
        &self,
        cluster: &str,
        keyset: &str,
        material: Material,
        standing: Standing,
    ) -> Result<KeyId, PkiError> {
        self.check_change(cluster, keyset).await?;
        let now = self.clock.now();
        let (stored, id) = match self.load(cluster, keyset).await {
            Ok(mut stored) => {
                let id = stored.keyset.add(material, now)?;
                if standing == Standing::Primary {
                    stored.keyset.promote(id)?;
                }
                (stored, id)
            }
            Err(PkiError::NotFound(_)) if standing == Standing::Primary => {
                let first = Keyset::first(keyset, material, now)?;
                let id = first.primary();
                (super::StoredKeyset::absent(first), id)
            }
            Err(PkiError::NotFound(_)) => {
                let message = format!("keyset {keyset} has no key pair yet: its first has to be primary");
                return Err(PkiError::Refused(message));
            }
            Err(error) => return Err(error),
        };
        self.save(cluster, &stored).await?;
        Ok(id)
    }

    /// Makes a key pair the one that signs: the one that is named, or else the newest that can sign. Says which it is;
    /// none if that was the primary already.
    ///
    /// # Errors
    /// There is no such keyset or key pair; it is distrusted, or its private key is not known; somebody else changes
    /// the keyset at the same time.
    pub async fn promote(
        &self,
        cluster: &str,
        keyset: &str,
        id: Option<KeyId>,
    ) -> Result<Option<KeyId>, PkiError> {
        self.check_change(cluster, keyset).await?;
        let mut stored = self.load(cluster, keyset).await?;
        let id = id.unwrap_or_else(|| stored.keyset.newest());
        if id == stored.keyset.primary() {
            return Ok(None);
        }
        stored.keyset.promote(id)?;
        self.save(cluster, &stored).await?;
        Ok(Some(id))
    }

    /// Stops trusting key pairs: those that are named, or else all that are older than the primary. Says which.
    ///
    /// # Errors
    /// There is no such keyset or key pair; one is the primary; somebody else changes the keyset at the same time.
    pub async fn distrust(&self, cluster: &str, keyset: &str, ids: &[KeyId]) -> Result<Vec<KeyId>, PkiError> {
        self.check_change(cluster, keyset).await?;
        let mut stored = self.load(cluster, keyset).await?;
        let now = self.clock.now();
        let ids = if ids.is_empty() { stored.keyset.outlived() } else { ids.to_vec() };
        for id in &ids {
            stored.keyset.distrust(*id, now)?;
        }
        if !ids.is_empty() {
            self.save(cluster, &stored).await?;
        }
        Ok(ids)
    }
}

fn refuse_fixed(keyset: &str) -> Result<(), PkiError> {
    if is_rotatable(keyset) {
        return Ok(());
    }
    Err(PkiError::Refused(format!("the keys of keyset {keyset} are not rotated")))
}

fn summaries(keyset: &Keyset) -> impl Iterator<Item = KeypairSummary> {
    let summary = |pair: &Pair| KeypairSummary {
        name: keyset.name().to_owned(),
        id: pair.id.to_string(),
        distrust_timestamp: pair.distrusted,
        is_primary: pair.id == keyset.primary(),
        subject: pair.certificate.subject().to_owned(),
        not_before: pair.certificate.not_before(),
        not_after: pair.certificate.not_after(),
        has_private_key: pair.key.is_some(),
    };
    keyset.pairs().iter().map(summary)
}

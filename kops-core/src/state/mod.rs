//! Where clusters are remembered: a small key-value store with conditional writes, and what kops keeps in it.
//!
//! [`StateStore`] is the contract a backend fulfils; [`MemoryStore`] and [`DirectoryStore`] are two of them.
//! [`layout`] holds every key in use.

mod directory;
mod draft;
mod error;
mod key;
pub mod layout;
pub mod maker;
mod memory;
pub mod registry;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use directory::DirectoryStore;
pub use draft::DraftStore;
pub use error::{Failure, LostUpdate, StateError};
pub use key::{InvalidKey, Key, Prefix};
pub use maker::{MadeByKops, Maker};
pub use memory::MemoryStore;
pub use registry::{LoadedCluster, Registry, RegistryError, Replace};

/// What tells one content of a key from another.
///
/// It names the content, not the moment: a store may give the same version to the same bytes again, as S3's entity
/// tag does. An update from A therefore succeeds after a change from A to B and back to A. Whoever has to notice
/// that puts something unique into the content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// The version that a store calls by this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The store's text for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// The content.
    pub bytes: Vec<u8>,
    /// What an update that builds on this content names in [`Put::IfUnchanged`].
    pub version: Version,
}

/// Shows the size only: the content may be a private key.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .field("version", &self.version)
            .finish()
    }
}

/// The condition on which a write takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Whatever is there now.
    Always,
    /// Only if nothing is there.
    IfAbsent,
    /// Only if this version is there still.
    IfUnchanged(Version),
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// The version a `get` would have returned at the moment of the listing.
    pub version: Version,
    /// The length of its content in bytes.
    pub size: u64,
}

/// A store of small objects under slash-separated keys.
///
/// The laws (numbers as in the contract battery, `kops_core::contract::state`):
/// - **S1** What was written is read: a `get` that starts after a `put` has returned gives its bytes and version, or
///   those of a later write. So do listings.
/// - **S2** [`Put::IfAbsent`] loses to what exists: [`StateError::Exists`], and nothing is changed.
/// - **S3** [`Put::IfUnchanged`] loses to a newer version, and to a deletion: [`StateError::Changed`], and nothing is
///   changed. (Not to a newer version with the same bytes; see [`Version`].)
/// - **S4** Of two updaters from one version, or of two who create one key, exactly one wins. This holds between
///   processes.
/// - **S5** A listing goes by whole path segments (`a/b` holds `a/b/c`, but neither `a/bc` nor `a/b` itself), is
///   complete however long, and is sorted by the bytes of the key.
/// - **S6** Deleting what is gone is fine.
/// - **S7** A reader sees the whole of one write, never part of it or of two, even when a writer is killed or its
///   future is dropped. The dropped write may or may not have taken place.
/// - **S8** Keys that would escape the root cannot be made: [`Key::new`] refuses them, and no store accepts anything
///   but a [`Key`].
///
/// Dropping a future is safe at any point. A wrapper forwards every method; there are no defaults.
#[async_trait]
pub trait StateStore: Send + Sync + fmt::Debug + fmt::Display {
    /// Reads one object; `None` when there is none.
    ///
    /// # Errors
    /// [`StateError::Failed`] when the store cannot tell.
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError>;

    /// Writes one object on a condition and returns its new version.
    ///
    /// # Errors
    /// [`StateError::Exists`] (S2), [`StateError::Changed`] (S3), otherwise [`StateError::Failed`].
    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError>;

    /// Lists everything below `prefix` (S5).
    ///
    /// # Errors
    /// [`StateError::Failed`]; a listing is complete or fails.
    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError>;

    /// Deletes one object (S6).
    ///
    /// # Errors
    /// [`StateError::Failed`].
    async fn delete(&self, key: &Key) -> Result<(), StateError>;
}

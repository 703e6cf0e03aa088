//! Resources that are kept in the state store rather than in the cloud (files, keysets, secrets), and the wrapper that
//! keeps them there.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::cloud::{Bindings, Cloud, CloudError, Deletion, Ensure, Ensured, Outcome, Reach, Scope};
use crate::error::ErrorClass;
use crate::inventory::{Gap, Inventory, Observed};
use crate::pki::{Keystore, PkiError};
use crate::resource::{Handle, Kind, Resource};
use crate::state::registry::Secret;
use crate::state::{InvalidKey, Key, Prefix, Put, StateError, StateStore, layout};

/// A file that machines or people read from the state store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StateObject {
    /// Its key below the cluster's part of the store.
    pub location: String,
    /// What it says. Never a secret. Not read back when the location names the contents by hash.
    pub contents: String,
    /// Whether the location names the contents by hash: such a file never changes, and stays for the machines
    /// that were started with it.
    pub content_addressed: bool,
}

/// A resource type of which some kinds are kept in the state store.
pub trait StateBacked: Resource {
    /// The kinds of the files, of the keysets, and of the secrets.
    const KINDS: [Kind; 3];
    /// The file, if this resource is one.
    fn state_object(&self) -> Option<&StateObject>;
    /// The file as a resource. One whose location names its contents is the cluster's own
    /// ([`Dependent`](crate::resource::Ownership::Dependent)): older ones stay.
    fn from_state_object(object: StateObject) -> Self;
    /// Where the configuration lies of the machines that are made from this resource, if it makes any.
    fn node_config(&self) -> Option<&str>;
    /// Whether machines of a control plane are made from this resource that kops (the program that is written in Go) has
    /// set up: with an etcd of theirs.
    fn is_control_plane_of_kops(&self) -> bool;
    /// The keyset's name, if this resource is one. What is in it never shows in a plan.
    fn keyset(&self) -> Option<&str>;
    /// The keyset as a resource.
    fn from_keyset(name: &str) -> Self;
    /// The secret's name, if this resource is one: random bytes that an update makes once. They never show in a plan.
    fn secret(&self) -> Option<&str>;
    /// The secret as a resource.
    fn from_secret(name: &str) -> Self;
}

/// A cloud whose files, keysets and secrets are kept in a state store.
#[derive(Debug)]
pub struct WithStateObjects<'a, C: ?Sized> {
    cloud: &'a C,
    store: &'a dyn StateStore,
    keystore: Keystore,
}

impl<'a, C: ?Sized> WithStateObjects<'a, C> {
    /// Sends files and secrets to `store`, keysets to `keystore`, and everything else to `cloud`.
    pub fn new(cloud: &'a C, store: &'a dyn StateStore, keystore: Keystore) -> Self {
        Self { cloud, store, keystore }
    }
}

impl<C: Cloud + ?Sized> WithStateObjects<'_, C>
where
    C::Resource: StateBacked,
{
    async fn observe_files(&self, scope: &Scope) -> Result<Vec<Observed<C::Resource>>, StateError> {
        let prefix = layout::cluster(&scope.cluster)?;
        let keysets = layout::keysets(&scope.cluster)?;
        let read = [layout::completed(&scope.cluster)?, layout::bootstrap_channel(&scope.cluster)?];
        let gossip_key = layout::gossip_key(&scope.cluster)?;
        let mut files = Vec::new();
        for entry in self.store.list(&prefix).await? {
            let Some(location) = prefix.rest(&entry.key) else { continue };
            let secret = (entry.key == gossip_key).then(|| C::Resource::from_secret(layout::GOSSIP_KEY));
            if let Some(resource) = keyset_at(&keysets, &entry.key).map(C::Resource::from_keyset).or(secret) {
                files.push(Observed { resource, handle: Handle(entry.key.to_string()), uses: Vec::new() });
                continue;
            }
            let content_addressed = layout::is_content_addressed(location);
            let contents = if content_addressed {
                String::new()
            } else if read.contains(&entry.key) {
                let object = self.store.get(&entry.key).await?;
                object.map(|o| String::from_utf8_lossy(&o.bytes).into_owned()).unwrap_or_default()
            } else {
                continue;
            };
            let object = StateObject { location: location.to_owned(), contents, content_addressed };
            files.push(Observed {
                resource: C::Resource::from_state_object(object),
                handle: Handle(entry.key.to_string()),
                uses: Vec::new(),
            });
        }
        Ok(files)
    }

    async fn ensure_file(&self, scope: &Scope, object: &StateObject) -> Result<Ensured, StateError> {
        let key = key(scope, object)?;
        let handle = Handle(key.to_string());
        let bytes = object.contents.as_bytes();
        let old = self.store.get(&key).await?;
        let outcome = match old {
            Some(old) if old.bytes == bytes => Outcome::Unchanged,
            Some(old) => {
                self.store.put(&key, bytes, Put::IfUnchanged(old.version)).await?;
                Outcome::Updated
            }
            None => {
                self.store.put(&key, bytes, Put::IfAbsent).await?;
                Outcome::Created
            }
        };
        Ok(Ensured { handle, outcome })
    }

    async fn ensure_keyset(&self, scope: &Scope, name: &str) -> Result<Ensured, PkiError> {
        let created = self.keystore.create(&scope.cluster, name).await?;
        let outcome = if created { Outcome::Created } else { Outcome::Unchanged };
        Ok(Ensured { handle: Handle(layout::keyset(&scope.cluster, name)?.to_string()), outcome })
    }

    /// Of two that make one at once, one wins, and the other leaves it alone.
    async fn ensure_secret(&self, scope: &Scope, name: &str) -> Result<Ensured, StateError> {
        let key = layout::secret(&scope.cluster, name)?;
        let handle = Handle(key.to_string());
        let outcome =
            match self.store.put(&key, Secret::generate()?.to_stored().as_bytes(), Put::IfAbsent).await {
                Ok(_) => Outcome::Created,
                Err(StateError::Exists { .. }) => Outcome::Unchanged,
                Err(error) => return Err(error),
            };
        Ok(Ensured { handle, outcome })
    }
}

/// The keyset that `key` holds, if it holds one.
fn keyset_at<'k>(keysets: &Prefix, key: &'k Key) -> Option<&'k str> {
    keysets.rest(key)?.strip_suffix("/keyset.yaml")
}

fn key(scope: &Scope, object: &StateObject) -> Result<Key, InvalidKey> {
    layout::cluster(&scope.cluster)?.key(&object.location)
}

fn failed<R: Resource>(operation: &'static str, resource: &R, error: StateError) -> CloudError {
    let message = "the state store failed";
    let base = CloudError::new(error.class(), operation, resource.id(), message);
    // Somebody else wrote the same file just now: reading it again settles it.
    let retry = match error.class() {
        ErrorClass::Conflict | ErrorClass::AlreadyExists => crate::error::Retry::Backoff,
        _ => error.retry(),
    };
    CloudError { retry, hint: error.hint().map(Into::into), ..base }.with_source(error)
}

impl<C: fmt::Display + ?Sized> fmt::Display for WithStateObjects<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with files in {}", self.cloud, self.store)
    }
}

#[async_trait]
impl<C: Cloud + ?Sized> Cloud for WithStateObjects<'_, C>
where
    C::Resource: StateBacked,
{
    type Resource = C::Resource;

    async fn observe(&self, scope: &Scope, reach: Reach) -> Result<Inventory<Self::Resource>, CloudError> {
        let (cloud, files) = futures::join!(self.cloud.observe(scope, reach), self.observe_files(scope));
        let (files, gaps) = match files {
            Ok(files) => (files, Vec::new()),
            Err(error) => {
                let kinds = C::Resource::KINDS.to_vec();
                (Vec::new(), vec![Gap { kinds, class: error.class(), reason: error.to_string() }])
            }
        };
        Ok(cloud?.merge(Inventory::new(files, gaps)))
    }

    async fn ensure(
        &self,
        scope: &Scope,
        request: Ensure<'_, Self::Resource>,
    ) -> Result<Ensured, CloudError> {
        let desired = request.desired;
        if let Some(object) = desired.state_object() {
            let written = self.ensure_file(scope, object).await;
            return written.map_err(|error| failed("write", desired, error));
        }
        if let Some(name) = desired.secret() {
            let made = self.ensure_secret(scope, name).await;
            return made.map_err(|error| failed("write", desired, error));
        }
        if let Some(name) = desired.keyset() {
            let made = self.ensure_keyset(scope, name).await;
            return made.map_err(|error| match error {
                PkiError::Store(error) => failed("write", desired, error),
                error => {
                    let message = "its keys cannot be made";
                    CloudError::new(error.class(), "create", desired.id(), message).with_source(error)
                }
            });
        }
        self.cloud.ensure(scope, request).await
    }

    async fn delete(
        &self,
        scope: &Scope,
        target: &Observed<Self::Resource>,
        bindings: &Bindings,
    ) -> Result<Deletion, CloudError> {
        let resource = &target.resource;
        let key = match (resource.state_object(), resource.keyset(), resource.secret()) {
            (Some(object), ..) => key(scope, object),
            (_, Some(name), _) => layout::keyset(&scope.cluster, name),
            (.., Some(name)) => layout::secret(&scope.cluster, name),
            _ => return self.cloud.delete(scope, target, bindings).await,
        };
        let deleted = match key {
            Ok(key) => self.store.delete(&key).await,
            Err(error) => Err(error.into()),
        };
        deleted.map(|()| Deletion::Gone).map_err(|error| failed("delete", &target.resource, error))
    }

    async fn going(
        &self,
        scope: &Scope,
        targets: &[Observed<Self::Resource>],
    ) -> Result<BTreeMap<Handle, String>, CloudError> {
        self.cloud.going(scope, targets).await
    }
}

//! The contract between the planner and whatever really holds the resources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::error::{Cause, ErrorClass, Retry};
use crate::inventory::{Inventory, Observed};
use crate::resource::{Handle, Kind, Resource, ResourceId};
use crate::zone::ZoneReference;

/// How far an observation looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// What plans manage: enough for an update.
    Managed,
    /// Also what the running cluster made (instances, services' load balancers, claims' volumes): for deleting
    /// and dumping.
    Everything,
}

/// One cluster's share of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The cluster's name, by which its resources are tagged.
    pub cluster: String,
    /// What tells this incarnation of the cluster from an earlier one of the same name (its creation time): part
    /// of every client token, since providers remember tokens longer than a cluster may live.
    pub incarnation: String,
    /// Where its names are, if they are in a hosted zone. Records carry no tags: nothing else tells whose they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneReference>,
}

impl Scope {
    /// A token that is the same for the same resource of the same incarnation with the same content, in the same place
    /// and of the same attempt, 64 characters: a create that is repeated with it gets the first one's result. `place` is
    /// what the resource is made in, if anything: made again in another one, it is another resource. `attempt` tells
    /// it from an earlier one that is gone: providers answer a token that they know with what was made then, also when
    /// somebody has deleted it.
    pub fn client_token<R: Resource>(&self, resource: &R, place: Option<&Handle>, attempt: &str) -> String {
        let content = serde_json::Value::Object(resource.fields()).to_string();
        let place = place.map(Handle::as_str).unwrap_or_default();
        let (cluster, incarnation, id) = (&self.cluster, &self.incarnation, resource.id());
        sha256_hex(format!("{cluster}\n{incarnation}\n{id}\n{place}\n{attempt}\n{content}").as_bytes())
    }
}

/// The handles known so far, filled as steps finish, and those that are being deleted.
#[derive(Debug, Default)]
pub struct Bindings {
    known: RwLock<BTreeMap<ResourceId, Handle>>,
    going: BTreeSet<(Kind, Handle)>,
}

impl Bindings {
    /// Starts from what an observation found.
    pub fn new(known: BTreeMap<ResourceId, Handle>) -> Self {
        Self { known: RwLock::new(known), going: BTreeSet::new() }
    }

    /// Adds what the same run deletes.
    #[must_use]
    pub fn deleting(mut self, going: impl IntoIterator<Item = (Kind, Handle)>) -> Self {
        self.going.extend(going);
        self
    }

    /// Records the handle of a resource.
    pub fn bind(&self, id: ResourceId, handle: Handle) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, handle);
    }

    /// Forgets a resource that is gone.
    pub fn unbind(&self, id: &ResourceId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The handle of `to`, if known.
    pub fn get(&self, to: &ResourceId) -> Option<Handle> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(to).cloned()
    }

    /// The handle of `to`, which `from` refers to.
    ///
    /// # Errors
    /// `Invalid`, naming both ends, when nothing is known of `to` (law C6).
    pub fn resolve(&self, from: &ResourceId, to: &ResourceId) -> Result<Handle, CloudError> {
        self.get(to).ok_or_else(|| {
            CloudError::new(
                ErrorClass::Invalid,
                "resolve",
                from.clone(),
                format!("it refers to {to}, which does not exist"),
            )
        })
    }

    /// Makes sure that something found in the cloud, and not known from an observation, may be taken for `id` (law
    /// C14). Handles that are names, and so come back when a resource is made again, need no such check.
    ///
    /// # Errors
    /// `Conflict` if the same run deletes it, or if it is another resource.
    pub fn check_adoption(&self, id: &ResourceId, handle: &Handle) -> Result<(), CloudError> {
        let conflict = |message| CloudError::new(ErrorClass::Conflict, "create", id.clone(), message);
        if self.going.contains(&(id.kind.clone(), handle.clone())) {
            return Err(conflict(format!("{handle} is still there, and this run deletes it")));
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let other = known.iter().find(|(other, h)| *h == handle && other.kind == id.kind && *other != id);
        match other {
            Some((other, _)) => {
                let error = conflict(format!("{handle} is in its place, and is {other}"));
                Err(CloudError { retry: Retry::Never, ..error })
            }
            None => Ok(()),
        }
    }
}

/// One resource to bring about.
#[derive(Debug)]
pub struct Ensure<'a, R> {
    /// How it should be.
    pub desired: &'a R,
    /// How it was when the plan was made; `None` when it is to be created.
    pub current: Option<&'a Observed<R>>,
    /// Where references are looked up.
    pub bindings: &'a Bindings,
}

/// What an `ensure` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was not there and is now.
    Created,
    /// It was there and was changed.
    Updated,
    /// It was there as desired.
    Unchanged,
}

/// A resource that is now as desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// The provider's name for it.
    pub handle: Handle,
    /// What had to be done.
    pub outcome: Outcome,
}

/// Something that holds resources: a real cloud, the simulated one, or a wrapper around either.
///
/// The laws (numbers as in the contract battery, `kops_core::contract`):
/// - **C1** Observing a scope with nothing in it gives nothing, and no gap.
/// - **C2** After everything desired has been ensured, the diff is empty.
/// - **C3** Ensuring twice gives the same handle; the second time says `Unchanged`.
/// - **C4** Deleting what is gone is fine.
/// - **C5** Only what the cluster owns is reported as owned; changing or deleting what is shared or foreign is refused.
/// - **C6** References resolve through the bindings; a missing one is an error naming both ends, never a panic.
/// - **C7** Deleting what others still use is a conflict that names them, and can be retried.
/// - **C8** More items than one page holds are all seen.
/// - **C9** Denied, throttled, out of quota, not found, not yet visible map to their class and the right advice.
/// - **C10** Two ensures of one id at once leave one resource.
/// - **C11** Dropping a future in mid-call leaves a world that C2 can finish.
/// - **C12** Observing never changes anything.
/// - **C13** No error, event, log line or plan contains a secret.
/// - **C14** What a manifest names by its handle is never changed or deleted by an update, whatever its tags say; no
///   handle is created or adopted and deleted in one plan ([`Bindings::check_adoption`]).
/// - **C15** Every wait ends: a delete returns at once and says whether the resource is going, and one batched read tells
///   what is still there of everything that is waited for.
///
/// There are no default methods: a wrapper must say for each what it does.
#[async_trait]
pub trait Cloud: Send + Sync + fmt::Debug + fmt::Display {
    /// What it holds.
    type Resource: Resource;

    /// Reads the cluster's resources in a bounded number of calls, whatever their number but for page turns.
    /// A part that cannot be read becomes a gap.
    ///
    /// # Errors
    /// Only when nothing at all can be read (no credentials, no connection).
    async fn observe(&self, scope: &Scope, reach: Reach) -> Result<Inventory<Self::Resource>, CloudError>;

    /// Creates the resource, or changes it to be as desired. Safe to repeat after any failure.
    ///
    /// # Errors
    /// Says what failed, whether repeating can help, and what was left behind.
    async fn ensure(&self, scope: &Scope, request: Ensure<'_, Self::Resource>)
    -> Result<Ensured, CloudError>;

    /// Deletes what was observed. Waits for nothing: what takes time to go is told as [`Deletion::Going`] (C15).
    ///
    /// # Errors
    /// `Conflict` naming who still uses it (C7); `Denied` for what is not the cluster's (C5).
    async fn delete(
        &self,
        scope: &Scope,
        target: &Observed<Self::Resource>,
        bindings: &Bindings,
    ) -> Result<Deletion, CloudError>;

    /// Returns those of the targets that are still there, each with what it is doing. The targets are resources that
    /// [`delete`](Self::delete) has told of as going. One batched read for all of them, whatever their number but for
    /// page turns (C15).
    ///
    /// # Errors
    /// They cannot be read.
    async fn going(
        &self,
        scope: &Scope,
        targets: &[Observed<Self::Resource>],
    ) -> Result<BTreeMap<Handle, String>, CloudError>;
}

/// What a delete came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone, as far as others that wait for it are concerned.
    Gone,
    /// It was told to go, and takes its time.
    Going,
}

/// What a failed call left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// The cloud is as it was.
    Nothing,
    /// The call may have taken effect; the next observation tells.
    Unknown,
}

/// A call that failed: what, on which resource, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {message}", .resource.as_ref().map_or_else(|| "the cluster".to_owned(), ToString::to_string))]
pub struct CloudError {
    /// What it means.
    pub class: ErrorClass,
    /// Whether repeating can help.
    pub retry: Retry,
    /// What was tried, as a verb ("create", "delete", "observe").
    pub operation: &'static str,
    /// The resource it was tried on, if it was one.
    pub resource: Option<ResourceId>,
    /// Why it failed, in the user's words.
    pub message: Box<str>,
    /// What the user can do, if something helps.
    pub hint: Option<Box<str>>,
    /// What was left behind.
    pub left: Left,
    /// The provider's own error.
    #[source]
    pub source: Option<Cause>,
}

impl CloudError {
    /// A failure on one resource, with the class's own advice on retrying, that left nothing behind.
    pub fn new(
        class: ErrorClass,
        operation: &'static str,
        resource: ResourceId,
        message: impl Into<Box<str>>,
    ) -> Self {
        Self { resource: Some(resource), ..Self::general(class, operation, message) }
    }

    /// A failure that concerns no single resource.
    pub fn general(class: ErrorClass, operation: &'static str, message: impl Into<Box<str>>) -> Self {
        Self {
            class,
            retry: class.retry(),
            operation,
            resource: None,
            message: message.into(),
            hint: None,
            left: Left::Nothing,
            source: None,
        }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that the call may have taken effect.
    #[must_use]
    pub fn maybe_applied(mut self) -> Self {
        self.left = Left::Unknown;
        self
    }
}

//! What is made once, though AWS would make it twice: one caller at a time, who knows what the one before made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kops_core::clock::{Clock, SignedDuration, SystemClock, Timestamp};
use kops_core::cloud::{CloudError, Scope};
use kops_core::error::{ErrorClass, Retry};
use kops_core::resource::{Handle, ResourceId};
use tokio::sync::OwnedMutexGuard;

use crate::resource::AwsResource;

/// What is known of one resource that is being made.
#[derive(Debug, Default)]
pub(super) struct Slot {
    handle: Option<Handle>,
    unfinished: bool,
    attempt: Option<Timestamp>,
    made: Option<Timestamp>,
}

/// After how long what was made is seen everywhere.
const VISIBLE: SignedDuration = SignedDuration::from_mins(5);

/// For how long a create is repeated with the same client token. After that, AWS's lists tell whether it was made.
const ATTEMPT: SignedDuration = SignedDuration::from_mins(15);

impl Slot {
    /// The handle of what was made a moment ago: by whoever waited in line before, or by an ensure that did not get to
    /// its end. AWS's lists may not show it yet.
    pub(super) fn recent(&self) -> Option<Handle> {
        self.handle.clone()
    }

    /// It was made, but is not complete.
    pub(super) fn begin(&mut self, handle: &Handle) {
        if self.handle.as_ref() != Some(handle) {
            self.made = Some(SystemClock.now());
        }
        self.handle = Some(handle.clone());
        self.unfinished = true;
    }

    /// It is complete.
    pub(super) fn finish(&mut self) {
        self.unfinished = false;
        self.attempt = None;
    }

    /// The client token of a create: the same one until it has succeeded, so that a lost answer makes no second one, and
    /// then another one, since EC2 answers a token that it knows with what was made then, be it gone or not.
    pub(super) fn token(
        &mut self,
        scope: &Scope,
        resource: &AwsResource,
        place: Option<&Handle>,
        now: Timestamp,
    ) -> String {
        self.unfinished = true;
        let begun = self.attempt.filter(|begun| now.duration_since(*begun) < ATTEMPT).unwrap_or(now);
        self.attempt = Some(begun);
        scope.client_token(resource, place, &begun.as_nanosecond().to_string())
    }

    /// Returns what it means that something of that name, or in its place, is there though no list shows it: if it was
    /// made here, it is not visible yet.
    pub(super) fn unseen(&self, error: CloudError) -> CloudError {
        let is_taken = matches!(error.class, ErrorClass::AlreadyExists | ErrorClass::Conflict);
        if self.handle.is_none() || !is_taken {
            return error;
        }
        let message = "it was made a moment ago, and AWS does not list it yet".into();
        let (class, retry) = (ErrorClass::NotYetVisible, Retry::Backoff);
        CloudError { class, retry, message, hint: None, ..error }
    }

    /// Forgets what AWS has not shown for longer than it may take: it is gone, and the next try believes what is listed.
    pub(super) fn forget_if_gone(&mut self, now: Timestamp) {
        if self.made.is_none_or(|made| now.duration_since(made) >= VISIBLE) {
            *self = Self::default();
        }
    }
}

/// By cluster and resource.
type Slots = HashMap<(String, ResourceId), Arc<tokio::sync::Mutex<Slot>>>;

/// Everything that is being made.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<Slots>);

impl Locks {
    /// Waits for the turn to make `id` of `cluster`.
    pub(super) async fn hold(&self, cluster: &str, id: &ResourceId) -> OwnedMutexGuard<Slot> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those nobody waits for have nothing more to say.
            slots.retain(|_, slot| {
                Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|slot| slot.unfinished)
            });
            Arc::clone(slots.entry((cluster.to_owned(), id.clone())).or_default())
        };
        slot.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind;

    fn ids() -> [ResourceId; 2] {
        [kind::VPC, kind::INTERNET_GATEWAY].map(|kind| ResourceId::new(kind, "a.b"))
    }

    #[tokio::test]
    async fn those_in_line_know_what_was_made_before_them() {
        let (locks, [vpc, gateway], made) = (Locks::default(), ids(), Handle("vpc-1".into()));
        let mut first = locks.hold("a.b", &vpc).await;
        let second = locks.hold("a.b", &vpc);
        futures::pin_mut!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        first.begin(&made);
        first.finish();
        drop(first);
        let second = second.await;
        assert_eq!(second.recent(), Some(made));
        drop(second);
        drop(locks.hold("a.b", &gateway).await);
        assert_eq!(locks.hold("a.b", &vpc).await.recent(), None);
    }

    #[tokio::test]
    async fn a_token_is_good_until_the_resource_is_made() {
        let (locks, [vpc, gateway]) = (Locks::default(), ids());
        let scope = Scope { cluster: "a.b".into(), incarnation: "1".into(), zone: None };
        let resource = AwsResource::Shared(crate::resource::Shared::new(kind::VPC, "vpc-1"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut slot = locks.hold("a.b", &vpc).await;
        let first = slot.token(&scope, &resource, None, at(0));
        drop(slot);
        // An answer was lost, and the next try comes.
        drop(locks.hold("a.b", &gateway).await);
        let mut slot = locks.hold("a.b", &vpc).await;
        assert_eq!(slot.token(&scope, &resource, None, at(30)), first);
        slot.finish();
        assert_ne!(slot.token(&scope, &resource, None, at(60)), first);
        let late = slot.token(&scope, &resource, None, at(3600));
        assert_ne!(late, slot.token(&scope, &resource, None, at(7200)));
    }

    #[tokio::test]
    async fn what_did_not_get_to_its_end_is_remembered() {
        let (locks, [vpc, gateway], made) = (Locks::default(), ids(), Handle("vpc-1".into()));
        locks.hold("a.b", &vpc).await.begin(&made);
        drop(locks.hold("a.b", &gateway).await);
        let mut again = locks.hold("a.b", &vpc).await;
        assert_eq!(again.recent(), Some(made.clone()));
        let now = SystemClock.now();
        again.forget_if_gone(now);
        assert_eq!(again.recent(), Some(made), "it may not be visible yet");
        again.forget_if_gone(now + VISIBLE);
        drop(again);
        assert_eq!(locks.hold("a.b", &vpc).await.recent(), None);
    }
}

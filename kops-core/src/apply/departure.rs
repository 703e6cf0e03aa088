//! Waits until what was told to go is gone: one read asks for everything that is waited for (law C15 of [`Cloud`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, FutureExt, select};
use tokio_util::sync::CancellationToken;

use super::{PlanEvent, RetryPolicy};
use crate::clock::{Clock, Timestamp};
use crate::cloud::{Cloud, CloudError, Scope};
use crate::error::{ErrorClass, Retry};
use crate::inventory::Observed;
use crate::observer::Observer;
use crate::resource::{Handle, Resource};

/// Everything of one run that was told to go and is not known to be gone.
pub(super) struct Departures<'a, C: Cloud + ?Sized> {
    pub(super) cloud: &'a C,
    pub(super) scope: &'a Scope,
    pub(super) retry: &'a RetryPolicy,
    pub(super) clock: &'a dyn Clock,
    pub(super) observer: &'a dyn Observer<PlanEvent>,
    pub(super) cancel: &'a CancellationToken,
    waiting: Mutex<BTreeMap<Handle, Observed<C::Resource>>>,
    /// The last read. The first step that needs a newer one reads for all, and the others wait for it.
    last: tokio::sync::Mutex<Look>,
}

/// What a read has shown.
#[derive(Default)]
struct Look {
    at: Option<Timestamp>,
    /// What it asked for. Others may have been told to go while it was under way.
    asked: BTreeSet<Handle>,
    /// What is still there, and what it is doing.
    there: BTreeMap<Handle, String>,
    /// How many reads in a row have failed for a passing reason.
    failures: u32,
}

impl<'a, C: Cloud + ?Sized> Departures<'a, C> {
    pub(super) fn new(
        cloud: &'a C,
        scope: &'a Scope,
        retry: &'a RetryPolicy,
        clock: &'a dyn Clock,
        observer: &'a dyn Observer<PlanEvent>,
        cancel: &'a CancellationToken,
    ) -> Self {
        let (waiting, last) = Default::default();
        Self { cloud, scope, retry, clock, observer, cancel, waiting, last }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Handle, Observed<C::Resource>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when `target` is gone.
    ///
    /// # Errors
    /// It is still there after the policy's time, it cannot be read, or the run is cancelled.
    pub(super) async fn wait_for(&self, target: &Observed<C::Resource>) -> Result<(), CloudError> {
        self.waiting().insert(target.handle.clone(), target.clone());
        let result = self.poll(target).await;
        self.waiting().remove(&target.handle);
        result
    }

    async fn poll(&self, target: &Observed<C::Resource>) -> Result<(), CloudError> {
        let id = target.resource.id();
        let begun = self.clock.now();
        let mut known = begun;
        let mut told = false;
        let mut doing = "it was told to go".to_owned();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let pause = self.clock.sleep(self.retry.backoff(&id, attempt));
            if let Either::Right(_) = select(pause, self.cancel.cancelled().boxed()).await {
                return Err(CloudError::new(ErrorClass::Conflict, "delete", id, doing));
            }
            let (at, state) = self.look(known, target).await?;
            known = at;
            match state {
                State::Gone => return Ok(()),
                State::There(what) => doing = what,
                State::Unknown => {}
            }
            let waited = self.clock.now().duration_since(begun).unsigned_abs();
            if waited >= self.retry.gone_within {
                return Err(self.late(target, &doing, waited));
            }
            if !told {
                told = true;
                let event = PlanEvent::StepWaiting {
                    id: id.clone(),
                    within: self.retry.gone_within,
                    reason: doing.clone(),
                };
                self.observer.on_event(&event);
            }
        }
    }

    fn late(&self, target: &Observed<C::Resource>, doing: &str, waited: Duration) -> CloudError {
        let minutes = waited.as_secs() / 60;
        let message = format!("{} is still there after {minutes} minutes: {doing}", target.handle);
        let error = CloudError::new(ErrorClass::Conflict, "delete", target.resource.id(), message);
        CloudError { retry: Retry::Never, ..error }
            .with_hint("find out what holds it, then run the same again: it goes on from there")
    }

    /// Returns what is known of `target` from a read that was made after `known`.
    async fn look(
        &self,
        known: Timestamp,
        target: &Observed<C::Resource>,
    ) -> Result<(Timestamp, State), CloudError> {
        let mut last = self.last.lock().await;
        if last.at.is_none_or(|at| at <= known) || !last.asked.contains(&target.handle) {
            let targets: Vec<_> = self.waiting().values().cloned().collect();
            last.asked = targets.iter().map(|target| target.handle.clone()).collect();
            match self.cloud.going(self.scope, &targets).await {
                Ok(there) => (last.there, last.failures) = (there, 0),
                Err(error) if error.retry != Retry::Never && last.failures + 1 < self.retry.attempts => {
                    last.failures += 1;
                }
                Err(error) => return Err(CloudError { resource: Some(target.resource.id()), ..error }),
            }
            last.at = Some(self.clock.now());
        }
        let state = match last.there.get(&target.handle) {
            _ if last.failures > 0 => State::Unknown,
            Some(doing) => State::There(doing.clone()),
            None => State::Gone,
        };
        Ok((last.at.unwrap_or(known), state))
    }
}

enum State {
    Gone,
    There(String),
    /// It could not be read this time.
    Unknown,
}

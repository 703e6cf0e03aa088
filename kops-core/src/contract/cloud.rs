//! The laws of [`Cloud`](crate::cloud::Cloud), C1 to C12 and C14, as one run over an empty scope.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio_util::sync::CancellationToken;

use super::{Broken, law};
use crate::apply::{ApplyOptions, Report, apply};
use crate::clock::Clock;
use crate::cloud::{Bindings, Cloud, CloudError, Ensure, Outcome, Reach, Scope};
use crate::error::{ErrorClass, Retry};
use crate::inventory::{Inventory, Observed};
use crate::observer::Quiet;
use crate::plan::{Plan, Purpose, plan};
use crate::resource::{Handle, Kind, Ownership, Resource, Tie};

/// What a backend is tried with.
#[derive(Clone, Debug)]
pub struct CloudCase<R> {
    /// A scope in which nothing exists yet.
    pub scope: Scope,
    /// A set of resources that can exist together.
    pub desired: Vec<R>,
    /// The same ids, at least one of them changed in a way that needs no replacement.
    pub edited: Vec<R>,
    /// How a manifest names something by its handle; returns `None` for a kind that manifests cannot name so (law C14).
    pub named: fn(&Kind, &Handle) -> Option<R>,
    /// What is desired, with another name for one resource that takes a range; empty if nothing takes one.
    pub renamed: Vec<R>,
    /// How plans are carried out; short pauses make failures show soon.
    pub options: ApplyOptions,
}

/// Tries every law that needs no injected failure. Leaves the scope empty.
///
/// # Errors
/// The first law that does not hold.
pub async fn cloud<C: Cloud + ?Sized>(
    cloud: &C,
    case: &CloudCase<C::Resource>,
    clock: &dyn Clock,
) -> Result<(), Broken> {
    let bench = Bench { cloud, case, clock };
    bench.c1_nothing_is_seen_in_an_empty_scope("C1").await?;
    bench.c10_two_ensures_at_once_leave_one().await?;
    bench.c11_dropped_calls_can_be_finished().await?;
    bench.c2_what_was_applied_is_seen(&case.desired).await?;
    bench.c3_ensuring_twice_changes_nothing().await?;
    bench.c5_what_is_not_ours_is_left_alone().await?;
    bench.c6_missing_references_name_both_ends().await?;
    bench.c7_what_is_used_cannot_be_deleted().await?;
    bench.c12_observing_changes_nothing().await?;
    bench.c14_what_is_named_by_its_handle_stays().await?;
    bench.c14_nothing_is_adopted_that_goes().await?;
    bench.c2_what_was_applied_is_seen(&case.edited).await?;
    bench.c4_deleting_twice_is_fine().await?;
    bench.c1_nothing_is_seen_in_an_empty_scope("C4").await
}

pub(super) struct Bench<'a, C: Cloud + ?Sized> {
    pub(super) cloud: &'a C,
    pub(super) case: &'a CloudCase<C::Resource>,
    clock: &'a dyn Clock,
}

impl<C: Cloud + ?Sized> Bench<'_, C> {
    pub(super) async fn observe(&self) -> Result<Inventory<C::Resource>, Broken> {
        let seen = self.cloud.observe(&self.case.scope, Reach::Managed).await;
        seen.map_err(|error| Broken::new("C12", "observing failed").because(error))
    }

    async fn plan(&self, desired: &[C::Resource], purpose: Purpose) -> Result<Plan<C::Resource>, Broken> {
        let inventory = self.observe().await?;
        plan(&self.case.scope, purpose, desired, &inventory)
            .map_err(|error| Broken::new("C2", "no plan can be made").because(error))
    }

    pub(super) async fn apply(&self, plan: &Plan<C::Resource>) -> Report {
        let cancel = CancellationToken::new();
        apply(self.cloud, plan, &self.case.options, self.clock, &Quiet, &cancel).await
    }

    pub(super) async fn bring_about(&self, desired: &[C::Resource]) -> Result<(), Broken> {
        let plan = self.plan(desired, Purpose::Update).await?;
        let report = self.apply(&plan).await.into_result();
        report.map(drop).map_err(|error| Broken::new("C2", "applying failed").because(error))
    }

    async fn c1_nothing_is_seen_in_an_empty_scope(&self, number: &'static str) -> Result<(), Broken> {
        let seen = self.cloud.observe(&self.case.scope, Reach::Everything).await;
        let seen = seen.map_err(|error| Broken::new(number, "observing failed").because(error))?;
        let ids: Vec<_> = seen.iter().map(|(id, _)| id.to_string()).collect();
        law(number, seen.is_empty(), || format!("an empty scope shows {ids:?}"))?;
        law(number, seen.gaps().is_empty(), || format!("an empty scope shows gaps {:?}", seen.gaps()))
    }

    pub(super) async fn c2_what_was_applied_is_seen(&self, desired: &[C::Resource]) -> Result<(), Broken> {
        self.bring_about(desired).await?;
        let again = self.plan(desired, Purpose::Update).await?;
        law("C2", again.is_empty(), || format!("after applying, this is left:\n{}", again.display()))
    }

    async fn c3_ensuring_twice_changes_nothing(&self) -> Result<(), Broken> {
        let (bindings, seen) = self.bindings().await?;
        for (id, observed) in &seen {
            let Some(desired) = self.case.desired.iter().find(|r| r.id() == *id) else { continue };
            let request = Ensure { desired, current: Some(observed), bindings: &bindings };
            let ensured = self.cloud.ensure(&self.case.scope, request).await;
            let ensured =
                ensured.map_err(|error| Broken::new("C3", "ensuring again failed").because(error))?;
            law("C3", ensured.handle == observed.handle, || {
                format!("{id} was {} and is {} when ensured again", observed.handle, ensured.handle)
            })?;
            law("C3", ensured.outcome == Outcome::Unchanged, || {
                format!("{id} was {:?} when ensured again", ensured.outcome)
            })?;
        }
        Ok(())
    }

    async fn c4_deleting_twice_is_fine(&self) -> Result<(), Broken> {
        let (bindings, seen) = self.bindings().await?;
        let gone = self.plan(&[], Purpose::Delete).await?;
        let report = self.apply(&gone).await.into_result();
        report.map_err(|error| Broken::new("C4", "deleting failed").because(error))?;
        for (id, observed) in &seen {
            let again = self.cloud.delete(&self.case.scope, observed, &bindings).await;
            let _ = again
                .map_err(|error| Broken::new("C4", format!("deleting {id} again failed")).because(error))?;
        }
        let gone: Vec<_> = seen.into_values().collect();
        let still = self.cloud.going(&self.case.scope, &gone).await;
        let still =
            still.map_err(|error| Broken::new("C15", "what is going cannot be read").because(error))?;
        law("C15", still.is_empty(), || {
            format!("after everything was waited for, this is still there: {still:?}")
        })
    }

    async fn c5_what_is_not_ours_is_left_alone(&self) -> Result<(), Broken> {
        let other = Scope { cluster: format!("not-{}", self.case.scope.cluster), ..self.case.scope.clone() };
        let seen = self.cloud.observe(&other, Reach::Everything).await;
        let seen = seen.map_err(|error| Broken::new("C5", "observing failed").because(error))?;
        law("C5", seen.is_empty(), || format!("another cluster sees {} of our resources", seen.len()))?;
        let (bindings, _) = self.bindings().await?;
        for desired in self.case.desired.iter().filter(|r| r.ownership() == Ownership::Shared) {
            let request = Ensure { desired, current: None, bindings: &bindings };
            let changed = self.cloud.ensure(&self.case.scope, request).await.map(drop);
            let observed = Observed {
                resource: desired.clone(),
                handle: crate::resource::Handle(desired.id().name),
                uses: Vec::new(),
            };
            let deleted = self.cloud.delete(&self.case.scope, &observed, &bindings).await.map(drop);
            for result in [changed, deleted] {
                let denied = matches!(&result, Err(CloudError { class: ErrorClass::Denied, .. }));
                law("C5", denied, || format!("{} is shared and yet: {result:?}", desired.id()))?;
            }
        }
        Ok(())
    }

    async fn c6_missing_references_name_both_ends(&self) -> Result<(), Broken> {
        for desired in self.case.desired.iter().filter(|r| r.ownership() == Ownership::Managed) {
            let Some(to) = desired.requires().into_iter().next() else { continue };
            let nothing = Bindings::new(BTreeMap::new());
            let request = Ensure { desired, current: None, bindings: &nothing };
            let result = self.cloud.ensure(&self.case.scope, request).await;
            let text = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            law("C6", text.contains(&desired.id().to_string()) && text.contains(&to.to_string()), || {
                format!("{} without {to}: {result:?}", desired.id())
            })?;
        }
        Ok(())
    }

    async fn c7_what_is_used_cannot_be_deleted(&self) -> Result<(), Broken> {
        let (bindings, seen) = self.bindings().await?;
        let mut tried = 0;
        for (id, observed) in &seen {
            let used = seen.values().any(|other| other.uses.contains(&observed.handle));
            if !used || !self.blocks(observed) {
                continue;
            }
            tried += 1;
            let result = self.cloud.delete(&self.case.scope, observed, &bindings).await;
            let conflict = result
                .as_ref()
                .err()
                .is_some_and(|e| e.class == ErrorClass::Conflict && e.retry != Retry::Never);
            law("C7", conflict, || format!("{id} is in use, and deleting it: {result:?}"))?;
        }
        law("C7", tried > 0, || "the case holds nothing that is used by something else".to_owned())?;
        self.bring_about(&self.case.desired).await
    }

    /// What a provider itself refuses to delete while it is used is known by its kind: whatever several others
    /// need at once. A resource that ends with its owner (a rule, an attachment) may go first or with it.
    fn blocks(&self, observed: &Observed<C::Resource>) -> bool {
        let id = observed.resource.id();
        let firmly = |r: &&C::Resource| r.requires().contains(&id) && r.tie(&id) == Tie::Firm;
        self.case.desired.iter().filter(firmly).count() > 1
    }

    async fn c10_two_ensures_at_once_leave_one(&self) -> Result<(), Broken> {
        let bindings = Bindings::default();
        for desired in &self.case.desired {
            let free = desired.requires().is_empty() && desired.ownership() == Ownership::Managed;
            if !free {
                continue;
            }
            let request = || Ensure { desired, current: None, bindings: &bindings };
            let (a, b) = futures::join!(
                self.cloud.ensure(&self.case.scope, request()),
                self.cloud.ensure(&self.case.scope, request())
            );
            let one_handle = match (&a, &b) {
                (Ok(a), Ok(b)) => a.handle == b.handle,
                // One may lose the race as long as it can try again.
                (Ok(_), Err(e)) | (Err(e), Ok(_)) => e.retry != Retry::Never,
                (Err(_), Err(_)) => false,
            };
            law("C10", one_handle, || format!("{} at once: {a:?} and {b:?}", desired.id()))?;
        }
        let seen = self.observe().await?;
        law("C10", seen.duplicates().is_empty(), || format!("there twice: {:?}", seen.duplicates()))
    }

    async fn c11_dropped_calls_can_be_finished(&self) -> Result<(), Broken> {
        for polls in [1, 2, 3, 5, 8, 13, 21, 34] {
            let plan = self.plan(&self.case.desired, Purpose::Update).await?;
            drop_after(polls, self.apply(&plan)).await;
        }
        self.bring_about(&self.case.desired).await?;
        let seen = self.observe().await?;
        law("C11", seen.duplicates().is_empty(), || {
            format!("dropped calls left twice: {:?}", seen.duplicates())
        })
    }

    async fn c12_observing_changes_nothing(&self) -> Result<(), Broken> {
        let (first, second) = (self.observe().await?, self.observe().await?);
        let same = serde_json::to_value(&first).ok() == serde_json::to_value(&second).ok();
        law("C12", same, || "two observations differ though nobody changed anything".to_owned())
    }

    pub(super) async fn bindings(
        &self,
    ) -> Result<(Bindings, BTreeMap<crate::resource::ResourceId, Observed<C::Resource>>), Broken> {
        let seen: BTreeMap<_, _> =
            self.observe().await?.iter().map(|(id, o)| (id.clone(), o.clone())).collect();
        let shared = self.case.desired.iter().filter(|r| r.ownership() == Ownership::Shared);
        let shared = shared.map(|r| (r.id(), crate::resource::Handle(r.id().name)));
        let handles = seen.iter().map(|(id, o)| (id.clone(), o.handle.clone())).chain(shared).collect();
        Ok((Bindings::new(handles), seen))
    }
}

/// Polls a future so many times, then drops it, finished or not.
async fn drop_after(polls: usize, future: impl Future) {
    let mut left = polls;
    let mut future = pin!(future);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        future.as_mut().poll(context).map(drop)
    })
    .await;
}

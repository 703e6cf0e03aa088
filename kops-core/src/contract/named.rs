//! Law C14 of [`Cloud`]: what a manifest names by its handle stays, and nothing is adopted that goes.

use std::collections::{BTreeMap, BTreeSet};

use super::cloud::Bench;
use super::{Broken, law};
use crate::cloud::{Bindings, Cloud, CloudError, Ensure};
use crate::error::ErrorClass;
use crate::inventory::Observed;
use crate::plan::{Plan, PlanError, Purpose, plan};
use crate::resource::{Handle, NewIds, Ownership, Resource, ResourceId};

impl<C: Cloud + ?Sized> Bench<'_, C> {
    pub(super) async fn c14_what_is_named_by_its_handle_stays(&self) -> Result<(), Broken> {
        let inventory = self.observe().await?;
        let made = self.case.desired.iter().filter(|r| r.ownership() == Ownership::Managed);
        let made: BTreeSet<ResourceId> = made.map(Resource::id).collect();
        let nameable: Vec<_> = inventory
            .iter()
            .filter(|(id, _)| made.contains(*id))
            .filter_map(|(id, seen)| Some((id, seen, (self.case.named)(&id.kind, &seen.handle)?)))
            .collect();
        let planned = |desired: &[C::Resource]| {
            plan(&self.case.scope, Purpose::Update, desired, &inventory)
                .map_err(|error| Broken::new("C14", "no plan can be made").because(error))
        };
        for (id, seen, shared) in &nameable {
            let ids = self.new_ids((*id).clone(), shared.id());
            let others = self.case.desired.iter().filter(|r| r.id() != **id);
            let mut same: Vec<_> = others.map(|r| r.clone().renamed(&ids)).collect();
            same.push(shared.clone());
            let left = planned(&same)?;
            law("C14", left.is_empty(), || {
                format!("naming {id} by its handle {} changes something:\n{}", seen.handle, left.display())
            })?;
            let alone = planned(std::slice::from_ref(shared))?;
            law("C14", !concerns(&alone, seen), || {
                format!("{id} is named by its handle {}, and yet:\n{}", seen.handle, alone.display())
            })?;
        }
        // Once for real, with what most others refer to.
        let uses = |seen: &Observed<_>| inventory.all().filter(|o| o.uses.contains(&seen.handle)).count();
        let Some((id, before, shared)) = nameable.iter().max_by_key(|(_, seen, _)| uses(seen)) else {
            return Ok(());
        };
        let mut rest = self.without(id);
        rest.push(shared.clone());
        self.bring_about(&rest).await?;
        let after = self.observe().await?;
        let after = after.all().find(|o| o.resource.id().kind == id.kind && o.handle == before.handle);
        law("C14", after.is_some_and(|after| after.resource.fields() == before.resource.fields()), || {
            format!("{id} was named by its handle {}, and now it is {after:?}", before.handle)
        })?;
        self.bring_about(&self.case.desired).await
    }

    pub(super) async fn c14_nothing_is_adopted_that_goes(&self) -> Result<(), Broken> {
        let inventory = self.observe().await?;
        let (bindings, seen) = self.bindings().await?;
        let known: BTreeSet<ResourceId> = self.case.desired.iter().map(Resource::id).collect();
        let renamed = self.case.renamed.iter().filter(|r| r.range().is_some() && !known.contains(&r.id()));
        for new in renamed {
            self.is_not_adopted(new, &bindings).await?;
        }
        let handles: BTreeMap<ResourceId, Handle> =
            seen.iter().map(|(id, seen)| (id.clone(), seen.handle.clone())).collect();
        for desired in self.case.desired.iter().filter(|r| r.range().is_some()) {
            let Some(handle) = handles.get(&desired.id()) else { continue };
            let going = Bindings::new(handles.clone()).deleting([(desired.id().kind, handle.clone())]);
            self.is_not_adopted(desired, &going).await?;
        }
        let after = self.observe().await?;
        let same = serde_json::to_value(&inventory).ok() == serde_json::to_value(&after).ok();
        law("C14", same, || "a refused adoption has changed something".to_owned())?;
        // What is used keeps its name; what is not used gets the new one in order.
        if self.case.renamed.is_empty() {
            return Ok(());
        }
        match plan(&self.case.scope, Purpose::Update, &self.case.renamed, &inventory) {
            Err(PlanError::Overlaps(_)) => Ok(()),
            Err(error) => Err(Broken::new("C14", "no plan can be made").because(error)),
            Ok(_) => {
                self.c2_what_was_applied_is_seen(&self.case.renamed).await?;
                self.bring_about(&self.case.desired).await
            }
        }
    }

    /// What is desired without one resource and all that refers to it, directly or not.
    fn without(&self, id: &ResourceId) -> Vec<C::Resource> {
        let mut gone = BTreeSet::from([id.clone()]);
        loop {
            let refers = |r: &&C::Resource| r.requires().iter().any(|to| gone.contains(to));
            let more: Vec<_> = self.case.desired.iter().filter(refers).map(Resource::id).collect();
            let before = gone.len();
            gone.extend(more);
            if gone.len() == before {
                return self.case.desired.iter().filter(|r| !gone.contains(&r.id())).cloned().collect();
            }
        }
    }

    /// New ids where one resource gets a new one: its own, and those that follow from it.
    fn new_ids(&self, old: ResourceId, new: ResourceId) -> NewIds {
        let mut ids = NewIds::from([(old, new)]);
        let renamed = self.case.desired.iter().map(|r| (r.id(), r.clone().renamed(&ids).id()));
        let renamed: Vec<_> = renamed.filter(|(old, new)| old != new).collect();
        ids.extend(renamed);
        ids
    }

    async fn is_not_adopted(&self, desired: &C::Resource, bindings: &Bindings) -> Result<(), Broken> {
        let request = Ensure { desired, current: None, bindings };
        let result = self.cloud.ensure(&self.case.scope, request).await;
        let conflict = matches!(result, Err(CloudError { class: ErrorClass::Conflict, .. }));
        law("C14", conflict, || format!("{} cannot be made, and yet: {result:?}", desired.id()))
    }
}

/// Whether a step of the plan changes or deletes what was seen.
fn concerns<R: Resource>(plan: &Plan<R>, seen: &Observed<R>) -> bool {
    let kind = seen.resource.id().kind;
    let of_kind = plan.steps().iter().filter(|step| step.id.kind == kind);
    of_kind.filter_map(|step| step.action.current()).any(|current| current.handle == seen.handle)
}

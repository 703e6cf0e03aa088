//! The laws of [`Fleet`], F1 to F3, F5 and what F4 needs of a fleet, as one run over one group.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Broken, law};
use crate::cloud::{CloudError, Scope};
use crate::error::ErrorClass;
use crate::fleet::{Balancing, Capacity, Fleet, Instance, Membership, ScalingGroup};
use crate::resource::Handle;

/// How long machines are given to come or go.
const WHILE: Duration = Duration::from_mins(10);

/// What a fleet is tried with.
#[derive(Clone, Debug)]
pub struct FleetCase<'a> {
    /// The cluster.
    pub scope: &'a Scope,
    /// The instance group: its scaling group has just been made, with at least three instances as its least and desired size,
    /// in one zone, and nobody keeps it from balancing.
    pub group: &'a str,
    /// The fields that differ after its template was changed, as [`Outdated`](crate::fleet::Outdated) names them.
    pub changed_fields: &'a [&'a str],
    /// An instance that there has never been.
    pub nobody: Handle,
}

/// Tries the laws of [`Fleet`] on one group. `change` gives the group another template; `pass` lets that much time pass for
/// the machines. The group ends with one instance less than it began with.
///
/// # Errors
/// Returns the first law that does not hold.
pub async fn fleet<F: Fleet + ?Sized>(
    fleet: &F,
    case: &FleetCase<'_>,
    change: impl AsyncFnOnce(),
    pass: &(dyn Fn(Duration) + Sync),
) -> Result<(), Broken> {
    let bench = Bench { fleet, case, pass };
    let fresh = bench.f3_instances_tell_their_template().await?;
    change().await;
    let stale = bench.f3_instances_tell_what_has_changed(&fresh).await?;
    let [first, second, third, ..] = stale.instances.as_slice() else {
        return Err(Broken::new("F3", format!("{} has fewer than three instances", case.group)));
    };
    bench.f2_a_detached_instance_runs_on(&stale, first).await?;
    bench.f1_what_is_terminated_is_replaced(&stale, [first, second]).await?;
    bench.f5_zones_are_held_and_let_go(&stale).await?;
    bench.f1_a_group_shrinks_by_one_instance(third).await
}

struct Bench<'a, F: ?Sized> {
    fleet: &'a F,
    case: &'a FleetCase<'a>,
    pass: &'a (dyn Fn(Duration) + Sync),
}

impl<F: Fleet + ?Sized> Bench<'_, F> {
    async fn group(&self, number: &'static str) -> Result<ScalingGroup, Broken> {
        let groups = done(number, "reading the groups", self.fleet.groups(self.case.scope).await)?;
        let sorted = groups.is_sorted_by(|a, b| a.instance_group < b.instance_group);
        law(number, sorted, || "the groups are not sorted by their names".to_owned())?;
        let found = groups.into_iter().find(|group| group.instance_group == self.case.group);
        found.ok_or_else(|| Broken::new(number, format!("there is no group {}", self.case.group)))
    }

    async fn f3_instances_tell_their_template(&self) -> Result<ScalingGroup, Broken> {
        let fresh = self.group("F3").await?;
        let count = count(&attached(&fresh));
        law("F3", (fresh.min, fresh.desired) == (count, count) && count >= 3, || {
            format!("a new group has not as many instances as it should: {fresh:?}")
        })?;
        let current =
            |one: &Instance| one.outdated.is_none() && one.template.as_ref() == Some(&fresh.template);
        law("F3", fresh.instances.iter().all(current), || {
            format!("new instances are not of the group's template: {fresh:?}")
        })?;
        law("F3", fresh.trouble.is_none() && fresh.balancing == Balancing::Free, || {
            format!("a new group is in trouble or held: {fresh:?}")
        })?;
        Ok(fresh)
    }

    async fn f3_instances_tell_what_has_changed(&self, fresh: &ScalingGroup) -> Result<ScalingGroup, Broken> {
        let stale = self.group("F3").await?;
        law("F3", ids(&stale.instances) == ids(&fresh.instances), || {
            format!("another template replaced instances: {stale:?}")
        })?;
        law("F3", stale.template != fresh.template, || format!("the template has not changed: {stale:?}"))?;
        for one in &stale.instances {
            let fields = one.outdated.as_ref().map(|outdated| outdated.fields.as_slice()).unwrap_or_default();
            law("F3", fields == self.case.changed_fields, || {
                format!("what has changed is told as {fields:?}")
            })?;
            law("F3", one.template.as_ref() == Some(&fresh.template), || {
                format!("an instance is not of the version it was made from: {one:?}")
            })?;
        }
        Ok(stale)
    }

    async fn f2_a_detached_instance_runs_on(
        &self,
        stale: &ScalingGroup,
        one: &Instance,
    ) -> Result<(), Broken> {
        let (scope, group) = (self.case.scope, &stale.handle);
        for _ in 0..2 {
            done("F2", "detaching", self.fleet.detach(scope, group, &one.id).await)?;
        }
        (self.pass)(WHILE);
        let now = self.group("F2").await?;
        let listed = now.instances.iter().find(|other| other.id == one.id);
        law("F2", listed.is_some_and(|one| one.membership == Membership::Detached), || {
            format!("a detached instance is not listed as such: {listed:?}")
        })?;
        law("F3", listed.is_some_and(|one| one.outdated.is_some()), || {
            format!("a detached instance does not tell what has changed: {listed:?}")
        })?;
        let attached = attached(&now);
        law("F2", count(&attached) == stale.desired && now.desired == stale.desired, || {
            format!("a detached instance was not replaced: {now:?}")
        })?;
        let old = ids(&stale.instances);
        let replacement = attached.into_iter().find(|other| !old.contains(&other.id));
        law("F1", replacement.is_some_and(|one| one.outdated.is_none()), || {
            format!("the replacement is not of the current template: {replacement:?}")
        })?;
        let nobody = self.fleet.detach(scope, group, &self.case.nobody).await;
        let told = matches!(&nobody, Err(error) if error.class == ErrorClass::NotFound);
        law("F2", told, || format!("detaching an instance that there is not: {nobody:?}"))
    }

    /// A detached and an attached one.
    async fn f1_what_is_terminated_is_replaced(
        &self,
        stale: &ScalingGroup,
        ones: [&Instance; 2],
    ) -> Result<(), Broken> {
        for one in ones {
            for _ in 0..2 {
                let ended =
                    self.fleet.terminate(self.case.scope, &stale.handle, &one.id, Capacity::Keep).await;
                done("F1", "terminating", ended)?;
            }
        }
        (self.pass)(WHILE);
        let now = self.group("F1").await?;
        let attached = attached(&now);
        let left = ids(attached.iter().copied());
        law("F1", ones.iter().all(|one| !left.contains(&one.id)), || {
            format!("terminated instances still count: {now:?}")
        })?;
        law("F1", count(&attached) == stale.desired && now.desired == stale.desired, || {
            format!("terminated instances were not replaced: {now:?}")
        })?;
        let new = attached.iter().filter(|one| one.outdated.is_none()).count();
        law("F1", new == ones.len(), || format!("replacements are not of the current template: {now:?}"))
    }

    async fn f5_zones_are_held_and_let_go(&self, group: &ScalingGroup) -> Result<(), Broken> {
        let (scope, group) = (self.case.scope, &group.handle);
        for held in [false, true, true, false, false] {
            let (expected, changed) = match held {
                true => (Balancing::Held, self.fleet.hold_zones(scope, group).await),
                false => (Balancing::Free, self.fleet.free_zones(scope, group).await),
            };
            done("F5", "holding or freeing zones", changed)?;
            let told = self.group("F5").await?.balancing;
            law("F5", told == expected, || format!("balancing is {told:?}, not {expected:?}"))?;
        }
        Ok(())
    }

    async fn f1_a_group_shrinks_by_one_instance(&self, one: &Instance) -> Result<(), Broken> {
        let before = self.group("F1").await?;
        let ended = self.fleet.terminate(self.case.scope, &before.handle, &one.id, Capacity::Shrink).await;
        done("F1", "terminating", ended)?;
        (self.pass)(WHILE);
        let now = self.group("F1").await?;
        let left = attached(&now);
        let size = before.desired - 1;
        law("F1", (count(&left), now.desired, now.min) == (size, size, size), || {
            format!("the group did not shrink by one: {now:?}")
        })?;
        law("F1", !ids(left).contains(&one.id), || format!("another instance went: {now:?}"))
    }
}

fn attached(group: &ScalingGroup) -> Vec<&Instance> {
    group.instances.iter().filter(|instance| instance.is_attached()).collect()
}

fn count(instances: &[&Instance]) -> u32 {
    u32::try_from(instances.len()).unwrap_or(u32::MAX)
}

fn ids<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> BTreeSet<Handle> {
    instances.into_iter().map(|instance| instance.id.clone()).collect()
}

fn done<T>(number: &'static str, what: &str, result: Result<T, CloudError>) -> Result<T, Broken> {
    result.map_err(|error| Broken::new(number, format!("{what} failed")).because(error))
}

//! Machines are drained before their group gets smaller or goes, or moves them to other zones (law F4 of
//! [`Fleet`](crate::fleet::Fleet)).

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use super::leaving::holds_members;
use super::{Access, Drain, EventKind, Kops, OperationError, Run, RunOptions};
use crate::cloud::{Bindings, Cloud, CloudError, Deletion, Ensure, Ensured, Reach, Scope};
use crate::error::{ErrorClass, Retry};
use crate::fleet::{GroupSpec, Scaling, ScalingGroup};
use crate::inventory::{Inventory, Observed};
use crate::manifest::Role;
use crate::plan::{Action, Plan, Step};
use crate::provider::Provider;
use crate::resource::{Handle, Resource, ResourceId};
use crate::rolling::{GroupPolicy, Policy, Replace, RollEvent, RollOptions, RollTarget, roll};

/// A group of workers that a step makes smaller: to how many machines at most. Machines of the control plane run what
/// belongs to them alone; of them etcd's members are taken out first.
fn shrinking<R: Scaling>(current: &R, desired: Option<&R>) -> Option<(GroupSpec, u32)> {
    let before = current.group().filter(|group| group.role == Role::Node)?;
    let after = desired.map_or(Some(0), |desired| desired.group().map(|group| group.max))?;
    (after < before.max).then_some((before, after))
}

/// The same of a step; one that makes the group again takes all of its machines away in the step before.
fn shrunk<R: Scaling>(step: &Step<R>) -> Option<(GroupSpec, u32)> {
    match &step.action {
        Action::Update { current, desired, .. } => shrinking(&current.resource, Some(desired)),
        Action::Delete { current } => shrinking(&current.resource, None),
        Action::Create { .. } | Action::NewVersion { .. } | Action::Replace { .. } => None,
    }
}

/// How a step lets a scaling group move machines between zones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moves {
    /// It gives the group other zones.
    ToOthers,
    /// It lets the group balance the ones it has, which somebody or an interrupted run has kept it from.
    Between,
}

/// A group of workers that a step lets move machines between zones.
fn moving<R: Scaling>(current: &R, desired: &R) -> Option<(GroupSpec, Moves)> {
    let before = current.group().filter(|group| group.role == Role::Node)?;
    let after = desired.group()?;
    let moves = match (before.zones != after.zones, before.balances, after.balances) {
        (true, _, true) => Moves::ToOthers,
        (false, false, true) => Moves::Between,
        _ => return None,
    };
    Some((after, moves))
}

/// How many machines a group has too many.
fn surplus(groups: &[ScalingGroup], group: &GroupSpec, to: u32) -> u32 {
    let found = groups.iter().find(|found| found.instance_group == group.instance_group);
    found.map_or(0, |found| found.desired.saturating_sub(to))
}

/// A cloud on which scaling groups lose no machine that has not been drained.
pub(super) struct Draining<'a, P, C> {
    kops: &'a Kops<P>,
    cloud: C,
    drain: Option<Drain>,
    run: Run<'a>,
}

impl<P: Provider> Kops<P> {
    /// How many machines the steps of an update take away from groups.
    pub(super) async fn losses(
        &self,
        plan: &Plan<P::Resource>,
    ) -> Result<BTreeMap<ResourceId, Vec<String>>, OperationError> {
        let steps: Vec<_> = plan.steps().iter().filter_map(|step| Some((&step.id, shrunk(step)?))).collect();
        let Some(fleet) = self.provider.fleet().filter(|_| !steps.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let groups = fleet.groups(plan.scope()).await?;
        let told = steps.into_iter().filter_map(|(id, (group, to))| match surplus(&groups, &group, to) {
            0 => None,
            1 => Some((id.clone(), vec!["1 machine is drained and terminated first".to_owned()])),
            count => Some((id.clone(), vec![format!("{count} machines are drained and terminated first")])),
        });
        Ok(told.collect())
    }
}

impl<'a, P: Provider, C> Draining<'a, P, C> {
    /// Passes on to `cloud` what has no machines to lose.
    pub(super) fn new(kops: &'a Kops<P>, cloud: C, options: &RunOptions, run: Run<'a>) -> Self {
        Self { kops, cloud, drain: options.drain, run }
    }

    /// Takes away from a group what is more than `to`.
    async fn shrink(
        &self,
        scope: &Scope,
        id: &ResourceId,
        group: GroupSpec,
        to: u32,
    ) -> Result<(), CloudError> {
        let (Some(fleet), Some(drain)) = (self.kops.provider.fleet(), self.drain) else {
            return Ok(());
        };
        if surplus(&fleet.groups(scope).await?, &group, to) == 0 {
            return Ok(());
        }
        let mut policy = GroupPolicy::new(group.instance_group, group.role);
        policy.shrink_to = Some(to);
        self.take_away(scope, id, policy, Replace::Nothing, drain).await
    }

    /// Replaces the machines that a group would move to other zones, drained; then the group may move machines again.
    async fn spread(
        &self,
        scope: &Scope,
        id: &ResourceId,
        group: GroupSpec,
        handle: &Handle,
    ) -> Result<(), CloudError> {
        let Some(fleet) = self.kops.provider.fleet() else { return Ok(()) };
        let Some(drain) = self.drain else { return fleet.free_zones(scope, handle).await };
        let policy = GroupPolicy::new(group.instance_group, group.role);
        self.take_away(scope, id, policy, Replace::Misplaced, drain).await
    }

    async fn take_away(
        &self,
        scope: &Scope,
        id: &ResourceId,
        policy: GroupPolicy,
        replace: Replace,
        drain: Drain,
    ) -> Result<(), CloudError> {
        match self.drain(scope, id, policy, replace, drain).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(failed(id, ErrorClass::Conflict, "machines of it that are to go could not be drained"))
            }
            Err(error) => {
                Err(failed(id, error.class(), "its machines could not be drained").with_source(error))
            }
        }
    }

    /// Returns once etcd can do without what is deleted.
    async fn let_members_go(&self, scope: &Scope, id: &ResourceId) -> Result<(), CloudError> {
        let Some(drain) = self.drain else { return Ok(()) };
        let gone = self.kops.wait_for_members_to_go(scope, id, drain, self.run).await;
        gone.map_err(|error| {
            let hint = match &error {
                OperationError::Etcd(error) => error.hint(),
                _ => None,
            };
            let message = "members of etcd that are to go still take part";
            let failed = CloudError::new(error.class(), "delete", id.clone(), message);
            let failed = CloudError { retry: Retry::Never, ..failed }.with_source(error);
            match hint {
                Some(hint) => failed.with_hint(hint),
                None => failed,
            }
        })
    }

    /// Says whether all that is to go is gone.
    async fn drain(
        &self,
        scope: &Scope,
        id: &ResourceId,
        policy: GroupPolicy,
        replace: Replace,
        drain: Drain,
    ) -> Result<bool, OperationError> {
        let policy = Policy { replace, stuck: drain.stuck, ..Policy::new(vec![policy]) };
        let options = RollOptions { poll: drain.poll, ..RollOptions::new(policy) };
        let voice = self.kops.voice(&scope.cluster, self.run);
        let observer = |event: &RollEvent| {
            voice.say(EventKind::Draining { id: id.clone(), roll: event.clone() });
        };
        let running = self.kops.running(&scope.cluster, Access::Kubernetes).await?;
        let clock = &*self.kops.clock;
        let work =
            async |target: RollTarget<'_>| roll(target, &options, clock, &observer, self.run.cancel).await;
        let report = Box::pin(self.kops.with(&running, work)).await?;
        if report.cancelled {
            return Err(OperationError::Cancelled);
        }
        Ok(report.skipped.is_empty())
    }
}

fn failed(id: &ResourceId, class: ErrorClass, message: &str) -> CloudError {
    let error = CloudError::new(class, "shrink", id.clone(), message);
    CloudError { retry: Retry::Never, ..error }.with_hint(
        "where the cluster's API is out of order for good, --cloudonly takes them away as they are",
    )
}

impl<P, C: fmt::Debug> fmt::Debug for Draining<'_, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("cloud", &self.cloud).finish_non_exhaustive()
    }
}

impl<P: Provider, C: fmt::Display> fmt::Display for Draining<'_, P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with machines drained", self.cloud)
    }
}

#[async_trait]
impl<P: Provider, C: Cloud<Resource = P::Resource>> Cloud for Draining<'_, P, C> {
    type Resource = P::Resource;

    async fn observe(&self, scope: &Scope, reach: Reach) -> Result<Inventory<Self::Resource>, CloudError> {
        self.cloud.observe(scope, reach).await
    }

    async fn ensure(
        &self,
        scope: &Scope,
        request: Ensure<'_, Self::Resource>,
    ) -> Result<Ensured, CloudError> {
        let current = request.current.map(|current| &current.resource);
        if let Some((group, to)) = current.and_then(|current| shrinking(current, Some(request.desired))) {
            self.shrink(scope, &request.desired.id(), group, to).await?;
        }
        let moving = current.and_then(|current| moving(current, request.desired));
        let (Some((group, moves)), Some(observed)) = (moving, request.current) else {
            return self.cloud.ensure(scope, request).await;
        };
        let (id, handle) = (request.desired.id(), observed.handle.clone());
        if moves == Moves::Between {
            self.spread(scope, &id, group, &handle).await?;
            return self.cloud.ensure(scope, request).await;
        }
        if let Some(fleet) = self.kops.provider.fleet().filter(|_| self.drain.is_some()) {
            fleet.hold_zones(scope, &handle).await?;
        }
        let ensured = self.cloud.ensure(scope, request).await?;
        self.spread(scope, &id, group, &handle).await?;
        Ok(ensured)
    }

    async fn delete(
        &self,
        scope: &Scope,
        target: &Observed<Self::Resource>,
        bindings: &Bindings,
    ) -> Result<Deletion, CloudError> {
        if holds_members(&target.resource) {
            self.let_members_go(scope, &target.resource.id()).await?;
        }
        if let Some((group, to)) = shrinking(&target.resource, None) {
            self.shrink(scope, &target.resource.id(), group, to).await?;
        }
        self.cloud.delete(scope, target, bindings).await
    }

    async fn going(
        &self,
        scope: &Scope,
        targets: &[Observed<Self::Resource>],
    ) -> Result<BTreeMap<Handle, String>, CloudError> {
        self.cloud.going(scope, targets).await
    }
}

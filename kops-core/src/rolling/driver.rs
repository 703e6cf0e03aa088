//! Looks, asks [`decide`], does what it says, and looks again.

use std::future::pending;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures::future::{Either, FutureExt, join, select};
use futures::stream::{StreamExt, iter};
use tokio_util::sync::CancellationToken;

use super::census;
use super::decide::{decide, release};
use super::mark;
use super::{Action, Failure, Outcome, Policy, RollEvent, RollReport, State, WhyWaiting, preview};
use crate::clock::{Clock, Timestamp};
use crate::cloud::{CloudError, Scope};
use crate::cluster_api::{ClusterApi, ClusterApiError, Eviction};
use crate::error::{ErrorClass, Retry};
use crate::fleet::{Balancing, Fleet, ScalingGroup};
use crate::observation::{ClusterView, Observation, Snapshot};
use crate::observer::Observer;

/// How soon it looks again after something was done: that may have made way for more.
const SOON: Duration = Duration::from_secs(1);

/// The cluster to update.
#[derive(Clone, Copy, Debug)]
pub struct RollTarget<'a> {
    /// Which it is.
    pub scope: &'a Scope,
    /// Where its instances are.
    pub fleet: &'a dyn Fleet,
    /// Its Kubernetes API; none to replace instances without asking it, and so without draining.
    pub cluster: Option<&'a dyn ClusterApi>,
}

/// How a rolling update is carried out. The defaults are those of the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct RollOptions {
    /// What it does, and what it may not do.
    pub policy: Policy,
    /// How often it looks whether something has changed. What it waits for ends when the condition holds, not later.
    pub poll: Duration,
    /// How many calls may be under way at once.
    pub concurrency: NonZeroUsize,
}

impl RollOptions {
    /// The defaults with this policy.
    pub fn new(policy: Policy) -> Self {
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(32).unwrap();
        Self { policy, poll: Duration::from_secs(5), concurrency: CONCURRENCY }
    }
}

/// Why a rolling update stopped. Running it again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum RollError {
    /// The fleet could not be read, or refused.
    #[error(transparent)]
    Fleet(#[from] CloudError),
    /// The Kubernetes API refused.
    #[error(transparent)]
    Cluster(#[from] ClusterApiError),
    /// It could not go on.
    #[error("the rolling update stopped after {} instances: {failure}", .report.terminated.len())]
    Stopped {
        /// Why.
        failure: Failure,
        /// What was done before.
        report: Box<RollReport>,
    },
}

impl RollError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Fleet(error) => error.class,
            Self::Cluster(error) => error.class(),
            Self::Stopped { .. } => ErrorClass::Conflict,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Fleet(error) => error.retry,
            Self::Cluster(error) => error.retry(),
            Self::Stopped { .. } => Retry::Never,
        }
    }

    fn is_passing(&self) -> bool {
        self.retry() != Retry::Never
    }
}

/// Looks at the cluster once.
///
/// # Errors
/// The fleet cannot be read, or the Kubernetes API refuses to be read. One that does not answer is not an error.
pub async fn observe(target: RollTarget<'_>) -> Result<Observation, RollError> {
    let cluster = async {
        match target.cluster {
            None => Ok(ClusterView::CloudOnly),
            Some(api) => match snapshot(api).await {
                Ok(snapshot) => Ok(ClusterView::Seen(snapshot)),
                Err(error) if error.retry() != Retry::Never => {
                    Ok(ClusterView::Unreachable(error.to_string()))
                }
                Err(error) => Err(error),
            },
        }
    };
    let (groups, cluster) = join(target.fleet.groups(target.scope), cluster).await;
    Ok(Observation { groups: groups?, cluster: cluster? })
}

/// Nodes before pods: what was scheduled before a cordon that shows among the nodes then shows among the pods.
async fn snapshot(api: &dyn ClusterApi) -> Result<Snapshot, ClusterApiError> {
    let nodes = api.nodes().await?;
    let pods = api.pods().await?;
    let budgets = api.disruption_budgets().await?;
    Ok(Snapshot { nodes, pods, budgets })
}

/// Updates until nothing is left to do.
///
/// When `cancel` is triggered nothing more is begun, nodes that are being drained are uncordoned, and the report says
/// so. Dropping the future stops at once. After either, and after a crash, the same call goes on from there.
///
/// # Errors
/// A node cannot be drained, nothing changes for too long, or a call fails for good.
pub async fn roll(
    target: RollTarget<'_>,
    options: &RollOptions,
    clock: &dyn Clock,
    observer: &dyn Observer<RollEvent>,
    cancel: &CancellationToken,
) -> Result<RollReport, RollError> {
    let began = clock.now();
    let driver = Driver { target, options, clock, observer, cancel };
    let (mut report, end) = driver.run().await;
    report.took = clock.now().duration_since(began).unsigned_abs();
    observer.on_event(&RollEvent::Finished { report: report.clone() });
    match end {
        Ok(None) => Ok(report),
        Ok(Some(failure)) => Err(RollError::Stopped { failure, report: Box::new(report) }),
        Err(error) => Err(error),
    }
}

struct Driver<'a> {
    target: RollTarget<'a>,
    options: &'a RollOptions,
    clock: &'a dyn Clock,
    observer: &'a dyn Observer<RollEvent>,
    cancel: &'a CancellationToken,
}

/// What an action came to.
enum Effect {
    Done,
    /// A budget said no.
    Refused(String),
}

impl Driver<'_> {
    async fn run(&self) -> (RollReport, Result<Option<Failure>, RollError>) {
        let (report, end) = self.rounds().await;
        if end.is_err() {
            self.free_zones().await;
        }
        (report, end)
    }

    /// Lets groups balance again after a failure, if that can be done and moves nothing: else the next run does.
    async fn free_zones(&self) {
        let Ok(groups) = self.target.fleet.groups(self.target.scope).await else { return };
        let ours = |group: &&ScalingGroup| {
            let name = &group.instance_group;
            let even = group.balancing == Balancing::Held && group.is_even();
            even && self.options.policy.groups.iter().any(|g| g.name == *name)
        };
        let free = |group: &ScalingGroup| Action::FreeZones {
            group: group.instance_group.clone(),
            scaling_group: group.handle.clone(),
        };
        let actions = groups.iter().filter(ours).map(free).collect();
        // Told to the observer; the failure before it counts.
        let _ = self.carry_out(actions, &mut State::default(), &mut RollReport::default()).await;
    }

    async fn rounds(&self) -> (RollReport, Result<Option<Failure>, RollError>) {
        let mut report = RollReport::default();
        let mut state = State::default();
        let mut waiting: Vec<WhyWaiting> = Vec::new();
        let mut blind_since: Option<Timestamp> = None;
        let mut started = false;
        loop {
            if self.cancel.is_cancelled() {
                report.cancelled = true;
                return (report, self.stop().await.map(|()| None));
            }
            let seen = match observe(self.target).await {
                Ok(seen) => seen,
                Err(error) if error.is_passing() => {
                    let since = *blind_since.get_or_insert(self.clock.now());
                    if self.clock.now().duration_since(since).unsigned_abs() >= self.options.policy.patience {
                        return (report, Err(error));
                    }
                    self.observer.on_event(&RollEvent::NotSeen { reason: error.to_string() });
                    self.pause(self.options.poll).await;
                    continue;
                }
                Err(error) => return (report, Err(error)),
            };
            blind_since = None;
            let now = self.clock.now();
            if !started {
                let preview = preview(&seen, &self.options.policy, now);
                self.observer.on_event(&RollEvent::Started { preview });
                started = true;
            }
            let decision = decide(&state, &seen, &self.options.policy, now);
            state = decision.state;
            report.skipped.clone_from(&state.skipped);
            if decision.waiting != waiting {
                waiting = decision.waiting;
                self.observer.on_event(&RollEvent::Waiting { why: waiting.clone() });
            }
            let pause = match self.carry_out(decision.actions, &mut state, &mut report).await {
                Ok(0) => self.options.poll,
                Ok(_) => self.options.poll.min(SOON),
                Err(error) => return (report, Err(error)),
            };
            match decision.outcome {
                Outcome::Done => return (report, Ok(None)),
                Outcome::Failed(failure) => return (report, Ok(Some(failure))),
                Outcome::Going => self.rest(pause).await,
            }
        }
    }

    async fn carry_out(
        &self,
        actions: Vec<Action>,
        state: &mut State,
        report: &mut RollReport,
    ) -> Result<usize, RollError> {
        let mut done = 0;
        let under_way = iter(actions).map(|action| async {
            let result = self.perform(&action).await;
            (action, result)
        });
        let mut results = under_way.buffer_unordered(self.options.concurrency.get());
        let mut fatal = None;
        while let Some((action, result)) = results.next().await {
            match result {
                Ok(Effect::Done) => {
                    done += 1;
                    note(&action, state, report, self.clock.now());
                    self.observer.on_event(&RollEvent::Done { action });
                }
                Ok(Effect::Refused(reason)) => {
                    self.observer.on_event(&RollEvent::NotDone { action, reason });
                }
                Err(error) => {
                    let reason = error.to_string();
                    self.observer.on_event(&RollEvent::NotDone { action, reason });
                    if !error.is_passing() {
                        fatal.get_or_insert(error);
                    }
                }
            }
        }
        fatal.map_or(Ok(done), Err)
    }

    async fn perform(&self, action: &Action) -> Result<Effect, RollError> {
        let RollTarget { scope, fleet, cluster } = self.target;
        // Without an API nothing is seen that could be done to it.
        match (action, cluster) {
            (Action::Detach { scaling_group, instance, .. }, _) => {
                match fleet.detach(scope, scaling_group, instance).await {
                    Err(error) if error.class == ErrorClass::NotFound => {}
                    result => result?,
                }
            }
            (Action::Terminate { scaling_group, instance, capacity, .. }, _) => {
                fleet.terminate(scope, scaling_group, instance, *capacity).await?;
            }
            (Action::HoldZones { scaling_group, .. }, _) => fleet.hold_zones(scope, scaling_group).await?,
            (Action::FreeZones { scaling_group, .. }, _) => fleet.free_zones(scope, scaling_group).await?,
            (Action::Taint { node }, Some(api)) => api.patch_node(node, &mark::taint()).await?,
            (Action::Cordon { node, mark }, Some(api)) => api.patch_node(node, &mark.patch()).await?,
            (Action::Release { node, mark }, Some(api)) => {
                api.patch_node(node, &mark::release(*mark)).await?;
            }
            (Action::DeletePod { pod, .. }, Some(api)) => api.delete_pod(pod).await?,
            (Action::DeleteNode { node }, Some(api)) => api.delete_node(node).await?,
            (Action::Evict { pod, .. }, Some(api)) => match api.evict(pod).await? {
                Eviction::Accepted | Eviction::Gone => {}
                Eviction::Blocked { message } => return Ok(Effect::Refused(message)),
            },
            (_, None) => {}
        }
        Ok(Effect::Done)
    }

    /// Takes back what is under way.
    async fn stop(&self) -> Result<(), RollError> {
        self.observer.on_event(&RollEvent::Cancelling);
        let seen = observe(self.target).await?;
        let census = census::take(&State::default(), &seen, &self.options.policy, self.clock.now());
        self.carry_out(
            release(&census, &State::default()),
            &mut State::default(),
            &mut RollReport::default(),
        )
        .await?;
        Ok(())
    }

    /// Pauses, less long if the cluster says that something has changed.
    async fn rest(&self, pause: Duration) {
        let least = pause.min(SOON);
        self.pause(least).await;
        let changed = async {
            match self.target.cluster {
                Some(api) => api.changed().await,
                None => pending().await,
            }
        };
        match select(Box::pin(self.pause(pause - least)), Box::pin(changed)).await {
            Either::Left(_) | Either::Right(_) => {}
        }
    }

    async fn pause(&self, pause: Duration) {
        let pause = self.clock.sleep(pause);
        match select(pause, self.cancel.cancelled().boxed()).await {
            Either::Left(_) | Either::Right(_) => {}
        }
    }
}

fn note(action: &Action, state: &mut State, report: &mut RollReport, now: Timestamp) {
    match action {
        Action::Detach { instance, .. } => {
            state.detached.insert(instance.clone(), now);
        }
        Action::Terminate { instance, .. } => {
            state.terminated.insert(instance.clone(), now);
            if !report.terminated.contains(instance) {
                report.terminated.push(instance.clone());
            }
        }
        Action::HoldZones { scaling_group, .. } => {
            state.held.insert(scaling_group.clone());
            state.freed.remove(scaling_group);
        }
        Action::FreeZones { scaling_group, .. } => {
            state.held.remove(scaling_group);
            state.freed.insert(scaling_group.clone());
        }
        Action::Evict { .. } => report.evicted += 1,
        Action::DeletePod { pod, .. } => report.forced.push(pod.to_string()),
        Action::Taint { .. } | Action::Cordon { .. } | Action::Release { .. } | Action::DeleteNode { .. } => {
        }
    }
}

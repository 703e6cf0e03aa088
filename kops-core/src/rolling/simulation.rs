//! A rolling update is carried out on a copy, by the same engine, on a clock that does not wait: to see it before it is done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::driver::{RollOptions, RollTarget, observe, roll};
use super::{Action, NeverMet, RollError, RollEvent, WhyWaiting};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::cloud::Scope;
use crate::manifest::Role;
use crate::observation::{ClusterView, Observation};
use crate::sim::{PodTimes, SimCloud, SimOptions};

/// How long things take in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assumptions {
    /// From an instance's launch until its node registers.
    pub boot: Duration,
    /// From then until the node is ready.
    pub join: Duration,
    /// What pods take.
    pub pods: PodTimes,
}

impl Assumptions {
    /// What machines of this cluster took, as far as that can be seen: half of them were faster. Nobody can see what pods
    /// take: half a minute to start, and as long as Kubernetes gives them to end.
    pub fn learned_from(seen: &Observation) -> Self {
        let nodes = match &seen.cluster {
            ClusterView::Seen(cluster) => cluster.nodes.as_slice(),
            ClusterView::CloudOnly | ClusterView::Unreachable(_) => &[],
        };
        let instances = || seen.groups.iter().flat_map(|group| &group.instances);
        let (mut boots, mut joins) = (Vec::new(), Vec::new());
        for node in nodes {
            let instance = instances().find(|instance| node.instance.as_ref() == Some(&instance.id));
            boots.extend(instance.map(|instance| between(instance.launched, node.created)));
            joins.extend(node.ready_since().map(|ready| between(node.created, ready)));
        }
        let defaults = SimOptions::default();
        let half_a_minute = Duration::from_secs(30);
        Self {
            boot: median(boots).unwrap_or(defaults.boot_time),
            // A node that was silent in the meantime is ready since then only: that is no time of joining.
            join: median(joins).unwrap_or(defaults.join_time).min(Duration::from_secs(300)),
            pods: PodTimes { start: half_a_minute, grace: half_a_minute },
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn median(mut durations: Vec<Duration>) -> Option<Duration> {
    durations.sort();
    durations.get(durations.len() / 2).copied()
}

/// What a rolling update would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// What it was simulated with.
    pub assumptions: Assumptions,
    /// What would be done to machines, in this order.
    pub steps: Vec<SimulatedStep>,
    /// How many pods would be moved.
    pub evicted: usize,
    /// How long it would take.
    pub took: Duration,
    /// Budgets that can never be met.
    pub blocked: Vec<NeverMet>,
    /// Where room or machines would be short.
    pub shortfalls: Vec<Shortfall>,
    /// Why it would stop, if it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// One step of a simulated update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedStep {
    /// How long after the beginning.
    pub after: Duration,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// A lack of room or of machines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "shortfall", rename_all = "kebab-case")]
pub enum Shortfall {
    /// The group's last attempt to launch a machine has failed, and the next may fail as well.
    Launch {
        /// The instance group.
        group: String,
        /// Why it failed.
        trouble: String,
    },
    /// At some time, the pods of the group's next node would have no other node to go to.
    Room {
        /// The instance group.
        group: String,
    },
    /// Pods that run on no node when it is over.
    Pods {
        /// How many.
        count: usize,
    },
}

impl std::fmt::Display for Shortfall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Launch { group, trouble } => {
                write!(f, "{group} could not launch a machine lately: {trouble}")
            }
            Self::Room { group } => write!(f, "pods on nodes of {group} have to wait for room elsewhere"),
            Self::Pods { count } => write!(f, "{count} pods run on no node at the end"),
        }
    }
}

/// Simulates a rolling update of a cluster that was seen at `now`. Changes nothing.
///
/// `role` says what the machines of an instance group are for. Pods fit wherever fewer than so many are as the kubelet
/// takes by default: what they ask for is not considered, nor where they may run.
///
/// # Errors
/// Never for what a rolling update itself copes with; what would stop it is in the result.
pub async fn simulate(
    seen: &Observation,
    role: impl Fn(&str) -> Role,
    options: &RollOptions,
    assumptions: Assumptions,
    now: Timestamp,
) -> Result<Simulation, RollError> {
    let clock = Arc::new(ManualClock::eager(now));
    let sim_options = SimOptions {
        clock: clock.clone(),
        boot_time: assumptions.boot,
        join_time: assumptions.join,
        ..SimOptions::default()
    };
    let scope = Scope { cluster: "copy".to_owned(), incarnation: String::new(), zone: None };
    let cloud = SimCloud::copy_of(&scope.cluster, seen, role, assumptions.pods, sim_options);
    let api = cloud.cluster(&scope);
    let cluster = match seen.cluster {
        ClusterView::Seen(_) => Some(&api as _),
        ClusterView::CloudOnly | ClusterView::Unreachable(_) => None,
    };
    let target = RollTarget { scope: &scope, fleet: &cloud, cluster };
    let told = Mutex::new(Told::default());
    let observer = |event: &RollEvent| {
        let after = between(now, clock.now());
        told.lock().unwrap_or_else(PoisonError::into_inner).note(event, after);
    };
    let result = roll(target, options, &*clock, &observer, &CancellationToken::new()).await;
    let took = between(now, clock.now());
    let end = observe(target).await?;
    let Told { steps, blocked, mut shortfalls, evicted } =
        told.into_inner().unwrap_or_else(PoisonError::into_inner);
    for group in &seen.groups {
        let launch = |trouble: String| Shortfall::Launch { group: group.instance_group.clone(), trouble };
        shortfalls.extend(group.trouble.clone().map(launch));
    }
    if let ClusterView::Seen(end) = &end.cluster {
        let count = end.pods.iter().filter(|pod| pod.node.is_none() && !pod.deleting).count();
        shortfalls.extend((count > 0).then_some(Shortfall::Pods { count }));
    }
    shortfalls.sort();
    shortfalls.dedup();
    let stopped = match result {
        Ok(_) => None,
        Err(RollError::Stopped { failure, .. }) => Some(failure.to_string()),
        Err(error) => return Err(error),
    };
    Ok(Simulation { assumptions, steps, evicted, took, blocked, shortfalls, stopped })
}

/// What a simulated update has told so far.
#[derive(Default)]
struct Told {
    steps: Vec<SimulatedStep>,
    blocked: Vec<NeverMet>,
    shortfalls: Vec<Shortfall>,
    evicted: usize,
}

impl Told {
    fn note(&mut self, event: &RollEvent, after: Duration) {
        match event {
            RollEvent::Started { preview } => self.blocked.clone_from(&preview.blocked),
            RollEvent::Done { action } => match action {
                Action::Evict { .. } => self.evicted += 1,
                Action::Taint { .. } | Action::HoldZones { .. } | Action::FreeZones { .. } => {}
                action => self.steps.push(SimulatedStep { after, action: action.clone() }),
            },
            RollEvent::Waiting { why } => {
                self.shortfalls.extend(why.iter().filter_map(|why| match why {
                    WhyWaiting::NoRoom { group } => Some(Shortfall::Room { group: group.clone() }),
                    _ => None,
                }));
            }
            RollEvent::NotDone { .. }
            | RollEvent::NotSeen { .. }
            | RollEvent::Cancelling
            | RollEvent::Finished { .. } => {}
        }
    }
}

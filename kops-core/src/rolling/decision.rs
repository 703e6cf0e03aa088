use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::State;
use super::mark::Mark;
use crate::clock::Timestamp;
use crate::cluster_api::PodRef;
use crate::fleet::Capacity;
use crate::manifest::Role;
use crate::resource::Handle;

/// What to do now, and what is waited for. Waiting is never an error.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing happens until the actions are carried out"]
pub struct Decision {
    /// What to do, in any order and side by side.
    pub actions: Vec<Action>,
    /// Why nothing more is done now.
    pub waiting: Vec<WhyWaiting>,
    /// Whether it goes on.
    pub outcome: Outcome,
    /// What to remember for the next decision.
    pub state: State,
}

/// Whether a rolling update goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Going,
    /// Nothing is left to do.
    Done,
    /// It cannot. The actions that come with it take back what was begun.
    Failed(Failure),
}

/// Why a rolling update cannot go on. Running it again goes on from where it stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A node could not be drained in time.
    #[error("node {node} could not be drained within {}: {why}", minutes(*.after))]
    Drain {
        /// The node.
        node: String,
        /// For how long it was tried.
        after: Duration,
        /// What was in the way.
        why: String,
    },
    /// Nothing has changed for a long time.
    #[error("nothing has changed for {}: {why}", minutes(*.after))]
    Stalled {
        /// For how long.
        after: Duration,
        /// What was waited for.
        why: String,
    },
}

/// One thing to do. Each can be repeated, and none depends on another of the same decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Taint a node that is going to be replaced, so that new pods avoid it.
    Taint {
        /// The node.
        node: String,
    },
    /// Cordon a node and mark it as cordoned by a rolling update.
    Cordon {
        /// The node.
        node: String,
        /// The mark.
        mark: Mark,
    },
    /// Take back taint, cordon and mark.
    Release {
        /// The node.
        node: String,
        /// The mark, if it has one.
        mark: Option<Mark>,
    },
    /// Evict a pod.
    Evict {
        /// The pod.
        pod: PodRef,
        /// Its node.
        node: String,
    },
    /// Delete a pod whatever its budget says.
    DeletePod {
        /// The pod.
        pod: PodRef,
        /// Its node.
        node: String,
    },
    /// Take an instance out of its group, which launches a replacement.
    Detach {
        /// The instance group.
        group: String,
        /// The scaling group.
        scaling_group: Handle,
        /// The instance.
        instance: Handle,
    },
    /// Terminate an instance that is drained, or has nothing to drain.
    Terminate {
        /// The instance group.
        group: String,
        /// The scaling group.
        scaling_group: Handle,
        /// The instance.
        instance: Handle,
        /// Whether it is replaced.
        capacity: Capacity,
    },
    /// Delete the node object of an instance that is gone.
    DeleteNode {
        /// The node.
        node: String,
    },
    /// Keep a group from moving machines between zones by itself.
    HoldZones {
        /// The instance group.
        group: String,
        /// The scaling group.
        scaling_group: Handle,
    },
    /// Let a group move machines between zones again.
    FreeZones {
        /// The instance group.
        group: String,
        /// The scaling group.
        scaling_group: Handle,
    },
}

/// Why nothing more is done now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "waiting", rename_all = "kebab-case")]
pub enum WhyWaiting {
    /// The Kubernetes API does not answer.
    Unreachable {
        /// Why, as far as known.
        reason: String,
    },
    /// A group has to launch machines.
    Launching {
        /// The instance group.
        group: String,
        /// How many.
        count: usize,
        /// Why it could not, if its last attempt failed.
        trouble: Option<String>,
    },
    /// A new machine has not joined yet, or is not ready for long enough.
    Coming {
        /// The instance group.
        group: String,
        /// The machine.
        instance: Handle,
        /// When it was launched.
        launched: Timestamp,
        /// Its node, if it has joined.
        node: Option<String>,
    },
    /// Pods are leaving a node.
    Draining {
        /// The node.
        node: String,
        /// How many are still there.
        pods: usize,
    },
    /// A disruption budget does not allow an eviction now.
    Budget {
        /// The budgets that cover the pod.
        budgets: Vec<String>,
        /// The pod.
        pod: String,
        /// Its node.
        node: String,
    },
    /// A machine is on its way out.
    Terminating {
        /// The machine.
        instance: Handle,
    },
    /// Too few machines of a group serve to take one down.
    Available {
        /// The instance group.
        group: String,
        /// How many serve.
        available: usize,
        /// How many have to.
        required: usize,
    },
    /// The pods of the next node would have nowhere to go: no other node is open to them.
    NoRoom {
        /// The instance group.
        group: String,
    },
    /// Taking down a control-plane machine now would endanger etcd's quorum.
    Quorum {
        /// How many serve.
        available: usize,
        /// How many there should be.
        members: usize,
    },
    /// Pods that the cluster depends on are not ready.
    Unhealthy {
        /// The pods.
        pods: Vec<String>,
    },
    /// A pause that was asked for.
    Pause {
        /// When it ends.
        until: Timestamp,
    },
    /// Machines that go before are not done.
    Earlier {
        /// The group that waits.
        group: String,
        /// The role that goes before.
        role: Role,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taint { node } => write!(f, "taint node {node}"),
            Self::Cordon { node, .. } => write!(f, "cordon node {node}"),
            Self::Release { node, .. } => write!(f, "uncordon node {node}"),
            Self::Evict { pod, node } => write!(f, "evict pod {pod} from node {node}"),
            Self::DeletePod { pod, node } => write!(f, "delete pod {pod} from node {node}"),
            Self::Detach { group, instance, .. } => write!(f, "detach instance {instance} from {group}"),
            Self::Terminate { group, instance, capacity, .. } => match capacity {
                Capacity::Keep => write!(f, "terminate instance {instance} of {group}"),
                Capacity::Shrink => write!(f, "terminate instance {instance} of {group}, which shrinks"),
            },
            Self::DeleteNode { node } => write!(f, "delete node {node}, whose instance is gone"),
            Self::HoldZones { group, .. } => write!(f, "keep {group} from moving machines between zones"),
            Self::FreeZones { group, .. } => write!(f, "let {group} move machines between zones again"),
        }
    }
}

impl fmt::Display for WhyWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { reason } => write!(f, "the Kubernetes API does not answer ({reason})"),
            Self::Launching { group, count, trouble: None } => {
                write!(f, "{group} has to launch {count} more")
            }
            Self::Launching { group, count, trouble: Some(trouble) } => {
                write!(f, "{group} has to launch {count} more, but: {trouble}")
            }
            Self::Coming { instance, node: None, group, .. } => {
                write!(f, "instance {instance} of {group} has not joined yet")
            }
            Self::Coming { node: Some(node), group, .. } => {
                write!(f, "node {node} of {group} is not ready for long enough yet")
            }
            Self::Draining { node, pods: 1 } => write!(f, "1 pod is leaving node {node}"),
            Self::Draining { node, pods } => write!(f, "{pods} pods are leaving node {node}"),
            Self::Budget { budgets, pod, node } => {
                let budgets = budgets.join(" and ");
                write!(f, "the disruption budget {budgets} keeps pod {pod} on node {node}")
            }
            Self::Terminating { instance } => write!(f, "instance {instance} is terminating"),
            Self::Available { group, available, required } => {
                write!(f, "{available} machines of {group} serve, and {required} have to")
            }
            Self::NoRoom { group } => {
                write!(f, "pods on the next node of {group} have nowhere to go before another node is ready")
            }
            Self::Quorum { available, members } => {
                write!(
                    f,
                    "{available} of {members} control-plane machines serve: taking one down could cost etcd its quorum"
                )
            }
            Self::Unhealthy { pods } => write!(f, "not ready: {}", pods.join(", ")),
            Self::Pause { until } => write!(f, "pausing until {until}"),
            Self::Earlier { group, role } => write!(f, "{group} is updated after the {role} groups"),
        }
    }
}

fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

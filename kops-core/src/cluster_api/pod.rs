use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Which it is.
    pub id: PodRef,
    /// The node it is bound to.
    pub node: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    pub phase: Phase,
    /// Whether it serves (condition `Ready`).
    pub ready: bool,
    /// The containers that are not ready.
    pub unready_containers: Vec<String>,
    /// Why it is not ready or not running, in one word from the server (`ImagePullBackOff`, `Unschedulable`).
    pub reason: Option<String>,
    /// Its priority class.
    pub priority_class: Option<String>,
    /// What made it.
    pub controller: Controller,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is on its way out.
    pub deleting: bool,
}

/// A pod's name, and its uid, so that a successor of the same name is never mistaken for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The uid.
    pub uid: String,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Not running yet.
    Pending,
    /// Running.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Its node is silent.
    Unknown,
}

/// What made a pod, as far as draining cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Controller {
    /// A daemon set: it belongs to its node and goes with it.
    DaemonSet,
    /// The kubelet itself, from a file: it belongs to its node and goes with it.
    Static,
    /// A controller that makes another one elsewhere.
    Replicated,
    /// Nobody: evicted, it is gone for good.
    Nobody,
}

impl Pod {
    /// Whether it ended, well or badly.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether draining its node has to move it: it runs, and does not belong to the node.
    pub fn is_drained(&self) -> bool {
        !self.is_finished() && !matches!(self.controller, Controller::DaemonSet | Controller::Static)
    }

    /// Whether the cluster itself depends on it, by its priority class.
    pub fn is_system_critical(&self) -> bool {
        matches!(self.priority_class.as_deref(), Some("system-cluster-critical" | "system-node-critical"))
    }
}

//! What a running cluster looks like at one moment: its scaling groups, and what its Kubernetes API says.

use crate::cluster_api::{DisruptionBudget, Node, Pod};
use crate::fleet::ScalingGroup;

/// What is known of a running cluster at one moment: partial, and already a little stale.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The scaling groups with their instances.
    pub groups: Vec<ScalingGroup>,
    /// What the Kubernetes API says.
    pub cluster: ClusterView,
}

/// What the Kubernetes API says of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterView {
    /// It was not asked: instances are replaced without draining, and count as soon as they run.
    CloudOnly,
    /// It does not answer, for this reason. Nothing is taken down then.
    Unreachable(String),
    /// This.
    Seen(Snapshot),
}

/// The Kubernetes objects that decisions are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All pods.
    pub pods: Vec<Pod>,
    /// All disruption budgets.
    pub budgets: Vec<DisruptionBudget>,
}

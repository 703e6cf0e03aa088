use std::fmt;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::manifest::Role;

/// The health of a cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "it says whether the cluster is healthy"]
pub struct Health {
    /// What is wrong. Nothing, when the cluster is healthy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// The nodes that belong to machines of the cluster's groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeStatus>,
    /// Why nothing can be said, if the Kubernetes API does not answer: that is not the same as an unhealthy cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What it is about. Written `type`, as in kops.
    #[serde(rename = "type")]
    pub kind: FailureKind,
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// The instance group it concerns; none when it concerns the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_group: Option<String>,
    /// Since when, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What is most likely the reason, if anything points at one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likely: Option<String>,
}

/// What a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum FailureKind {
    /// A group as a whole.
    InstanceGroup,
    /// An instance that is no node.
    Machine,
    /// A node.
    Node,
    /// A pod.
    Pod,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// The zone of its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What its machine is for.
    pub role: Role,
    /// Its address inside the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// `True`, `False` or `Unknown`, as the condition `Ready` says.
    pub status: String,
}

impl Health {
    /// Whether everything is as it should be.
    pub fn is_healthy(&self) -> bool {
        let Self { failures, nodes: _, unreachable } = self;
        failures.is_empty() && unreachable.is_none()
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InstanceGroup => "InstanceGroup",
            Self::Machine => "Machine",
            Self::Node => "Node",
            Self::Pod => "Pod",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(since) = self.since {
            write!(f, " since {since:.0}")?;
        }
        self.likely.as_ref().map_or(Ok(()), |likely| write!(f, ": {likely}"))
    }
}

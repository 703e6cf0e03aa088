//! What a rolling update writes on nodes, so that a later run knows what an earlier one has done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::cluster_api::{Node, NodePatch};
use crate::manifest::{Taint, TaintEffect};

/// The annotation by which people ask that a node be replaced.
pub const NEEDS_UPDATE: &str = "kops.k8s.io/needs-update";

/// The taint of nodes that are going to be replaced: new pods go elsewhere if they can, and need not move twice.
pub const SCHEDULED_FOR_UPDATE: &str = "kops.k8s.io/scheduled-for-update";

/// The annotation of nodes that a rolling update has cordoned: since when, and whether somebody else had before.
pub const CORDONED_FOR_UPDATE: &str = "kops.k8s.io/cordoned-for-update";

const WAS_CORDONED: &str = "was-cordoned";

/// The mark on a node that is being drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// When draining began.
    pub since: Timestamp,
    /// Whether the node was cordoned before by somebody else, and so stays cordoned if it is not replaced after all.
    pub was_cordoned: bool,
}

impl Mark {
    /// The mark of a node. One that cannot be read counts as as old as the node.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let text = node.annotations.get(CORDONED_FOR_UPDATE)?;
        let (since, rest) = text.split_once(' ').unwrap_or((text, ""));
        let since = since.parse().unwrap_or(node.created);
        Some(Self { since, was_cordoned: rest == WAS_CORDONED })
    }

    pub(super) fn patch(self) -> NodePatch {
        let rest = if self.was_cordoned { format!(" {WAS_CORDONED}") } else { String::new() };
        NodePatch {
            unschedulable: Some(true),
            annotations: BTreeMap::from([(
                CORDONED_FOR_UPDATE.to_owned(),
                Some(format!("{}{rest}", self.since)),
            )]),
            ..NodePatch::default()
        }
    }
}

pub(super) fn is_tainted(node: &Node) -> bool {
    node.taints.iter().any(|taint| taint.key == SCHEDULED_FOR_UPDATE)
}

pub(super) fn taint() -> NodePatch {
    let taint = Taint {
        key: SCHEDULED_FOR_UPDATE.to_owned(),
        value: String::new(),
        effect: TaintEffect::PreferNoSchedule,
    };
    NodePatch { add_taints: vec![taint], ..NodePatch::default() }
}

/// Takes back everything that was written on a node.
pub(super) fn release(mark: Option<Mark>) -> NodePatch {
    NodePatch {
        unschedulable: mark.filter(|mark| !mark.was_cordoned).map(|_| false),
        annotations: BTreeMap::from([(CORDONED_FOR_UPDATE.to_owned(), None)]),
        add_taints: Vec::new(),
        remove_taints: vec![SCHEDULED_FOR_UPDATE.to_owned()],
    }
}

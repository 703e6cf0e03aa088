use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Action, Preview, WhyWaiting};
use crate::resource::Handle;

/// Something that happened in a rolling update. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RollEvent {
    /// The update begins, or goes on where an earlier one stopped.
    Started {
        /// What is ahead.
        preview: Preview,
    },
    /// Something was done.
    Done {
        /// What.
        action: Action,
    },
    /// Something could not be done; it is tried again while it makes sense.
    NotDone {
        /// What.
        action: Action,
        /// Why not.
        reason: String,
    },
    /// The cluster could not be looked at; it is tried again.
    NotSeen {
        /// Why not.
        reason: String,
    },
    /// What is waited for has changed.
    Waiting {
        /// All that is waited for now.
        why: Vec<WhyWaiting>,
    },
    /// No more machines are taken down; nodes that were being drained are uncordoned.
    Cancelling,
    /// The update is over.
    Finished {
        /// What came of it.
        report: RollReport,
    },
}

/// What a rolling update has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a report may say that something was left"]
pub struct RollReport {
    /// The instances that were terminated, in this order.
    pub terminated: Vec<Handle>,
    /// How many evictions were accepted.
    pub evicted: usize,
    /// The pods that were deleted against their budgets' will.
    pub forced: Vec<String>,
    /// The instances that were left as they are because their nodes could not be drained, with the reason.
    pub skipped: BTreeMap<Handle, String>,
    /// How long it took.
    pub took: Duration,
    /// Whether it was cancelled before it was done.
    pub cancelled: bool,
}

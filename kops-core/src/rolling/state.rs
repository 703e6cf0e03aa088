use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::resource::Handle;

/// What a run remembers from one decision to the next. All that a later run must know is in the cluster; this is
/// lost with the process, and nothing depends on it but patience and not asking twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Instances that were detached in this run: the provider's lists may lag behind.
    pub(super) detached: BTreeMap<Handle, Timestamp>,
    /// Instances that were terminated in this run.
    pub(super) terminated: BTreeMap<Handle, Timestamp>,
    /// Instances whose nodes were found drained, since when.
    pub(super) drained: BTreeMap<Handle, Timestamp>,
    /// Instances left as they are, because their nodes could not be drained.
    pub(super) skipped: BTreeMap<Handle, String>,
    /// Scaling groups that this run keeps from moving machines between zones.
    pub(super) held: BTreeSet<Handle>,
    /// Scaling groups that it has let do so again.
    pub(super) freed: BTreeSet<Handle>,
    /// What had been reached, and when that last changed.
    pub(super) reached: Option<(Reached, Timestamp)>,
}

/// What has been reached: as long as this changes, the run gets on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) left: usize,
    pub(super) available: usize,
    pub(super) alive: usize,
    pub(super) pods: usize,
}

impl State {
    /// Instances that were left as they are, with the reason.
    pub fn skipped(&self) -> &BTreeMap<Handle, String> {
        &self.skipped
    }
}

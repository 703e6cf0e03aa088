//! What a run tells: one stream, whatever the run does.

use std::time::Duration;

use serde::Serialize;

use super::Run;
use crate::apply::PlanEvent;
use crate::clock::{Clock, Timestamp};
use crate::lease::LeaseRecord;
use crate::observer::Observer;
use crate::resource::ResourceId;
use crate::rolling::RollEvent;

/// Something that happened in a run. Holds no secret (law C13).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The cluster that the run changes.
    pub cluster: String,
    /// When it happened, by the clock of the run.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum EventKind {
    /// Another run holds the cluster's lease. This run watches whether it is alive.
    Lease {
        /// Its lease.
        lease: LeaseRecord,
        /// When it counts as dead if it gives no sign of life.
        within: Duration,
    },
    /// A plan is carried out.
    Plan(PlanEvent),
    /// Machines are drained that a step of a plan takes away.
    Draining {
        /// The resource that the step changes.
        id: ResourceId,
        /// How far that is.
        roll: RollEvent,
    },
    /// A rolling update replaces machines.
    Roll(RollEvent),
}

/// Passes on what parts of a run tell, with the cluster and the time.
#[derive(Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) cluster: &'a str,
    pub(super) clock: &'a dyn Clock,
    pub(super) run: Run<'a>,
}

impl Voice<'_> {
    pub(super) fn say(&self, kind: EventKind) {
        let event = Event { cluster: self.cluster.to_owned(), at: self.clock.now(), kind };
        self.run.observer.on_event(&event);
    }
}

impl Observer<PlanEvent> for Voice<'_> {
    fn on_event(&self, event: &PlanEvent) {
        self.say(EventKind::Plan(event.clone()));
    }
}

impl Observer<RollEvent> for Voice<'_> {
    fn on_event(&self, event: &RollEvent) {
        self.say(EventKind::Roll(event.clone()));
    }
}

//! What is told while a plan is carried out.

use std::time::Duration;

use serde::Serialize;

use crate::cloud::Outcome;
use crate::error::ErrorClass;
use crate::plan::{Summary, Verb};
use crate::resource::{Handle, ResourceId};

/// Something that happened while a plan was carried out. Holds no secret (law C13).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum PlanEvent {
    /// The run begins.
    Started {
        /// What is ahead.
        summary: Summary,
    },
    /// A step begins.
    StepStarted {
        /// The resource.
        id: ResourceId,
        /// What is done to it.
        verb: Verb,
    },
    /// A call failed in a way that can pass, and will be repeated.
    StepRetrying {
        /// The resource.
        id: ResourceId,
        /// How often it was tried so far.
        attempt: u32,
        /// The pause before the next try.
        pause: Duration,
        /// What the failure means.
        class: ErrorClass,
        /// Why it failed.
        reason: String,
    },
    /// The resource was told to go, and is waited for.
    StepWaiting {
        /// The resource.
        id: ResourceId,
        /// When it is given up.
        within: Duration,
        /// What it is doing.
        reason: String,
    },
    /// A step is done.
    StepDone {
        /// The resource.
        id: ResourceId,
        /// What was done to it.
        verb: Verb,
        /// What an `ensure` had to do.
        outcome: Option<Outcome>,
        /// The provider's name for it.
        handle: Handle,
    },
    /// A step failed for good.
    StepFailed {
        /// The resource.
        id: ResourceId,
        /// What was to be done.
        verb: Verb,
        /// What the failure means.
        class: ErrorClass,
        /// Why it failed.
        reason: String,
    },
    /// No new steps are started; those under way are finished.
    Cancelling,
    /// The run is over.
    Finished {
        /// Steps done.
        done: usize,
        /// Steps failed.
        failed: usize,
        /// Steps not started.
        skipped: usize,
    },
}

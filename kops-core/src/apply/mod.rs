//! Carrying out a plan.
//!
//! A step starts the moment the steps it waits for are done; there are no waves. Nothing is ever undone: after a
//! failure, a cancellation or a crash, observe and plan again.

mod departure;
mod engine;
mod event;
mod retry;

use std::num::NonZeroUsize;

pub use engine::apply;
pub use event::PlanEvent;
pub use retry::RetryPolicy;
use serde::Serialize;

use crate::cloud::{CloudError, Outcome};
use crate::plan::Verb;
use crate::resource::{Handle, ResourceId};

/// The limits of a run of the engine. The defaults are those of the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApplyOptions {
    /// How many steps may be under way at once.
    pub concurrency: NonZeroUsize,
    /// When a failed call is tried again.
    pub retry: RetryPolicy,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).unwrap();
        Self { concurrency: CONCURRENCY, retry: RetryPolicy::default() }
    }
}

/// A step that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The resource.
    pub id: ResourceId,
    /// What was to be done.
    pub verb: Verb,
    /// What an `ensure` had to do; nothing for a delete.
    pub outcome: Option<Outcome>,
    /// The provider's name for the resource; of a delete, the name it had.
    pub handle: Handle,
}

/// A step that was not done.
#[derive(Debug)]
pub struct Failed {
    /// The resource.
    pub id: ResourceId,
    /// What was to be done.
    pub verb: Verb,
    /// Why it was not.
    pub error: CloudError,
}

/// A step that was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The resource.
    pub id: ResourceId,
    /// The failed resource it waits for; none when the run was cancelled.
    pub because: Option<ResourceId>,
}

/// What became of a plan.
#[derive(Debug, Default)]
#[must_use = "a report may hold failures"]
pub struct Report {
    /// Steps that were done, in the order in which they ended.
    pub done: Vec<Done>,
    /// Steps that failed.
    pub failed: Vec<Failed>,
    /// Steps that were not started.
    pub skipped: Vec<Skipped>,
    /// Whether the run was cancelled.
    pub cancelled: bool,
}

impl Report {
    /// Whether every step was done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }

    /// Nothing if every step was done, else what kept the plan from being carried out.
    ///
    /// # Errors
    /// [`Incomplete`], with the first failure as its source.
    pub fn into_result(mut self) -> Result<Vec<Done>, Incomplete> {
        if self.is_complete() {
            return Ok(self.done);
        }
        let failed = self.failed.len();
        let first = (!self.failed.is_empty()).then(|| Box::new(self.failed.swap_remove(0).error));
        Err(Incomplete {
            done: self.done.len(),
            failed,
            skipped: self.skipped.len(),
            cancelled: self.cancelled,
            first,
        })
    }
}

/// A plan that was carried out only in part. Planning again shows what is left.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: {done} steps done, {failed} failed, {skipped} not started; run the same again to go on from there",
    if *cancelled { "cancelled" } else { "not everything could be done" }
)]
pub struct Incomplete {
    /// Steps that were done.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not started.
    pub skipped: usize,
    /// Whether the run was cancelled.
    pub cancelled: bool,
    /// The first failure.
    #[source]
    pub first: Option<Box<CloudError>>,
}

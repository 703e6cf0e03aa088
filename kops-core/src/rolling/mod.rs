//! Rolling updates: replacing the machines of a running cluster without hurting what runs on them.
//!
//! [`decide`] is a pure function from what was seen to what to do next; [`roll`] asks it again and again and carries
//! out what it says. What has been begun is written on the cluster itself (detached instances, cordoned and marked
//! nodes), so a run that is killed at any point is carried on by the next one, whoever starts it.

mod census;
mod decide;
mod decision;
mod drain;
mod driver;
mod event;
mod mark;
mod policy;
mod preview;
mod simulation;
mod state;

pub use decide::decide;
pub use decision::{Action, Decision, Failure, Outcome, WhyWaiting};
pub use drain::{NeverMet, NeverMetReason, never_met};
pub use driver::{RollError, RollOptions, RollTarget, observe, roll};
pub use event::{RollEvent, RollReport};
pub use mark::{CORDONED_FOR_UPDATE, Mark, NEEDS_UPDATE, SCHEDULED_FOR_UPDATE};
pub use policy::{GroupPolicy, Limits, Pauses, Policy, Replace, StuckDrain};
pub use preview::{GroupPreview, Preview, Reason, preview};
pub use simulation::{Assumptions, Shortfall, SimulatedStep, Simulation, simulate};
pub use state::State;

//! Whether a running cluster is healthy, and if not, what is most likely the matter.
//!
//! [`validate`] is a pure function of what was seen. [`explain`] adds what machines say themselves. [`Streak`] tells health from a lucky moment.

mod check;
mod console;
mod report;
mod streak;

pub use check::{ValidateOptions, validate};
pub use console::{explain, machines_to_ask};
pub use report::{Failure, FailureKind, Health, NodeStatus};
pub use streak::{Streak, Verdict};

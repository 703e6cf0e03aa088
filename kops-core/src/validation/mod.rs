//! Whether a running cluster is healthy, and if not, what is most likely the matter.
//!
//! [`validate`] is a pure function of what was seen. [`Streak`] tells health from a lucky moment.

mod check;
mod report;
mod streak;

pub use check::{ValidateOptions, validate};
pub use report::{Failure, FailureKind, Health, NodeStatus};
pub use streak::{Streak, Verdict};

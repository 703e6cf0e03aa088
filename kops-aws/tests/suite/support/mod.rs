//! What tests of several files need.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

#[cfg(feature = "sdk")]
pub(crate) mod naming;
#[cfg(feature = "sdk")]
pub(crate) mod scripted;
pub(crate) mod simulated;

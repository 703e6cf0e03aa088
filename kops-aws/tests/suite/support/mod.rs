//! What tests of several files need.

#[cfg(feature = "sdk")]
pub(crate) mod naming;
#[cfg(feature = "sdk")]
pub(crate) mod scripted;
pub(crate) mod simulated;

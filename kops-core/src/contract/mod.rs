//! The laws that every backend has to pass, as functions that a backend's own tests call.
//!
//! Each law has a number; the trait's documentation carries the same ones.

mod cloud;
mod cluster_api;
mod fleet;
mod named;
#[expect(clippy::unwrap_used, reason = "a broken law ends the test")]
pub mod state;
mod toy;

pub use cloud::{CloudCase, cloud};
pub use cluster_api::cluster_api;
pub use fleet::{FleetCase, fleet};
pub use toy::Toy;

use crate::error::Cause;

/// A law that does not hold.
#[derive(Debug, thiserror::Error)]
#[error("{law}: {what}")]
pub struct Broken {
    law: &'static str,
    what: String,
    #[source]
    cause: Option<Cause>,
}

impl Broken {
    fn new(law: &'static str, what: impl Into<String>) -> Self {
        Self { law, what: what.into(), cause: None }
    }

    fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

fn law(number: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(number, what())) }
}

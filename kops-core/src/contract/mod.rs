//! The laws every backend must pass, as tests that any implementation can run.
//!
//! Each law has a number; the trait's documentation and the test here carry the same one. The functions panic on a
//! broken law and are meant to be called from tests (feature `contract`).

#![expect(clippy::unwrap_used, reason = "a broken law ends the test")]

pub mod state;

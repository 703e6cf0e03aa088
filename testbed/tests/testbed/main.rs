//! The testbed against itself: what it refuses, logs and breaks, over plain HTTP.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod client;
mod dependencies;
mod groups;
mod launch;
mod limits;
mod machines;
mod mixed;
mod network;
mod objects;
mod offers;
mod pages;
mod permissions;
mod proxy;
mod shared;
mod tokens;
mod visibility;

//! The AWS backend of kops for Rust: what a cluster is made of on AWS, and how that is read and changed.

#[cfg(feature = "sdk")]
pub mod api;
pub mod check;
#[cfg(feature = "sdk")]
mod error;
pub mod facts;
mod machine_type;
pub mod model;
pub mod names;
#[cfg(feature = "sdk")]
pub mod operator;
mod partition;
pub mod provider;
mod region;
pub mod resource;
#[cfg(feature = "sdk")]
pub mod s3;
mod simulated;
mod store_key;
pub mod tags;

pub use provider::recommendations;
#[cfg(feature = "sdk")]
pub use s3::{S3Options, S3StateStore};

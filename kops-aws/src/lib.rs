//! The AWS backend of kops for Rust: what a cluster is made of on AWS, and how that is read and changed.

pub mod names;
pub mod resource;
pub mod tags;

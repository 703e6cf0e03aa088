//! Manifests, planner, state and simulated cloud of kops for Rust. Knows no cloud by name.

pub mod addon;
pub mod apply;
pub mod clock;
pub mod cloud;
pub mod cluster_api;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod create;
mod differences;
pub mod digest;
pub mod error;
pub mod etcd;
pub mod flags;
pub mod fleet;
pub mod inventory;
pub mod kubeconfig;
pub mod lease;
pub mod manifest;
pub mod nearest;
pub mod node;
pub mod observation;
pub mod observer;
pub mod operation;
pub mod pki;
pub mod plan;
pub mod provider;
pub mod resource;
pub mod rolling;
pub mod sim;
pub mod ssh;
pub mod state;
pub mod state_object;
pub mod upgrade;
pub mod validation;
pub mod web;
pub mod yaml;
pub mod zone;

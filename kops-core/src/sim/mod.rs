//! A cloud that exists only in memory, or in one file: for trying, for tests, and for answering "what if".
//!
//! [`SimCloud`] is a real backend, not a mock. It keeps resources and checks what a real cloud checks: references
//! have to exist, what is in use cannot be deleted, what cannot be changed in place is refused. Scaling groups
//! launch instances that boot, are replaced when terminated, and take time to go, all on a [`Clock`] the caller
//! may own. Of a cluster something is [deployed](SimCloud::deploy) in, instances become nodes: pods are scheduled, become
//! ready, are evicted as disruption budgets allow, and are made again elsewhere. It can be told to fail: see [`Faults`].

mod cloud;
mod cluster;
mod copied;
mod fault;
mod file;
mod fleet;
mod group;
mod kubernetes;
mod place;
mod web;
mod workload;
mod world;

use std::sync::Arc;
use std::time::Duration;

pub use cloud::SimCloud;
pub use cluster::SimCluster;
pub use copied::{Copied, PodTimes};
pub use fault::{Fault, Faults};
pub use file::OpenSimError;
pub use group::{Member, MemberState};
pub use place::Place;
pub use web::SimWeb;
pub use workload::{BudgetLimit, Workload};

use crate::clock::{Clock, SystemClock};
use crate::fleet::Scaling;

/// A resource type that can be simulated.
pub trait Simulated: Scaling {
    /// The version of Kubernetes on instances that are launched from it, if it is what a scaling group launches from.
    fn kubernetes_version(&self) -> Option<String>;
    /// How a scaling group appears in an inventory while a run keeps it from moving instances between zones.
    #[must_use]
    fn with_zones_held(&self) -> Self;
    /// How an instance of `group` (launched from `template`, if that still exists) appears in an inventory.
    fn member(group: &Self, template: Option<&Self>, member: &Member) -> Self;
    /// Where instances run that a scaling group launches into it, if it is a part of the network.
    fn place(&self) -> Option<Place> {
        None
    }
}

/// How the simulated world behaves.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// How long every call takes.
    pub latency: Duration,
    /// How long an instance takes from launch to running.
    pub boot_time: Duration,
    /// How long a running instance takes until its node is ready: it registers at once, and then gets its network.
    pub join_time: Duration,
    /// How many pods fit on a node.
    pub pods_per_node: usize,
    /// How long an instance takes to go.
    pub terminate_time: Duration,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            latency: Duration::ZERO,
            boot_time: Duration::from_secs(60),
            join_time: Duration::from_secs(15),
            // The kubelet's default.
            pods_per_node: 110,
            terminate_time: Duration::from_secs(1),
        }
    }
}

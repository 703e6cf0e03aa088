//! What validation and rolling updates need of a cluster's Kubernetes API.
//!
//! The types hold the few fields that decisions are made from, under Kubernetes's own names.

mod budget;
#[cfg(feature = "kube")]
mod client;
mod error;
mod node;
mod pod;
mod server;

use std::fmt;

use async_trait::async_trait;
pub use budget::{DisruptionBudget, LabelSelector, Operator, Requirement};
#[cfg(feature = "kube")]
pub use client::KubeClient;
pub use error::ClusterApiError;
pub use node::{Condition, ConditionStatus, Node, NodePatch, instance_of_provider_id};
pub use pod::{Controller, Phase, Pod, PodRef};
pub use server::Server;

/// What became of an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The pod is on its way out.
    Accepted,
    /// A disruption budget does not allow it now; the server says which and why.
    Blocked {
        /// The server's words.
        message: String,
    },
    /// The pod was gone already, or another one has its name.
    Gone,
}

/// The Kubernetes API of one cluster.
///
/// The laws (numbers as in the contract battery):
/// - **K1** Reads may be answered from a watch's cache. What the trait's own verbs changed shows in the reads that follow.
/// - **K2** A patch of a node changes what it names and nothing else, and twice is as once.
/// - **K3** A disruption budget that allows no disruption blocks an eviction, which then changes nothing.
/// - **K4** A pod is known by its uid: another one of the same name stays.
/// - **K5** What was evicted or deleted is on its way out, or gone.
/// - **K6** Nodes and pods that are gone are fine.
#[async_trait]
pub trait ClusterApi: Send + Sync + fmt::Debug + fmt::Display {
    /// All nodes.
    ///
    /// # Errors
    /// [`ClusterApiError::Unreachable`] when nobody answered, which says nothing about the cluster's health.
    async fn nodes(&self) -> Result<Vec<Node>, ClusterApiError>;

    /// All pods of all namespaces.
    ///
    /// # Errors
    /// As [`nodes`](Self::nodes).
    async fn pods(&self) -> Result<Vec<Pod>, ClusterApiError>;

    /// All disruption budgets of all namespaces.
    ///
    /// # Errors
    /// As [`nodes`](Self::nodes).
    async fn disruption_budgets(&self) -> Result<Vec<DisruptionBudget>, ClusterApiError>;

    /// Waits until something has happened that is worth another look: a node has changed since nodes were last read, or a
    /// pod is gone since pods were. Where that cannot be told it waits for ever: a way to look sooner, and no reason not to
    /// look again after a time. Dropping the future is safe.
    async fn changed(&self);

    /// Changes a node in one request, so that a cordon and the mark that tells whose it is are never apart.
    /// A node that is gone is fine.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    async fn patch_node(&self, node: &str, patch: &NodePatch) -> Result<(), ClusterApiError>;

    /// Asks that a pod be evicted, its own grace period kept. The server holds it against the disruption budgets.
    ///
    /// # Errors
    /// Nobody answered, or the server refused for a reason other than a budget.
    async fn evict(&self, pod: &PodRef) -> Result<Eviction, ClusterApiError>;

    /// Deletes a pod without asking any budget. One that is gone is fine.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    async fn delete_pod(&self, pod: &PodRef) -> Result<(), ClusterApiError>;

    /// Deletes a node object. One that is gone is fine.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    async fn delete_node(&self, node: &str) -> Result<(), ClusterApiError>;
}

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Like pods that are kept running: what a deployment and its disruption budget are to a real cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// How many pods.
    pub replicas: u32,
    /// How long a pod takes from being scheduled to being ready.
    pub start_time: Duration,
    /// How long a pod takes to end.
    pub grace: Duration,
    /// What its disruption budget allows, if it has one.
    pub budget: Option<BudgetLimit>,
    /// The priority class of the pods.
    pub priority_class: Option<String>,
}

/// What a disruption budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BudgetLimit {
    /// So many pods have to be ready.
    MinAvailable(u32),
    /// So many pods may be missing.
    MaxUnavailable(u32),
}

impl Workload {
    /// Pods in the namespace `default`, labelled `app` by the name, that start within 10 s and end within 5 s, without a
    /// budget.
    pub fn new(name: impl Into<String>, replicas: u32) -> Self {
        let name = name.into();
        Self {
            namespace: "default".to_owned(),
            labels: BTreeMap::from([("app".to_owned(), name.clone())]),
            name,
            replicas,
            start_time: Duration::from_secs(10),
            grace: Duration::from_secs(5),
            budget: None,
            priority_class: None,
        }
    }

    /// The DNS servers of a cluster, of which one may be missing.
    pub fn dns() -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            start_time: Duration::from_secs(1),
            priority_class: Some("system-cluster-critical".to_owned()),
            ..Self::new("coredns", 2).with_budget(BudgetLimit::MaxUnavailable(1))
        }
    }

    /// The same with a disruption budget.
    #[must_use]
    pub fn with_budget(mut self, budget: BudgetLimit) -> Self {
        self.budget = Some(budget);
        self
    }

    pub(super) fn desired_healthy(&self) -> Option<u32> {
        Some(match self.budget? {
            BudgetLimit::MinAvailable(count) => count,
            BudgetLimit::MaxUnavailable(count) => self.replicas.saturating_sub(count),
        })
    }
}

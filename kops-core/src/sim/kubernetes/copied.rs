//! What runs in a cluster elsewhere, taken over as far as it can be seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kubernetes, SimNode, SimPod};
use crate::clock::Timestamp;
use crate::cluster_api::{Controller, DisruptionBudget, Node, Pod};
use crate::manifest::Role;
use crate::resource::Handle;
use crate::sim::{PodTimes, Workload};

impl Kubernetes {
    /// Takes over nodes, pods and budgets as they are at `now`. Pods of the same labels are one workload: what made them
    /// cannot be seen.
    pub(in crate::sim) fn copy(
        nodes: &[Node],
        pods: &[Pod],
        budgets: &[DisruptionBudget],
        role: impl Fn(&Handle) -> Option<Role>,
        times: PodTimes,
        now: Timestamp,
    ) -> Self {
        let mut copy = Self { copied: budgets.to_vec(), dirty: true, ..Self::default() };
        for node in nodes {
            let Some(instance) = &node.instance else { continue };
            let Some(role) = role(instance) else { continue };
            let node_copy = SimNode {
                instance: instance.clone(),
                role,
                created: node.created,
                ready_from: node.ready_since().unwrap_or(now),
                // Nobody knows when it will speak again.
                silent_from: (!node.is_ready()).then_some(now),
                gone_from: None,
                unschedulable: node.unschedulable,
                annotations: node.annotations.clone(),
                taints: node.taints.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
                kubelet_version: node.kubelet_version.clone(),
                internal_ip: node.internal_ip.clone(),
            };
            copy.nodes.insert(node.name.clone(), node_copy);
        }
        let mut workloads = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !pod.is_finished()) {
            let number = workloads.len();
            let key = (pod.id.namespace.as_str(), &pod.labels, pod.priority_class.as_deref());
            let workload = workloads.entry(key).or_insert_with(|| Workload {
                namespace: pod.id.namespace.clone(),
                labels: pod.labels.clone(),
                priority_class: pod.priority_class.clone(),
                start_time: times.start,
                grace: times.grace,
                ..Workload::new(format!("copied-{number}"), 0)
            });
            // What nobody makes again is gone once it is evicted, and what belongs to a node comes with the next.
            workload.replicas += u32::from(pod.controller == Controller::Replicated && !pod.deleting);
            let name = workload.name.clone();
            copy.named += 1;
            let copied = SimPod {
                id: pod.id.clone(),
                workload: name,
                priority_class: pod.priority_class.clone(),
                daemon: !pod.is_drained(),
                node: pod.node.clone().filter(|node| copy.nodes.contains_key(node)),
                created: pod.created,
                ready_from: pod.ready.then_some(pod.created),
                deleting: pod.deleting,
                gone_from: pod.deleting.then_some(now),
            };
            copy.pods.insert(copy.named, copied);
        }
        copy.workloads = workloads.into_values().collect();
        copy
    }

    /// A budget that was taken over, as it stands at `now`.
    pub(super) fn copied_budget(&self, budget: &DisruptionBudget, now: Timestamp) -> DisruptionBudget {
        let labels = self.labels();
        let covered = self.pods.values().filter(|pod| {
            let of = labels.get(pod.workload.as_str());
            !pod.deleting
                && pod.id.namespace == budget.namespace
                && of.is_some_and(|labels| budget.selector.matches(labels))
        });
        let healthy = covered.filter(|pod| self.is_pod_ready(pod, now)).count();
        let current_healthy = u32::try_from(healthy).unwrap_or(u32::MAX);
        DisruptionBudget {
            disruptions_allowed: current_healthy.saturating_sub(budget.desired_healthy),
            current_healthy,
            ..budget.clone()
        }
    }
}

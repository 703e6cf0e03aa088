//! What runs in a simulated cluster: nodes follow instances, pods follow workloads. Synchronous and deterministic.

mod copied;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Member, SimOptions, Workload};
use crate::clock::{Timestamp, later};
use crate::cluster_api::{
    Condition, ConditionStatus, Controller, DisruptionBudget, Eviction, LabelSelector, Node, NodePatch,
    Phase, Pod, PodRef,
};
use crate::manifest::{Role, Taint};
use crate::resource::Handle;

/// How long after its instance a node is deleted by the cloud controller, if nobody did before.
const CLOUD_CONTROLLER: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kubernetes {
    nodes: BTreeMap<String, SimNode>,
    /// By uid, which is a number that counts up.
    pods: BTreeMap<u64, SimPod>,
    workloads: Vec<Workload>,
    /// Budgets of a cluster that this is a copy of.
    #[serde(default)]
    copied: Vec<DisruptionBudget>,
    named: u64,
    /// Whether enough of the control plane runs.
    serving: bool,
    /// When things were last moved on.
    #[serde(skip)]
    moved: Option<Timestamp>,
    /// Whether controllers and scheduler have something to do.
    #[serde(skip)]
    dirty: bool,
    /// What there was of machines then.
    #[serde(skip)]
    machines: (u64, usize, usize),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SimNode {
    instance: Handle,
    role: Role,
    created: Timestamp,
    ready_from: Timestamp,
    silent_from: Option<Timestamp>,
    gone_from: Option<Timestamp>,
    unschedulable: bool,
    annotations: BTreeMap<String, String>,
    taints: BTreeSet<String>,
    #[serde(default)]
    kubelet_version: String,
    #[serde(default)]
    internal_ip: Option<String>,
}

/// A machine that may become a node.
pub(super) struct Machine<'a> {
    pub(super) member: &'a Member,
    pub(super) role: Role,
    /// The version of Kubernetes that it was made with.
    pub(super) version: &'a dyn Fn(&Member) -> Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SimPod {
    id: PodRef,
    workload: String,
    priority_class: Option<String>,
    /// Whether it belongs to its node.
    daemon: bool,
    node: Option<String>,
    created: Timestamp,
    ready_from: Option<Timestamp>,
    deleting: bool,
    gone_from: Option<Timestamp>,
}

impl SimNode {
    /// Since when it is ready, or not.
    fn ready(&self, now: Timestamp) -> (ConditionStatus, Timestamp) {
        match self.silent_from.or(self.gone_from) {
            Some(since) if since <= now => (ConditionStatus::Unknown, since),
            _ if now < self.ready_from => (ConditionStatus::False, self.created),
            _ => (ConditionStatus::True, self.ready_from),
        }
    }

    fn is_ready(&self, now: Timestamp) -> bool {
        self.ready(now).0 == ConditionStatus::True
    }
}

impl Kubernetes {
    pub(super) fn deploy(&mut self, workload: Workload) {
        self.workloads
            .retain(|other| (&other.namespace, &other.name) != (&workload.namespace, &workload.name));
        self.workloads.push(workload);
        self.dirty = true;
    }

    pub(super) fn silence(&mut self, node: &str, silent: bool, now: Timestamp) {
        if let Some(node) = self.nodes.get_mut(node) {
            if !silent && node.silent_from.is_some() {
                node.ready_from = now.max(node.ready_from);
            }
            node.silent_from = silent.then_some(now);
        }
        self.dirty = true;
    }

    pub(super) fn is_serving(&self) -> bool {
        self.serving
    }

    /// Whether nothing can have happened since it was last moved on.
    pub(super) fn is_current(&self, now: Timestamp, machines: (u64, usize, usize)) -> bool {
        self.moved == Some(now) && self.machines == machines
    }

    pub(super) fn note(&mut self, machines: (u64, usize, usize)) {
        self.machines = machines;
    }

    /// Moves things on to `now`. `members` is the number of machines that the control plane should have.
    pub(super) fn advance(
        &mut self,
        machines: &[Machine<'_>],
        members: usize,
        now: Timestamp,
        options: &SimOptions,
    ) {
        self.follow_machines(machines, now, options);
        let control_plane = self.nodes.values().filter(|node| node.role == Role::ControlPlane);
        let serving = control_plane.filter(|node| node.is_ready(now)).count();
        self.serving = members == 0 || serving > members / 2;
        if self.moved != Some(now) {
            self.moved = Some(now);
            self.dirty = true;
            self.refresh(now, options.pods_per_node);
        }
    }

    /// Lets controllers and scheduler do what there is to do: before anybody looks.
    pub(super) fn refresh(&mut self, now: Timestamp, pods_per_node: usize) {
        // Without its API a cluster stands still; what runs, runs on.
        if self.dirty && self.serving {
            self.dirty = false;
            self.end_pods(now);
            self.make_pods(now);
            self.schedule(now, pods_per_node);
        }
    }

    fn follow_machines(&mut self, machines: &[Machine<'_>], now: Timestamp, options: &SimOptions) {
        let names: HashMap<Handle, String> =
            self.nodes.iter().map(|(name, node)| (node.instance.clone(), name.clone())).collect();
        let mut there: BTreeMap<String, &Member> = BTreeMap::new();
        for Machine { member, role, version } in machines.iter().filter(|m| m.role != Role::Bastion) {
            let registered = later(member.launched, options.boot_time);
            let name = names.get(&member.handle).cloned();
            let name = name.unwrap_or_else(|| format!("node-{}", member.handle));
            let dies_first = member.terminated.is_some_and(|at| at <= registered);
            if registered <= now && !dies_first && !self.nodes.contains_key(&name) {
                let ready_from = later(registered, options.join_time);
                let node = SimNode {
                    instance: member.handle.clone(),
                    role: *role,
                    created: registered,
                    ready_from,
                    silent_from: None,
                    gone_from: None,
                    unschedulable: false,
                    annotations: BTreeMap::new(),
                    taints: BTreeSet::new(),
                    kubelet_version: version(member).map(|version| format!("v{version}")).unwrap_or_default(),
                    internal_ip: member.address.map(|address| address.to_string()),
                };
                self.nodes.insert(name.clone(), node);
                self.add_daemon(&name, ready_from);
                self.dirty = true;
            }
            there.insert(name, member);
        }
        let mut dead = Vec::new();
        for (name, node) in &mut self.nodes {
            let member = there.get(name);
            if node.gone_from.is_none() && member.is_none_or(|member| member.terminated.is_some()) {
                node.gone_from = member.and_then(|member| member.terminated).or(Some(now));
                dead.push(name.clone());
            }
        }
        self.nodes.retain(|name, node| {
            there.contains_key(name) || node.gone_from.is_none_or(|gone| now < later(gone, CLOUD_CONTROLLER))
        });
        if !dead.is_empty() {
            self.pods.retain(|_, pod| pod.node.as_ref().is_none_or(|node| !dead.contains(node)));
            self.dirty = true;
        }
    }

    fn add_daemon(&mut self, node: &str, ready_from: Timestamp) {
        let workload = "kube-proxy".to_owned();
        let pod = SimPod {
            id: PodRef {
                namespace: "kube-system".to_owned(),
                name: format!("{workload}-{node}"),
                uid: String::new(),
            },
            workload,
            priority_class: Some("system-node-critical".to_owned()),
            daemon: true,
            node: Some(node.to_owned()),
            created: ready_from,
            ready_from: Some(ready_from),
            deleting: false,
            gone_from: None,
        };
        self.add(pod);
    }

    fn add(&mut self, mut pod: SimPod) {
        self.named += 1;
        pod.id.uid = format!("uid-{}", self.named);
        self.pods.insert(self.named, pod);
    }

    fn end_pods(&mut self, now: Timestamp) {
        let nodes = &self.nodes;
        self.pods.retain(|_, pod| {
            let ended = pod.gone_from.is_some_and(|gone| gone <= now);
            // A silent kubelet ends nothing.
            let heard =
                pod.node.as_ref().and_then(|node| nodes.get(node)).is_none_or(|node| node.is_ready(now));
            !(ended && heard)
        });
    }

    fn make_pods(&mut self, now: Timestamp) {
        let mut counts: HashMap<(&str, &str), u32> = HashMap::new();
        for pod in self.pods.values().filter(|pod| !pod.deleting) {
            *counts.entry((&pod.id.namespace, &pod.workload)).or_default() += 1;
        }
        let missing: Vec<(Workload, u32)> = self
            .workloads
            .iter()
            .map(|w| (w, counts.get(&(w.namespace.as_str(), w.name.as_str())).copied().unwrap_or(0)))
            .filter(|(w, count)| *count < w.replicas)
            .map(|(w, count)| (w.clone(), w.replicas - count))
            .collect();
        for (workload, count) in missing {
            for _ in 0..count {
                let name = format!("{}-{}", workload.name, self.named + 1);
                self.add(SimPod {
                    id: PodRef { namespace: workload.namespace.clone(), name, uid: String::new() },
                    workload: workload.name.clone(),
                    priority_class: workload.priority_class.clone(),
                    daemon: false,
                    node: None,
                    created: now,
                    ready_from: None,
                    deleting: false,
                    gone_from: None,
                });
            }
        }
    }

    /// Each pod goes to the emptiest node that takes it, one without taints if there is one.
    fn schedule(&mut self, now: Timestamp, room: usize) {
        let open = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_ready(now) && !node.unschedulable && node.role == Role::Node);
        let mut places: BTreeMap<&str, usize> = open.map(|(name, _)| (name.as_str(), 0)).collect();
        let mut pending = Vec::new();
        for (uid, pod) in &self.pods {
            match &pod.node {
                Some(node) => {
                    if let Some(count) = places.get_mut(node.as_str()) {
                        *count += 1;
                    }
                }
                None if !pod.deleting => pending.push(*uid),
                None => {}
            }
        }
        let tainted = |name: &str| self.nodes.get(name).is_some_and(|node| !node.taints.is_empty());
        let mut order: BTreeSet<(bool, usize, &str)> =
            places.into_iter().map(|(name, count)| (tainted(name), count, name)).collect();
        for uid in pending {
            let Some(place) = order.iter().find(|(_, count, _)| *count < room).copied() else { break };
            let (tainted, count, name) = place;
            order.remove(&place);
            order.insert((tainted, count + 1, name));
            if let Some(pod) = self.pods.get_mut(&uid) {
                let workload = self.workloads.iter().find(|w| w.name == pod.workload);
                let start_time = workload.map_or(Duration::ZERO, |workload| workload.start_time);
                pod.node = Some(name.to_owned());
                pod.ready_from = Some(later(now, start_time));
            }
        }
    }

    pub(super) fn nodes(&self, now: Timestamp) -> Vec<Node> {
        let nodes = self.nodes.iter().map(|(name, node)| {
            let (status, since) = node.ready(now);
            let reason = match status {
                ConditionStatus::True => "KubeletReady",
                ConditionStatus::False => "KubeletNotReady",
                ConditionStatus::Unknown => "NodeStatusUnknown",
            };
            let ready = Condition { status, since, reason: reason.to_owned(), message: String::new() };
            Node {
                name: name.clone(),
                instance: Some(node.instance.clone()),
                created: node.created,
                labels: BTreeMap::new(),
                annotations: node.annotations.clone(),
                taints: node.taints.iter().filter_map(|taint| taint.parse().ok()).collect(),
                unschedulable: node.unschedulable,
                conditions: BTreeMap::from([("Ready".to_owned(), ready)]),
                kubelet_version: node.kubelet_version.clone(),
                internal_ip: node.internal_ip.clone(),
            }
        });
        nodes.collect()
    }

    fn is_pod_ready(&self, pod: &SimPod, now: Timestamp) -> bool {
        let node = pod.node.as_ref().and_then(|node| self.nodes.get(node));
        node.is_some_and(|node| node.is_ready(now)) && pod.ready_from.is_some_and(|from| from <= now)
    }

    /// The labels of each workload's pods.
    fn labels(&self) -> HashMap<&str, &BTreeMap<String, String>> {
        self.workloads.iter().map(|workload| (workload.name.as_str(), &workload.labels)).collect()
    }

    pub(super) fn pods(&self, now: Timestamp) -> Vec<Pod> {
        let labels = self.labels();
        let pods = self.pods.values().map(|pod| {
            let ready = self.is_pod_ready(pod, now);
            Pod {
                id: pod.id.clone(),
                node: pod.node.clone(),
                labels: labels.get(pod.workload.as_str()).map(|&labels| labels.clone()).unwrap_or_default(),
                phase: if pod.node.is_some() { Phase::Running } else { Phase::Pending },
                ready,
                unready_containers: if ready { Vec::new() } else { vec![pod.workload.clone()] },
                reason: pod.node.is_none().then(|| "Unschedulable".to_owned()),
                priority_class: pod.priority_class.clone(),
                controller: if pod.daemon { Controller::DaemonSet } else { Controller::Replicated },
                created: pod.created,
                deleting: pod.deleting,
            }
        });
        pods.collect()
    }

    pub(super) fn budgets(&self, now: Timestamp) -> Vec<DisruptionBudget> {
        let of_workloads = self.workloads.iter().filter_map(|workload| self.budget(workload, now));
        let copied = self.copied.iter().map(|budget| self.copied_budget(budget, now));
        of_workloads.chain(copied).collect()
    }

    fn budget(&self, workload: &Workload, now: Timestamp) -> Option<DisruptionBudget> {
        let desired_healthy = workload.desired_healthy()?;
        let of_workload = self.pods.values().filter(|pod| {
            !pod.deleting && pod.workload == workload.name && pod.id.namespace == workload.namespace
        });
        let healthy = of_workload.filter(|pod| self.is_pod_ready(pod, now)).count();
        let current_healthy = u32::try_from(healthy).unwrap_or(u32::MAX);
        Some(DisruptionBudget {
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
            selector: LabelSelector { match_labels: workload.labels.clone(), match_expressions: Vec::new() },
            disruptions_allowed: current_healthy.saturating_sub(desired_healthy),
            current_healthy,
            desired_healthy,
            expected_pods: workload.replicas,
            evicts_unready: false,
        })
    }

    pub(super) fn patch(&mut self, node: &str, patch: &NodePatch) {
        let Some(node) = self.nodes.get_mut(node) else { return };
        node.unschedulable = patch.unschedulable.unwrap_or(node.unschedulable);
        for (key, value) in &patch.annotations {
            match value {
                Some(value) => node.annotations.insert(key.clone(), value.clone()),
                None => node.annotations.remove(key),
            };
        }
        let is_kept = |old: &Taint| {
            !patch.add_taints.iter().any(|new| (&new.key, new.effect) == (&old.key, old.effect))
        };
        let stays = |text: &String| {
            text.parse().is_ok_and(|old: Taint| is_kept(&old) && !patch.remove_taints.contains(&old.key))
        };
        node.taints.retain(stays);
        node.taints.extend(patch.add_taints.iter().map(ToString::to_string));
        self.dirty = true;
    }

    pub(super) fn evict(&mut self, pod: &PodRef, now: Timestamp) -> Eviction {
        let Some(found) = self.pods.values().find(|other| other.id == *pod) else { return Eviction::Gone };
        let ready = self.is_pod_ready(found, now);
        let workload =
            self.workloads.iter().find(|w| w.name == found.workload && w.namespace == pod.namespace);
        let own = workload.and_then(|workload| self.budget(workload, now));
        let covers = |budget: &&DisruptionBudget| {
            let labels = workload.map(|workload| &workload.labels);
            budget.namespace == pod.namespace && labels.is_some_and(|labels| budget.selector.matches(labels))
        };
        let copied = self.copied.iter().filter(covers).map(|budget| self.copied_budget(budget, now));
        let budgets: Vec<_> = own.into_iter().chain(copied).collect();
        if !found.deleting && budgets.len() > 1 {
            let message = "this pod has more than one disruption budget, which Kubernetes does not support";
            return Eviction::Blocked { message: message.to_owned() };
        }
        if !found.deleting
            && let Some(budget) = budgets.first()
        {
            let spared = !ready && budget.current_healthy >= budget.desired_healthy;
            if budget.disruptions_allowed == 0 && !spared {
                let message = format!(
                    "the disruption budget {} needs {} healthy pods and has {} currently",
                    budget.name, budget.desired_healthy, budget.current_healthy
                );
                return Eviction::Blocked { message };
            }
        }
        self.delete(pod, now);
        Eviction::Accepted
    }

    pub(super) fn delete(&mut self, pod: &PodRef, now: Timestamp) {
        let Some(found) = self.pods.values_mut().find(|other| other.id == *pod) else { return };
        if !found.deleting {
            let workload = self.workloads.iter().find(|w| w.name == found.workload);
            let grace = workload.map_or(Duration::ZERO, |workload| workload.grace);
            found.deleting = true;
            found.gone_from = Some(later(now, if found.node.is_some() { grace } else { Duration::ZERO }));
            self.dirty = true;
        }
    }

    pub(super) fn delete_node(&mut self, name: &str) {
        // One that is still there registers again.
        if self.nodes.get(name).is_some_and(|node| node.gone_from.is_some()) {
            self.nodes.remove(name);
            self.dirty = true;
        }
    }
}

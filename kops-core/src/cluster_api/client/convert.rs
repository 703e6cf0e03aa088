//! From the API's objects to the few fields that decisions are made from.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::DynamicObject;

use crate::clock::Timestamp;
use crate::cluster_api::{
    Condition, ConditionStatus, Controller, DisruptionBudget, LabelSelector, Node, Operator, Phase, Pod,
    PodRef, Requirement, instance_of_provider_id,
};
use crate::manifest::Taint;

/// The annotation of pods that a kubelet has from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";

fn taint(taint: core::Taint) -> Option<Taint> {
    let value = taint.value.unwrap_or_default();
    format!("{}={value}:{}", taint.key, taint.effect).parse().ok()
}

pub(super) fn to_kube(taint: &Taint) -> core::Taint {
    core::Taint {
        key: taint.key.clone(),
        value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
        effect: taint.effect.to_string(),
        time_added: None,
    }
}

fn time(time: Option<Time>) -> Timestamp {
    time.map(|time| time.0).unwrap_or_default()
}

fn created(metadata: &ObjectMeta) -> Timestamp {
    time(metadata.creation_timestamp.clone())
}

pub(super) fn node(node: core::Node) -> Node {
    let (spec, status) = (node.spec.unwrap_or_default(), node.status.unwrap_or_default());
    let conditions = status.conditions.unwrap_or_default().into_iter();
    let addresses = status.addresses.unwrap_or_default();
    Node {
        created: created(&node.metadata),
        name: node.metadata.name.unwrap_or_default(),
        instance: spec.provider_id.as_deref().and_then(instance_of_provider_id),
        labels: node.metadata.labels.unwrap_or_default(),
        annotations: node.metadata.annotations.unwrap_or_default(),
        taints: spec.taints.unwrap_or_default().into_iter().filter_map(taint).collect(),
        unschedulable: spec.unschedulable.unwrap_or_default(),
        conditions: conditions
            .map(|condition| (condition.type_.clone(), self::condition(condition)))
            .collect(),
        kubelet_version: status.node_info.map(|info| info.kubelet_version).unwrap_or_default(),
        internal_ip: addresses
            .into_iter()
            .find(|address| address.type_ == "InternalIP")
            .map(|address| address.address),
    }
}

fn condition(condition: core::NodeCondition) -> Condition {
    Condition {
        status: match condition.status.as_str() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        },
        since: time(condition.last_transition_time),
        reason: condition.reason.unwrap_or_default(),
        message: condition.message.unwrap_or_default(),
    }
}

pub(super) fn pod(pod: core::Pod) -> Pod {
    let (metadata, status) = (pod.metadata, pod.status.unwrap_or_default());
    let spec = pod.spec.unwrap_or_default();
    let containers = status.container_statuses.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    Pod {
        controller: controller(&metadata),
        created: created(&metadata),
        deleting: metadata.deletion_timestamp.is_some(),
        reason: reason(&status),
        id: PodRef {
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
        },
        node: spec.node_name.filter(|name| !name.is_empty()),
        labels: metadata.labels.unwrap_or_default(),
        phase: match status.phase.as_deref() {
            Some("Pending") => Phase::Pending,
            Some("Running") => Phase::Running,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            _ => Phase::Unknown,
        },
        ready,
        unready_containers: containers
            .into_iter()
            .filter(|container| !container.ready)
            .map(|container| container.name)
            .collect(),
        priority_class: spec.priority_class_name,
    }
}

fn controller(metadata: &ObjectMeta) -> Controller {
    if metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR)) {
        return Controller::Static;
    }
    let owners = metadata.owner_references.iter().flatten();
    match owners.into_iter().find(|owner| owner.controller == Some(true)) {
        Some(owner) if owner.kind == "DaemonSet" => Controller::DaemonSet,
        Some(_) => Controller::Replicated,
        None => Controller::Nobody,
    }
}

/// The most telling word: of a container that waits or has ended, of the condition that does not hold, of the pod.
fn reason(status: &core::PodStatus) -> Option<String> {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let of_container = containers.filter(|container| !container.ready).find_map(|container| {
        let state = container.state.as_ref()?;
        let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
        waiting.or_else(|| state.terminated.as_ref().and_then(|ended| ended.reason.clone()))
    });
    let of_condition = || {
        let conditions = status.conditions.iter().flatten();
        conditions
            .filter(|condition| condition.status == "False")
            .find_map(|condition| condition.reason.clone())
    };
    of_container.or_else(|| status.reason.clone()).or_else(of_condition)
}

/// A budget as either version has it.
pub(super) fn budget(budget: DynamicObject, version: &str) -> DisruptionBudget {
    let number = |field: &str| {
        let value = budget.data["status"][field].as_u64();
        value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
    };
    let spec = &budget.data["spec"];
    let selector: Option<LabelSelector> = serde_json::from_value(spec["selector"].clone()).ok();
    let selector = selector.unwrap_or_default();
    let selects_all = selector == LabelSelector::default();
    DisruptionBudget {
        namespace: budget.metadata.namespace.clone().unwrap_or_default(),
        name: budget.metadata.name.clone().unwrap_or_default(),
        // In v1beta1, an empty selector selects nothing.
        selector: if selects_all && version != "v1" { nothing() } else { selector },
        disruptions_allowed: number("disruptionsAllowed"),
        current_healthy: number("currentHealthy"),
        desired_healthy: number("desiredHealthy"),
        expected_pods: number("expectedPods"),
        evicts_unready: spec["unhealthyPodEvictionPolicy"].as_str() == Some("AlwaysAllow"),
    }
}

fn nothing() -> LabelSelector {
    let impossible = Requirement { key: String::new(), operator: Operator::In, values: Vec::new() };
    LabelSelector { match_labels: BTreeMap::new(), match_expressions: vec![impossible] }
}

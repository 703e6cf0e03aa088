//! What agents and operators may do.

use serde_json::{Value, json};

use super::{AGENT, OPERATOR, ingress};
use crate::addon::parts::rule;
use crate::manifest::Cilium;

const CILIUM: &str = "cilium.io";
const DEFINITIONS: &str = "apiextensions.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const CHANGE: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

/// The kinds that agents read, which the operator brings.
const KINDS: [&str; 19] = [
    "ciliumbgpadvertisements",
    "ciliumbgpnodeconfigs",
    "ciliumbgppeerconfigs",
    "ciliumbgppeeringpolicies",
    "ciliumcidrgroups",
    "ciliumclusterwideenvoyconfigs",
    "ciliumclusterwidenetworkpolicies",
    "ciliumegressgatewaypolicies",
    "ciliumendpoints",
    "ciliumendpointslices",
    "ciliumenvoyconfigs",
    "ciliumidentities",
    "ciliuml2announcementpolicies",
    "ciliumloadbalancerippools",
    "ciliumlocalredirectpolicies",
    "ciliumnetworkpolicies",
    "ciliumnodeconfigs",
    "ciliumnodes",
    "ciliumpodippools",
];
/// Those that the operator alone reads.
const KINDS_OF_OPERATOR: [&str; 3] =
    ["ciliumbgpclusterconfigs", "ciliumbgpnodeconfigoverrides", "ciliumgatewayclassconfigs"];

pub(super) fn all(settings: &Cilium) -> Vec<Value> {
    let mut operator = operator();
    operator.extend(settings.used_ingress().into_iter().flat_map(|_| ingress::rules()));
    let configuration = [rule("", &["configmaps"], &READ)];
    let roles = [
        AGENT.cluster_role(AGENT.name, &agent()),
        OPERATOR.cluster_role(OPERATOR.name, &operator),
        AGENT.role("cilium-config-agent", &configuration),
    ];
    roles.into_iter().flatten().collect()
}

fn agent() -> [Value; 10] {
    let status = [
        "ciliumendpoints",
        "ciliumendpoints/status",
        "ciliuml2announcementpolicies/status",
        "ciliumbgpnodeconfigs/status",
    ];
    [
        rule("networking.k8s.io", &["networkpolicies"], &READ),
        rule("discovery.k8s.io", &["endpointslices"], &READ),
        rule("", &["endpoints", "namespaces", "nodes", "pods", "secrets", "services"], &READ),
        rule(DEFINITIONS, &["customresourcedefinitions"], &READ),
        rule(CILIUM, &KINDS, &["list", "watch"]),
        rule(CILIUM, &["ciliumidentities", "ciliumendpoints", "ciliumnodes"], &["create"]),
        rule(CILIUM, &["ciliumidentities"], &["update"]),
        rule(CILIUM, &["ciliumendpoints"], &["delete", "get"]),
        rule(CILIUM, &["ciliumnodes", "ciliumnodes/status"], &["get", "update"]),
        rule(CILIUM, &status, &["patch"]),
    ]
}

fn operator() -> Vec<Value> {
    let policies = ["ciliumclusterwidenetworkpolicies", "ciliumnetworkpolicies"];
    let status_of_policies = policies.map(|kind| format!("{kind}/status"));
    let status_of_policies = status_of_policies.each_ref().map(String::as_str);
    let written = [
        "ciliumbgpadvertisements",
        "ciliumbgpnodeconfigs",
        "ciliumbgppeerconfigs",
        "ciliumendpointslices",
        "ciliumenvoyconfigs",
    ];
    let read = [
        "ciliumbgpclusterconfigs",
        "ciliumbgpnodeconfigoverrides",
        "ciliumbgppeerconfigs",
        "ciliumbgppeeringpolicies",
        "ciliumloadbalancerippools",
        "ciliumpodippools",
    ];
    let changed = ["create", "deletecollection", "get", "list", "patch", "update", "watch"];
    vec![
        rule("", &["pods"], &["delete", "get", "list", "watch"]),
        named(rule("", &["configmaps"], &["patch"]), &[super::CONFIG.to_owned()]),
        rule("", &["nodes"], &["list", "watch"]),
        rule("", &["nodes", "nodes/status"], &["patch"]),
        rule("discovery.k8s.io", &["endpointslices"], &READ),
        rule("", &["services/status"], &["patch", "update"]),
        rule("", &["namespaces", "secrets"], &READ),
        rule("", &["endpoints", "services"], &CHANGE),
        rule(CILIUM, &policies, &changed),
        rule(CILIUM, &status_of_policies, &["patch", "update"]),
        rule(CILIUM, &["ciliumendpoints", "ciliumidentities"], &["delete", "list", "watch"]),
        rule(CILIUM, &["ciliumidentities"], &["update"]),
        rule(CILIUM, &["ciliumnodes"], &["create", "delete", "get", "list", "update", "watch"]),
        rule(CILIUM, &["ciliumnodes/status"], &["update"]),
        rule(CILIUM, &written, &CHANGE),
        rule(CILIUM, &["ciliumbgpclusterconfigs/status", "ciliumbgppeerconfigs/status"], &["update"]),
        rule(DEFINITIONS, &["customresourcedefinitions"], &["create", "get", "list", "watch"]),
        named(rule(DEFINITIONS, &["customresourcedefinitions"], &["update"]), &definitions()),
        rule(CILIUM, &read, &READ),
        rule(CILIUM, &["ciliumpodippools"], &["create"]),
        rule(CILIUM, &["ciliumloadbalancerippools/status"], &["patch"]),
        rule("coordination.k8s.io", &["leases"], &["create", "get", "update"]),
    ]
}

/// The definitions that the operator brings up to date.
fn definitions() -> Vec<String> {
    KINDS.iter().chain(&KINDS_OF_OPERATOR).map(|kind| format!("{kind}.{CILIUM}")).collect()
}

/// The rule, for objects of these names alone.
fn named(mut rule: Value, names: &[String]) -> Value {
    rule["resourceNames"] = json!(names);
    rule
}

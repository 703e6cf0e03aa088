//! The node problem detector, which tells of faults of kernels and daemons as conditions of nodes: what kops installs
//! (`upup/models/cloudup/resources/addons/node-problem-detector.addons.k8s.io`).

use serde_json::{Value, json};

use super::parts::{Account, metadata};
use super::{Addon, REGISTRY, SYSTEM};
use crate::manifest::{CompletedCluster, NodeProblemDetector};

const NAME: &str = "node-problem-detector.addons.k8s.io";
const DETECTOR: &str = "node-problem-detector";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: DETECTOR };
/// It works with every version of Kubernetes that is supported.
const VERSION: &str = "v0.8.18";

/// The add-on; none unless `spec.nodeProblemDetector.enabled` is on.
pub(super) fn addon(completed: &CompletedCluster) -> Option<Addon> {
    let settings = completed.cluster.spec.node_problem_detector.as_ref()?;
    if settings.enabled != Some(true) {
        return None;
    }
    // Every cluster has that role.
    let binding = ACCOUNT.given_cluster_role(DETECTOR, "system:node-problem-detector");
    Some(Addon::new(NAME, vec![ACCOUNT.object(), binding, daemon_set(settings)]))
}

fn daemon_set(settings: &NodeProblemDetector) -> Value {
    let labels = json!({ "app": DETECTOR });
    let or = |setting: &Option<String>, default: &str| setting.clone().unwrap_or_else(|| default.to_owned());
    let mut limits = json!({ "memory": or(&settings.memory_limit, "100Mi") });
    if let Some(cpu) = &settings.cpu_limit {
        limits["cpu"] = json!(cpu);
    }
    let host = |name: &str, path: &str, kind: &str| json!({ "name": name, "hostPath": { "path": path, "type": kind } });
    let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path, "readOnly": true });
    let container = json!({
        "name": DETECTOR,
        "image": or(&settings.image, &format!("{REGISTRY}/{DETECTOR}/{DETECTOR}:{VERSION}")),
        "command": [
            "/node-problem-detector",
            "--logtostderr",
            "--config.system-log-monitor=/config/kernel-monitor.json,/config/systemd-monitor.json",
            "--config.custom-plugin-monitor=/config/kernel-monitor-counter.json,/config/systemd-monitor-counter.json",
            "--config.system-stats-monitor=/config/system-stats-monitor.json",
        ],
        // It reads the kernel's log.
        "securityContext": { "privileged": true },
        "resources": {
            "limits": limits,
            "requests": { "cpu": or(&settings.cpu_request, "20m"), "memory": or(&settings.memory_request, "100Mi") },
        },
        "env": [{ "name": "NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }],
        "volumeMounts": [
            mount("log", "/var/log"),
            mount("kmsg", "/dev/kmsg"),
            mount("localtime", "/etc/localtime"),
            mount("machine-id", "/etc/machine-id"),
            { "name": "systemd", "mountPath": "/run/systemd/system" },
            { "name": "dbus", "mountPath": "/var/run/dbus/", "mountPropagation": "Bidirectional" },
        ],
    });
    let pod = json!({
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-node-critical",
        "serviceAccountName": DETECTOR,
        "tolerations": [
            { "operator": "Exists", "effect": "NoExecute" },
            { "operator": "Exists", "effect": "NoSchedule" },
            { "key": "CriticalAddonsOnly", "operator": "Exists" },
        ],
        "containers": [container],
        "volumes": [
            host("log", "/var/log/", ""),
            host("kmsg", "/dev/kmsg", ""),
            host("localtime", "/etc/localtime", "FileOrCreate"),
            host("machine-id", "/etc/machine-id", "File"),
            host("systemd", "/run/systemd/system/", ""),
            host("dbus", "/var/run/dbus/", ""),
        ],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(DETECTOR, Some(SYSTEM)),
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}

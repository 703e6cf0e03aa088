//! The operator: it brings Cilium's kinds, and clears up after machines that are gone.

use serde_json::{Value, json};

use super::{CONFIG, CONFIG_DIRECTORY, OPERATOR, OPERATOR_HEALTH, OPERATOR_METRICS, Parts};
use super::{configured, labelled, own};
use crate::addon::parts::disruption_budget;

const NAME: &str = "cilium-operator";

pub(super) fn all(parts: &Parts<'_>) -> [Value; 2] {
    let selector = json!({ "io.cilium/app": "operator", "name": NAME });
    let labels = json!({
        "io.cilium/app": "operator",
        "name": NAME,
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/part-of": "cilium",
    });
    let limit = json!({ "maxUnavailable": 1 });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": labelled(NAME, &labels),
        "spec": {
            "replicas": if parts.masters > 1 { 2 } else { 1 },
            "selector": { "matchLabels": selector },
            // Two operators do not fit on one machine: with one machine, the old one has to go first.
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "50%" } },
            "template": {
                "metadata": { "annotations": parts.settings.operator_pod_annotations, "labels": labels },
                "spec": pod(parts),
            },
        },
    });
    [disruption_budget(parts.policy, NAME, limit, &selector), deployment]
}

fn pod(parts: &Parts<'_>) -> Value {
    let exists = |key: &str| json!({ "key": key, "operator": "Exists" });
    let on = |role: &str| json!({ "matchExpressions": [exists(&format!("node-role.kubernetes.io/{role}"))] });
    json!({
        "affinity": {
            "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [on("control-plane"), on("master")],
            } },
            "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
                "labelSelector": { "matchLabels": { "io.cilium/app": "operator" } },
                "topologyKey": "kubernetes.io/hostname",
            }] },
        },
        "automountServiceAccountToken": true,
        "containers": [container(parts)],
        "hostNetwork": true,
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-cluster-critical",
        "restartPolicy": "Always",
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "serviceAccountName": OPERATOR.name,
        "tolerations": [
            exists("node-role.kubernetes.io/control-plane"),
            exists("node-role.kubernetes.io/master"),
            exists("node.kubernetes.io/not-ready"),
            exists("node.cloudprovider.kubernetes.io/uninitialized"),
            exists("node.cilium.io/agent-not-ready"),
        ],
        "volumes": [{ "name": "cilium-config-path", "configMap": { "name": CONFIG } }],
    })
}

fn container(parts: &Parts<'_>) -> Value {
    let probe = |mut times: Value| {
        times["httpGet"] =
            json!({ "host": "127.0.0.1", "path": "/healthz", "port": OPERATOR_HEALTH, "scheme": "HTTP" });
        times
    };
    let mut environment = vec![
        own("K8S_NODE_NAME", "spec.nodeName"),
        own("CILIUM_K8S_NAMESPACE", "metadata.namespace"),
        configured("CILIUM_DEBUG", "debug"),
    ];
    environment.extend(parts.api());
    let mut container = json!({
        "name": NAME,
        "image": parts.image("operator"),
        "imagePullPolicy": "IfNotPresent",
        "command": [NAME],
        "args": [format!("--config-dir={CONFIG_DIRECTORY}"), "--debug=$(CILIUM_DEBUG)"],
        "env": environment,
        "resources": parts.requests(),
        "livenessProbe": probe(json!({ "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 3 })),
        "readinessProbe": probe(json!({
            "initialDelaySeconds": 0, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 5,
        })),
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{ "name": "cilium-config-path", "mountPath": CONFIG_DIRECTORY, "readOnly": true }],
    });
    if parts.settings.enable_prometheus_metrics == Some(true) {
        let port = OPERATOR_METRICS;
        container["ports"] =
            json!([{ "name": "prometheus", "containerPort": port, "hostPort": port, "protocol": "TCP" }]);
    }
    container
}

//! The metrics server, which lets `kubectl top` and horizontal autoscalers see what pods use: what kops installs
//! (`upup/models/cloudup/resources/addons/metrics-server.addons.k8s.io`).

use serde_json::{Value, json};

use super::parts::{Account, disruption_budget, metadata, role, rule};
use super::release::AddonRelease;
use super::{Addon, AddonError, REGISTRY, SYSTEM};
use crate::manifest::CompletedCluster;

const NAME: &str = "metrics-server.addons.k8s.io";
const SERVER: &str = "metrics-server";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: SERVER };
const GROUP: &str = "metrics.k8s.io";
/// Its pods have addresses of their own, so that it is not in the kubelet's way.
const PORT: u16 = 10250;

/// The add-on; none unless `spec.metricsServer.enabled` is on.
pub(super) fn addon(completed: &CompletedCluster) -> Result<Option<Addon>, AddonError> {
    let settings = completed.cluster.spec.metrics_server.as_ref();
    let Some(settings) = settings.filter(|settings| settings.enabled == Some(true)) else { return Ok(None) };
    let release = AddonRelease::of(completed.kubernetes_version()?);
    let default = format!("{REGISTRY}/metrics-server/metrics-server:{}", release.metrics_server);
    let image = settings.image.clone().unwrap_or(default);
    let reader = [rule(GROUP, &["pods", "nodes"], &["get", "list", "watch"])];
    let mut aggregated = role("ClusterRole", metadata("system:aggregated-metrics-reader", None), &reader);
    aggregated["metadata"]["labels"] = json!({
        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
        "rbac.authorization.k8s.io/aggregate-to-view": "true",
    });
    let rules =
        [rule("", &["nodes/metrics"], &["get"]), rule("", &["pods", "nodes"], &["get", "list", "watch"])];
    let mut objects = vec![ACCOUNT.object(), aggregated];
    objects.extend(ACCOUNT.cluster_role("system:metrics-server", &rules));
    objects.extend([
        ACCOUNT.given_role("metrics-server-auth-reader", "extension-apiserver-authentication-reader"),
        ACCOUNT.given_cluster_role("metrics-server:system:auth-delegator", "system:auth-delegator"),
        service(),
        deployment(&image),
        disruption_budget(release.policy, SERVER, json!({ "minAvailable": 1 }), &labels()),
        api_service(),
    ]);
    Ok(Some(Addon::new(NAME, objects)))
}

fn labels() -> Value {
    json!({ "k8s-app": SERVER })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(SERVER, Some(SYSTEM)),
        "spec": {
            "ports": [{ "appProtocol": "https", "name": "https", "port": 443, "protocol": "TCP", "targetPort": "https" }],
            "selector": labels(),
        },
    })
}

/// Tells the API server who answers for the group. Its certificate is its own: the API server proves itself to it, and what
/// it says is no secret.
fn api_service() -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": metadata("v1beta1.metrics.k8s.io", None),
        "spec": {
            "group": GROUP,
            "groupPriorityMinimum": 100,
            "insecureSkipTLSVerify": true,
            "service": { "name": SERVER, "namespace": SYSTEM },
            "version": "v1beta1",
            "versionPriority": 100,
        },
    })
}

fn deployment(image: &str) -> Value {
    let probe = |path: &str| json!({ "path": path, "port": "https", "scheme": "HTTPS" });
    let spread = |key: &str, otherwise: &str| {
        json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": otherwise,
            "labelSelector": { "matchLabels": labels() },
        })
    };
    let container = json!({
        "name": SERVER,
        "image": image,
        "args": [
            format!("--secure-port={PORT}"),
            "--kubelet-use-node-status-port",
            "--metric-resolution=15s",
            // Names of machines are not everywhere resolved.
            "--kubelet-preferred-address-types=InternalIP",
            "--cert-dir=/tmp",
            "--kubelet-insecure-tls",
        ],
        "livenessProbe": { "failureThreshold": 3, "httpGet": probe("/livez"), "periodSeconds": 10 },
        "readinessProbe": {
            "failureThreshold": 3,
            "httpGet": probe("/readyz"),
            "initialDelaySeconds": 20,
            "periodSeconds": 10,
        },
        "ports": [{ "containerPort": PORT, "name": "https", "protocol": "TCP" }],
        "resources": { "requests": { "cpu": "100m", "memory": "200Mi" } },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
    });
    let pod = json!({
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": SERVER,
        "topologySpreadConstraints": [
            spread("topology.kubernetes.io/zone", "ScheduleAnyway"),
            spread("kubernetes.io/hostname", "DoNotSchedule"),
        ],
        "containers": [container],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(SERVER, Some(SYSTEM)),
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": labels() },
            "template": { "metadata": { "labels": labels() }, "spec": pod },
        },
    })
}

//! CoreDNS, by which pods find services: what kops and kubeadm install, with the settings of `spec.kubeDNS`.

use serde_json::{Value, json};

use super::certificates::nth;
use super::objects::{MANAGED_BY, RBAC};
use super::{Context, RenderError};

const REGISTRY: &str = "registry.k8s.io";
const SYSTEM: &str = "kube-system";
const COREDNS: &str = "coredns";
/// Clients know the service by its old name.
const SERVICE: &str = "kube-dns";

/// The objects; none where `spec.kubeDNS.enabled` is off.
pub(super) fn objects(context: &Context<'_>) -> Result<Vec<Value>, RenderError> {
    let settings = &context.config.dns;
    if settings.get("enabled") == Some(&Value::Bool(false)) {
        return Ok(Vec::new());
    }
    let services = context.config.networks.services.ok_or_else(|| context.missing("networks.services"))?;
    let domain = &context.config.networks.cluster_domain;
    let corefile = settings.get("externalCoreFile").cloned().unwrap_or_else(|| corefile(domain).into());
    let subject = json!({ "kind": "ServiceAccount", "name": COREDNS, "namespace": SYSTEM });
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
    Ok(vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(COREDNS, Some(SYSTEM)) }),
        json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": "ClusterRole",
            "metadata": metadata("system:coredns", None),
            "rules": [
                rule("", &["endpoints", "services", "pods", "namespaces"], &["list", "watch"]),
                rule("", &["nodes"], &["get"]),
                rule("discovery.k8s.io", &["endpointslices"], &["list", "watch"]),
            ],
        }),
        json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": "ClusterRoleBinding",
            "metadata": metadata("system:coredns", None),
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": "system:coredns" },
            "subjects": [subject],
        }),
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(COREDNS, Some(SYSTEM)),
            "data": { "Corefile": corefile },
        }),
        deployment(context),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(SERVICE, Some(SYSTEM)),
            "spec": {
                "clusterIP": nth(services, 10).to_string(),
                "selector": { "k8s-app": SERVICE },
                "ports": [
                    { "name": "dns", "port": 53, "protocol": "UDP" },
                    { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
                    { "name": "metrics", "port": 9153, "protocol": "TCP" },
                ],
            },
        }),
    ])
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let (key, value) = MANAGED_BY;
    let mut metadata = json!({
        "name": name,
        "labels": { key: value, "k8s-app": SERVICE, "kubernetes.io/name": "CoreDNS" },
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

/// As kops's (`upup/models/cloudup/resources/addons/coredns.addons.k8s.io`).
fn corefile(domain: &str) -> String {
    format!(
        ".:53 {{
    errors
    health {{
      lameduck 5s
    }}
    ready
    kubernetes {domain}. in-addr.arpa ip6.arpa {{
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
      ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
      max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"
    )
}

fn deployment(context: &Context<'_>) -> Value {
    let setting = |name: &str, default: &str| {
        context.config.dns.get(name).cloned().unwrap_or_else(|| Value::from(default))
    };
    let image = setting("coreDNSImage", &format!("{REGISTRY}/{}", context.release.coredns));
    let labels = json!({ "k8s-app": SERVICE });
    let apart = json!({
        "weight": 100,
        "podAffinityTerm": { "labelSelector": { "matchLabels": labels }, "topologyKey": "kubernetes.io/hostname" },
    });
    let probe = |path: &str, port: u16| json!({ "httpGet": { "path": path, "port": port } });
    let container = json!({
        "name": COREDNS,
        "image": image,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {
            "limits": { "memory": setting("memoryLimit", "170Mi") },
            "requests": { "cpu": setting("cpuRequest", "100m"), "memory": setting("memoryRequest", "70Mi") },
        },
        "volumeMounts": [{ "name": "config", "mountPath": "/etc/coredns", "readOnly": true }],
        "ports": [
            { "name": "dns", "containerPort": 53, "protocol": "UDP" },
            { "name": "dns-tcp", "containerPort": 53, "protocol": "TCP" },
            { "name": "metrics", "containerPort": 9153, "protocol": "TCP" },
        ],
        "livenessProbe": probe("/health", 8080),
        "readinessProbe": probe("/ready", 8181),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "add": ["NET_BIND_SERVICE"], "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
    });
    let pod = json!({
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": COREDNS,
        "dnsPolicy": "Default",
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "tolerations": [{ "key": "CriticalAddonsOnly", "operator": "Exists" }],
        "affinity": {
            "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [apart] },
        },
        "containers": [container],
        "volumes": [{ "name": "config", "configMap": { "name": COREDNS } }],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(COREDNS, Some(SYSTEM)),
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": labels },
            "strategy": { "rollingUpdate": { "maxUnavailable": 1 } },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}

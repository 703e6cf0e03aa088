//! CoreDNS, by which pods find services: what kops and kubeadm install, with the settings of `spec.kubeDNS`.

use serde_json::{Value, json};

use super::parts::{Account, metadata, rule};
use super::release::AddonRelease;
use super::{Addon, AddonError, REGISTRY, SYSTEM};
use crate::manifest::ranges::{CLUSTER_DNS, nth};
use crate::manifest::{CompletedCluster, Settings};

const NAME: &str = "coredns.addons.k8s.io";
const COREDNS: &str = "coredns";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: COREDNS };
/// Clients know the service by its old name.
const SERVICE: &str = "kube-dns";

/// The add-on; none where `spec.kubeDNS.enabled` is off.
pub(super) fn addon(completed: &CompletedCluster) -> Result<Option<Addon>, AddonError> {
    let spec = &completed.cluster.spec;
    let none = Settings::default();
    let settings = spec.kube_dns.as_ref().unwrap_or(&none);
    if settings.get("enabled") == Some(&Value::Bool(false)) {
        return Ok(None);
    }
    let missing = AddonError::Missing { addon: NAME, field: "spec.serviceClusterIPRange" };
    let services = spec.service_cluster_ip_range.ok_or(missing)?;
    let domain = spec.cluster_dns_domain.as_deref().unwrap_or_default();
    let corefile = settings.get("externalCoreFile").cloned().unwrap_or_else(|| corefile(domain).into());
    let rules = [
        rule("", &["endpoints", "services", "pods", "namespaces"], &["list", "watch"]),
        rule("", &["nodes"], &["get"]),
        rule("discovery.k8s.io", &["endpointslices"], &["list", "watch"]),
    ];
    let mut objects = vec![ACCOUNT.object()];
    objects.extend(ACCOUNT.cluster_role("system:coredns", &rules));
    objects.extend([
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(COREDNS, Some(SYSTEM)),
            "data": { "Corefile": corefile },
        }),
        deployment(settings, AddonRelease::of(completed.kubernetes_version()?)),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(SERVICE, Some(SYSTEM)),
            "spec": {
                "clusterIP": nth(services, CLUSTER_DNS).to_string(),
                "selector": { "k8s-app": SERVICE },
                "ports": [
                    { "name": "dns", "port": 53, "protocol": "UDP" },
                    { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
                    { "name": "metrics", "port": 9153, "protocol": "TCP" },
                ],
            },
        }),
    ]);
    for object in &mut objects {
        object["metadata"]["labels"] = json!({ "k8s-app": SERVICE, "kubernetes.io/name": "CoreDNS" });
    }
    Ok(Some(Addon::new(NAME, objects)))
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

fn deployment(settings: &Settings, release: &AddonRelease) -> Value {
    let setting =
        |name: &str, default: &str| settings.get(name).cloned().unwrap_or_else(|| Value::from(default));
    let image = setting("coreDNSImage", &format!("{REGISTRY}/{}", release.coredns));
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

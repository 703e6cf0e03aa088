//! A cache of names on every machine (NodeLocal DNSCache), which pods ask instead of CoreDNS: what kops installs
//! (`upup/models/cloudup/resources/addons/nodelocaldns.addons.k8s.io`). Kubelets give pods its address.

use serde_json::{Value, json};

use super::coredns::SERVICE;
use super::parts::{Account, metadata};
use super::{Addon, AddonError, REGISTRY, SYSTEM};
use crate::manifest::ranges::{CLUSTER_DNS, nth};
use crate::manifest::{CompletedCluster, NodeLocalDns};

const NAME: &str = "nodelocaldns.addons.k8s.io";
const CACHE: &str = "node-local-dns";
const UPSTREAM: &str = "kube-dns-upstream";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: CACHE };
/// It works with every version of Kubernetes that is supported.
const VERSION: &str = "1.26.0";
/// Where its health is asked, on the machine.
pub(super) const HEALTH: u16 = 3989;

/// The add-on; none unless `spec.kubeDNS.nodeLocalDNS.enabled` is on.
pub(super) fn addon(completed: &CompletedCluster) -> Result<Option<Addon>, AddonError> {
    let spec = &completed.cluster.spec;
    let Some(settings) = spec.kube_dns.as_ref().and_then(|dns| dns.cache()) else { return Ok(None) };
    let missing = AddonError::Missing { addon: NAME, field: "spec.serviceClusterIPRange" };
    let core = nth(spec.service_cluster_ip_range.ok_or(missing)?, CLUSTER_DNS).to_string();
    let domain = spec.cluster_dns_domain.as_deref().unwrap_or_default();
    let corefile = settings.external_core_file.clone().unwrap_or_else(|| corefile(settings, domain, &core));
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(CACHE, Some(SYSTEM)),
        "data": { "Corefile": corefile },
    });
    Ok(Some(Addon::new(NAME, vec![ACCOUNT.object(), upstream(), config, daemon_set(settings)])))
}

/// CoreDNS under another name and address, so that what the cache asks does not come back to it.
fn upstream() -> Value {
    let port = |name: &str, protocol: &str| json!({ "name": name, "port": 53, "protocol": protocol, "targetPort": 53 });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(UPSTREAM, Some(SYSTEM)),
        "spec": { "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")], "selector": { "k8s-app": SERVICE } },
    })
}

fn corefile(settings: &NodeLocalDns, domain: &str, core: &str) -> String {
    let address = settings.address();
    let to_core = format!("    forward . {core} {{\n      force_tcp\n    }}\n");
    let zone = |zone: &str, cache: &str, forward: &str, more: &str| {
        format!(
            "{zone}:53 {{\n    errors\n    {cache}\n    reload\n    loop\n    bind {address}\n{forward}    prometheus :9253\n{more}}}\n"
        )
    };
    let long = "cache {\n      success 9984 30\n      denial 9984 5\n    }";
    let health = format!("    health {address}:{HEALTH}\n");
    let mut text = zone(domain, long, &to_core, &health);
    if settings.forward_to_kube_dns == Some(true) {
        text += &zone(".", "cache 30", &to_core, "");
    } else {
        text += &zone("in-addr.arpa", "cache 30", &to_core, "");
        text += &zone("ip6.arpa", "cache 30", &to_core, "");
        // The cache puts the servers of the machine in the place of that word.
        text += &zone(".", "cache 30", "    forward . __PILLAR__UPSTREAM__SERVERS__\n", "");
    }
    text + settings.additional_config.as_deref().unwrap_or_default()
}

fn daemon_set(settings: &NodeLocalDns) -> Value {
    let labels = json!({ "k8s-app": CACHE });
    let or = |setting: &Option<String>, default: &str| setting.clone().unwrap_or_else(|| default.to_owned());
    let mut annotations = json!({ "prometheus.io/port": "9253", "prometheus.io/scrape": "true" });
    for (key, value) in &settings.pod_annotations {
        annotations[key] = json!(value);
    }
    let port = |name: &str, number: u16, protocol: &str| json!({ "name": name, "containerPort": number, "protocol": protocol });
    let container = json!({
        "name": "node-cache",
        "image": or(&settings.image, &format!("{REGISTRY}/dns/k8s-dns-node-cache:{VERSION}")),
        "resources": {
            "requests": { "cpu": or(&settings.cpu_request, "25m"), "memory": or(&settings.memory_request, "5Mi") },
        },
        "args": [
            format!("-localip={}", settings.address()),
            "-conf=/etc/Corefile",
            format!("-upstreamsvc={UPSTREAM}"),
            "-setupiptables=false",
        ],
        "securityContext": { "capabilities": { "add": ["NET_ADMIN"] } },
        "ports": [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9253, "TCP")],
        "livenessProbe": {
            "httpGet": { "host": settings.address(), "path": "/health", "port": HEALTH },
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
        },
        "volumeMounts": [
            { "name": "xtables-lock", "mountPath": "/run/xtables.lock" },
            { "name": "config", "mountPath": "/etc/coredns" },
            { "name": "kube-dns-config", "mountPath": "/etc/kube-dns" },
        ],
    });
    let pod = json!({
        "priorityClassName": "system-node-critical",
        "serviceAccountName": CACHE,
        "hostNetwork": true,
        "dnsPolicy": "Default",
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "tolerations": [
            { "key": "CriticalAddonsOnly", "operator": "Exists" },
            { "effect": "NoExecute", "operator": "Exists" },
            { "effect": "NoSchedule", "operator": "Exists" },
        ],
        "containers": [container],
        "volumes": [
            { "name": "xtables-lock", "hostPath": { "path": "/run/xtables.lock", "type": "FileOrCreate" } },
            { "name": "kube-dns-config", "configMap": { "name": SERVICE, "optional": true } },
            {
                "name": "config",
                "configMap": { "name": CACHE, "items": [{ "key": "Corefile", "path": "Corefile.base" }] },
            },
        ],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(CACHE, Some(SYSTEM)),
        "spec": {
            // Names are not resolved on a machine while its cache restarts: machines get a new one as they are replaced.
            "updateStrategy": { "type": "OnDelete" },
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels, "annotations": annotations }, "spec": pod },
        },
    })
}

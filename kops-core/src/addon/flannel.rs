//! Flannel, which connects pods by tunnels between machines: what kops installs
//! (`upup/models/cloudup/resources/addons/networking.flannel`), with the settings of `spec.networking.flannel`.

use serde_json::{Value, json};

use super::parts::{Account, metadata, rule};
use super::{Addon, AddonError};
use crate::manifest::{CompletedCluster, Networking, Settings};

const NAME: &str = "networking.flannel";
const ACCOUNT: Account<'_> = Account { namespace: "kube-flannel", name: "flannel" };
const CONFIG: &str = "kube-flannel-cfg";
/// They work with every version of Kubernetes that is supported.
const IMAGE: &str = "ghcr.io/flannel-io/flannel:v0.28.9";
const PLUGIN_IMAGE: &str = "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3";
/// Where containerd looks for plugins and networks.
const PLUGINS: &str = "/opt/cni/bin";
const NETWORKS: &str = "/etc/cni/net.d";
const HEALTH: u16 = 8081;

/// The add-on; none where pods are connected otherwise.
pub(super) fn addon(completed: &CompletedCluster) -> Result<Option<Addon>, AddonError> {
    let spec = &completed.cluster.spec;
    let Some(Networking::Flannel(settings)) = &spec.networking else { return Ok(None) };
    let missing = AddonError::Missing { addon: NAME, field: "spec.nonMasqueradeCIDR" };
    // What goes elsewhere goes by the address of the node.
    let network = spec.non_masquerade_cidr.ok_or(missing)?;
    let setting = |name: &str, default: Value| settings.get(name).cloned().unwrap_or(default);
    let net = json!({
        "Network": network,
        "EnableNFTables": false,
        "Backend": { "Type": setting("backend", json!("vxlan")) },
    });
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": ACCOUNT.namespace,
            "labels": { "pod-security.kubernetes.io/enforce": "privileged" },
        },
    });
    let rules = [
        rule("", &["pods"], &["get"]),
        rule("", &["nodes"], &["get", "list", "watch"]),
        rule("", &["nodes/status"], &["patch"]),
    ];
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(CONFIG, Some(ACCOUNT.namespace)),
        "data": { "cni-conf.json": format!("{:#}\n", cni()), "net-conf.json": format!("{net:#}\n") },
    });
    let mut objects = vec![namespace, ACCOUNT.object()];
    objects.extend(ACCOUNT.cluster_role("flannel", &rules));
    objects.extend([config, daemon_set(settings)]);
    Ok(Some(Addon::new(NAME, objects)))
}

fn cni() -> Value {
    json!({
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            { "type": "flannel", "delegate": { "hairpinMode": true, "isDefaultGateway": true } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

fn daemon_set(settings: &Settings) -> Value {
    let labels = json!({ "app": "flannel", "tier": "node" });
    let resync = settings.get("iptablesResyncSeconds").and_then(Value::as_u64).unwrap_or(5);
    let host = |name: &str, path: &str| json!({ "name": name, "hostPath": { "path": path } });
    let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path });
    let own = |field: &str| json!({ "fieldRef": { "fieldPath": format!("metadata.{field}") } });
    let probe = |path: &str, delay: u32, period: u32| {
        json!({
            "httpGet": { "path": path, "port": HEALTH },
            "initialDelaySeconds": delay,
            "periodSeconds": period,
        })
    };
    let plugin = json!({
        "name": "install-cni-plugin",
        "image": PLUGIN_IMAGE,
        "command": ["cp"],
        "args": ["-f", "/flannel", format!("{PLUGINS}/flannel")],
        "volumeMounts": [mount("cni-plugin", PLUGINS)],
    });
    let network = json!({
        "name": "install-cni",
        "image": IMAGE,
        "command": ["/opt/bin/install-conf"],
        "args": ["/etc/kube-flannel/cni-conf.json", format!("{NETWORKS}/10-flannel.conflist")],
        "volumeMounts": [mount("cni", NETWORKS), mount("config", "/etc/kube-flannel")],
    });
    let flannel = json!({
        "name": "kube-flannel",
        "image": IMAGE,
        "command": ["/opt/bin/flanneld"],
        "args": [
            "--ip-masq",
            "--kube-subnet-mgr",
            format!("--iptables-resync={resync}"),
            format!("--healthz-port={HEALTH}"),
        ],
        "env": [
            { "name": "POD_NAME", "valueFrom": own("name") },
            { "name": "POD_NAMESPACE", "valueFrom": own("namespace") },
            { "name": "EVENT_QUEUE_DEPTH", "value": "5000" },
            { "name": "CONT_WHEN_CACHE_NOT_READY", "value": "false" },
        ],
        "livenessProbe": probe("/healthz", 10, 30),
        "readinessProbe": probe("/readyz", 5, 10),
        "resources": { "requests": { "cpu": "100m", "memory": "50Mi" } },
        "securityContext": { "privileged": false, "capabilities": { "add": ["NET_ADMIN", "NET_RAW"] } },
        "volumeMounts": [
            mount("run", "/run/flannel"),
            mount("config", "/etc/kube-flannel"),
            mount("xtables-lock", "/run/xtables.lock"),
        ],
    });
    let pod = json!({
        "hostNetwork": true,
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-node-critical",
        "serviceAccountName": ACCOUNT.name,
        // It makes nodes ready, so it cannot wait for that.
        "tolerations": [{ "operator": "Exists", "effect": "NoSchedule" }],
        "initContainers": [plugin, network],
        "containers": [flannel],
        "volumes": [
            host("run", "/run/flannel"),
            host("cni-plugin", PLUGINS),
            host("cni", NETWORKS),
            { "name": "config", "configMap": { "name": CONFIG } },
            { "name": "xtables-lock", "hostPath": { "path": "/run/xtables.lock", "type": "FileOrCreate" } },
        ],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata("kube-flannel-ds", Some(ACCOUNT.namespace)),
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}

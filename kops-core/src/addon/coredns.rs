//! CoreDNS, by which pods find services: what kops and kubeadm install, with the settings of `spec.kubeDNS`.

use serde_json::{Value, json};

use super::parts::{Account, disruption_budget, metadata, rule};
use super::release::AddonRelease;
use super::{Addon, AddonError, REGISTRY, SYSTEM};
use crate::manifest::ranges::{CLUSTER_DNS, nth};
use crate::manifest::{CompletedCluster, KubeDns};

const NAME: &str = "coredns.addons.k8s.io";
const COREDNS: &str = "coredns";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: COREDNS };
/// Clients know the service by its old name.
pub(super) const SERVICE: &str = "kube-dns";
/// It works with every version of Kubernetes that is supported.
const PROPORTIONAL_AUTOSCALER: &str = "cpa/cluster-proportional-autoscaler:v1.9.0";

/// The add-on; none where `spec.kubeDNS.enabled` is off.
pub(super) fn addon(completed: &CompletedCluster) -> Result<Option<Addon>, AddonError> {
    let spec = &completed.cluster.spec;
    let none = KubeDns::default();
    let settings = spec.kube_dns.as_ref().unwrap_or(&none);
    if settings.enabled == Some(false) {
        return Ok(None);
    }
    let missing = AddonError::Missing { addon: NAME, field: "spec.serviceClusterIPRange" };
    let services = spec.service_cluster_ip_range.ok_or(missing)?;
    let domain = spec.cluster_dns_domain.as_deref().unwrap_or_default();
    let corefile = settings.external_core_file.clone().unwrap_or_else(|| corefile(settings, domain));
    let release = AddonRelease::of(completed.kubernetes_version()?);
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
        deployment(settings, release),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(SERVICE, Some(SYSTEM)),
            "spec": {
                "clusterIP": nth(services, CLUSTER_DNS).to_string(),
                "selector": labels(),
                "ports": [
                    { "name": "dns", "port": 53, "protocol": "UDP" },
                    { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
                    { "name": "metrics", "port": 9153, "protocol": "TCP" },
                ],
            },
        }),
        disruption_budget(release.policy, SERVICE, json!({ "maxUnavailable": "33%" }), &labels()),
    ]);
    for object in &mut objects {
        object["metadata"]["labels"] = json!({ "k8s-app": SERVICE, "kubernetes.io/name": "CoreDNS" });
    }
    objects.extend(autoscaler(settings));
    Ok(Some(Addon::new(NAME, objects)))
}

fn labels() -> Value {
    json!({ "k8s-app": SERVICE })
}

/// As kops's (`upup/models/cloudup/resources/addons/coredns.addons.k8s.io`), with a server of its own for each stub domain.
fn corefile(settings: &KubeDns, domain: &str) -> String {
    let upstream = match settings.upstream_nameservers.as_slice() {
        [] => "/etc/resolv.conf".to_owned(),
        servers => servers.join(" "),
    };
    let mut text = format!(
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
    forward . {upstream} {{
      max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"
    );
    for (stub, servers) in &settings.stub_domains {
        let servers = servers.join(" ");
        text += &format!("{stub}:53 {{\n    errors\n    cache 30\n    loop\n    forward . {servers}\n}}\n");
    }
    text
}

/// What the manifest says of where pods of the cluster's DNS may run.
fn place(settings: &KubeDns, pod: &mut Value) {
    pod["tolerations"] = match settings.tolerations.as_slice() {
        [] => json!([{ "key": "CriticalAddonsOnly", "operator": "Exists" }]),
        tolerations => json!(tolerations),
    };
    if let Some(affinity) = &settings.affinity {
        pod["affinity"] = affinity.clone();
    }
}

fn deployment(settings: &KubeDns, release: &AddonRelease) -> Value {
    let or = |setting: &Option<String>, default: &str| setting.clone().unwrap_or_else(|| default.to_owned());
    let apart = json!({
        "weight": 100,
        "podAffinityTerm": { "labelSelector": { "matchLabels": labels() }, "topologyKey": "kubernetes.io/hostname" },
    });
    let probe = |path: &str, port: u16| json!({ "httpGet": { "path": path, "port": port } });
    let container = json!({
        "name": COREDNS,
        "image": or(&settings.core_dns_image, &format!("{REGISTRY}/{}", release.coredns)),
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {
            "limits": { "memory": or(&settings.memory_limit, "170Mi") },
            "requests": { "cpu": or(&settings.cpu_request, "100m"), "memory": or(&settings.memory_request, "70Mi") },
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
    let mut pod = json!({
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": COREDNS,
        "dnsPolicy": "Default",
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "affinity": {
            "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [apart] },
        },
        "containers": [container],
        "volumes": [{ "name": "config", "configMap": { "name": COREDNS } }],
    });
    place(settings, &mut pod);
    let mut template = json!({ "labels": labels() });
    if !settings.pod_annotations.is_empty() {
        template["annotations"] = json!(settings.pod_annotations);
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(COREDNS, Some(SYSTEM)),
        // How many pods there are is the autoscaler's to say.
        "spec": {
            "selector": { "matchLabels": labels() },
            "strategy": { "rollingUpdate": { "maxUnavailable": 1 } },
            "template": { "metadata": template, "spec": pod },
        },
    })
}

/// Gives CoreDNS a pod more for each 16 machines or 256 processors, and never less than two where there are two machines.
fn autoscaler(settings: &KubeDns) -> Vec<Value> {
    const SCALER: &str = "coredns-autoscaler";
    const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: SCALER };
    let image = settings.cpa_image.clone().unwrap_or_else(|| format!("{REGISTRY}/{PROPORTIONAL_AUTOSCALER}"));
    let nodes = [rule("", &["nodes"], &["list", "watch"])];
    let own = [
        rule("apps", &["deployments/scale"], &["get", "update"]),
        rule("", &["configmaps"], &["get", "create"]),
    ];
    let labels = json!({ "k8s-app": SCALER });
    let mut pod = json!({
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": SCALER,
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "containers": [{
            "name": "autoscaler",
            "image": image,
            "resources": { "requests": { "cpu": "20m", "memory": "10Mi" } },
            "command": [
                "/cluster-proportional-autoscaler",
                format!("--namespace={SYSTEM}"),
                format!("--configmap={SCALER}"),
                format!("--target=Deployment/{COREDNS}"),
                r#"--default-params={"linear":{"coresPerReplica":256,"nodesPerReplica":16,"preventSinglePointFailure":true}}"#,
                "--logtostderr=true",
                "--v=2",
            ],
        }],
    });
    place(settings, &mut pod);
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(SCALER, Some(SYSTEM)),
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    });
    let mut objects = vec![ACCOUNT.object()];
    objects.extend(ACCOUNT.cluster_role(SCALER, &nodes));
    objects.extend(ACCOUNT.role(SCALER, &own));
    objects.push(deployment);
    objects
}

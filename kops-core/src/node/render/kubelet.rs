use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::certificates::{self, PKI, crt, key};
use super::control_plane::kubeconfig;
use super::unit::Service;
use super::{Context, File, KUBELET_CREDENTIAL, NodePlan, RenderError, Start, program};
use crate::flags::{Flags, SettingError};
use crate::manifest::Settings;
use crate::manifest::ranges::{CLUSTER_DNS, nth};

const KUBECONFIG: &str = "/etc/kubernetes/kubelet.kubeconfig";
const CONFIG: &str = "/etc/kubernetes/kubelet.yaml";
const SOCKET: &str = "unix:///run/containerd/containerd.sock";
const PROXY_CONFIG: &str = "/etc/kubernetes/kube-proxy.yaml";

/// Where settings of kops's manifests are in the kubelet's configuration, if elsewhere than by their own name.
const PLACES: [(&str, &str); 6] = [
    ("anonymousAuth", "authentication.anonymous.enabled"),
    ("authenticationTokenWebhook", "authentication.webhook.enabled"),
    ("authorizationMode", "authorization.mode"),
    ("clientCaFile", "authentication.x509.clientCAFile"),
    ("experimentalAllowedUnsafeSysctls", "allowedUnsafeSysctls"),
    ("podManifestPath", "staticPodPath"),
];

/// Settings that are acted on elsewhere, or whose flag is gone.
const NOT_CONFIGURATION: [&str; 14] = [
    "allowPrivileged",
    "cloudProvider",
    "hostnameOverride",
    "kubeconfigPath",
    "logLevel",
    "networkPluginMTU",
    "networkPluginName",
    "nodeLabels",
    "nonMasqueradeCIDR",
    "podInfraContainerImage",
    "registerSchedulable",
    "requireKubeconfig",
    "runtimeRequestTimeout",
    "taints",
];

/// Who makes the control groups of pods: the kubelet and containerd must agree.
pub(super) fn cgroup_driver<'a>(context: &Context<'a>) -> &'a str {
    context.config.kubelet.get("cgroupDriver").and_then(Value::as_str).unwrap_or("systemd")
}

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    plan.programs.push("kubelet".to_owned());
    certificates::authority(plan);
    plan.files.push(File::public(CONFIG, crate::yaml::write(&configuration(context)?)?));
    let (crt, key) = match context.is_control_plane() {
        true => (crt("kubelet"), key("kubelet")),
        false => (KUBELET_CREDENTIAL.to_owned(), KUBELET_CREDENTIAL.to_owned()),
    };
    let contents = kubeconfig(context, &crt, &key)?.into_bytes();
    plan.files.push(File { path: KUBECONFIG.to_owned(), mode: 0o600, contents });
    plan.units.push(service(context).into());
    // Some network plugins stand in for the kube-proxy.
    if context.config.kube_proxy.get("enabled") == Some(&Value::Bool(false)) {
        return Ok(());
    }
    plan.programs.push("kube-proxy".to_owned());
    plan.files.push(File::public(PROXY_CONFIG, crate::yaml::write(&proxy(context)?)?));
    plan.units.push(proxy_service(context).into());
    Ok(())
}

fn taints(context: &Context<'_>) -> Vec<String> {
    let mut taints = context.config.taints.clone();
    let own = context.release.control_plane_taint;
    if context.is_control_plane() && !taints.iter().any(|taint| taint.starts_with(own)) {
        taints.push(format!("{own}=:NoSchedule"));
    }
    taints
}

/// The labels that a kubelet may give its own node (admission plug-in `NodeRestriction`); the others are the control
/// plane's to give.
fn own_labels(context: &Context<'_>) -> BTreeMap<String, String> {
    let machine = context.machine;
    let mut labels = BTreeMap::from([
        ("node.kubernetes.io/instance-type".to_owned(), machine.machine_type.clone()),
        ("topology.kubernetes.io/region".to_owned(), machine.region.clone()),
        ("topology.kubernetes.io/zone".to_owned(), machine.zone.clone()),
    ]);
    let domain = |label: &str| label.split_once('/').map(|(domain, _)| domain.to_owned()).unwrap_or_default();
    let is_kubernetes = |domain: &str| {
        ["kubernetes.io", "k8s.io"].iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}")))
    };
    let own = context.config.labels.iter().filter(|(label, _)| !is_kubernetes(&domain(label)));
    labels.extend(own.map(|(label, value)| (label.clone(), value.clone())));
    labels
}

fn service(context: &Context<'_>) -> Service<'static> {
    let machine = context.machine;
    let labels: Vec<String> =
        own_labels(context).iter().map(|(label, value)| format!("{label}={value}")).collect();
    let mut flags = Flags::new(
        "kubelet",
        [
            ("config", CONFIG.to_owned()),
            ("hostname-override", machine.id.clone()),
            ("kubeconfig", KUBECONFIG.to_owned()),
            ("node-ip", machine.address.to_string()),
            ("node-labels", labels.join(",")),
            ("v", text(context.config.kubelet.get("logLevel")).unwrap_or_else(|| "2".to_owned())),
        ],
    );
    let mut inputs = vec![CONFIG.to_owned(), KUBECONFIG.to_owned(), crt(certificates::CA)];
    if context.is_control_plane() {
        let pairs = ["kubelet", certificates::KUBELET_SERVER];
        inputs.extend(pairs.iter().flat_map(|name| [crt(name), key(name)]));
    } else {
        flags.set("cert-dir", "/var/lib/kubelet/pki");
    }
    if !context.release.kubelet_file_is_complete {
        flags.set("container-runtime", "remote");
        flags.set("container-runtime-endpoint", SOCKET);
        flags.set("provider-id", machine.provider_id.clone());
        let taints = taints(context);
        if !taints.is_empty() {
            flags.set("register-with-taints", taints.join(","));
        }
    }
    Service {
        name: "kubelet",
        description: "Kubernetes kubelet",
        command: flags.command(&program("kubelet")),
        service: vec!["KillMode=process".to_owned()],
        start: Start::AtBoot,
        inputs,
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn configuration(context: &Context<'_>) -> Result<Value, RenderError> {
    let config = context.config;
    let host = &context.machine.host;
    let services = config.networks.services.ok_or_else(|| context.missing("networks.services"))?;
    let mut tree = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": crt(certificates::CA) },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": cgroup_driver(context),
        "clusterDNS": [nth(services, CLUSTER_DNS).to_string()],
        "clusterDomain": config.networks.cluster_domain,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "10%",
            "imagefs.inodesFree": "5%",
        },
        "failSwapOn": false,
        // A node that has just become ready says so at once instead of after ten seconds.
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "5m0s",
        "resolvConf": host.resolv_conf,
        // The control plane's is renewed where it was issued.
        "rotateCertificates": !context.is_control_plane(),
    });
    // The API server checks what kubelets serve with: workers' are asked for, and approved for their own addresses.
    if context.is_control_plane() {
        tree["tlsCertFile"] = json!(crt(certificates::KUBELET_SERVER));
        tree["tlsPrivateKeyFile"] = json!(key(certificates::KUBELET_SERVER));
    } else {
        tree["serverTLSBootstrap"] = json!(true);
    }
    if !host.may_lower_oom_score {
        tree["oomScoreAdj"] = json!(0);
    }
    if context.release.fail_cgroup_v1 && host.cgroup_v1 {
        tree["failCgroupV1"] = json!(false);
    }
    if context.release.kubelet_file_is_complete {
        tree["containerRuntimeEndpoint"] = json!(SOCKET);
        tree["providerID"] = json!(context.machine.provider_id);
        let taints: Vec<Value> = taints(context).iter().map(|taint| taint_object(taint)).collect();
        if !taints.is_empty() {
            tree["registerWithTaints"] = json!(taints);
        }
    }
    overlay("kubelet", &mut tree, &config.kubelet, &PLACES, &NOT_CONFIGURATION)?;
    Ok(tree)
}

/// `key=value:Effect` as Kubernetes objects have it.
fn taint_object(taint: &str) -> Value {
    let (rest, effect) = taint.rsplit_once(':').unwrap_or((taint, "NoSchedule"));
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    let mut object = json!({ "key": key, "effect": effect });
    if !value.is_empty() {
        object["value"] = json!(value);
    }
    object
}

/// Puts a manifest's settings into a configuration.
fn overlay(
    component: &'static str,
    tree: &mut Value,
    settings: &Settings,
    places: &[(&str, &str)],
    elsewhere: &[&str],
) -> Result<(), RenderError> {
    for (name, value) in &settings.0 {
        if elsewhere.contains(&name.as_str()) {
            continue;
        }
        let place =
            places.iter().find(|(setting, _)| setting == name).map_or(name.as_str(), |(_, place)| place);
        let mut at = &mut *tree;
        for part in place.split('.') {
            if !at.is_object() {
                let reason = "something else is in its place";
                return Err(SettingError { component, setting: name.clone(), reason }.into());
            }
            at = &mut at[part];
        }
        *at = adapted(name, value);
    }
    Ok(())
}

/// A setting as the configuration has it, where the manifest has it as the old flag did.
fn adapted(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("clusterDNS", Value::String(address)) => json!([address]),
        (
            "evictionHard" | "evictionSoft" | "evictionMinimumReclaim" | "evictionSoftGracePeriod",
            Value::String(text),
        ) => {
            let pairs = text.split(',').filter_map(|pair| pair.split_once(['<', '=']));
            Value::Object(pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect::<Map<_, _>>())
        }
        ("featureGates", Value::Object(gates)) => {
            let gates = gates.iter().map(|(gate, value)| {
                let on = value.as_str().and_then(|text| text.parse::<bool>().ok());
                (gate.clone(), on.map_or_else(|| value.clone(), Value::from))
            });
            Value::Object(gates.collect())
        }
        _ => value.clone(),
    }
}

/// Where settings of the kube-proxy are in its configuration, if elsewhere than by their own name.
const PROXY_PLACES: [(&str, &str); 3] = [
    ("conntrackMaxPerCore", "conntrack.maxPerCore"),
    ("conntrackMin", "conntrack.min"),
    ("proxyMode", "mode"),
];
const NOT_PROXY_CONFIGURATION: [&str; 9] = [
    "cpuLimit",
    "cpuRequest",
    "enabled",
    "hostnameOverride",
    "image",
    "logLevel",
    "master",
    "memoryLimit",
    "memoryRequest",
];

/// The kube-proxy calls the API with the kubelet's certificate: nodes are allowed to (see `objects`), and it needs no
/// secret of its own.
fn proxy(context: &Context<'_>) -> Result<Value, RenderError> {
    let mut tree = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": KUBECONFIG },
        "conntrack": { "maxPerCore": 131_072 },
        "hostnameOverride": context.machine.id,
        "mode": "iptables",
        "oomScoreAdj": if context.machine.host.may_lower_oom_score { -998 } else { 0 },
    });
    if let Some(pods) = context.config.networks.pods {
        tree["clusterCIDR"] = json!(pods);
    }
    overlay("kube-proxy", &mut tree, &context.config.kube_proxy, &PROXY_PLACES, &NOT_PROXY_CONFIGURATION)?;
    Ok(tree)
}

fn proxy_service(context: &Context<'_>) -> Service<'static> {
    let level = text(context.config.kube_proxy.get("logLevel")).unwrap_or_else(|| "2".to_owned());
    let flags = Flags::new("kube-proxy", [("config", PROXY_CONFIG.to_owned()), ("v", level)]);
    Service {
        name: "kube-proxy",
        description: "Kubernetes service proxy",
        command: flags.command(&program("kube-proxy")),
        service: Vec::new(),
        start: Start::AtBoot,
        inputs: vec![PROXY_CONFIG.to_owned(), format!("{PKI}/{}.crt", certificates::CA)],
    }
}

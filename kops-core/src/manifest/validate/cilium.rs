//! Settings of Cilium that cannot be, and those that are not carried out yet.

use super::Below;
use crate::manifest::quantity::is_quantity;
use crate::manifest::versions::KubernetesVersion;
use crate::manifest::{Cilium, ClusterSpec};

const PATH: &str = "spec.networking.cilium";
/// The one line of versions that the add-on is made for.
const LINE: &str = "v1.18.";
/// It serves no older one.
const OLDEST: u32 = 21;

/// Nothing is said of what the user brings.
pub(super) fn check(found: &mut Below<'_>, spec: &ClusterSpec, settings: &Cilium) {
    if spec.brings("cilium") {
        return;
    }
    let mode = settings.ingress.as_ref().and_then(|ingress| ingress.default_load_balancer_mode.clone());
    for (field, value, known) in [
        ("encryptionType", &settings.encryption_type, &["ipsec", "wireguard"][..]),
        ("identityAllocationMode", &settings.identity_allocation_mode, &["crd", "kvstore"]),
        ("ingress.defaultLoadBalancerMode", &mode, &["dedicated", "shared"]),
        ("ipam", &settings.ipam, &["crd", "eni", "hostscope", "kubernetes"]),
        ("monitorAggregation", &settings.monitor_aggregation, &["low", "maximum", "medium"]),
        (
            "toFqdnsDnsRejectResponseCode",
            &settings.to_fqdns_dns_reject_response_code,
            &["nameError", "refused"],
        ),
        ("tunnel", &settings.tunnel, &["disabled", "geneve", "vxlan"]),
    ] {
        if let Some(value) = value
            && !known.contains(&value.as_str())
        {
            let hint = format!("write one of {}", known.join(", "));
            found.add_with_hint(format!("{PATH}.{field}"), format!("Cilium does not know `{value}`"), hint);
        }
    }
    for (field, value) in [("cpuRequest", &settings.cpu_request), ("memoryRequest", &settings.memory_request)]
    {
        if let Some(value) = value
            && !is_quantity(value)
        {
            found.add(format!("{PATH}.{field}"), format!("`{value}` is not a quantity"));
        }
    }
    if let Some(version) = &settings.version
        && !version.starts_with(LINE)
    {
        let hint = "write v1.18 and a third number, or remove it";
        found.add_with_hint(format!("{PATH}.version"), format!("`{version}` is not of Cilium 1.18"), hint);
    }
    check_proxy(found, spec, settings);
    if settings.bpf_lb_sock_host_ns_only == Some(true) && settings.bpf_lb_sock != Some(true) {
        let field = format!("{PATH}.bpfLBSockHostNSOnly");
        found.add_with_hint(field, "it needs `bpfLBSock`", "write `bpfLBSock: true`");
    }
    if settings.encryption_type.is_some() && settings.encryption().is_none() {
        let field = format!("{PATH}.encryptionType");
        found.add_with_hint(field, "nothing is encrypted", "write `enableEncryption: true`, or remove it");
    }
    if settings.auto_direct_node_routes == Some(true) && settings.has_tunnel() {
        let field = format!("{PATH}.autoDirectNodeRoutes");
        found.add_with_hint(field, "with a tunnel there are no routes", "write `tunnel: disabled`");
    }
}

/// Services have one to carry them, and only one.
fn check_proxy(found: &mut Below<'_>, spec: &ClusterSpec, settings: &Cilium) {
    let proxy = spec.kube_proxy.as_ref().and_then(|settings| settings.get("enabled")?.as_bool());
    let hint = "write both `networking: {cilium: {enableNodePort: true}}` and `kubeProxy: {enabled: false}`, or neither";
    match (settings.enable_node_port == Some(true), proxy != Some(false)) {
        (true, true) => {
            let message = "Cilium and the kube-proxy would both carry services";
            found.add_with_hint(format!("{PATH}.enableNodePort"), message, hint);
        }
        (false, false) => {
            let message = "neither Cilium nor the kube-proxy would carry services";
            found.add_with_hint("spec.kubeProxy.enabled", message, hint);
        }
        _ => {}
    }
}

/// What is not carried out yet.
pub(super) fn unsupported(found: &mut Below<'_>, version: Option<KubernetesVersion>, settings: &Cilium) {
    let is_on = |enabled: Option<bool>| enabled != Some(false);
    if version.is_some_and(|version| version.minor < OLDEST) {
        let hint = "write `flannel: {}`, or take a newer version of Kubernetes";
        found.add_with_hint("spec.networking.cilium", "Cilium 1.18 needs Kubernetes 1.21", hint);
    }
    for (field, is_asked_for, why, way) in [
        (
            "encryptionType",
            settings.encryption() == Some("ipsec"),
            "keys of IPsec are not kept",
            "write `encryptionType: wireguard`, which makes its own",
        ),
        (
            "etcdManaged",
            settings.etcd_managed == Some(true),
            "Cilium gets no etcd cluster of its own",
            "remove it: identities are kept as objects of the API",
        ),
        (
            "gatewayAPI",
            settings.gateway_api.as_ref().is_some_and(|gateway| is_on(gateway.enabled)),
            "the definitions of the gateway API are not installed",
            "remove it, or bring Cilium in `spec.addons`",
        ),
        (
            "hubble",
            settings.hubble.as_ref().is_some_and(|hubble| is_on(hubble.enabled)),
            "its certificates come from cert-manager, which is not installed",
            "remove it, or bring Cilium in `spec.addons`",
        ),
        (
            "identityAllocationMode",
            settings.identity_allocation_mode.as_deref() == Some("kvstore"),
            "Cilium gets no etcd cluster of its own",
            "write crd",
        ),
        (
            "ipam",
            settings.ipam() == "eni",
            "pods do not get addresses of the network yet",
            "write kubernetes, with which packets go by a tunnel",
        ),
    ] {
        if is_asked_for {
            found.add_with_hint(format!("{PATH}.{field}"), why, way);
        }
    }
}

//! What Cilium's programs read: entries of one map, all of them text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ingress;
use super::{CONFIG, OPERATOR_HEALTH, OPERATOR_METRICS};
use crate::addon::SYSTEM;
use crate::addon::parts::metadata;
use crate::manifest::Cilium;

/// Where agents tell their metrics.
pub(super) const METRICS: u16 = 9090;

/// What kops has in every cluster.
const FIXED: [(&str, &str); 105] = [
    ("agent-not-ready-taint-key", "node.cilium.io/agent-not-ready"),
    ("bpf-distributed-lru", "false"),
    ("bpf-events-drop-enabled", "true"),
    ("bpf-events-policy-verdict-enabled", "true"),
    ("bpf-events-trace-enabled", "true"),
    ("bpf-lb-acceleration", "disabled"),
    ("bpf-lb-algorithm-annotation", "false"),
    ("bpf-lb-external-clusterip", "false"),
    ("bpf-lb-map-max", "65536"),
    ("bpf-lb-mode-annotation", "false"),
    ("bpf-lb-source-range-all-types", "false"),
    ("bpf-map-dynamic-size-ratio", "0.0025"),
    ("bpf-policy-map-max", "16384"),
    ("bpf-policy-stats-map-max", "65536"),
    ("bpf-root", "/sys/fs/bpf"),
    ("cgroup-root", "/run/cilium/cgroupv2"),
    ("cilium-endpoint-gc-interval", "5m0s"),
    ("cluster-pool-ipv4-mask-size", "24"),
    ("clustermesh-enable-endpoint-sync", "false"),
    ("clustermesh-enable-mcs-api", "false"),
    ("cni-log-file", "/var/run/cilium/cilium-cni.log"),
    ("custom-cni-conf", "false"),
    ("datapath-mode", "veth"),
    ("debug-verbose", ""),
    ("default-lb-service-ipam", "lbipam"),
    ("direct-routing-skip-unreachable", "false"),
    ("dnsproxy-socket-linger-timeout", "10"),
    ("egress-gateway-reconciliation-trigger-interval", "1s"),
    ("enable-auto-protect-node-port-range", "true"),
    ("enable-bpf-clock-probe", "false"),
    ("enable-endpoint-lockdown-on-policy-overflow", "false"),
    ("enable-health-check-loadbalancer-ip", "false"),
    ("enable-health-check-nodeport", "true"),
    ("enable-health-checking", "true"),
    ("enable-internal-traffic-policy", "true"),
    ("enable-ipv4", "true"),
    ("enable-ipv4-big-tcp", "false"),
    ("enable-ipv6", "false"),
    ("enable-ipv6-big-tcp", "false"),
    ("enable-ipv6-masquerade", "false"),
    ("enable-k8s-networkpolicy", "true"),
    ("enable-l2-neigh-discovery", "false"),
    ("enable-lb-ipam", "true"),
    ("enable-masquerade-to-route-source", "false"),
    ("enable-node-selector-labels", "false"),
    ("enable-non-default-deny-policies", "true"),
    ("enable-policy", "default"),
    ("enable-sctp", "false"),
    ("enable-source-ip-verification", "true"),
    ("enable-svc-source-range-check", "true"),
    ("enable-tcx", "true"),
    ("enable-vtep", "false"),
    ("enable-well-known-identities", "false"),
    ("enable-xt-socket-fallback", "true"),
    ("envoy-access-log-buffer-size", "4096"),
    ("envoy-base-id", "0"),
    ("envoy-keep-cap-netbindservice", "false"),
    ("external-envoy-proxy", "false"),
    ("health-check-icmp-failure-threshold", "3"),
    ("http-retry-count", "3"),
    ("http-stream-idle-timeout", "300"),
    ("identity-gc-interval", "15m0s"),
    ("identity-heartbeat-timeout", "30m0s"),
    ("identity-management-mode", "agent"),
    ("install-no-conntrack-iptables-rules", "false"),
    ("ipam-cilium-node-update-rate", "15s"),
    ("iptables-random-fully", "false"),
    ("k8s-require-ipv4-pod-cidr", "false"),
    ("k8s-require-ipv6-pod-cidr", "false"),
    ("max-connected-clusters", "255"),
    ("mesh-auth-enabled", "true"),
    ("mesh-auth-gc-interval", "5m0s"),
    ("mesh-auth-queue-size", "1024"),
    ("mesh-auth-rotated-identities-queue-size", "1024"),
    ("metrics-sampling-interval", "5m"),
    ("monitor-aggregation-flags", "all"),
    ("monitor-aggregation-interval", "5s"),
    ("nat-map-stats-entries", "32"),
    ("nat-map-stats-interval", "30s"),
    ("node-port-bind-protection", "true"),
    ("nodeport-addresses", ""),
    ("nodes-gc-interval", "5m0s"),
    ("policy-cidr-match-mode", ""),
    ("policy-default-local-cluster", "false"),
    ("procfs", "/host/proc"),
    ("proxy-connect-timeout", "2"),
    ("proxy-idle-timeout-seconds", "60"),
    ("proxy-initial-fetch-timeout", "30"),
    ("proxy-max-concurrent-retries", "128"),
    ("proxy-max-connection-duration-seconds", "0"),
    ("proxy-max-requests-per-connection", "0"),
    ("proxy-xff-num-trusted-hops-egress", "0"),
    ("proxy-xff-num-trusted-hops-ingress", "0"),
    ("remove-cilium-node-taints", "true"),
    ("set-cilium-is-up-condition", "true"),
    ("set-cilium-node-taints", "true"),
    ("synchronize-k8s-nodes", "true"),
    ("tofqdns-enable-dns-compression", "true"),
    ("tofqdns-endpoint-max-ip-per-hostname", "1000"),
    ("tofqdns-idle-connection-grace-period", "0s"),
    ("tofqdns-max-deferred-connection-deletes", "10000"),
    ("tofqdns-preallocate-identities", "true"),
    ("tofqdns-proxy-response-max-delay", "100ms"),
    ("unmanaged-pod-watcher-interval", "15"),
    ("write-cni-conf-when-ready", "/host/etc/cni/net.d/05-cilium.conflist"),
];
/// The virtual tunnel endpoints of others, of which there are none.
const VTEP: [&str; 4] = ["vtep-cidr", "vtep-endpoint", "vtep-mac", "vtep-mask"];

type Entries = BTreeMap<String, String>;

pub(super) fn map(settings: &Cilium) -> Value {
    let fixed = FIXED.into_iter().chain(VTEP.map(|name| (name, "")));
    let mut entries: Entries = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    entries.insert("operator-api-serve-addr".to_owned(), format!("127.0.0.1:{OPERATOR_HEALTH}"));
    switches(settings, &mut entries);
    words(settings, &mut entries);
    path(settings, &mut entries);
    metrics(settings, &mut entries);
    if let Some(used) = settings.used_ingress() {
        ingress::configure(used, &mut entries);
    }
    entries.extend(settings.extra_config.clone());
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(CONFIG, Some(SYSTEM)), "data": entries })
}

/// What is on or off.
fn switches(settings: &Cilium, entries: &mut Entries) {
    let replaces_proxy = settings.enable_node_port;
    for (name, setting, default) in [
        ("auto-direct-node-routes", settings.auto_direct_node_routes, false),
        ("bpf-lb-sock", settings.bpf_lb_sock, false),
        ("bpf-lb-sock-hostns-only", settings.bpf_lb_sock_host_ns_only, false),
        ("cni-exclusive", settings.cni_exclusive, true),
        ("debug", settings.debug, false),
        ("disable-endpoint-crd", settings.disable_endpoint_crd, false),
        ("enable-bpf-masquerade", settings.enable_bpf_masquerade, false),
        ("enable-endpoint-health-checking", settings.enable_endpoint_health_checking, true),
        ("enable-host-firewall", settings.enable_host_firewall, false),
        ("enable-ipv4-masquerade", settings.disable_masquerade.map(|off| !off), true),
        ("enable-l7-proxy", settings.enable_l7_proxy, true),
        ("enable-local-redirect-policy", settings.enable_local_redirect_policy, false),
        ("enable-node-port", replaces_proxy, false),
        ("enable-service-topology", settings.enable_service_topology, false),
        ("kube-proxy-replacement", replaces_proxy, false),
        ("preallocate-bpf-maps", settings.preallocate_bpf_maps, false),
    ] {
        entries.insert(name.to_owned(), setting.unwrap_or(default).to_string());
    }
}

/// What has a name.
fn words(settings: &Cilium, entries: &mut Entries) {
    for (name, setting, default) in [
        ("cluster-name", &settings.cluster_name, "default"),
        ("identity-allocation-mode", &settings.identity_allocation_mode, "crd"),
        ("identity-change-grace-period", &settings.identity_change_grace_period, "5s"),
        ("monitor-aggregation", &settings.monitor_aggregation, "medium"),
        ("tofqdns-dns-reject-response-code", &settings.to_fqdns_dns_reject_response_code, "refused"),
    ] {
        let value = setting.as_deref().unwrap_or(default);
        entries.insert(name.to_owned(), value.to_owned());
    }
    entries.insert("ipam".to_owned(), settings.ipam().to_owned());
    if let Some(id) = settings.cluster_id.filter(|id| *id > 0) {
        entries.insert("cluster-id".to_owned(), id.to_string());
    }
}

/// How packets get to other machines.
fn path(settings: &Cilium, entries: &mut Entries) {
    let mut set = |name: &str, value: &str| drop(entries.insert(name.to_owned(), value.to_owned()));
    if settings.has_tunnel() {
        set("routing-mode", "tunnel");
        set("tunnel-protocol", settings.tunnel.as_deref().unwrap_or("vxlan"));
        set("tunnel-source-port-range", "0-0");
        set("service-no-backend-response", "reject");
    } else {
        set("routing-mode", "native");
    }
    match settings.chaining_mode.as_deref() {
        None => set("dnsproxy-enable-transparent-mode", "true"),
        Some(mode) => {
            set("cni-chaining-mode", mode);
            set("enable-host-legacy-routing", "true");
            if mode != "portmap" {
                set("enable-local-node-route", "false");
            }
        }
    }
    if settings.encryption() == Some("wireguard") {
        set("enable-wireguard", "true");
        set("encrypt-node", &settings.node_encryption.unwrap_or(false).to_string());
    }
}

fn metrics(settings: &Cilium, entries: &mut Entries) {
    if settings.enable_prometheus_metrics != Some(true) {
        return;
    }
    let mut set = |name: &str, value: &str| drop(entries.insert(name.to_owned(), value.to_owned()));
    set("prometheus-serve-addr", &format!(":{}", settings.agent_prometheus_port.unwrap_or(METRICS)));
    set("operator-prometheus-serve-addr", &format!(":{OPERATOR_METRICS}"));
    set("proxy-prometheus-port", "9964");
    set("enable-metrics", "true");
    set("controller-group-metrics", "write-cni-file sync-host-ips sync-lb-maps-with-k8s-services");
    if !settings.metrics.is_empty() {
        set("metrics", &settings.metrics.join(" "));
    }
}

//! Settings of add-ons that cannot be.

use std::net::IpAddr;

use super::{Below, Violations};
use crate::manifest::quantity::is_quantity;
use crate::manifest::ranges::{CLUSTER_DNS, nth};
use crate::manifest::{
    ClusterAutoscaler, ClusterSpec, CompletedCluster, KubeDns, MetricsServer, NodeProblemDetector,
    parse_duration,
};

/// How the cluster autoscaler may choose among groups on this cloud.
const EXPANDERS: [&str; 5] = ["random", "least-nodes", "least-waste", "most-pods", "priority"];

pub(super) fn check(violations: &mut Violations, completed: &CompletedCluster) {
    let mut found = violations.below("cluster");
    let spec = &completed.cluster.spec;
    if let Some(settings) = &spec.kube_dns {
        check_dns(&mut found, spec, settings);
    }
    if let Some(settings) = &spec.metrics_server {
        check_metrics(&mut found, completed, settings);
    }
    if let Some(settings) = &spec.cluster_autoscaler {
        check_autoscaler(&mut found, settings);
    }
    if let Some(settings) = &spec.node_problem_detector {
        check_detector(&mut found, settings);
    }
}

fn check_dns(found: &mut Below<'_>, spec: &ClusterSpec, settings: &KubeDns) {
    const PATH: &str = "spec.kubeDNS";
    if settings.domain.is_some() && settings.domain != spec.cluster_dns_domain {
        let message = "it differs from `clusterDNSDomain`, by which kubelets and certificates go";
        found.add_with_hint(format!("{PATH}.domain"), message, "remove it");
    }
    if settings.provider.as_deref().is_some_and(|provider| !["CoreDNS", "KubeDNS"].contains(&provider)) {
        found.add_with_hint(
            format!("{PATH}.provider"),
            "there is no such DNS server",
            "remove it, or write CoreDNS",
        );
    }
    if let (Some(address), Some(services)) = (&settings.server_ip, spec.service_cluster_ip_range) {
        let expected = nth(services, CLUSTER_DNS).to_string();
        if *address != expected {
            let message = "kubelets give pods the tenth address of `serviceClusterIPRange`";
            found.add_with_hint(
                format!("{PATH}.serverIP"),
                message,
                format!("remove it, or write {expected}"),
            );
        }
    }
    let servers =
        settings.upstream_nameservers.iter().map(|server| ("upstreamNameservers".to_owned(), server));
    let stubs = settings.stub_domains.iter();
    let stubs =
        stubs.flat_map(|(zone, all)| all.iter().map(move |server| (format!("stubDomains.{zone}"), server)));
    for (field, server) in servers.chain(stubs) {
        if !is_server(server) {
            let message = format!("`{server}` is no address of a server");
            found.add_with_hint(format!("{PATH}.{field}"), message, "write an address, or address:port");
        }
    }
    for zone in settings.stub_domains.keys().filter(|zone| !super::syntax::is_domain_name(zone)) {
        found.add(format!("{PATH}.stubDomains"), format!("`{zone}` is not a domain name"));
    }
    check_quantities(
        found,
        PATH,
        &[
            ("cpuRequest", &settings.cpu_request),
            ("memoryLimit", &settings.memory_limit),
            ("memoryRequest", &settings.memory_request),
        ],
    );
    if let Some(cache) = &settings.node_local_dns {
        let path = format!("{PATH}.nodeLocalDNS");
        if cache.address().parse::<std::net::Ipv4Addr>().is_err() {
            found.add(format!("{path}.localIP"), format!("`{}` is not an IPv4 address", cache.address()));
        }
        let quantities = [("cpuRequest", &cache.cpu_request), ("memoryRequest", &cache.memory_request)];
        check_quantities(found, &path, &quantities);
    }
}

/// Whether CoreDNS can forward to it: an address with or without a port. What else stood there would become a line of its
/// configuration.
fn is_server(text: &str) -> bool {
    let with_port = || text.parse::<std::net::SocketAddr>().is_ok();
    text.parse::<IpAddr>().is_ok() || with_port()
}

fn check_metrics(found: &mut Below<'_>, completed: &CompletedCluster, settings: &MetricsServer) {
    if settings.enabled == Some(true)
        && completed.kubernetes_version().is_ok_and(|version| version.minor < 21)
    {
        // "FieldManager must be installed to run apply": seen with 1.20.2.
        let message =
            "the API server of Kubernetes 1.20 cannot apply what the metrics server is registered by";
        found.add_with_hint("spec.metricsServer", message, "remove it, or upgrade Kubernetes");
    }
    if settings.insecure == Some(false) && settings.enabled == Some(true) {
        let message = "its certificate would come from cert-manager, which is not installed";
        found.add_with_hint("spec.metricsServer.insecure", message, "remove it, or write true");
    }
}

fn check_autoscaler(found: &mut Below<'_>, settings: &ClusterAutoscaler) {
    const PATH: &str = "spec.clusterAutoscaler";
    for expander in settings.expander.iter().flat_map(|all| all.split(',')) {
        if !EXPANDERS.contains(&expander) {
            let hint = format!("write one of {}", EXPANDERS.join(", "));
            found.add_with_hint(
                format!("{PATH}.expander"),
                format!("there is no expander `{expander}` here"),
                hint,
            );
        }
    }
    for (field, setting) in [
        ("maxNodeProvisionTime", &settings.max_node_provision_time),
        ("newPodScaleUpDelay", &settings.new_pod_scale_up_delay),
        ("scaleDownDelayAfterAdd", &settings.scale_down_delay_after_add),
        ("scaleDownUnneededTime", &settings.scale_down_unneeded_time),
        ("scaleDownUnreadyTime", &settings.scale_down_unready_time),
    ] {
        if let Some(Err(error)) = setting.as_deref().map(parse_duration) {
            found.add(format!("{PATH}.{field}"), format!("it is not a duration: {error}"));
        }
    }
    let threshold = settings.scale_down_utilization_threshold.as_deref();
    if threshold.is_some_and(|share| !share.parse().is_ok_and(|share: f64| (0.0..=1.0).contains(&share))) {
        let path = format!("{PATH}.scaleDownUtilizationThreshold");
        found.add_with_hint(path, "it is not a share between 0 and 1", "write it like \"0.5\"");
    }
    for priority in settings.custom_priority_expander_config.keys() {
        if priority.parse::<i32>().is_err() {
            let path = format!("{PATH}.customPriorityExpanderConfig");
            found.add(path, format!("`{priority}` is not a whole number"));
        }
    }
    let quantities = [("cpuRequest", &settings.cpu_request), ("memoryRequest", &settings.memory_request)];
    check_quantities(found, PATH, &quantities);
}

fn check_detector(found: &mut Below<'_>, settings: &NodeProblemDetector) {
    check_quantities(
        found,
        "spec.nodeProblemDetector",
        &[
            ("cpuLimit", &settings.cpu_limit),
            ("cpuRequest", &settings.cpu_request),
            ("memoryLimit", &settings.memory_limit),
            ("memoryRequest", &settings.memory_request),
        ],
    );
}

fn check_quantities(found: &mut Below<'_>, path: &str, quantities: &[(&str, &Option<String>)]) {
    for (field, quantity) in quantities {
        if let Some(text) = quantity.as_deref().filter(|text| !is_quantity(text)) {
            let message = format!("`{text}` is not a quantity");
            found.add_with_hint(format!("{path}.{field}"), message, "write it like 100m, 64Mi or 1Gi");
        }
    }
}

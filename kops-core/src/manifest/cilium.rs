use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ClusterSpec;

/// Settings of Cilium.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cilium {
    /// Annotations of the agents' pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agent_pod_annotations: BTreeMap<String, String>,
    /// Where agents tell their metrics, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_prometheus_port: Option<u16>,
    /// Whether machines of one subnet get routes to each other's pods. Only without a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_direct_node_routes: Option<bool>,
    /// Whether services are resolved where a socket connects.
    #[serde(rename = "bpfLBSock", skip_serializing_if = "Option::is_none")]
    pub bpf_lb_sock: Option<bool>,
    /// The same for the machine's own processes alone.
    #[serde(rename = "bpfLBSockHostNSOnly", skip_serializing_if = "Option::is_none")]
    pub bpf_lb_sock_host_ns_only: Option<bool>,
    /// Another plugin that Cilium follows, such as `portmap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chaining_mode: Option<String>,
    /// The cluster's number in a mesh of clusters.
    #[serde(rename = "clusterID", skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<u8>,
    /// The cluster's name in a mesh of clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Whether other plugins' configurations are put out of the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cni_exclusive: Option<bool>,
    /// The share of a processor that agents and operators ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<String>,
    /// Whether everything is logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<bool>,
    /// Whether there are no objects for endpoints.
    #[serde(rename = "disableEndpointCRD", skip_serializing_if = "Option::is_none")]
    pub disable_endpoint_crd: Option<bool>,
    /// Whether pods keep their own address towards everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_masquerade: Option<bool>,
    /// Whether addresses are translated without iptables.
    #[serde(rename = "enableBPFMasquerade", skip_serializing_if = "Option::is_none")]
    pub enable_bpf_masquerade: Option<bool>,
    /// Whether traffic between machines is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_encryption: Option<bool>,
    /// Whether agents try each other's endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_endpoint_health_checking: Option<bool>,
    /// Whether policies hold for machines, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_host_firewall: Option<bool>,
    /// Whether policies may go by what is said in a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_l7_proxy: Option<bool>,
    /// Whether policies may keep traffic on its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_local_redirect_policy: Option<bool>,
    /// Whether Cilium stands in for the kube-proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_node_port: Option<bool>,
    /// Whether agents and operators tell their metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_prometheus_metrics: Option<bool>,
    /// Whether services prefer what is near.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_service_topology: Option<bool>,
    /// How traffic is encrypted: `ipsec` or `wireguard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_type: Option<String>,
    /// Whether Cilium has an etcd cluster of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd_managed: Option<bool>,
    /// Further entries of Cilium's configuration, over those that are made of the other fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_config: BTreeMap<String, String>,
    /// Whether it carries out objects of the gateway API.
    #[serde(rename = "gatewayAPI", skip_serializing_if = "Option::is_none")]
    pub gateway_api: Option<CiliumGatewayApi>,
    /// What it tells of traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hubble: Option<CiliumHubble>,
    /// Where identities are kept: `crd` or `kvstore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_allocation_mode: Option<String>,
    /// How long a new identity is announced before it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_change_grace_period: Option<String>,
    /// Whether it carries out ingresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<CiliumIngress>,
    /// Who gives pods their addresses: `kubernetes`, `hostscope`, `crd` or `eni`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipam: Option<String>,
    /// The memory that agents and operators ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<String>,
    /// Metrics that are added (`+name`) or left out (`-name`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// How much events are put together: `low`, `medium` or `maximum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor_aggregation: Option<String>,
    /// Whether traffic of the machines themselves is encrypted, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_encryption: Option<bool>,
    /// Annotations of the operators' pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operator_pod_annotations: BTreeMap<String, String>,
    /// Whether the kernel's tables take all their memory at once.
    #[serde(rename = "preallocateBPFMaps", skip_serializing_if = "Option::is_none")]
    pub preallocate_bpf_maps: Option<bool>,
    /// Where images come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// How a forbidden name is answered: `refused` or `nameError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_fqdns_dns_reject_response_code: Option<String>,
    /// How packets get to other machines: `vxlan`, `geneve`, or `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
    /// The version, such as `v1.18.12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What Cilium tells of traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CiliumHubble {
    /// Whether it is on. Absent: it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What is counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
}

/// How Cilium carries out objects of the gateway API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CiliumGatewayApi {
    /// Whether secrets are copied to where the proxy reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_secrets_sync: Option<bool>,
    /// Whether it does. Absent: it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// How Cilium carries out ingresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CiliumIngress {
    /// Whether ingresses have one load balancer (`shared`) or one each (`dedicated`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_load_balancer_mode: Option<String>,
    /// Whether secrets are copied to where the proxy reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_secrets_sync: Option<bool>,
    /// Whether it does. Absent: it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether HTTP is sent on to HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_https: Option<bool>,
    /// Which annotations of an ingress its load balancer gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_annotation_prefixes: Option<String>,
    /// The service of the shared load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_load_balancer_service_name: Option<String>,
}

impl Cilium {
    /// Whether packets get to other machines by a tunnel.
    pub fn has_tunnel(&self) -> bool {
        self.tunnel.as_deref() != Some("disabled")
    }

    /// Who gives pods their addresses.
    pub fn ipam(&self) -> &str {
        self.ipam.as_deref().unwrap_or("kubernetes")
    }

    /// How traffic is encrypted, if it is.
    pub fn encryption(&self) -> Option<&str> {
        (self.enable_encryption == Some(true)).then(|| self.encryption_type.as_deref().unwrap_or("ipsec"))
    }

    /// The ingresses that it carries out, if it does.
    pub fn used_ingress(&self) -> Option<&CiliumIngress> {
        self.ingress.as_ref().filter(|ingress| ingress.enabled != Some(false))
    }
}

impl ClusterSpec {
    /// Whether one of the user's add-ons brings the network plugin of that name.
    pub fn brings(&self, plugin: &str) -> bool {
        self.addons.iter().any(|addon| addon.name().contains(plugin))
    }
}

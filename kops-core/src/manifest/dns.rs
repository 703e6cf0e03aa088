use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of the cluster's DNS, which is CoreDNS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeDns {
    /// Where its pods may run, as Kubernetes has it in pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Value>,
    /// The image of CoreDNS.
    #[serde(rename = "coreDNSImage", skip_serializing_if = "Option::is_none")]
    pub core_dns_image: Option<String>,
    /// The image of what gives CoreDNS more pods in larger clusters.
    #[serde(rename = "cpaImage", skip_serializing_if = "Option::is_none")]
    pub cpa_image: Option<String>,
    /// The share of a processor that a pod asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<String>,
    /// The domain of services; it can only be `clusterDNSDomain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whether CoreDNS is installed. kops has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// A Corefile instead of the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_core_file: Option<String>,
    /// The most memory of a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// The memory that a pod asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<String>,
    /// A cache of names on every machine.
    #[serde(rename = "nodeLocalDNS", skip_serializing_if = "Option::is_none")]
    pub node_local_dns: Option<NodeLocalDns>,
    /// Annotations of its pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// The program; it can only be `CoreDNS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The address of its service; it can only be the tenth of the range of services.
    #[serde(rename = "serverIP", skip_serializing_if = "Option::is_none")]
    pub server_ip: Option<String>,
    /// Domains that have servers of their own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stub_domains: BTreeMap<String, Vec<String>>,
    /// The taints that its pods tolerate, as Kubernetes has them in pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Value>,
    /// The servers for names outside the cluster. Empty: those of the machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream_nameservers: Vec<String>,
}

/// A cache of names on every machine (NodeLocal DNSCache).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeLocalDns {
    /// More text at the end of its Corefile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_config: Option<String>,
    /// The share of a processor that a pod asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<String>,
    /// Whether it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// A Corefile instead of the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_core_file: Option<String>,
    /// Whether names outside the cluster are asked of CoreDNS, too, and not of the machine's servers.
    #[serde(rename = "forwardToKubeDNS", skip_serializing_if = "Option::is_none")]
    pub forward_to_kube_dns: Option<bool>,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The address on each machine at which it answers.
    #[serde(rename = "localIP", skip_serializing_if = "Option::is_none")]
    pub local_ip: Option<String>,
    /// The memory that a pod asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<String>,
    /// Annotations of its pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
}

/// Where the cache answers unless the manifest says otherwise: an address that never leaves a machine.
pub(crate) const LOCAL_DNS: &str = "169.254.20.10";

impl KubeDns {
    /// Returns the settings of the cache on every machine, if it is to be installed.
    pub fn cache(&self) -> Option<&NodeLocalDns> {
        self.node_local_dns.as_ref().filter(|cache| cache.enabled == Some(true))
    }
}

impl NodeLocalDns {
    /// The address on each machine at which it answers.
    pub fn address(&self) -> &str {
        self.local_ip.as_deref().unwrap_or(LOCAL_DNS)
    }
}

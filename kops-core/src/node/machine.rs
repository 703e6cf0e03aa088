use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// What a machine finds out about itself when it boots; with the configuration of its group, all that its files are
/// made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// What the cloud calls the instance; the name of the node.
    pub id: String,
    /// The instance as `spec.providerID` of a node has it.
    pub provider_id: String,
    /// The address inside the network.
    pub address: Ipv4Addr,
    /// The region.
    pub region: String,
    /// The zone.
    pub zone: String,
    /// The machine type.
    pub machine_type: String,
    /// What the image and the kernel provide.
    pub host: Host,
}

/// What the image and the kernel provide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The directory of the network plugins.
    pub cni_plugins: String,
    /// The file that names the machine's own name servers (not a local stub, which pods could not reach).
    pub resolv_conf: String,
    /// Whether control groups are of the first version.
    pub cgroup_v1: bool,
    /// Whether processes may be protected from the kernel's OOM killer. Machines that are containers themselves may
    /// lack the capability (`CAP_SYS_RESOURCE`).
    pub may_lower_oom_score: bool,
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of the metrics server, which lets `kubectl top` and horizontal autoscalers see what pods use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsServer {
    /// Whether it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether it makes its own certificate, which nobody checks. Off needs cert-manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
}

/// Settings of the cluster autoscaler, which gives groups of workers the size that pods need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAutoscaler {
    /// Whether it knows machine types by itself, without asking the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_use_static_instance_list: Option<bool>,
    /// Whether it keeps groups that are alike at the same size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_similar_node_groups: Option<bool>,
    /// Whether it cordons a node before its machine goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordon_node_before_terminating: Option<bool>,
    /// The share of a processor that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<String>,
    /// Whether the configuration of the expander `priority` is made of the groups' priorities. It always is for that
    /// expander.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_priority_expander_config: Option<bool>,
    /// Priorities instead of the groups' own: number → patterns of names of scaling groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_priority_expander_config: BTreeMap<String, Vec<String>>,
    /// Whether it has metrics of each group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emit_per_nodegroup_metrics: Option<bool>,
    /// Whether it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How it chooses among groups that would do: `random`, `least-waste`, `most-pods`, `price`, `priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expander: Option<String>,
    /// Whether pods of daemon sets do not count as use of a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_daemon_sets_utilization: Option<bool>,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How long a machine may take to become a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_node_provision_time: Option<String>,
    /// The memory that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<String>,
    /// How old a pod must be before machines are added for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_pod_scale_up_delay: Option<String>,
    /// Annotations of its pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// How long no machine goes after one was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_delay_after_add: Option<String>,
    /// How long a node must have been of little use before its machine goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_unneeded_time: Option<String>,
    /// The same of a node that is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_unready_time: Option<String>,
    /// Below which share of what it has a node is of little use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down_utilization_threshold: Option<String>,
    /// Whether nodes stay that have pods of controllers it does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_nodes_with_custom_controller_pods: Option<bool>,
    /// Whether nodes stay that have pods with local storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_nodes_with_local_storage: Option<bool>,
    /// Whether nodes stay that have pods of `kube-system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_nodes_with_system_pods: Option<bool>,
}

/// Settings of the node problem detector, which tells of faults of kernels and daemons as conditions of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeProblemDetector {
    /// The largest share of a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<String>,
    /// The share of a processor that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<String>,
    /// Whether it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The most memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// The memory that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<String>,
}

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::instance_group::RollingUpdate;
use super::{
    AccessSource, Api, ClusterAutoscaler, DnsType, EtcdCluster, FileAsset, Hook, KubeDns, LOCAL_SUFFIX,
    Metadata, MetricsServer, Networking, NodeProblemDetector, Settings, Subnet, Topology,
};
use crate::digest::in_place_of;
use crate::zone::ZoneReference;

/// `kind: Cluster`: everything about a cluster but its groups of machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// The name, which is a domain name.
    pub metadata: Metadata,
    /// What the cluster is to be.
    pub spec: ClusterSpec,
}

impl Cluster {
    /// The name of the cluster.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether the cluster's name ends in `.k8s.local`, which stands for "no hosted zone".
    pub fn is_local(&self) -> bool {
        self.name().ends_with(LOCAL_SUFFIX)
    }

    /// Whether the names of the cluster are in a hosted zone.
    pub fn has_hosted_zone(&self) -> bool {
        let dns = self.spec.topology.as_ref().and_then(|topology| topology.dns);
        !self.is_local() && dns.and_then(|dns| dns.type_) != Some(DnsType::None)
    }

    /// The hosted zone that the names of the cluster are in, if there is any.
    pub fn hosted_zone(&self) -> Option<ZoneReference> {
        let dns = self.spec.topology.as_ref().and_then(|topology| topology.dns);
        let is_private = dns.and_then(|dns| dns.type_) == Some(DnsType::Private);
        let api_name = self.spec.master_public_name.clone();
        let api_name = api_name.unwrap_or_else(|| format!("api.{}", self.name()));
        let zone = self.spec.dns_zone.clone();
        self.has_hosted_zone().then_some(ZoneReference { zone, is_private, api_name })
    }

    /// The same for records and previews: with sizes and hashes in place of what hooks and files say.
    #[must_use]
    pub fn without_contents(&self) -> Self {
        let mut cluster = self.clone();
        let hide = |text: &mut String| *text = in_place_of(text);
        for hook in &mut cluster.spec.hooks {
            hook.manifest.as_mut().map(hide);
            let containers = hook.exec_container.as_mut();
            containers.into_iter().flat_map(|container| container.environment.values_mut()).for_each(hide);
        }
        cluster.spec.file_assets.iter_mut().map(|asset| &mut asset.content).for_each(hide);
        cluster
    }
}

/// What a cluster is to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// Kubernetes objects that are applied to the cluster beside kops's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<AddonSpec>,
    /// More address ranges of an existing network.
    #[serde(rename = "additionalNetworkCIDRs", skip_serializing_if = "Vec::is_empty")]
    pub additional_network_cidrs: Vec<Ipv4Net>,
    /// More permissions of the machines: role (`master`, `node`, `bastion`) → a JSON list of policy statements.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub additional_policies: BTreeMap<String, String>,
    /// More names and addresses in the API's certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_sans: Vec<String>,
    /// How clients reach the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Who may do what in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Where recommendations of versions and images come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Settings of the cloud integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_config: Option<Settings>,
    /// Settings of the cloud controller manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_controller_manager: Option<Settings>,
    /// Tags for everything the cluster owns in the cloud.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cloud_labels: BTreeMap<String, String>,
    /// The cloud, such as `aws`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_provider: Option<String>,
    /// Settings of the cluster autoscaler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_autoscaler: Option<ClusterAutoscaler>,
    /// The domain of services inside the cluster.
    #[serde(rename = "clusterDNSDomain", skip_serializing_if = "Option::is_none")]
    pub cluster_dns_domain: Option<String>,
    /// Where machines find what others get from the makers of programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assets: Option<Assets>,
    /// Where the cluster's state is kept: state store and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_base: Option<String>,
    /// Settings of containerd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<Settings>,
    /// The hosted zone, by name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_zone: Option<String>,
    /// The etcd clusters, `main` and `events`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub etcd_clusters: Vec<EtcdCluster>,
    /// Existing policies for the machines: role (`master`, `node`, `bastion`) → their ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub external_policies: BTreeMap<String, Vec<String>>,
    /// Files of the machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_assets: Vec<FileAsset>,
    /// What machines run beside Kubernetes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Permissions of the machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam: Option<ClusterIam>,
    /// Settings of the API server.
    #[serde(rename = "kubeAPIServer", skip_serializing_if = "Option::is_none")]
    pub kube_api_server: Option<Settings>,
    /// Settings of the controller manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_controller_manager: Option<Settings>,
    /// Settings of the cluster's DNS.
    #[serde(rename = "kubeDNS", skip_serializing_if = "Option::is_none")]
    pub kube_dns: Option<KubeDns>,
    /// Settings of the kube-proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_proxy: Option<Settings>,
    /// Settings of the scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_scheduler: Option<Settings>,
    /// Settings of every kubelet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<Settings>,
    /// Who may reach the API. Nothing: nobody from outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_api_access: Vec<AccessSource>,
    /// The version of Kubernetes, with or without a leading `v`. Completed manifests have it without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Settings of the kubelets of control-plane machines, over those of [`kubelet`](Self::kubelet).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_kubelet: Option<Settings>,
    /// The name of the API for clients. Completed manifests always say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_public_name: Option<String>,
    /// Settings of the metrics server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_server: Option<MetricsServer>,
    /// The address range of the network.
    #[serde(rename = "networkCIDR", skip_serializing_if = "Option::is_none")]
    pub network_cidr: Option<Ipv4Net>,
    /// The id of an existing network to use, which is then never changed nor deleted.
    #[serde(rename = "networkID", skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// The network of the pods. Absent: `kubenet`, as in kops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networking: Option<Networking>,
    /// Settings of the node problem detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_problem_detector: Option<NodeProblemDetector>,
    /// Who may reach node ports of the machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub node_port_access: Vec<AccessSource>,
    /// The range of pods and services, within which addresses are not translated.
    #[serde(rename = "nonMasqueradeCIDR", skip_serializing_if = "Option::is_none")]
    pub non_masquerade_cidr: Option<Ipv4Net>,
    /// The range of pods.
    #[serde(rename = "podCIDR", skip_serializing_if = "Option::is_none")]
    pub pod_cidr: Option<Ipv4Net>,
    /// How many machines a rolling update may take down or add at a time, unless a group says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
    /// The range of services.
    #[serde(rename = "serviceClusterIPRange", skip_serializing_if = "Option::is_none")]
    pub service_cluster_ip_range: Option<Ipv4Net>,
    /// Who may reach the machines' SSH. Nothing: nobody from outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_access: Vec<AccessSource>,
    /// An existing key pair of the cloud, instead of one made of the SSH credential. Empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key_name: Option<String>,
    /// The subnets, of one region.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    /// Settings of the machines' kernels (`vm.swappiness=10`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sysctl_parameters: Vec<String>,
    /// Where machines are placed and how names are resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
}

/// Kubernetes objects that are applied to a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddonSpec {
    /// The file of the objects, in the cluster's state store (`s3://bucket/…/calico.yaml`).
    pub manifest: String,
}

impl AddonSpec {
    /// What the add-on is called: the name of its file, without its ending.
    pub fn name(&self) -> &str {
        let file = self.manifest.rsplit('/').next().unwrap_or_default();
        let endings = [".yaml", ".yml", ".json"];
        endings.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file)
    }
}

/// A field that is only there or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Empty {}

/// Who may do what in the cluster: one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Authorization {
    /// Everybody who is known may do everything.
    AlwaysAllow(Empty),
    /// Roles decide.
    Rbac(Empty),
}

/// Permissions of a cluster's machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterIam {
    /// Whether machines may pull from the account's container registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_container_registry: Option<bool>,
    /// Whether machines get the wide permissions of kops before 1.8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy: Option<bool>,
    /// A policy that bounds the permissions of every role that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
}

/// Mirrors of what makers publish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assets {
    /// The URL of a place that has the files of all makers, each under the path of its own URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_repository: Option<String>,
}

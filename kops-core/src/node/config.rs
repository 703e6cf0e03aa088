use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{Asset, additions, labels};
use crate::digest::sha256_hex;
use crate::manifest::BackupPolicy;
use crate::manifest::{CompletedCluster, FileAsset, Hook, InstanceGroup, Networking, Role, Settings};
use crate::state::{InvalidKey, layout};
use crate::state_object::StateObject;
use crate::yaml::{self, WriteError};

/// The configuration of a group's machines. Holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeConfig {
    /// The cluster's name.
    pub cluster: String,
    /// The instance group's name.
    pub group: String,
    /// What the machines are for.
    pub role: Role,
    /// The version of Kubernetes, without a leading `v`.
    pub kubernetes_version: String,
    /// The name of the API for clients, for which its certificate is made.
    pub api_name: String,
    /// More names and addresses in the API's certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_sans: Vec<String>,
    /// The labels of the nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The taints of the nodes (`key=value:Effect`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<String>,
    /// Address ranges and network plugin.
    pub networks: Networks,
    /// The settings of the kubelet: the cluster's, the role's, the group's, each over those before.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub kubelet: Settings,
    /// The settings of containerd: the cluster's, and the group's over them.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub containerd: Settings,
    /// The settings of the kube-proxy.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub kube_proxy: Settings,
    /// The settings of the control plane's programs, by kops's names of them; only for machines that run them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub control_plane: BTreeMap<String, Settings>,
    /// The members of etcd clusters that the group's machine runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd: Vec<EtcdMembership>,
    /// Files that users put on the machines; each is whole, and none is there twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_assets: Vec<FileAsset>,
    /// What users run on the machines, in the order in which it is started; each has a name, and none is there twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Settings of the kernel (`name=value`), each over those before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctl_parameters: Vec<String>,
    /// How machines learn where the API is.
    #[serde(default, skip_serializing_if = "Discovery::is_gossip")]
    pub discovery: Discovery,
    /// The roles of the cloud that the cluster's workers have, by which they prove themselves; only for the control plane, which
    /// lets them in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub worker_roles: BTreeSet<String>,
    /// The names that the machines keep in a hosted zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Where the cluster's state is, if machines can reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateSource>,
    /// The files that machines fetch, sorted; programs that are not listed must be in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
}

/// How machines learn where the API is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Discovery {
    /// They tell each other.
    #[default]
    Gossip,
    /// The control plane tells workers the addresses of the load balancer.
    LoadBalancer,
    /// The control plane keeps names in a hosted zone.
    HostedZone,
}

/// The names that machines of the control plane keep in a hosted zone, beside that of the API inside the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Zone {
    /// What the cloud calls it.
    pub id: String,
    /// Whether they keep the API's name for clients, too, since no load balancer has it.
    #[serde(default)]
    pub with_api_name: bool,
}

impl Discovery {
    fn is_gossip(&self) -> bool {
        *self == Self::Gossip
    }
}

/// Where machines find the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateSource {
    /// The store, as its users write it.
    pub store: String,
    /// The region it is in.
    pub region: String,
}

/// Address ranges, and who connects the pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Networks {
    /// The domain of services.
    pub cluster_domain: String,
    /// The range of the machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<Ipv4Net>,
    /// Further ranges of the machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_machines: Vec<Ipv4Net>,
    /// The range within which addresses are not translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_masquerade: Option<Ipv4Net>,
    /// The range of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Ipv4Net>,
    /// The range of services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Ipv4Net>,
    /// The network plugin and its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Networking>,
}

impl Networks {
    /// Returns the ranges of the machines; none if they are not known.
    pub fn of_machines(&self) -> Vec<Ipv4Net> {
        self.machines.iter().chain(&self.more_machines).copied().collect()
    }

    /// Whether Cilium connects pods.
    pub fn uses_cilium(&self) -> bool {
        matches!(self.plugin, Some(Networking::Cilium(_)))
    }

    /// Whether pods are connected by routes alone, which needs no add-on.
    pub fn routes_pods(&self) -> bool {
        matches!(self.plugin, None | Some(Networking::Kubenet(_)))
    }
}

/// One machine's part in an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcdMembership {
    /// `main` or `events`.
    pub cluster: String,
    /// The member's name.
    pub member: String,
    /// The names of all members, sorted.
    pub members: Vec<String>,
    /// The version of etcd.
    pub version: String,
    /// When backups are taken, and which are kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub backups: BackupPolicy,
}

fn is_default(policy: &BackupPolicy) -> bool {
    *policy == BackupPolicy::default()
}

/// Why a configuration cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum NodeConfigError {
    /// A name cannot be part of a key.
    #[error("the names of cluster and group give no key in the state store")]
    Key(#[from] InvalidKey),
    /// A setting has no form in YAML.
    #[error("the configuration of the machines cannot be written")]
    Write(#[from] WriteError),
    /// The text is no configuration.
    #[error("this is no configuration of a machine: {0}")]
    Read(String),
}

impl NodeConfig {
    /// The configuration of the machines of `group`.
    pub fn new(completed: &CompletedCluster, group: &InstanceGroup) -> Self {
        let spec = &completed.cluster.spec;
        let is_control_plane = group.role() == Role::ControlPlane;
        // Pods ask the cache of their machine, where there is one.
        let cache = spec.kube_dns.as_ref().and_then(|dns| dns.cache());
        let dns = cache.map(|cache| Settings::from([("clusterDNS", cache.address().into())]));
        let of_role = spec.master_kubelet.as_ref().filter(|_| is_control_plane);
        let control_plane = [
            ("kubeAPIServer", &spec.kube_api_server),
            ("kubeControllerManager", &spec.kube_controller_manager),
            ("kubeScheduler", &spec.kube_scheduler),
        ];
        let control_plane = control_plane.into_iter().filter(|_| is_control_plane);
        Self {
            cluster: completed.name().to_owned(),
            group: group.name().to_owned(),
            role: group.role(),
            kubernetes_version: spec.kubernetes_version.clone().unwrap_or_default(),
            api_name: spec.master_public_name.clone().unwrap_or_default(),
            additional_sans: if is_control_plane { spec.additional_sans.clone() } else { Vec::new() },
            labels: labels(completed, group),
            taints: group.spec.taints.clone(),
            networks: Networks {
                cluster_domain: spec.cluster_dns_domain.clone().unwrap_or_default(),
                machines: spec.network_cidr,
                more_machines: spec.additional_network_cidrs.clone(),
                non_masquerade: spec.non_masquerade_cidr,
                pods: spec.pod_cidr,
                services: spec.service_cluster_ip_range,
                plugin: spec.networking.clone(),
            },
            kubelet: overlay([dns.as_ref(), spec.kubelet.as_ref(), of_role, group.spec.kubelet.as_ref()]),
            containerd: overlay([spec.containerd.as_ref(), group.spec.containerd.as_ref()]),
            kube_proxy: overlay([spec.kube_proxy.as_ref()]),
            control_plane: control_plane
                .filter_map(|(name, settings)| Some((name.to_owned(), settings.clone()?)))
                .collect(),
            etcd: etcd(completed, group.name()),
            file_assets: additions::file_assets(completed, group),
            hooks: additions::hooks(completed, group),
            sysctl_parameters: additions::sysctl_parameters(completed, group),
            discovery: match (completed.joins_by_load_balancer(), completed.has_hosted_zone()) {
                (true, _) => Discovery::LoadBalancer,
                (false, true) => Discovery::HostedZone,
                (false, false) => Discovery::Gossip,
            },
            worker_roles: BTreeSet::new(),
            zone: None,
            state: None,
            assets: Vec::new(),
        }
    }

    /// The length of the ranges that the controller manager gives to nodes for their pods: `--node-cidr-mask-size`, 24
    /// unless the manifest sets it.
    pub fn pod_range_length(&self) -> u8 {
        const DEFAULT: u8 = 24;
        let settings = self.control_plane.get("kubeControllerManager");
        let set = settings.and_then(|settings| settings.get("nodeCIDRMaskSize")?.as_u64());
        set.and_then(|length| u8::try_from(length).ok()).unwrap_or(DEFAULT)
    }

    /// Returns the file that machines fetch to have a program.
    pub fn asset(&self, program: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.gives(program))
    }

    /// Returns whether machines fetch a program; else it has to be in their image.
    pub fn gives(&self, program: &str) -> bool {
        self.asset(program).is_some()
    }

    /// The same, with the hosted zone of the cluster's names. Only the control plane keeps them.
    #[must_use]
    pub fn with_zone(mut self, id: &str, with_api_name: bool) -> Self {
        let zone = Zone { id: id.to_owned(), with_api_name };
        self.zone = Some(zone).filter(|_| self.role == Role::ControlPlane);
        self
    }

    /// The same, with the place where machines find the cluster's state, and what they fetch from there.
    #[must_use]
    pub fn with_state(mut self, state: StateSource, assets: &[Asset]) -> Self {
        self.state = Some(state);
        self.assets = assets.to_vec();
        self.assets.sort();
        self
    }

    /// Reads what [`to_state_object`](Self::to_state_object) wrote. Fields that a later release has added are passed
    /// over.
    ///
    /// # Errors
    /// [`NodeConfigError::Read`].
    pub fn read(text: &str) -> Result<Self, NodeConfigError> {
        yaml::read_one(text).map_err(NodeConfigError::Read)
    }

    /// The configuration as a file that is stored under its own hash, and that hash.
    ///
    /// # Errors
    /// When it cannot be written, which manifests that were validated do not cause.
    pub fn to_state_object(&self) -> Result<(StateObject, String), NodeConfigError> {
        let contents = yaml::write(self)?;
        let sha256 = sha256_hex(contents.as_bytes());
        let key = layout::node_config(&self.cluster, self.role, &self.group, &sha256)?;
        let location = layout::cluster(&self.cluster)?.rest(&key).unwrap_or_default().to_owned();
        Ok((StateObject { location, contents, content_addressed: true }, sha256))
    }
}

fn overlay<'a>(layers: impl IntoIterator<Item = Option<&'a Settings>>) -> Settings {
    let entries = layers.into_iter().flatten().flat_map(|settings| settings.0.clone());
    Settings(entries.collect())
}

fn etcd(completed: &CompletedCluster, group: &str) -> Vec<EtcdMembership> {
    let clusters = completed.cluster.spec.etcd_clusters.iter();
    clusters
        .flat_map(|etcd| {
            let mut members: Vec<_> = etcd.etcd_members.iter().map(|member| member.name.clone()).collect();
            members.sort_unstable();
            let ours = etcd.etcd_members.iter().filter(|member| member.instance_group == group);
            ours.map(move |member| EtcdMembership {
                cluster: etcd.name.clone(),
                member: member.name.clone(),
                members: members.clone(),
                version: etcd.version.clone().unwrap_or_default(),
                backups: etcd.backup_policy(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ExecContainer, Manifest, Recommendations, complete, read};

    fn completed() -> CompletedCluster {
        let text = "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {name: demo.k8s.local}
spec:
  kubernetesVersion: 1.35.7
  etcdClusters:
  - {name: main, etcdMembers: [{name: b, instanceGroup: other}, {name: a, instanceGroup: master}], manager: {backupInterval: 1h0m0s}}
  kubelet: {anonymousAuth: false, maxPods: 100}
  kubeAPIServer: {maxRequestsInflight: 10}
  subnets: [{name: eu-west-1a, type: Public, zone: eu-west-1a}]
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {name: master, labels: {kops.k8s.io/cluster: demo.k8s.local}}
spec: {role: Master, kubelet: {maxPods: 50}}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {name: nodes, labels: {kops.k8s.io/cluster: demo.k8s.local}}
spec: {role: Node, taints: ['a=b:NoSchedule']}
";
        let manifests = read("test.yaml", text).unwrap().manifests;
        let mut cluster = None;
        let mut groups = Vec::new();
        for manifest in manifests {
            match manifest {
                Manifest::Cluster(read) => cluster = Some(*read),
                Manifest::InstanceGroup(group) => groups.push(*group),
                Manifest::SshCredential(_) => {}
            }
        }
        complete(&cluster.unwrap(), &groups, &Recommendations::default())
    }

    fn config(name: &str) -> NodeConfig {
        let completed = completed();
        NodeConfig::new(&completed, completed.group(name).unwrap())
    }

    #[test]
    fn machines_of_the_control_plane_get_what_is_theirs() {
        let (object, sha256) = config("master").to_state_object().unwrap();
        assert_eq!(object.location, format!("igconfig/control-plane/master/{sha256}.yaml"));
        insta::assert_snapshot!(object.contents, @r#"
        apiName: api.demo.k8s.local
        cluster: demo.k8s.local
        controlPlane:
          kubeAPIServer:
            maxRequestsInflight: 10
        etcd:
        - backups:
            interval: 1h
            retentionDays: 90
          cluster: main
          member: a
          members:
          - a
          - b
          version: "3.6.12"
        group: master
        kubelet:
          anonymousAuth: false
          maxPods: 50
        kubernetesVersion: "1.35.7"
        labels:
          node-role.kubernetes.io/control-plane: ""
          node.kubernetes.io/exclude-from-external-load-balancers: ""
        networks:
          clusterDomain: cluster.local
          machines: 172.20.0.0/16
          nonMasquerade: 100.64.0.0/10
          plugin:
            kubenet: {}
          pods: 100.96.0.0/11
          services: 100.64.0.0/13
        role: Master
        "#);
    }

    #[test]
    fn workers_learn_nothing_of_the_control_plane() {
        let (object, sha256) = config("nodes").to_state_object().unwrap();
        assert_eq!(object.location, format!("igconfig/node/nodes/{sha256}.yaml"));
        assert_eq!(sha256, sha256_hex(object.contents.as_bytes()));
        for word in ["etcd", "maxRequestsInflight"] {
            assert!(!object.contents.contains(word), "{word}");
        }
        assert!(object.contents.contains("a=b:NoSchedule"), "{}", object.contents);
    }

    #[test]
    fn changes_are_told_by_setting() {
        let old = config("nodes");
        let mut new = old.clone();
        new.kubelet.0.insert("maxPods".to_owned(), 200.into());
        new.labels.insert("tier".to_owned(), "x".repeat(101));
        let asset = |name: &str| Asset {
            name: name.into(),
            sha256: "1".into(),
            source: crate::node::Source::Key("k".into()),
            files: Vec::new(),
            directory: None,
        };
        new.assets = vec![asset("kubelet")];
        new.taints.clear();
        let file = |content: &str| FileAsset {
            name: "audit".to_owned(),
            content: content.to_owned(),
            ..FileAsset::default()
        };
        let mut old = old;
        old.file_assets = vec![file("kind: Policy\nsecret: old\n")];
        new.file_assets = vec![file("kind: Policy\nsecret: new\nmore: 1\n")];
        let environment = [("PASSWORD".to_owned(), "hunter2".to_owned())].into();
        let container = ExecContainer { environment, image: "x".to_owned(), ..ExecContainer::default() };
        new.hooks = vec![
            Hook {
                name: Some("a.service".to_owned()),
                manifest: Some("secret".to_owned()),
                ..Hook::default()
            },
            Hook { name: Some("b.service".to_owned()), exec_container: Some(container), ..Hook::default() },
        ];
        new.sysctl_parameters = vec!["vm.swappiness=1".to_owned()];
        assert_eq!(old.changes(&old), Vec::<String>::new());
        insta::assert_snapshot!(old.changes(&new).join("\n"), @r#"
        assets.kubelet.key: <none> -> k
        assets.kubelet.name: <none> -> kubelet
        assets.kubelet.sha256: <none> -> 1
        fileAssets.audit.content: (25 bytes, SHA-256 4faaa1215847) -> (33 bytes, SHA-256 dea6bd5bc91e), -1 +2 lines
        hooks.a.service.manifest: <none> -> (6 bytes, SHA-256 2bb80d537b1d)
        hooks.a.service.name: <none> -> a.service
        hooks.b.service.execContainer.environment.PASSWORD: <none> -> (7 bytes, SHA-256 f52fbd32b2b3)
        hooks.b.service.execContainer.image: <none> -> x
        hooks.b.service.name: <none> -> b.service
        kubelet.maxPods: 100 -> 200
        labels.tier: <none> -> xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        sysctlParameters: <none> -> ["vm.swappiness=1"]
        taints: ["a=b:NoSchedule"] -> <none>
        "#);
    }

    #[test]
    fn what_is_written_is_read() {
        let config = config("master");
        let (object, _) = config.to_state_object().unwrap();
        assert_eq!(NodeConfig::read(&object.contents).unwrap(), config);
        for wrong in ["", "a: [", "cluster: x", "--- \n---\n"] {
            assert!(NodeConfig::read(wrong).is_err(), "{wrong}");
        }
        assert!(object.contents.contains("maxPods: 50"), "{}", object.contents);
    }
}

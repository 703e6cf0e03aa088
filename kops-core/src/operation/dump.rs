use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::instances::instances_of;
use super::{Access, ClusterInstance, Kops, OperationError};
use crate::cloud::{Cloud, Reach};
use crate::cluster_api::{Condition, Node};
use crate::inventory::{Gap, Observed};
use crate::manifest::{Cluster, InstanceGroup};
use crate::observation::ClusterView;
use crate::provider::Provider;
use crate::resource::{Handle, Ownership, Resource, ResourceId};

/// All that is known of a cluster, for whoever looks for what is wrong with it. Holds no secret.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dump {
    /// The cluster's manifest.
    pub cluster: Cluster,
    /// The manifests of its instance groups.
    pub instance_groups: Vec<InstanceGroup>,
    /// What belongs to it in the cloud, and what others left there under the same names.
    pub resources: Vec<DumpedResource>,
    /// What could not be read of the cloud.
    pub gaps: Vec<Gap>,
    /// Its machines.
    pub instances: Vec<ClusterInstance>,
    /// Its nodes.
    pub nodes: Vec<DumpedNode>,
    /// Why nothing is known of its nodes, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// A resource as it is in the cloud.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DumpedResource {
    /// Kind and name.
    pub id: ResourceId,
    /// The provider's name for it.
    pub handle: Handle,
    /// Whose it is.
    pub ownership: Ownership,
    /// What it is like.
    pub fields: Map<String, Value>,
}

/// A node as the Kubernetes API shows it, without its annotations: those may say anything.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DumpedNode {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<Handle>,
    kubelet_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_ip: Option<String>,
    unschedulable: bool,
    labels: BTreeMap<String, String>,
    taints: Vec<String>,
    conditions: BTreeMap<String, Condition>,
}

impl<P: Provider> Kops<P> {
    /// Gathers all that is known of a cluster. Changes nothing.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read at all. What could not be read in part is in the dump.
    pub async fn dump(&self, cluster: &str, access: Access) -> Result<Dump, OperationError> {
        let loaded = self.registry.load(cluster).await?;
        let running = self.running(cluster, access).await?;
        let inventory = self.cloud().observe(&running.scope, Reach::Everything).await?;
        let seen = self.look(&running).await?;
        let observed = inventory.iter().map(|(_, observed)| observed).chain(inventory.duplicates());
        let instances = instances_of(&running, &seen);
        let (nodes, unreachable) = match seen.cluster {
            ClusterView::Seen(snapshot) => (snapshot.nodes, None),
            ClusterView::CloudOnly => (Vec::new(), Some("it was not asked".to_owned())),
            ClusterView::Unreachable(reason) => (Vec::new(), Some(reason)),
        };
        Ok(Dump {
            cluster: loaded.cluster,
            instance_groups: loaded.groups,
            resources: observed.map(DumpedResource::of).collect(),
            gaps: inventory.gaps().to_vec(),
            instances,
            nodes: nodes.into_iter().map(DumpedNode::of).collect(),
            unreachable,
        })
    }
}

impl DumpedResource {
    fn of<R: Resource>(observed: &Observed<R>) -> Self {
        let Observed { resource, handle, .. } = observed;
        Self {
            id: resource.id(),
            handle: handle.clone(),
            ownership: resource.ownership(),
            fields: resource.fields(),
        }
    }
}

impl DumpedNode {
    fn of(node: Node) -> Self {
        Self {
            name: node.name,
            instance: node.instance,
            kubelet_version: node.kubelet_version,
            internal_ip: node.internal_ip,
            unschedulable: node.unschedulable,
            labels: node.labels,
            taints: node.taints.iter().map(ToString::to_string).collect(),
            conditions: node.conditions,
        }
    }
}

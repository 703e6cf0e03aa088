//! What the control plane does for nodes, as a cloud controller would: labels that a node may not give itself, ways to
//! its pods, and its end.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use kops_core::clock::Timestamp;
use kops_core::node::{Departure, MachineCloud, NodeConfig, Peer};

use crate::api::{Api, ApiNode};
use crate::error::{Done, NodeError};
use crate::looks::Looks;
use crate::pod_routes::{PodRoutes, pod_routes};

pub(crate) const STEP: &str = "nodes";
const ROUTES: &str = "pod routes";

/// What nodes are looked after with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nodes<'a> {
    pub(crate) config: &'a NodeConfig,
    pub(crate) cloud: &'a dyn MachineCloud,
    pub(crate) api: Api<'a>,
    pub(crate) looks: &'a Looks,
    pub(crate) now: Timestamp,
}

impl Nodes<'_> {
    /// Looks at all nodes once.
    pub(crate) async fn ensure(self, peers: &[Peer]) -> Vec<Done> {
        let Self { cloud, api, .. } = self;
        let nodes = match api.nodes(STEP).await {
            Ok(nodes) => nodes,
            Err(error) => return vec![Err(error)],
        };
        let (labels, routes, departed) = futures::join!(
            join_all(nodes.iter().filter_map(|node| {
                let peer = peers.iter().find(|peer| peer.id == node.name)?;
                Some(label(node, peer, api))
            })),
            self.route(&nodes, peers),
            dismiss(&nodes, peers, cloud, api),
        );
        labels.into_iter().chain([routes, departed]).collect()
    }

    /// Makes the ranges of pods lead to the machines of their nodes, if these run.
    async fn route(self, nodes: &[ApiNode], peers: &[Peer]) -> Done {
        let Self { config, cloud, looks, now, .. } = self;
        let Some(pods) = config.networks.pods.filter(|_| config.networks.routes_pods()) else {
            return Ok(());
        };
        let runs = |node: &&ApiNode| peers.iter().any(|peer| peer.id == node.name);
        let PodRoutes { ways, refused } =
            pod_routes(nodes.iter().filter(runs), pods, config.pod_range_length());
        if !looks.are_routed(&ways, now) {
            let routed = cloud.route_pods(&config.cluster, pods, &ways).await;
            routed.map_err(|error| NodeError::of_cloud(ROUTES, error))?;
            looks.route(ways, now);
        }
        match refused.is_empty() {
            true => Ok(()),
            false => Err(NodeError::lasting(ROUTES, refused.join("; ")).with_hint(
                "such a range is not routed; `kubectl delete node` makes the controller manager give another",
            )),
        }
    }
}

async fn label(node: &ApiNode, peer: &Peer, api: Api<'_>) -> Done {
    let missing = peer.labels.iter().filter(|(label, value)| node.labels.get(*label) != Some(value));
    let missing: BTreeMap<&str, &str> =
        missing.map(|(label, value)| (label.as_str(), value.as_str())).collect();
    if missing.is_empty() { Ok(()) } else { api.label(STEP, &node.name, &missing).await }
}

/// Nodes whose machines will never run again are deleted, so that their pods are made elsewhere. What the cloud does not
/// know may be too young for it to know: its node goes only if nothing is heard of it.
async fn dismiss(nodes: &[ApiNode], peers: &[Peer], cloud: &dyn MachineCloud, api: Api<'_>) -> Done {
    let missing = nodes.iter().filter(|node| !peers.iter().any(|peer| peer.id == node.name));
    let missing: Vec<(&ApiNode, &String)> =
        missing.filter_map(|node| Some((node, node.provider_id.as_ref()?))).collect();
    let ids: BTreeSet<String> = missing.iter().map(|(_, id)| (*id).clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let departed = cloud.departed(&ids).await.map_err(|error| NodeError::of_cloud(STEP, error))?;
    let gone = missing.into_iter().filter(|(node, id)| match departed.get(*id) {
        Some(Departure::Terminated) => true,
        Some(Departure::Unknown) => !node.is_ready,
        None => false,
    });
    let deleted = join_all(gone.map(|(node, _)| api.delete_node(STEP, &node.name))).await;
    deleted.into_iter().collect()
}

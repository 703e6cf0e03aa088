//! Which ranges of pods lead to which machines. A node says its range itself, so nothing it says is believed that the
//! controller manager could not have given it.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use crate::api::ApiNode;

/// The routes to make, and what is left unrouted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PodRoutes {
    /// The machine that each range leads to.
    pub(crate) ways: BTreeMap<Ipv4Net, String>,
    /// Why a node's range leads nowhere, a sentence each.
    pub(crate) refused: Vec<String>,
}

/// Chooses the routes of `nodes`, which all have machines that run.
///
/// A range is routed if it lies within `pods`, has the length that the controller manager gives (`length`), and no older
/// node has it: who comes later cannot take the pods of another.
pub(crate) fn pod_routes<'a>(
    nodes: impl Iterator<Item = &'a ApiNode>,
    pods: Ipv4Net,
    length: u8,
) -> PodRoutes {
    let mut claims: Vec<(&ApiNode, Ipv4Net)> =
        nodes.filter_map(|node| Some((node, node.pods?.trunc()))).collect();
    claims.sort_by_key(|(node, _)| (&node.created, &node.name));
    let mut routes = PodRoutes::default();
    for (node, range) in claims {
        let reason = if !pods.contains(&range) {
            format!("it is not within the cluster's range of pods, {pods}")
        } else if range.prefix_len() != length {
            format!("the controller manager gives ranges of length /{length}")
        } else if let Some(older) = routes.ways.get(&range) {
            format!("node {older} had that range before")
        } else {
            routes.ways.insert(range, node.name.clone());
            continue;
        };
        routes.refused.push(format!("node {} says its pods are in {range}: {reason}", node.name));
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(nodes: &[(&str, &str)]) -> PodRoutes {
        let nodes: Vec<ApiNode> = nodes
            .iter()
            .enumerate()
            .map(|(age, (name, pods))| ApiNode {
                name: (*name).to_owned(),
                labels: BTreeMap::new(),
                provider_id: None,
                created: format!("2026-01-15T12:00:0{}Z", 9 - age),
                pods: Some(pods.parse().unwrap()),
                is_ready: true,
            })
            .collect();
        pod_routes(nodes.iter(), "100.96.0.0/11".parse().unwrap(), 24)
    }

    #[test]
    fn only_what_the_controller_manager_gives_is_routed() {
        let routes = chosen(&[
            ("a", "100.96.0.0/24"),
            ("wide", "0.0.0.0/1"),
            ("near", "100.128.0.0/24"),
            ("long", "100.96.7.0/25"),
        ]);
        assert_eq!(routes.ways, BTreeMap::from([("100.96.0.0/24".parse().unwrap(), "a".to_owned())]));
        insta::assert_snapshot!(routes.refused.join("\n"), @r"
        node long says its pods are in 100.96.7.0/25: the controller manager gives ranges of length /24
        node near says its pods are in 100.128.0.0/24: it is not within the cluster's range of pods, 100.96.0.0/11
        node wide says its pods are in 0.0.0.0/1: it is not within the cluster's range of pods, 100.96.0.0/11
        ");
    }

    #[test]
    fn nobody_takes_the_pods_of_an_older_node() {
        let routes =
            chosen(&[("new", "100.96.0.0/24"), ("other", "100.96.1.0/24"), ("old", "100.96.0.0/24")]);
        let ways = [("100.96.0.0/24", "old"), ("100.96.1.0/24", "other")];
        assert_eq!(routes.ways, ways.map(|(range, node)| (range.parse().unwrap(), node.to_owned())).into());
        insta::assert_snapshot!(routes.refused.join("\n"), @"node new says its pods are in 100.96.0.0/24: node old had that range before");
    }
}

//! Changes of manifests that break a cluster that runs, each with the way to get there nevertheless (law L9).
//!
//! [`breaking`] compares what was last applied with what is to be applied. A value that either does not know is no
//! change: manifests were completed by other releases, too.

mod etcd;
mod subnets;
#[cfg(test)]
mod tests;
mod versions;

use serde_json::Value;

use super::{
    Cluster, ClusterSpec, CompletedCluster, DnsType, InstanceGroup, LoadBalancer, Networking, Role, Settings,
    Violation,
};

/// A field of the cluster that cannot change while it runs.
struct Row {
    /// The field, below `cluster.spec`.
    field: &'static str,
    /// What it is, for people; `None` if it is not known.
    value: fn(&Cluster) -> Option<String>,
    /// Why a change breaks the cluster.
    why: &'static str,
    /// How to get there.
    way: &'static str,
}

const ANOTHER: &str = "make another cluster with it, and move what runs there";
const TAKE_BACK: &str = "take the change back";
const ALLOCATED: &str = "nodes and routes keep the ranges that they were given out of the old one";
const SERVICES: &str =
    "services keep their addresses in the old range, the API's and the DNS's own among them";

const ROWS: [Row; 18] = [
    Row {
        field: "networkCIDR",
        value: |cluster| text(cluster.spec.network_cidr),
        why: "a network cannot get another range: it would be made again, and all that is in it",
        way: ANOTHER,
    },
    Row {
        field: "networkID",
        value: |cluster| cluster.spec.network_id.clone(),
        why: "machines, volumes and load balancers stay in the network where they are",
        way: ANOTHER,
    },
    Row {
        field: "nonMasqueradeCIDR",
        value: |cluster| text(cluster.spec.non_masquerade_cidr),
        why: "the ranges of pods and services lie in it, and machines must agree on which addresses are translated",
        way: ANOTHER,
    },
    Row { field: "podCIDR", value: |cluster| text(cluster.spec.pod_cidr), why: ALLOCATED, way: ANOTHER },
    Row {
        field: "serviceClusterIPRange",
        value: |cluster| text(cluster.spec.service_cluster_ip_range),
        why: SERVICES,
        way: ANOTHER,
    },
    Row {
        field: "networking",
        value: |cluster| cluster.spec.networking.as_ref().map(plugin),
        why: "pods of the one network plugin do not reach those of the other, for as long as both are there",
        way: ANOTHER,
    },
    Row {
        field: "clusterDNSDomain",
        value: |cluster| cluster.spec.cluster_dns_domain.clone(),
        why: "pods that run look for services in the old domain, which no longer answers",
        way: ANOTHER,
    },
    Row {
        field: "cloudProvider",
        value: |cluster| cluster.spec.cloud_provider.clone(),
        why: "everything would stay where it is, and be forgotten",
        way: ANOTHER,
    },
    Row {
        field: "topology.dns.type",
        value: discovery,
        why: "machines that run look for the API where it is no longer told",
        way: ANOTHER,
    },
    Row {
        field: "dnsZone",
        value: |cluster| cluster.spec.dns_zone.clone(),
        why: "the names in the old zone would stay there, and nobody would keep them",
        way: ANOTHER,
    },
    Row {
        field: "api",
        value: |cluster| cluster.spec.api.as_ref().map(|api| balancer(api.load_balancer.as_ref())),
        why: "the address of the API changes: clients and machines that know the old one lose it",
        way: "allow it once, replace all machines, and export the kubeconfigs again",
    },
    Row {
        field: "masterPublicName",
        value: public_name,
        why: "clients that know the API by the old name no longer trust it",
        way: "keep the old name in `spec.additionalSans`",
    },
    Row {
        field: "kubeAPIServer.serviceAccountIssuer",
        value: issuer,
        why: "the tokens of all pods that run were issued under the old name, and become void",
        way: TAKE_BACK,
    },
    Row {
        field: "kubeAPIServer.serviceClusterIPRange",
        value: |cluster| setting(&cluster.spec.kube_api_server, "serviceClusterIPRange"),
        why: SERVICES,
        way: ANOTHER,
    },
    Row {
        field: "kubeAPIServer.etcdServers",
        value: |cluster| setting(&cluster.spec.kube_api_server, "etcdServers"),
        why: "another etcd holds nothing of the cluster",
        way: TAKE_BACK,
    },
    Row {
        field: "kubeControllerManager.clusterCIDR",
        value: |cluster| setting(&cluster.spec.kube_controller_manager, "clusterCIDR"),
        why: ALLOCATED,
        way: ANOTHER,
    },
    Row {
        field: "kubeControllerManager.nodeCIDRMaskSize",
        value: |cluster| setting(&cluster.spec.kube_controller_manager, "nodeCIDRMaskSize"),
        why: ALLOCATED,
        way: ANOTHER,
    },
    Row {
        field: "kubeControllerManager.serviceClusterIPRange",
        value: |cluster| setting(&cluster.spec.kube_controller_manager, "serviceClusterIPRange"),
        why: SERVICES,
        way: ANOTHER,
    },
];

/// Finds what a cluster that runs would not survive. `before` is the completed manifest that was last applied.
pub fn breaking(before: &Cluster, after: &CompletedCluster) -> Vec<Violation> {
    let mut found = Vec::new();
    for row in &ROWS {
        let (old, new) = ((row.value)(before), (row.value)(&after.cluster));
        if let (Some(old), Some(new)) = (old, new)
            && old != new
            && !is_kept(row, &old, &after.cluster.spec)
        {
            found.push(change(&format!("cluster.spec.{}", row.field), &old, &new, row.why, row.way));
        }
    }
    // Without an id the network would be one of the cluster's own.
    if let (Some(old), None) = (&before.spec.network_id, &after.cluster.spec.network_id) {
        let why = "machines, volumes and load balancers stay in the network where they are";
        found.push(change("cluster.spec.networkID", old, "a new network", why, ANOTHER));
    }
    versions::check(&mut found, before, &after.cluster);
    etcd::check(&mut found, before, after);
    subnets::check(&mut found, before, &after.cluster);
    found
}

/// Finds groups that change their role. `roles` are the groups that run, with what their machines are for.
pub fn breaking_roles<'a>(
    roles: impl IntoIterator<Item = (&'a str, Role)>,
    after: &CompletedCluster,
) -> Vec<Violation> {
    let roles: Vec<_> = roles.into_iter().collect();
    // While a group goes and its name has come back, it runs in both roles.
    let is_new = |group: &InstanceGroup| {
        !roles.iter().any(|(name, role)| *name == group.name() && *role == group.role())
    };
    let changed = after.groups.iter().filter(|group| is_new(group)).filter_map(|group| {
        let (name, old) = roles.iter().find(|(name, _)| *name == group.name())?;
        let why = "all of its machines would go at once, and etcd members with them";
        let way = "make a group of another name, and delete this one once the other runs";
        let path = format!("instanceGroup[{name}].spec.role");
        Some(change(&path, &old.to_string(), &group.role().to_string(), why, way))
    });
    changed.collect()
}

fn change(path: &str, old: &str, new: &str, why: &str, way: &str) -> Violation {
    Violation {
        path: path.to_owned(),
        message: format!("this cannot go from {old} to {new} while the cluster runs: {why}"),
        hint: Some(way.to_owned()),
    }
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn setting(settings: &Option<Settings>, name: &str) -> Option<String> {
    match settings.as_ref()?.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The name of a network plugin, as manifests write it.
fn plugin(networking: &Networking) -> String {
    let value = serde_json::to_value(networking).unwrap_or_default();
    value.as_object().and_then(|object| object.keys().next().cloned()).unwrap_or_default()
}

/// Where machines learn the address of the API.
fn discovery(cluster: &Cluster) -> Option<String> {
    let dns = cluster.spec.topology.as_ref()?.dns?.type_?;
    Some(match dns {
        DnsType::None => "None".to_owned(),
        _ if cluster.is_local() => "gossip".to_owned(),
        DnsType::Public => "Public".to_owned(),
        DnsType::Private => "Private".to_owned(),
    })
}

/// What a load balancer is to its clients.
fn balancer(balancer: Option<&LoadBalancer>) -> String {
    let Some(balancer) = balancer else { return "no load balancer".to_owned() };
    let class = balancer.class.map(|class| format!("{class:?}")).unwrap_or_default();
    let type_ = balancer.type_.map(|type_| format!("{type_:?}")).unwrap_or_default();
    let addresses = balancer.subnets.iter().filter_map(|subnet| {
        let private = subnet.private_ipv4_address.map(|address| address.to_string());
        subnet.allocation_id.clone().or(private)
    });
    let addresses: Vec<String> = addresses.collect();
    let at = if addresses.is_empty() { String::new() } else { format!(" at {}", addresses.join(", ")) };
    format!("a load balancer of class {class} and type {type_}{at}")
}

fn public_name(cluster: &Cluster) -> Option<String> {
    cluster.spec.master_public_name.clone()
}

/// Who issues the tokens of pods, where nobody says it the API by its own name.
fn issuer(cluster: &Cluster) -> Option<String> {
    let written = setting(&cluster.spec.kube_api_server, "serviceAccountIssuer");
    Some(
        written.unwrap_or_else(|| {
            format!("https://{}", crate::cluster_api::Server::internal_name(cluster.name()))
        }),
    )
}

/// Whether the old value is still good beside the new one.
fn is_kept(row: &Row, old: &str, after: &ClusterSpec) -> bool {
    row.field == "masterPublicName" && after.additional_sans.iter().any(|name| name == old)
}

use std::collections::BTreeMap;

use super::certificates::{self, crt, key};
use super::unit::Service;
use super::{Context, Etcd, MEMBER_FILE, NodePlan, RenderError, START_FILE, Start, Volume, program};
use crate::flags::Flags;
use crate::node::EtcdMembership;
use crate::pki;

/// What is particular to an etcd cluster on a machine.
struct Ports {
    client: u16,
    peer: u16,
    device: &'static str,
}

const MAIN: Ports = Ports { client: 4001, peer: 2380, device: "/dev/xvdu" };
const EVENTS: Ports = Ports { client: 4002, peer: 2381, device: "/dev/xvdv" };

/// The address at which the machine's own API server reaches an etcd cluster.
pub(super) fn endpoint(cluster: &str) -> String {
    let ports = if cluster == "events" { EVENTS } else { MAIN };
    format!("https://127.0.0.1:{}", ports.client)
}

pub(super) fn render(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    let mut clusters: BTreeMap<&str, Vec<&EtcdMembership>> = BTreeMap::new();
    for membership in &context.config.etcd {
        clusters.entry(&membership.cluster).or_default().push(membership);
    }
    if !clusters.contains_key("main") {
        return Err(context.missing("etcd member of the cluster `main`"));
    }
    plan.programs.push("etcd".to_owned());
    certificates::etcd_clients(plan);
    for (cluster, memberships) in clusters {
        let Some(first) = memberships.first() else { continue };
        let ports = if cluster == "events" { EVENTS } else { MAIN };
        let mount = format!("/mnt/etcd-{cluster}");
        plan.volumes.push(Volume {
            cluster: cluster.to_owned(),
            members: memberships.iter().map(|membership| membership.member.clone()).collect(),
            device: ports.device.to_owned(),
            mount: mount.clone(),
        });
        certificates::etcd(context, cluster, &first.members, plan);
        plan.etcd.push(upkeep(context, cluster, first, &ports, &mount));
        plan.units.push(service(context, cluster, &ports, &mount).into());
    }
    Ok(())
}

fn upkeep(
    context: &Context<'_>,
    cluster: &str,
    membership: &EtcdMembership,
    ports: &Ports,
    mount: &str,
) -> Etcd {
    let EtcdMembership { members, version, backups, .. } = membership;
    let peer = |member: &String| (member.clone(), url(context, cluster, member, ports.peer));
    let client = "kube-apiserver-etcd";
    Etcd {
        cluster: cluster.to_owned(),
        version: version.clone(),
        endpoint: endpoint(cluster),
        authority: crt(pki::ETCD_CLIENTS_CA),
        certificate: crt(client),
        key: key(client),
        unit: format!("{}.service", unit(cluster)),
        mount: mount.to_owned(),
        peers: members.iter().map(peer).collect(),
        client_port: ports.client,
        peer_port: ports.peer,
        backups: backups.clone(),
    }
}

fn unit(cluster: &str) -> &'static str {
    if cluster == "events" { "etcd-events" } else { "etcd" }
}

/// Where a member is reached by its name.
fn url(context: &Context<'_>, cluster: &str, member: &str, port: u16) -> String {
    format!("https://{}:{port}", context.config.member_name(cluster, member))
}

/// What systemd fills in: which member this machine is. Its volume says so, in a file that kops-node writes.
const MEMBER: &str = "${MEMBER}";
/// The members that an empty disk starts with, and whether they make a new cluster: kops-node decides when it gets there.
const INITIAL: [(&str, &str); 2] =
    [("initial-cluster", "${INITIAL_CLUSTER}"), ("initial-cluster-state", "${INITIAL_CLUSTER_STATE}")];

fn service<'a>(context: &Context<'_>, cluster: &str, ports: &Ports, mount: &str) -> Service<'a> {
    let config = context.config;
    let address = context.machine.address;
    let url = |member: &str, port: u16| url(context, cluster, member, port);
    let file = |name: &str| (crt(&format!("etcd-{cluster}-{name}")), key(&format!("etcd-{cluster}-{name}")));
    let ((server_crt, server_key), (peer_crt, peer_key)) = (file("server"), file("peer"));
    let (clients_ca, peers_ca) = (crt(pki::ETCD_CLIENTS_CA), crt(&format!("etcd-peers-ca-{cluster}")));
    let inputs = [&server_crt, &server_key, &peer_crt, &peer_key, &clients_ca, &peers_ca];
    let inputs = inputs.map(String::clone).into();
    let flags = Flags::new(
        "etcd",
        [
            ("advertise-client-urls", url(MEMBER, ports.client)),
            ("cert-file", server_crt),
            ("client-cert-auth", "true".to_owned()),
            ("data-dir", Etcd::data_of(mount)),
            ("initial-advertise-peer-urls", url(MEMBER, ports.peer)),
            (INITIAL[0].0, INITIAL[0].1.to_owned()),
            (INITIAL[1].0, INITIAL[1].1.to_owned()),
            ("initial-cluster-token", format!("etcd-cluster-token-{cluster}.{}", config.cluster)),
            ("key-file", server_key),
            ("listen-client-urls", format!("https://127.0.0.1:{0},https://{address}:{0}", ports.client)),
            ("listen-peer-urls", format!("https://{address}:{}", ports.peer)),
            ("name", format!("etcd-{cluster}-{MEMBER}")),
            ("peer-cert-file", peer_crt),
            ("peer-client-cert-auth", "true".to_owned()),
            ("peer-key-file", peer_key),
            ("peer-trusted-ca-file", peers_ca),
            ("quota-backend-bytes", "8589934592".to_owned()),
            ("trusted-ca-file", clients_ca),
        ],
    );
    Service {
        name: unit(cluster),
        description: "etcd, where the cluster is remembered",
        // Every other dollar sign stands for itself.
        command: [MEMBER, INITIAL[0].1, INITIAL[1].1]
            .iter()
            .fold(flags.command(&program("etcd")), |command, variable| {
                command.replace(&format!("${variable}"), variable)
            }),
        // Not there while the volume is not: etcd must never start beside its disk, nor before it is known with whom.
        service: vec![
            format!("EnvironmentFile={mount}/{MEMBER_FILE}"),
            format!("EnvironmentFile={mount}/{START_FILE}"),
            "LimitNOFILE=65536".to_owned(),
        ],
        start: Start::WhenReady,
        inputs,
    }
}

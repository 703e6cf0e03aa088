//! What proves who is who. Control-plane machines hold the authorities' keys and issue their own certificates;
//! workers hold the authority's certificate alone.

use std::net::{IpAddr, Ipv4Addr};

use super::{Certificate, Context, Keyset, NodePlan, RenderError, Usage};

/// The directory of certificates and keys.
pub(super) const PKI: &str = "/etc/kubernetes/pki";
/// The authority of everything but etcd and the aggregation layer.
pub(super) const CA: &str = "kubernetes-ca";

/// A certificate file.
pub(super) fn crt(name: &str) -> String {
    format!("{PKI}/{name}.crt")
}

/// A key file.
pub(super) fn key(name: &str) -> String {
    format!("{PKI}/{name}.key")
}

/// The authority that every machine knows.
pub(super) fn authority(plan: &mut NodePlan) {
    plan.keysets.push(trusted(CA));
}

fn trusted(name: &str) -> Keyset {
    Keyset { name: name.to_owned(), trusted: Some(crt(name)), certificate: None, key: None }
}

/// What the control plane's programs need.
pub(super) fn control_plane(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    plan.keysets.extend([
        // The controller manager signs with one pair; who checks trusts all.
        Keyset {
            name: CA.to_owned(),
            trusted: None,
            certificate: Some(crt("kubernetes-ca-signing")),
            key: Some(key("kubernetes-ca-signing")),
        },
        trusted("apiserver-aggregator-ca"),
        Keyset {
            name: "service-account".to_owned(),
            trusted: Some(format!("{PKI}/service-account.pub")),
            certificate: None,
            key: Some(key("service-account")),
        },
    ]);
    let config = context.config;
    let services = config.networks.services.ok_or_else(|| context.missing("networks.services"))?;
    let mut names = vec![
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        format!("kubernetes.default.svc.{}", config.networks.cluster_domain),
        "localhost".to_owned(),
        config.api_name.clone(),
        config.internal_api_name(),
    ];
    let mut addresses =
        vec![IpAddr::from(Ipv4Addr::LOCALHOST), context.machine.address.into(), nth(services, 1).into()];
    for more in &config.additional_sans {
        match more.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(more.clone()),
        }
    }
    plan.certificates.push(Certificate {
        path: format!("{PKI}/kube-apiserver"),
        authority: CA.to_owned(),
        common_name: "kubernetes-master".to_owned(),
        organizations: Vec::new(),
        names,
        addresses,
        usage: Usage::Server,
    });
    let node = format!("system:node:{}", context.machine.id);
    plan.certificates.extend([
        client("kubelet-api", CA, "kubelet-api", &[]),
        client("apiserver-aggregator", "apiserver-aggregator-ca", "aggregator", &[]),
        client("kube-apiserver-etcd", "etcd-clients-ca", "kube-apiserver", &[]),
        client("kube-controller-manager", CA, "system:kube-controller-manager", &[]),
        client("kube-scheduler", CA, "system:kube-scheduler", &[]),
        client("kops", CA, "kops", &["system:masters"]),
        client("kubelet", CA, &node, &["system:nodes"]),
    ]);
    Ok(())
}

fn client(name: &str, authority: &str, common_name: &str, organizations: &[&str]) -> Certificate {
    Certificate {
        path: format!("{PKI}/{name}"),
        authority: authority.to_owned(),
        common_name: common_name.to_owned(),
        organizations: organizations.iter().map(|name| (*name).to_owned()).collect(),
        names: Vec::new(),
        addresses: Vec::new(),
        usage: Usage::Client,
    }
}

/// What the members of one etcd cluster need: they prove themselves to each other and to clients.
pub(super) fn etcd(context: &Context<'_>, cluster: &str, members: &[String], plan: &mut NodePlan) {
    let peers = format!("etcd-peers-ca-{cluster}");
    plan.keysets.push(trusted(&peers));
    let names = members.iter().map(|member| context.config.member_name(cluster, member));
    let names: Vec<String> = names.chain(["localhost".to_owned()]).collect();
    let addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST), context.machine.address.into()];
    for (path, authority) in [("peer", peers.as_str()), ("server", "etcd-clients-ca")] {
        plan.certificates.push(Certificate {
            path: format!("{PKI}/etcd-{cluster}-{path}"),
            authority: authority.to_owned(),
            common_name: format!("etcd-{cluster}"),
            organizations: Vec::new(),
            names: names.clone(),
            addresses: addresses.clone(),
            usage: Usage::Both,
        });
    }
}

/// The authority of etcd's clients and servers.
pub(super) fn etcd_clients(plan: &mut NodePlan) {
    plan.keysets.push(trusted("etcd-clients-ca"));
}

/// The n-th address of a range.
pub(super) fn nth(range: ipnet::Ipv4Net, n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(range.network().to_bits().saturating_add(n))
}

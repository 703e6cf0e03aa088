//! What proves who is who. Control-plane machines hold the authorities' keys and issue their own certificates;
//! workers hold the authority's certificate alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{Certificate, Context, Keyset, NodePlan, RenderError};
use crate::manifest::ranges::nth;
use crate::node::Machine;
use crate::pki::{self, Leaf, Usage};

/// The directory of certificates and keys.
pub(super) const PKI: &str = "/etc/kubernetes/pki";
/// The authority of everything but etcd and the aggregation layer.
pub(super) const CA: &str = pki::KUBERNETES_CA;

/// The administrator on the machine.
const ADMIN: &str = "kops";

/// What the control plane's kubelets serve with.
pub(super) const KUBELET_SERVER: &str = "kubelet-server";

/// How long a certificate holds at least. As in kops (`pkg/bootstrap`, 455 days).
const LIFETIME: Duration = Duration::from_hours(455 * 24);
/// By how many days machines differ: those that were made together do not restart everything together.
const SPREAD: u64 = 30;

/// A certificate file.
pub(super) fn crt(name: &str) -> String {
    format!("{PKI}/{name}.crt")
}

/// A key file.
pub(super) fn key(name: &str) -> String {
    format!("{PKI}/{name}.key")
}

/// The administrator's certificate on machines of the control plane.
pub fn admin_certificate() -> String {
    crt(ADMIN)
}

/// The key of the administrator's certificate.
pub fn admin_key() -> String {
    key(ADMIN)
}

/// The authority that every machine knows.
pub(super) fn authority(plan: &mut NodePlan) {
    plan.keysets.push(trusted(CA));
}

fn trusted(name: &str) -> Keyset {
    Keyset { name: name.to_owned(), trusted: Some(crt(name)), ..Keyset::default() }
}

/// What the control plane's programs need.
pub(super) fn control_plane(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    plan.keysets.extend([
        // The controller manager signs with one pair; who checks trusts all.
        Keyset {
            name: CA.to_owned(),
            certificate: Some(crt("kubernetes-ca-signing")),
            key: Some(key("kubernetes-ca-signing")),
            ..Keyset::default()
        },
        trusted(pki::AGGREGATOR_CA),
        Keyset {
            name: pki::SERVICE_ACCOUNT.to_owned(),
            public_keys: Some(format!("{PKI}/service-account.pub")),
            key: Some(key("service-account")),
            ..Keyset::default()
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
    let lifetime = lifetime(context.machine);
    plan.certificates.push(Certificate {
        path: format!("{PKI}/kube-apiserver"),
        authority: CA.to_owned(),
        leaf: Leaf {
            common_name: "kubernetes-master".to_owned(),
            organization: None,
            names,
            addresses,
            usage: Usage::Server,
            lifetime,
        },
    });
    let node = format!("system:node:{}", context.machine.id);
    plan.certificates.push(Certificate {
        path: format!("{PKI}/{KUBELET_SERVER}"),
        authority: CA.to_owned(),
        leaf: Leaf {
            common_name: node.clone(),
            organization: Some("system:nodes".to_owned()),
            names: vec![context.machine.id.clone()],
            addresses: vec![context.machine.address.into()],
            usage: Usage::Server,
            lifetime,
        },
    });
    let clients = [
        ("kubelet-api", CA, "kubelet-api", None),
        ("apiserver-aggregator", pki::AGGREGATOR_CA, "aggregator", None),
        ("kube-apiserver-etcd", pki::ETCD_CLIENTS_CA, "kube-apiserver", None),
        ("kube-controller-manager", CA, "system:kube-controller-manager", None),
        ("kube-scheduler", CA, "system:kube-scheduler", None),
        (ADMIN, CA, "kops", Some("system:masters")),
        ("kubelet", CA, node.as_str(), Some("system:nodes")),
    ];
    plan.certificates.extend(clients.map(|(name, authority, common_name, organization)| Certificate {
        path: format!("{PKI}/{name}"),
        authority: authority.to_owned(),
        leaf: Leaf::client(common_name, organization, lifetime),
    }));
    Ok(())
}

fn lifetime(machine: &Machine) -> Duration {
    let days = machine.id.bytes().map(u64::from).sum::<u64>() % SPREAD;
    LIFETIME + Duration::from_hours(days * 24)
}

/// What the members of one etcd cluster need: they prove themselves to each other and to clients.
pub(super) fn etcd(context: &Context<'_>, cluster: &str, members: &[String], plan: &mut NodePlan) {
    let peers = format!("etcd-peers-ca-{cluster}");
    plan.keysets.push(trusted(&peers));
    let names = members.iter().map(|member| context.config.member_name(cluster, member));
    let names: Vec<String> = names.chain(["localhost".to_owned()]).collect();
    let addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST), context.machine.address.into()];
    for (path, authority) in [("peer", peers.as_str()), ("server", pki::ETCD_CLIENTS_CA)] {
        plan.certificates.push(Certificate {
            path: format!("{PKI}/etcd-{cluster}-{path}"),
            authority: authority.to_owned(),
            leaf: Leaf {
                common_name: format!("etcd-{cluster}"),
                organization: None,
                names: names.clone(),
                addresses: addresses.clone(),
                usage: Usage::Both,
                lifetime: lifetime(context.machine),
            },
        });
    }
}

/// The authority of etcd's clients and servers.
pub(super) fn etcd_clients(plan: &mut NodePlan) {
    plan.keysets.push(trusted(pki::ETCD_CLIENTS_CA));
}

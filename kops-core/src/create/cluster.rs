use ipnet::IpNet;
use serde_json::json;

use super::{CreateError, Draft, Shape};
use crate::manifest::{
    AccessSource, Api, Authorization, Bastion, Cilium, ClusterIam, ClusterSpec, Dns, DnsAccess, DnsType,
    Empty, EtcdCluster, EtcdManager, EtcdMember, LoadBalancer, LoadBalancerClass, LoadBalancerType,
    Networking, Placement, Settings, Subnet, SubnetType, Topology,
};

pub(super) fn spec(draft: &Draft<'_>) -> Result<ClusterSpec, CreateError> {
    let options = draft.options;
    if options.bastion && options.topology == Placement::Public {
        return Err(CreateError::option("--bastion", "a bastion needs `--topology private`"));
    }
    if options.network_id.is_some() && options.network_cidr.is_none() {
        return Err(CreateError::option(
            "--network-cidr",
            "the address range of the existing network is needed",
        ));
    }
    let networking = networking(options.networking.as_deref().unwrap_or("kubenet"))?;
    let dns =
        options.dns.unwrap_or(if draft.shape == Shape::Local { DnsType::Public } else { DnsType::None });
    let has_public_name = draft.shape == Shape::Local || dns != DnsType::None;
    let admin_access =
        if options.admin_access.is_empty() { everybody(draft.shape) } else { options.admin_access.clone() };
    let ssh_access = if options.ssh_access.is_empty() { &admin_access } else { &options.ssh_access }.clone();
    Ok(ClusterSpec {
        api: Some(api(draft, dns)),
        authorization: Some(Authorization::Rbac(Empty {})),
        channel: Some("stable".to_owned()),
        cloud_labels: options.cloud_labels.clone(),
        cloud_provider: Some(options.cloud_provider.clone()),
        config_base: Some(format!("{}/{}", options.state_store.trim_end_matches('/'), options.name)),
        etcd_clusters: ["main", "events"].map(|name| etcd(draft, name)).into(),
        iam: Some(ClusterIam {
            allow_container_registry: Some(true),
            legacy: Some(false),
            permissions_boundary: None,
        }),
        // Cilium stands in for the kube-proxy.
        kube_proxy: matches!(networking, Networking::Cilium(_)).then(|| [("enabled", json!(false))].into()),
        kubelet: Some([("anonymousAuth", json!(false))].into()),
        kubernetes_api_access: admin_access,
        kubernetes_version: options.kubernetes_version.clone(),
        master_public_name: has_public_name.then(|| format!("api.{}", options.name)),
        network_cidr: options.network_cidr,
        network_id: options.network_id.clone(),
        networking: Some(networking),
        ssh_access,
        subnets: subnets(draft),
        topology: Some(topology(draft, dns)),
        ..ClusterSpec::default()
    })
}

fn everybody(shape: Shape) -> Vec<AccessSource> {
    let ipv4 = IpNet::V4(ipnet::Ipv4Net::default()).into();
    match shape {
        Shape::Local => vec![ipv4],
        Shape::Today => vec![ipv4, IpNet::V6(ipnet::Ipv6Net::default()).into()],
    }
}

fn api(draft: &Draft<'_>, dns: DnsType) -> Api {
    let options = draft.options;
    let wants_balancer =
        options.api_load_balancer_type.is_some() || options.api_load_balancer_class.is_some();
    let has_hosted_zone = draft.shape == Shape::Today && dns != DnsType::None;
    if has_hosted_zone && options.topology == Placement::Public && !wants_balancer {
        return Api { dns: Some(DnsAccess {}), load_balancer: None };
    }
    let balancer = LoadBalancer {
        class: Some(options.api_load_balancer_class.unwrap_or(LoadBalancerClass::Network)),
        type_: Some(options.api_load_balancer_type.unwrap_or(LoadBalancerType::Public)),
        ..LoadBalancer::default()
    };
    Api { dns: None, load_balancer: Some(balancer) }
}

fn etcd(draft: &Draft<'_>, name: &str) -> EtcdCluster {
    let member = |machine: &super::groups::ControlPlane| EtcdMember {
        encrypted_volume: Some(true),
        instance_group: machine.group.clone(),
        name: machine.member.clone(),
        ..EtcdMember::default()
    };
    let bare = EtcdCluster {
        etcd_members: draft.control_plane.iter().map(member).collect(),
        name: name.to_owned(),
        ..EtcdCluster::default()
    };
    match draft.shape {
        Shape::Local => bare,
        Shape::Today => EtcdCluster {
            cpu_request: Some(if name == "main" { "200m" } else { "100m" }.to_owned()),
            manager: Some(EtcdManager { backup_retention_days: Some(90), ..EtcdManager::default() }),
            memory_request: Some("100Mi".to_owned()),
            ..bare
        },
    }
}

fn subnets(draft: &Draft<'_>) -> Vec<Subnet> {
    let subnet = |name: String, zone: &str, type_| Subnet {
        name,
        type_: Some(type_),
        zone: Some(zone.to_owned()),
        ..Subnet::default()
    };
    let main = match draft.options.topology {
        Placement::Public => SubnetType::Public,
        Placement::Private => SubnetType::Private,
    };
    let mut subnets: Vec<_> = draft.zones.iter().map(|zone| subnet((*zone).to_owned(), zone, main)).collect();
    if main == SubnetType::Private {
        subnets.extend(
            draft.zones.iter().map(|zone| subnet(format!("utility-{zone}"), zone, SubnetType::Utility)),
        );
    }
    subnets
}

fn topology(draft: &Draft<'_>, dns: DnsType) -> Topology {
    let dns = Some(Dns { type_: Some(dns) });
    match draft.shape {
        Shape::Today => Topology { dns, ..Topology::default() },
        Shape::Local => Topology {
            bastion: draft.options.bastion.then(|| Bastion {
                bastion_public_name: Some(format!("bastion.{}", draft.options.name)),
                ..Bastion::default()
            }),
            dns,
            masters: Some(draft.options.topology),
            nodes: Some(draft.options.topology),
        },
    }
}

/// The plugin of that name, with the settings that kops gives it.
fn networking(name: &str) -> Result<Networking, CreateError> {
    let none = Settings::default();
    Ok(match name {
        "amazonvpc" | "amazon-vpc-routed-eni" => Networking::AmazonVpc(none),
        "calico" => Networking::Calico(none),
        "canal" => Networking::Canal(none),
        "cilium" => {
            Networking::Cilium(Box::new(Cilium { enable_node_port: Some(true), ..Cilium::default() }))
        }
        "classic" => Networking::Classic(none),
        "cni" => Networking::Cni(none),
        "external" => Networking::External(none),
        "flannel" | "flannel-vxlan" => Networking::Flannel([("backend", json!("vxlan"))].into()),
        "flannel-udp" => Networking::Flannel([("backend", json!("udp"))].into()),
        "kindnet" => Networking::Kindnet(none),
        "kopeio" => Networking::Kopeio(none),
        "kube-router" | "kuberouter" => Networking::KubeRouter(none),
        "kubenet" => Networking::Kubenet(none),
        "romana" => Networking::Romana(none),
        "weave" => Networking::Weave(none),
        _ => {
            let message =
                format!("`{name}` is not a network plugin that is known, such as kubenet, cni or calico");
            return Err(CreateError::option("--networking", message));
        }
    })
}

use super::{Below, Violations, cilium};
use crate::manifest::{Api, CompletedCluster, InstanceGroup, Networking, Role, Violation};

/// Finds everything that manifests can say and that no cluster is made of yet.
///
/// Such manifests are read, completed, validated and stored; a cluster is made of them only when nothing is found.
pub fn unsupported(completed: &CompletedCluster) -> Vec<Violation> {
    let mut violations = Violations::default();
    check_cluster(&mut violations.below("cluster"), completed);
    for group in &completed.groups {
        check_group(&mut violations.below(format!("instanceGroup[{}]", group.name())), group);
    }
    violations.list
}

fn check_cluster(found: &mut Below<'_>, completed: &CompletedCluster) {
    let spec = &completed.cluster.spec;
    check_names(found, completed);
    let balancer = spec.api.as_ref().and_then(|api| api.load_balancer.as_ref());
    if balancer.is_some_and(|balancer| balancer.use_for_internal_api == Some(true))
        && !completed.joins_by_load_balancer()
    {
        let hint = "write `useForInternalApi: false`, or `topology: {dns: {type: None}}`";
        let message = "machines reach the API without its load balancer";
        found.add_with_hint("spec.api.loadBalancer.useForInternalApi", message, hint);
    }
    let bastion =
        spec.topology.as_ref().and_then(|topology| topology.bastion.as_ref()?.bastion_public_name.as_ref());
    let usual = format!("bastion.{}", completed.name());
    if completed.has_hosted_zone() && bastion.is_some_and(|name| *name != usual) {
        let message = "other names of bastions are not kept in a hosted zone";
        found.add_with_hint(
            "spec.topology.bastion.bastionPublicName",
            message,
            format!("write {usual}, or remove it"),
        );
    }
    for (index, subnet) in spec.subnets.iter().enumerate() {
        let path = format!("spec.subnets[{index}]");
        if subnet.ipv6_cidr.is_some() {
            found.add(format!("{path}.ipv6CIDR"), "IPv6 ranges of subnets are not supported yet");
        }
        if subnet.public_ip.is_some() {
            let hint = "write the id of the address, `egress: eipalloc-…`";
            found.add_with_hint(format!("{path}.publicIP"), "addresses are not looked up yet", hint);
        }
    }
    if spec.iam.as_ref().is_some_and(|iam| iam.legacy == Some(true)) {
        found.add_with_hint("spec.iam.legacy", "wide permissions are not supported", "write `legacy: false`");
    }
    check_networking(found, completed);
    for (index, addon) in spec.addons.iter().enumerate() {
        let is_elsewhere = ["http://", "https://"].iter().any(|start| addon.manifest.starts_with(start));
        if is_elsewhere || !addon.manifest.contains(':') {
            let message = if is_elsewhere {
                "manifests of add-ons are not fetched from elsewhere"
            } else {
                "add-ons are not called by their names in kops's channel"
            };
            let path = format!("spec.addons[{index}].manifest");
            found.add_with_hint(path, message, "put the manifest in the state store and name it there");
        }
    }
}

/// Where the names of the cluster are.
fn check_names(found: &mut Below<'_>, completed: &CompletedCluster) {
    let spec = &completed.cluster.spec;
    let by_name = matches!(spec.api, Some(Api { dns: Some(_), .. }));
    match completed.cluster.hosted_zone() {
        Some(zone) if zone.is_private => {
            let hint = "write `type: Public` or `type: None`";
            found.add_with_hint("spec.topology.dns.type", "private zones are not supported yet", hint);
        }
        Some(_) => {}
        None => {
            if by_name {
                let message = "without a hosted zone there are no names for the API";
                found.add_with_hint("spec.api.dns", message, "write `loadBalancer: {type: Public}` instead");
            }
            if spec.dns_zone.is_some() {
                let hint = "take the field away, or write `topology: {dns: {type: Public}}` and a name within the zone";
                found.add_with_hint("spec.dnsZone", "the cluster keeps no names in a zone", hint);
            }
        }
    }
}

/// Plugins that are not made here are brought by the user.
fn check_networking(found: &mut Below<'_>, completed: &CompletedCluster) {
    let spec = &completed.cluster.spec;
    const PATH: &str = "spec.networking";
    let (plugin, source) = match &spec.networking {
        None
        | Some(
            Networking::Kubenet(_) | Networking::Cni(_) | Networking::External(_) | Networking::Flannel(_),
        ) => return,
        Some(Networking::Calico(_)) => (
            "calico",
            "`curl -LO https://raw.githubusercontent.com/projectcalico/calico/VERSION/manifests/calico.yaml`",
        ),
        Some(Networking::Cilium(settings)) => {
            if !spec.brings("cilium") {
                cilium::unsupported(found, completed.kubernetes_version().ok(), settings);
            }
            return;
        }
        Some(_) => {
            let hint = "write `kubenet: {}`, or `cni: {}` and bring the plugin in `spec.addons`";
            return found.add_with_hint(PATH, "this network plugin is not supported", hint);
        }
    };
    if !spec.brings(plugin) {
        let message = format!("no add-on brings {plugin}");
        let hint = format!("{source}, put the file in the state store, and name it in `spec.addons`");
        found.add_with_hint(PATH, message, hint);
    }
}

fn check_group(found: &mut Below<'_>, group: &InstanceGroup) {
    if group.role() != Role::Bastion {
        return;
    }
    let spec = &group.spec;
    for (field, is_set) in [
        ("containerd", spec.containerd.is_some()),
        ("fileAssets", !spec.file_assets.is_empty()),
        ("hooks", !spec.hooks.is_empty()),
        ("kubelet", spec.kubelet.is_some()),
        ("sysctlParameters", !spec.sysctl_parameters.is_empty()),
    ] {
        if is_set {
            let message = "bastions run nothing of Kubernetes, and nothing that could see to it";
            found.add_with_hint(
                format!("spec.{field}"),
                message,
                "remove it, or do it in `additionalUserData`",
            );
        }
    }
}

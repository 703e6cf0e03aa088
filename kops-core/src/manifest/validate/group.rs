use std::collections::BTreeSet;

use super::syntax::{Taint, is_domain_name, is_label_key, is_label_value, lower_case};
use super::volume::Volume;
use super::{Below, cluster, machine, mixed};
use crate::manifest::{
    CompletedCluster, CountOrPercent, InstanceGroup, InstanceGroupSpec, Role, RollingUpdate, Subnet,
    SubnetType,
};

const TENANCIES: [&str; 3] = ["default", "dedicated", "host"];

pub(super) fn check(found: &mut Below<'_>, completed: &CompletedCluster, group: &InstanceGroup) {
    let spec = &group.spec;
    check_metadata(found, completed, group);
    check_size(found, group);
    check_subnets(found, completed, group);
    check_machine(found, spec);
    mixed::check(found, group.role(), spec);
    check_node(found, spec);
    cluster::check_labels(found, completed.name(), &spec.cloud_labels);
    machine::check_hooks(found, &spec.hooks);
    machine::check_files(found, &spec.file_assets);
    machine::check_sysctls(found, &spec.sysctl_parameters);
    machine::check_user_data(found, &spec.additional_user_data);
    for (index, balancer) in spec.external_load_balancers.iter().enumerate() {
        if balancer.load_balancer_name.is_some() == balancer.target_group_arn.is_some() {
            let path = format!("spec.externalLoadBalancers[{index}]");
            found.add(path, "exactly one of `loadBalancerName` and `targetGroupArn` is needed");
        }
    }
    if let Some(update) = spec.rolling_update {
        check_rolling_update(found, update);
    }
}

fn check_metadata(found: &mut Below<'_>, completed: &CompletedCluster, group: &InstanceGroup) {
    check_name(found, completed, group);
    match group.metadata.cluster() {
        Some(name) if name == completed.name() => {}
        found_name => {
            let message = format!(
                "the group belongs to `{}`, not to `{}`",
                found_name.unwrap_or_default(),
                completed.name()
            );
            found.add("metadata.labels", message);
        }
    }
}

/// Kubernetes' nodes have the name as the value of a label, and it is part of a key in the state store.
fn check_name(found: &mut Below<'_>, completed: &CompletedCluster, group: &InstanceGroup) {
    const PATH: &str = "metadata.name";
    let name = group.name();
    let is_name = |name: &str| is_domain_name(name) && is_label_value(name);
    if let Some(lower) = lower_case(name, is_name) {
        let message = format!("`{name}` has upper-case letters, which names of groups have not");
        found.add_with_hint(PATH, message, format!("write {lower}"));
    } else if !is_name(name) {
        let message = format!("`{name}` is not a name of at most 63 lower-case letters, digits, `-` and `.`");
        found.add(PATH, message);
    }
    // What machines are made from is named like that for a control-plane group.
    let same = completed.groups_of(Role::ControlPlane).find(|other| {
        group.role() != Role::ControlPlane && name.strip_suffix(".masters") == Some(other.name())
    });
    if let Some(same) = same {
        let message =
            format!("its machines would be named like those of the control-plane group `{}`", same.name());
        found.add_with_hint(PATH, message, "choose another name");
    }
}

fn check_size(found: &mut Below<'_>, group: &InstanceGroup) {
    let (Some(min), Some(max)) = (group.spec.min_size, group.spec.max_size) else { return };
    if min > max {
        found.add("spec.minSize", format!("{min} is more than `spec.maxSize` ({max})"));
    }
    if group.role() == Role::ControlPlane && max != 1 {
        let message = format!("a control-plane group has one machine, not up to {max}");
        found.add_with_hint("spec.maxSize", message, "make one group for each control-plane machine");
    }
}

fn check_subnets(found: &mut Below<'_>, completed: &CompletedCluster, group: &InstanceGroup) {
    let spec = &group.spec;
    if spec.subnets.is_empty() {
        found.add("spec.subnets", "the group has no subnet");
    }
    let mut names = BTreeSet::new();
    for (index, name) in spec.subnets.iter().enumerate() {
        let path = format!("spec.subnets[{index}]");
        if !names.insert(name) {
            found.add(&path, format!("the subnet `{name}` is there twice"));
        }
        match completed.subnet(name) {
            None => {
                let known: Vec<_> =
                    completed.cluster.spec.subnets.iter().map(|subnet| &*subnet.name).collect();
                let hint = format!("the subnets are {}", known.join(", "));
                found.add_with_hint(path, format!("there is no subnet `{name}`"), hint);
            }
            Some(subnet) if subnet.type_ == Some(SubnetType::Utility) && group.role() != Role::Bastion => {
                found.add(
                    path,
                    format!("`{name}` is a utility subnet, which holds load balancers and bastions only"),
                );
            }
            Some(_) => {}
        }
    }
    let zones: BTreeSet<&str> = completed.subnets_of(group).map(Subnet::zone).collect();
    for (index, zone) in spec.zones.iter().enumerate() {
        if !zones.contains(&**zone) {
            found.add(
                format!("spec.zones[{index}]"),
                format!("no subnet of the group is in the zone `{zone}`"),
            );
        }
    }
    if !spec.zones.is_empty()
        && let Some(zone) = zones.iter().find(|zone| !spec.zones.iter().any(|listed| listed == *zone))
    {
        let message = format!("the group's subnets are in the zone `{zone}` too");
        found.add_with_hint(
            "spec.zones",
            message,
            "leave out the zones, and name the subnets of those zones only",
        );
    }
}

fn check_machine(found: &mut Below<'_>, spec: &InstanceGroupSpec) {
    for (path, value) in [("spec.image", &spec.image), ("spec.machineType", &spec.machine_type)] {
        if value.as_deref().is_none_or(|value| value.trim().is_empty()) {
            found.add(path, "the value is empty");
        }
    }
    if let Some(tenancy) = &spec.tenancy
        && !TENANCIES.contains(&&**tenancy)
    {
        found.add("spec.tenancy", format!("`{tenancy}` is not one of {}", TENANCIES.join(", ")));
    }
    if let Some(price) = &spec.max_price
        && !price.parse::<f64>().is_ok_and(|price| price.is_finite() && price > 0.0)
    {
        found.add_with_hint(
            "spec.maxPrice",
            format!("`{price}` is not a price"),
            "write USD per hour, such as \"0.05\"",
        );
    }
    let hops = spec.instance_metadata.and_then(|metadata| metadata.http_put_response_hop_limit);
    if let Some(hops) = hops
        && !(1..=64).contains(&hops)
    {
        found.add("spec.instanceMetadata.httpPutResponseHopLimit", format!("{hops} is not between 1 and 64"));
    }
    let root = Volume {
        type_: spec.root_volume_type.as_deref(),
        size: spec.root_volume_size,
        iops: spec.root_volume_iops,
        throughput: spec.root_volume_throughput,
        boots: true,
    };
    root.check(found, "spec", "rootVolume");
    if spec.root_volume_encryption == Some(false) && spec.root_volume_encryption_key.is_some() {
        found.add("spec.rootVolumeEncryptionKey", "a key is given for a volume that is not encrypted");
    }
}

fn check_node(found: &mut Below<'_>, spec: &InstanceGroupSpec) {
    for (key, value) in &spec.node_labels {
        let path = format!("spec.nodeLabels[{key}]");
        if !is_label_key(key) {
            found.add(&path, format!("`{key}` is not the key of a label"));
        }
        if !is_label_value(value) {
            found.add(&path, format!("`{value}` is not the value of a label"));
        }
    }
    for (index, taint) in spec.taints.iter().enumerate() {
        if let Err(error) = taint.parse::<Taint>() {
            found.add(format!("spec.taints[{index}]"), error.to_string());
        }
    }
}

/// Also for the cluster's own, which holds for groups that have none.
pub(super) fn check_rolling_update(found: &mut Below<'_>, update: RollingUpdate) {
    for (field, value) in [("maxSurge", update.max_surge), ("maxUnavailable", update.max_unavailable)] {
        if let Some(CountOrPercent::Percent(percent @ 101..)) = value {
            found.add(format!("spec.rollingUpdate.{field}"), format!("{percent}% is more than all machines"));
        }
    }
    let is_none = |value: Option<CountOrPercent>| value.is_some_and(|value| value.of_rounded_up(100) == 0);
    if is_none(update.max_surge) && is_none(update.max_unavailable) {
        found.add(
            "spec.rollingUpdate",
            "with neither surge nor unavailable machines nothing could ever be replaced",
        );
    }
}

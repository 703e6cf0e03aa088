//! What machines are made from, and the scaling groups that make them.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::manifest::{
    self, HttpTokens, InstanceGroup, Range, Role, Taint, parse_duration, parse_quantity,
};
use kops_core::node::{self, NodeConfig, StateSource};
use kops_core::resource::{Ownership, ResourceId};
use kops_core::state_object::StateObject;
use kops_core::zone::is_within;

use super::user_data::{self, Bootstrap};
use super::{Context, ModelError, api, bastion, iam, network, volumes};
use crate::facts::{Image, StateLocation};
use crate::resource::{
    AutoscalingGroup, AwsResource, InstanceRequirements, LaunchTemplate, ManagedFile, MixedInstances, Prices,
    Tags, kind,
};
use crate::{names, tags};

/// The metrics of scaling groups, all there are without warm pools.
const METRICS: [&str; 8] = [
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupMaxSize",
    "GroupMinSize",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
];

pub(super) fn build(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    let mut resources = Vec::new();
    for group in &context.completed.groups {
        let config = configuration(context, group)?;
        resources.push(AwsResource::LaunchTemplate(Box::new(template(context, group, config.as_ref())?)));
        resources.push(AwsResource::AutoscalingGroup(Box::new(scaling_group(context, group)?)));
        resources.extend(config.map(|(object, _)| {
            AwsResource::ManagedFile(ManagedFile {
                ownership: Ownership::Managed,
                object,
                after: BTreeSet::new(),
            })
        }));
    }
    Ok(resources)
}

/// What machines of a group become, as an object of the state store with its hash; nothing for bastions, which become
/// nothing.
fn configuration(
    context: &Context<'_>,
    group: &InstanceGroup,
) -> Result<Option<(StateObject, String)>, ModelError> {
    if group.role() == Role::Bastion {
        return Ok(None);
    }
    let object = node_config(context, group).to_state_object();
    object.map(Some).map_err(|source| ModelError::NodeConfig { group: group.name().to_owned(), source })
}

fn node_config(context: &Context<'_>, group: &InstanceGroup) -> NodeConfig {
    let mut config = NodeConfig::new(context.completed, group);
    if group.role() == Role::ControlPlane {
        config.worker_roles = iam::worker_roles(context);
    }
    let config = match context.facts.hosted_zone() {
        Some(zone) => {
            let is_ours = is_within(&config.api_name, &zone.name);
            config.with_zone(&zone.id, is_ours && context.completed.load_balancer().is_none())
        }
        None => config,
    };
    let StateLocation::S3 { bucket, region, prefix, .. } = &context.facts.state else { return config };
    let slash = if prefix.is_empty() { "" } else { "/" };
    let state = StateSource { store: format!("s3://{bucket}{slash}{prefix}"), region: region.clone() };
    let architecture = context.facts.architecture(group);
    let assets = architecture.map(|one| context.facts.programs.assets(context.completed, group, one));
    config.with_state(state, &assets.unwrap_or_default())
}

fn name(context: &Context<'_>, group: &InstanceGroup) -> String {
    names::autoscaling_group(group.role(), group.name(), context.cluster)
}

fn required<T>(value: Option<T>, group: &InstanceGroup, field: &'static str) -> Result<T, ModelError> {
    value.ok_or_else(|| ModelError::MissingInGroup { group: group.name().to_owned(), field })
}

pub(super) fn image<'a>(context: &Context<'a>, group: &InstanceGroup) -> Result<&'a Image, ModelError> {
    let name = required(group.spec.image.as_deref(), group, "spec.image")?;
    context
        .facts
        .image(group)
        .ok_or_else(|| ModelError::UnknownImage { group: group.name().to_owned(), image: name.to_owned() })
}

fn template(
    context: &Context<'_>,
    group: &InstanceGroup,
    config: Option<&(StateObject, String)>,
) -> Result<LaunchTemplate, ModelError> {
    let spec = &group.spec;
    let image = image(context, group)?;
    let machine_type = required(spec.machine_type.clone(), group, "spec.machineType")?;
    let metadata = spec.instance_metadata.unwrap_or_default();
    let program = context.facts.node_programs.get(&image.architecture);
    let bootstrap = config.map(|(object, sha256)| Bootstrap {
        cluster: context.cluster,
        kubernetes_version: context.spec.kubernetes_version.as_deref().unwrap_or_default(),
        group,
        config: (&object.location, sha256),
        program,
    });
    let user_data = user_data::render(group, bootstrap.as_ref(), context.facts);
    if user_data.len() > user_data::LIMIT {
        return Err(ModelError::UserDataTooLong { group: group.name().to_owned(), bytes: user_data.len() });
    }
    let groups = spec.additional_security_groups.iter().cloned();
    Ok(LaunchTemplate {
        name: name(context, group),
        ownership: Ownership::Managed,
        associate_public_ip: spec.associate_public_ip,
        block_device_mappings: ephemeral(context, &machine_type),
        cpu_credits: spec.cpu_credits.clone(),
        http_put_response_hop_limit: metadata.http_put_response_hop_limit.unwrap_or(1),
        http_tokens: match metadata.http_tokens {
            Some(HttpTokens::Optional) => "optional".to_owned(),
            Some(HttpTokens::Required) | None => "required".to_owned(),
        },
        http_protocol_ipv6: "disabled".to_owned(),
        iam_instance_profile: iam::profile(context, group),
        image_id: image.id.clone(),
        instance_interruption_behavior: spec
            .instance_interruption_behavior
            .clone()
            .filter(|_| spec.mixed_instances_policy.is_none()),
        instance_monitoring: spec.detailed_instance_monitoring.unwrap_or(false),
        instance_type: machine_type,
        ipv6_address_count: 0,
        root_volume_device: image.root_device.clone(),
        root_volume_delete_on_termination: spec.root_volume_delete_on_termination.unwrap_or(true),
        root_volume_iops: spec.root_volume_iops,
        root_volume_optimization: spec.root_volume_optimization,
        root_volume_size: required(spec.root_volume_size, group, "spec.rootVolumeSize")?,
        root_volume_throughput: spec.root_volume_throughput,
        root_volume_type: required(spec.root_volume_type.clone(), group, "spec.rootVolumeType")?,
        root_volume_encryption: spec.root_volume_encryption.unwrap_or(true),
        root_volume_kms_key: spec.root_volume_encryption_key.clone(),
        ssh_key: context.key_pair(),
        security_groups: groups.chain([names::security_group(group.role(), context.cluster)]).collect(),
        // In a group with mixed instances the policy says the price.
        spot_price: spec.max_price.clone().filter(|_| spec.mixed_instances_policy.is_none()),
        tags: group_tags(context, group),
        tenancy: spec.tenancy.clone(),
        user_data,
        after: config.iter().map(|(object, _)| ManagedFile::id_of(object)).collect(),
    })
}

/// Devices for instance-store disks, from `/dev/sdc` on as kops maps them.
fn ephemeral(context: &Context<'_>, machine_type: &str) -> BTreeMap<String, String> {
    let disks = context.facts.machine_types.get(machine_type).map_or(0, |found| found.ephemeral_disks);
    let devices = ('c'..='z').zip(0..disks);
    devices.map(|(letter, disk)| (format!("/dev/sd{letter}"), format!("ephemeral{disk}"))).collect()
}

/// Tags of a group, which are those of its machines too.
fn group_tags(context: &Context<'_>, group: &InstanceGroup) -> Tags {
    let mut all = context.tags(&name(context, group));
    all.extend(group.spec.cloud_labels.clone());
    for (label, value) in node::labels(context.completed, group) {
        all.insert(format!("{}{label}", tags::AUTOSCALER_LABEL_PREFIX), value);
    }
    for taint in group.spec.taints.iter().filter_map(|taint| taint.parse::<Taint>().ok()) {
        let key = format!("{}{}", tags::AUTOSCALER_TAINT_PREFIX, taint.key);
        all.insert(key, format!("{}:{:?}", taint.value, taint.effect));
    }
    all.extend(tags::roles(group.role()).iter().map(|key| ((*key).to_owned(), "1".to_owned())));
    all.insert(tags::INSTANCE_GROUP.to_owned(), group.name().to_owned());
    all
}

fn scaling_group(context: &Context<'_>, group: &InstanceGroup) -> Result<AutoscalingGroup, ModelError> {
    let spec = &group.spec;
    let (balancer, target_group) = match group.role() {
        Role::ControlPlane => api::attachments(context),
        Role::Bastion => (None, Some(bastion::target_group_name(context))),
        Role::Node => (None, None),
    };
    let foreign = spec.external_load_balancers.iter();
    let balancers = foreign.clone().filter_map(|balancer| balancer.load_balancer_name.clone());
    let target_groups = foreign.filter_map(|balancer| balancer.target_group_arn.clone());
    Ok(AutoscalingGroup {
        name: name(context, group),
        ownership: Ownership::Managed,
        capacity_rebalance: spec.capacity_rebalance.unwrap_or(false),
        granularity: "1Minute".to_owned(),
        instance_protection: spec.instance_protection.unwrap_or(false),
        launch_template: name(context, group),
        mixed_instances: mixed_instances(group),
        load_balancers: balancers.chain(balancer).collect(),
        max_instance_lifetime: lifetime(spec.max_instance_lifetime.as_deref()),
        max_size: required(spec.max_size, group, "spec.maxSize")?,
        metrics: METRICS.map(str::to_owned).into(),
        min_size: required(spec.min_size, group, "spec.minSize")?,
        subnets: context.completed.subnets_of(group).map(|subnet| context.subnet(subnet)).collect(),
        suspend_processes: spec.suspend_processes.iter().cloned().collect(),
        tags: group_tags(context, group),
        target_groups: target_groups.chain(target_group).collect(),
        after: needs(context, group),
    })
}

/// Returns whether machines of the group end without anybody here having a say in it.
pub(super) fn may_lose_machines(group: &InstanceGroup) -> bool {
    let spec = &group.spec;
    let is_spot = match mixed_instances(group) {
        Some(mixed) => mixed.on_demand_above_base < 100,
        None => spec.max_price.is_some(),
    };
    is_spot || lifetime(spec.max_instance_lifetime.as_deref()) > 0
}

fn mixed_instances(group: &InstanceGroup) -> Option<MixedInstances> {
    let policy = group.spec.mixed_instances_policy.as_ref()?;
    let prices = Prices {
        on_demand_allocation_strategy: policy.on_demand_allocation_strategy.clone(),
        on_demand_base: policy.on_demand_base,
        on_demand_above_base: policy.on_demand_above_base,
        spot_allocation_strategy: policy.spot_allocation_strategy.clone(),
        spot_instance_pools: policy.spot_instance_pools,
        spot_max_price: group.spec.max_price.clone(),
    };
    let requirements = policy.instance_requirements.as_ref().map(requirements);
    Some(MixedInstances::new(policy.instances.clone(), requirements, prices))
}

fn requirements(wanted: &manifest::InstanceRequirements) -> InstanceRequirements {
    const MIB: u64 = 1 << 20;
    let bounds = |range: &Option<Range>, unit: u64| {
        let count =
            |text: &Option<String>| u32::try_from(parse_quantity(text.as_deref()?)?.div_ceil(unit)).ok();
        range.as_ref().map_or((None, None), |range| (count(&range.min), count(&range.max)))
    };
    let ((cpu_min, cpu_max), (memory_min, memory_max)) =
        (bounds(&wanted.cpu, 1), bounds(&wanted.memory, MIB));
    InstanceRequirements {
        cpu_min: cpu_min.unwrap_or(0),
        cpu_max,
        memory_min: memory_min.unwrap_or(0),
        memory_max,
        excluded_instance_types: wanted.excluded_instance_types.iter().cloned().collect(),
    }
}

/// In seconds. The manifest was validated.
fn lifetime(text: Option<&str>) -> u32 {
    let lifetime = text.and_then(|text| parse_duration(text).ok()).unwrap_or_default();
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}

/// What machines need when they boot, though nothing of theirs names it.
fn needs(context: &Context<'_>, group: &InstanceGroup) -> BTreeSet<ResourceId> {
    let mut needs: BTreeSet<ResourceId> = iam::needs(context, group).into_iter().collect();
    for subnet in context.completed.subnets_of(group) {
        if let Some(route) = network::way_out_of(subnet) {
            needs.insert(ResourceId::new(kind::ROUTE_TABLE_ASSOCIATION, context.subnet(subnet)));
            needs.insert(ResourceId::new(kind::ROUTE, route));
        }
    }
    for etcd in &context.spec.etcd_clusters {
        let members = etcd.etcd_members.iter().filter(|member| member.instance_group == group.name());
        needs.extend(
            members.map(|member| ResourceId::new(kind::EBS_VOLUME, volumes::name(context, etcd, member))),
        );
    }
    needs
}

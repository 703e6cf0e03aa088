//! Scaling groups.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, Filter, LaunchTemplateSpecification, MixedInstancesPolicy, Tag,
};
use kops_core::cloud::{Bindings, CloudError, Deletion, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::fleet::Balancing;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Kind, Ownership, Resource, ResourceId};

use super::call::Purpose;
use super::cloud::Api;
use super::names::Names;
use super::{mixed_instances, tag};
use crate::resource::{AZ_REBALANCE, AutoscalingGroup, AwsResource, Tags, kind};
use crate::tags;

/// The version of a launch template that new instances are made from.
const LATEST: &str = "$Latest";
const TAGGED: &str = "auto-scaling-group";

pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<AutoScalingGroup>, CloudError> {
    let owned = Filter::builder()
        .name(format!("tag:{}", tags::ownership(&scope.cluster)))
        .values(tags::OWNED)
        .build();
    let pages =
        api.autoscaling.describe_auto_scaling_groups().filters(owned).into_paginator().page_size(100).items();
    let pages = pages.send();
    let groups: Vec<AutoScalingGroup> = api
        .autoscaling(
            Purpose::OBSERVE,
            "autoscaling:DescribeAutoScalingGroups",
            pages.collect::<Result<_, _>>(),
        )
        .await?;
    // A group that is on its way out has a status (Auto Scaling API, AutoScalingGroup).
    Ok(groups.into_iter().filter(|group| group.status().is_none()).collect())
}

pub(super) fn resources(groups: &[AutoScalingGroup], names: &Names) -> Vec<Observed<AwsResource>> {
    let one = |group: &AutoScalingGroup| {
        let name = group.auto_scaling_group_name()?;
        let resource = AwsResource::AutoscalingGroup(Box::new(to_resource(name, group, names)));
        let uses = subnets(group).chain(group.target_group_arns().iter().map(String::as_str));
        let uses = uses.chain(group.load_balancer_names().iter().map(String::as_str));
        let uses = uses.chain(template(group).and_then(|template| template.launch_template_id()));
        let uses = uses.map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(name.to_owned()), uses })
    };
    groups.iter().filter_map(one).collect()
}

pub(super) fn template(group: &AutoScalingGroup) -> Option<&LaunchTemplateSpecification> {
    let mixed = || group.mixed_instances_policy()?.launch_template()?.launch_template_specification();
    group.launch_template().or_else(mixed)
}

fn subnets(group: &AutoScalingGroup) -> impl Iterator<Item = &str> {
    group.vpc_zone_identifier().unwrap_or_default().split(',').filter(|subnet| !subnet.is_empty())
}

fn to_resource(name: &str, group: &AutoScalingGroup, names: &Names) -> AutoscalingGroup {
    let count = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    let metrics = group.enabled_metrics();
    let balancers = group.load_balancer_names().iter().map(|name| names.of(name));
    let target_groups = group.target_group_arns().iter().map(|arn| names.of(arn));
    let held = group.suspended_processes().iter().filter_map(|process| process.process_name());
    let pairs =
        group.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    AutoscalingGroup {
        name: name.to_owned(),
        ownership: Ownership::Managed,
        capacity_rebalance: group.capacity_rebalance().unwrap_or_default(),
        granularity: metrics.first().and_then(|metric| metric.granularity()).unwrap_or_default().to_owned(),
        instance_protection: group.new_instances_protected_from_scale_in().unwrap_or_default(),
        launch_template: template(group)
            .and_then(|template| template.launch_template_name())
            .unwrap_or_default()
            .to_owned(),
        mixed_instances: group.mixed_instances_policy().map(mixed_instances::read),
        load_balancers: balancers.collect(),
        max_instance_lifetime: count(group.max_instance_lifetime()),
        max_size: count(group.max_size()),
        metrics: metrics.iter().filter_map(|metric| metric.metric()).map(ToOwned::to_owned).collect(),
        min_size: count(group.min_size()),
        subnets: subnets(group).map(|subnet| names.of(subnet)).collect(),
        suspend_processes: held.map(ToOwned::to_owned).collect(),
        tags: tag::plain(pairs),
        target_groups: target_groups.collect(),
        after: BTreeSet::new(),
    }
}

/// A desired group with its references bound.
struct Bound<'a> {
    desired: &'a AutoscalingGroup,
    template: LaunchTemplateSpecification,
    subnets: String,
    load_balancers: Vec<String>,
    target_groups: Vec<String>,
}

impl<'a> Bound<'a> {
    fn new(desired: &'a AutoscalingGroup, id: &ResourceId, bindings: &Bindings) -> Result<Self, CloudError> {
        let all = |kind: Kind, names: &BTreeSet<String>| -> Result<Vec<String>, CloudError> {
            let bound = |name: &String| Ok(bindings.resolve(id, &ResourceId::new(kind.clone(), name))?.0);
            names.iter().map(bound).collect()
        };
        let template =
            bindings.resolve(id, &ResourceId::new(kind::LAUNCH_TEMPLATE, &desired.launch_template))?;
        let template =
            LaunchTemplateSpecification::builder().launch_template_id(template.0).version(LATEST).build();
        Ok(Self {
            desired,
            template,
            subnets: all(kind::SUBNET, &desired.subnets)?.join(","),
            load_balancers: all(kind::CLASSIC_LOAD_BALANCER, &desired.load_balancers)?,
            target_groups: all(kind::TARGET_GROUP, &desired.target_groups)?,
        })
    }

    fn policy(&self) -> Option<MixedInstancesPolicy> {
        self.desired.mixed_instances.as_ref().map(|mixed| mixed_instances::policy(mixed, &self.template))
    }

    /// The template, unless a policy names it.
    fn plain_template(&self) -> Option<LaunchTemplateSpecification> {
        self.desired.mixed_instances.is_none().then(|| self.template.clone())
    }
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn to_autoscaling(group: &str, tags: &Tags) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| {
        let tag = Tag::builder().resource_type(TAGGED).resource_id(group).propagate_at_launch(true);
        tag.key(key).value(value).build()
    };
    tags.iter().map(tag).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &AutoscalingGroup,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let bound = Bound::new(desired, &id, request.bindings)?;
    let handle = Handle(desired.name.clone());
    let known = match request.current.map(|current| &current.resource) {
        Some(AwsResource::AutoscalingGroup(current)) => Some((**current).clone()),
        _ => None,
    };
    if let Some(current) = known {
        let changed = change(api, &id, &bound, &current).await?;
        return Ok(Ensured { handle, outcome: if changed { Outcome::Updated } else { Outcome::Unchanged } });
    }
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    match create(api, &id, &bound).await {
        Ok(()) => {
            slot.begin(&handle);
            let fresh = AutoscalingGroup {
                metrics: BTreeSet::new(),
                suspend_processes: BTreeSet::new(),
                ..desired.clone()
            };
            change(api, &id, &bound, &fresh).await?;
            slot.finish();
            Ok(Ensured { handle, outcome: Outcome::Created })
        }
        Err(error) if error.class == ErrorClass::AlreadyExists => {
            let read = read(api, scope).await?;
            let same = read.iter().find(|group| group.auto_scaling_group_name() == Some(&desired.name));
            let Some(same) = same else {
                return Err(slot.unseen(error.with_hint(
                    "a group of that name exists without the cluster's tags, or is just being deleted: wait, delete it, or choose another name for the cluster",
                )));
            };
            let attached = attach(api, &id, &bound, &BTreeSet::new(), &BTreeSet::new()).await?;
            let current = to_resource(&desired.name, same, &learned(&read, &bound));
            let changed = change(api, &id, &bound, &current).await?;
            slot.finish();
            // What was registered with a load balancer that was made again has been attached now.
            let outcome = if changed || attached && !current_attached(&current, desired) {
                Outcome::Updated
            } else {
                Outcome::Unchanged
            };
            Ok(Ensured { handle, outcome })
        }
        Err(error) => Err(error),
    }
}

fn current_attached(current: &AutoscalingGroup, desired: &AutoscalingGroup) -> bool {
    current.load_balancers == desired.load_balancers && current.target_groups == desired.target_groups
}

/// Names of what the group refers to, from the references that were just bound.
fn learned(_: &[AutoScalingGroup], bound: &Bound<'_>) -> Names {
    let mut names = Names::default();
    let pairs = |handles: Vec<String>, wanted: &BTreeSet<String>| {
        handles.into_iter().zip(wanted.iter().cloned()).collect::<BTreeMap<_, _>>()
    };
    let subnets = bound.subnets.split(',').map(ToOwned::to_owned).collect();
    for (handle, name) in pairs(subnets, &bound.desired.subnets)
        .into_iter()
        .chain(pairs(bound.load_balancers.clone(), &bound.desired.load_balancers))
        .chain(pairs(bound.target_groups.clone(), &bound.desired.target_groups))
    {
        names.learn(&handle, &name);
    }
    names
}

async fn create(api: &Api, id: &ResourceId, bound: &Bound<'_>) -> Result<(), CloudError> {
    let desired = bound.desired;
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let call = api
        .autoscaling
        .create_auto_scaling_group()
        .auto_scaling_group_name(&desired.name)
        .set_launch_template(bound.plain_template())
        .set_mixed_instances_policy(bound.policy())
        .min_size(number(desired.min_size))
        .max_size(number(desired.max_size))
        .vpc_zone_identifier(&bound.subnets)
        .new_instances_protected_from_scale_in(desired.instance_protection)
        .capacity_rebalance(desired.capacity_rebalance)
        .set_max_instance_lifetime(
            (desired.max_instance_lifetime > 0).then(|| number(desired.max_instance_lifetime)),
        )
        .set_load_balancer_names(some(&bound.load_balancers))
        .set_target_group_arns(some(&bound.target_groups))
        .set_tags(Some(to_autoscaling(&desired.name, &desired.tags)))
        .send();
    api.autoscaling(Purpose::create(id), "autoscaling:CreateAutoScalingGroup", call).await.map(drop)
}

/// Brings an existing group to what is desired. Says whether anything differed.
async fn change(
    api: &Api,
    id: &ResourceId,
    bound: &Bound<'_>,
    current: &AutoscalingGroup,
) -> Result<bool, CloudError> {
    let desired = bound.desired;
    let name = &desired.name;
    let purpose = Purpose::change(id);
    let shape = |g: &AutoscalingGroup| {
        let sizes = (g.min_size, g.max_size, g.max_instance_lifetime);
        (
            sizes,
            g.instance_protection,
            g.capacity_rebalance,
            g.subnets.clone(),
            g.launch_template.clone(),
            g.mixed_instances.clone(),
        )
    };
    let mut changed = shape(desired) != shape(current);
    if changed {
        let call = api
            .autoscaling
            .update_auto_scaling_group()
            .auto_scaling_group_name(name)
            .set_launch_template(bound.plain_template())
            .set_mixed_instances_policy(bound.policy())
            .min_size(number(desired.min_size))
            .max_size(number(desired.max_size))
            .max_instance_lifetime(number(desired.max_instance_lifetime))
            .vpc_zone_identifier(&bound.subnets)
            .new_instances_protected_from_scale_in(desired.instance_protection)
            .capacity_rebalance(desired.capacity_rebalance)
            .send();
        api.autoscaling(purpose, "autoscaling:UpdateAutoScalingGroup", call).await?;
    }
    changed |= attach(api, id, bound, &current.load_balancers, &current.target_groups).await?;
    changed |= metrics(api, purpose, desired, current).await?;
    changed |= processes(api, purpose, desired, current).await?;
    changed |= retag(api, purpose, desired, current).await?;
    Ok(changed)
}

/// Registers the group with the load balancers it should have, and takes it from those it should not. Names of the
/// latter that are unknown here were never bound: their handles are their names.
async fn attach(
    api: &Api,
    id: &ResourceId,
    bound: &Bound<'_>,
    balancers: &BTreeSet<String>,
    target_groups: &BTreeSet<String>,
) -> Result<bool, CloudError> {
    let name = &bound.desired.name;
    let purpose = Purpose::change(id);
    let missing = |handles: &[String], wanted: &BTreeSet<String>, has: &BTreeSet<String>| -> Vec<String> {
        let pairs = handles.iter().zip(wanted).filter(|(_, name)| !has.contains(*name));
        pairs.map(|(handle, _)| handle.clone()).collect()
    };
    let mut changed = false;
    let add = missing(&bound.load_balancers, &bound.desired.load_balancers, balancers);
    if !add.is_empty() {
        let attach = api.autoscaling.attach_load_balancers().auto_scaling_group_name(name);
        let call = attach.set_load_balancer_names(Some(add)).send();
        api.autoscaling(purpose, "autoscaling:AttachLoadBalancers", call).await?;
        changed = true;
    }
    let add = missing(&bound.target_groups, &bound.desired.target_groups, target_groups);
    if !add.is_empty() {
        let attach = api.autoscaling.attach_load_balancer_target_groups().auto_scaling_group_name(name);
        let call = attach.set_target_group_arns(Some(add)).send();
        api.autoscaling(purpose, "autoscaling:AttachLoadBalancerTargetGroups", call).await?;
        changed = true;
    }
    changed |= detach(api, purpose, bound, balancers, target_groups).await?;
    Ok(changed)
}

async fn detach(
    api: &Api,
    purpose: Purpose<'_>,
    bound: &Bound<'_>,
    balancers: &BTreeSet<String>,
    target_groups: &BTreeSet<String>,
) -> Result<bool, CloudError> {
    let desired = bound.desired;
    let surplus = balancers.difference(&desired.load_balancers).count()
        + target_groups.difference(&desired.target_groups).count();
    if surplus == 0 {
        return Ok(false);
    }
    // The group itself says what it is registered with, by handle.
    let call = api.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(&desired.name).send();
    let found = api.autoscaling(purpose, "autoscaling:DescribeAutoScalingGroups", call).await?;
    let Some(group) = found.auto_scaling_groups().first() else { return Ok(false) };
    let not_in = |handles: &[String], wanted: &[String]| -> Vec<String> {
        handles.iter().filter(|handle| !wanted.contains(handle)).cloned().collect()
    };
    let remove = not_in(group.load_balancer_names(), &bound.load_balancers);
    if !remove.is_empty() {
        let detach = api.autoscaling.detach_load_balancers().auto_scaling_group_name(&desired.name);
        let call = detach.set_load_balancer_names(Some(remove)).send();
        api.autoscaling(purpose, "autoscaling:DetachLoadBalancers", call).await?;
    }
    let remove = not_in(group.target_group_arns(), &bound.target_groups);
    if !remove.is_empty() {
        let detach =
            api.autoscaling.detach_load_balancer_target_groups().auto_scaling_group_name(&desired.name);
        let call = detach.set_target_group_arns(Some(remove)).send();
        api.autoscaling(purpose, "autoscaling:DetachLoadBalancerTargetGroups", call).await?;
    }
    Ok(true)
}

async fn metrics(
    api: &Api,
    purpose: Purpose<'_>,
    desired: &AutoscalingGroup,
    current: &AutoscalingGroup,
) -> Result<bool, CloudError> {
    let add: Vec<String> = desired.metrics.difference(&current.metrics).cloned().collect();
    let remove: Vec<String> = current.metrics.difference(&desired.metrics).cloned().collect();
    let changed = !add.is_empty() || !remove.is_empty();
    if !add.is_empty() {
        let enable = api.autoscaling.enable_metrics_collection().auto_scaling_group_name(&desired.name);
        let call = enable.granularity(&desired.granularity).set_metrics(Some(add)).send();
        api.autoscaling(purpose, "autoscaling:EnableMetricsCollection", call).await?;
    }
    if !remove.is_empty() {
        let disable = api.autoscaling.disable_metrics_collection().auto_scaling_group_name(&desired.name);
        let call = disable.set_metrics(Some(remove)).send();
        api.autoscaling(purpose, "autoscaling:DisableMetricsCollection", call).await?;
    }
    Ok(changed)
}

async fn processes(
    api: &Api,
    purpose: Purpose<'_>,
    desired: &AutoscalingGroup,
    current: &AutoscalingGroup,
) -> Result<bool, CloudError> {
    let hold: Vec<String> =
        desired.suspend_processes.difference(&current.suspend_processes).cloned().collect();
    let mut free: Vec<String> =
        current.suspend_processes.difference(&desired.suspend_processes).cloned().collect();
    // Instances in other zones than the group will have are drained first: who holds it lets it go then.
    free.retain(|process| process != AZ_REBALANCE || !stays_held(desired, current));
    let changed = !hold.is_empty() || !free.is_empty();
    if !hold.is_empty() {
        let suspend = api.autoscaling.suspend_processes().auto_scaling_group_name(&desired.name);
        let call = suspend.set_scaling_processes(Some(hold)).send();
        api.autoscaling(purpose, "autoscaling:SuspendProcesses", call).await?;
    }
    if !free.is_empty() {
        let resume = api.autoscaling.resume_processes().auto_scaling_group_name(&desired.name);
        let call = resume.set_scaling_processes(Some(free)).send();
        api.autoscaling(purpose, "autoscaling:ResumeProcesses", call).await?;
    }
    Ok(changed)
}

async fn retag(
    api: &Api,
    purpose: Purpose<'_>,
    desired: &AutoscalingGroup,
    current: &AutoscalingGroup,
) -> Result<bool, CloudError> {
    let wanting = tag::wanting(&desired.tags, &current.tags);
    let surplus = current.tags.iter().filter(|(key, _)| !desired.tags.contains_key(*key));
    let surplus = surplus.filter(|(key, _)| *key != tags::ZONES_HELD || !stays_held(desired, current));
    let surplus: Tags = surplus.map(|(key, value)| (key.clone(), value.clone())).collect();
    let changed = !wanting.is_empty() || !surplus.is_empty();
    if !wanting.is_empty() {
        let tags = to_autoscaling(&desired.name, &wanting);
        let call = api.autoscaling.create_or_update_tags().set_tags(Some(tags)).send();
        api.autoscaling(purpose, "autoscaling:CreateOrUpdateTags", call).await?;
    }
    if !surplus.is_empty() {
        let tags = to_autoscaling(&desired.name, &surplus);
        let call = api.autoscaling.delete_tags().set_tags(Some(tags)).send();
        api.autoscaling(purpose, "autoscaling:DeleteTags", call).await?;
    }
    Ok(changed)
}

/// Whether a group that a run keeps from moving instances between zones stays so after a change.
fn stays_held(desired: &AutoscalingGroup, current: &AutoscalingGroup) -> bool {
    current.tags.contains_key(tags::ZONES_HELD) && current.subnets != desired.subnets
}

/// Whether a group moves instances between zones by itself. A suspension of ours is marked.
pub(super) fn balancing(group: &AutoScalingGroup) -> Balancing {
    let mut suspended = group.suspended_processes().iter().filter_map(|process| process.process_name());
    match suspended.any(|process| process == AZ_REBALANCE) {
        false => Balancing::Free,
        true if is_marked(group) => Balancing::Held,
        true => Balancing::Off,
    }
}

fn is_marked(group: &AutoScalingGroup) -> bool {
    group.tags().iter().any(|tag| tag.key() == Some(tags::ZONES_HELD))
}

fn mark(group: &Handle) -> Tag {
    let tag = Tag::builder().resource_type(TAGGED).resource_id(group.as_str()).propagate_at_launch(false);
    tag.key(tags::ZONES_HELD).value("true").build()
}

async fn by_name(
    api: &Api,
    purpose: Purpose<'_>,
    group: &Handle,
) -> Result<Option<AutoScalingGroup>, CloudError> {
    let call = api.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(group.as_str()).send();
    let found = api.autoscaling(purpose, "autoscaling:DescribeAutoScalingGroups", call).await?;
    Ok(found.auto_scaling_groups.unwrap_or_default().into_iter().next())
}

/// Suspends `AZRebalance`, marked as ours. One that others have suspended is left alone.
pub(super) async fn hold_zones(api: &Api, group: &Handle) -> Result<(), CloudError> {
    let id = ResourceId::new(kind::AUTOSCALING_GROUP, group.as_str());
    let purpose = Purpose::change(&id);
    let Some(found) = by_name(api, purpose, group).await? else { return Ok(()) };
    if balancing(&found) != Balancing::Free {
        return Ok(());
    }
    // The mark goes first: a run that is killed in between leaves nothing suspended that is not marked.
    let call = api.autoscaling.create_or_update_tags().tags(mark(group)).send();
    api.autoscaling(purpose, "autoscaling:CreateOrUpdateTags", call).await?;
    let suspend = api.autoscaling.suspend_processes().auto_scaling_group_name(group.as_str());
    let call = suspend.scaling_processes(AZ_REBALANCE).send();
    api.autoscaling(purpose, "autoscaling:SuspendProcesses", call).await.map(drop)
}

/// Resumes `AZRebalance` if it was suspended by [`hold_zones`].
pub(super) async fn free_zones(api: &Api, group: &Handle) -> Result<(), CloudError> {
    let id = ResourceId::new(kind::AUTOSCALING_GROUP, group.as_str());
    let purpose = Purpose::change(&id);
    let Some(found) = by_name(api, purpose, group).await? else { return Ok(()) };
    if !is_marked(&found) {
        return Ok(());
    }
    let resume = api.autoscaling.resume_processes().auto_scaling_group_name(group.as_str());
    let call = resume.scaling_processes(AZ_REBALANCE).send();
    api.autoscaling(purpose, "autoscaling:ResumeProcesses", call).await?;
    let call = api.autoscaling.delete_tags().tags(mark(group)).send();
    api.autoscaling(purpose, "autoscaling:DeleteTags", call).await.map(drop)
}

/// How many groups one call may ask for by name.
const NAMES_AT_ONCE: usize = 50;

/// Deletes the group with its instances. Until it is gone it may launch more.
pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<Deletion, CloudError> {
    let id = target.resource.id();
    let purpose = Purpose::delete(&id);
    let name = target.handle.as_str();
    let call =
        api.autoscaling.delete_auto_scaling_group().auto_scaling_group_name(name).force_delete(true).send();
    match api.autoscaling(purpose, "autoscaling:DeleteAutoScalingGroup", call).await {
        Ok(_) => Ok(Deletion::Going),
        // Auto Scaling says `ValidationError` of a group that is not there, and refuses one that is going already.
        Err(error)
            if matches!(error.class, ErrorClass::NotFound | ErrorClass::Invalid | ErrorClass::Conflict) =>
        {
            match going(api, &[&target.handle]).await?.is_empty() {
                true => Ok(Deletion::Gone),
                false if error.class == ErrorClass::Conflict => Ok(Deletion::Going),
                false => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Returns what those of the groups do that are not gone.
pub(super) async fn going(api: &Api, names: &[&Handle]) -> Result<BTreeMap<Handle, String>, CloudError> {
    let reads = names.chunks(NAMES_AT_ONCE).map(|names| {
        let names = names.iter().map(|name| name.0.clone()).collect();
        let groups = api.autoscaling.describe_auto_scaling_groups().set_auto_scaling_group_names(Some(names));
        let pages = groups.into_paginator().items().send();
        let action = "autoscaling:DescribeAutoScalingGroups";
        api.autoscaling(Purpose::OBSERVE, action, pages.collect::<Result<Vec<_>, _>>())
    });
    let found = futures::future::try_join_all(reads).await?.into_iter().flatten();
    let doing = |group: AutoScalingGroup| {
        let left = group.instances().len();
        Some((Handle(group.auto_scaling_group_name?), format!("it has {left} instances left")))
    };
    Ok(found.filter_map(doing).collect())
}

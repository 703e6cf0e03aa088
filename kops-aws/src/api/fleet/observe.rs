use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{
    AutoScalingGroup, Instance as Member, LifecycleState, ScalingActivityStatusCode,
};
use aws_sdk_ec2::types::{Instance as Machine, InstanceStateName};
use futures::future::try_join_all;
use kops_core::clock::Timestamp;
use kops_core::cloud::{CloudError, Scope};
use kops_core::fleet::{Instance, InstanceState, Membership, ScalingGroup, TemplateVersion};
use kops_core::resource::Handle;

use super::template::Templates;
use crate::api::call::Purpose;
use crate::api::cloud::Api;
use crate::api::{instance, launch_template, scaling_group};
use crate::tags;

/// The tag that EC2 gives to what was made from a launch template.
const TEMPLATE_VERSION: &str = "aws:ec2launchtemplate:version";

/// Four calls but for page turns; one more for each group with outdated instances, and one for each that has fewer
/// than it should.
pub(super) async fn groups(api: &Api, scope: &Scope) -> Result<Vec<ScalingGroup>, CloudError> {
    // Machines first: one that is launched between the two reads would look as if it had been taken out of its group.
    let (machines, templates) =
        futures::try_join!(instance::read(api, scope), launch_template::read(api, scope))?;
    let groups = scaling_group::read(api, scope).await?;
    let groups: Vec<Listed<'_>> = groups.iter().filter_map(Listed::new).collect();
    let machines: Vec<&Machine> = machines.iter().collect();
    let templates = Templates::read(api, &templates, &versions_in_use(&groups, &machines)).await?;
    let troubles = try_join_all(groups.iter().map(|group| trouble(api, group.group))).await?;
    let mut fleet: Vec<ScalingGroup> = groups
        .iter()
        .zip(troubles)
        .map(|(listed, trouble)| ScalingGroup { trouble, ..listed.scaling_group(&machines, &templates) })
        .collect();
    fleet.sort_by(|a, b| a.instance_group.cmp(&b.instance_group));
    Ok(fleet)
}

/// A scaling group that was made for an instance group.
struct Listed<'a> {
    group: &'a AutoScalingGroup,
    instance_group: &'a str,
    template: &'a str,
}

impl<'a> Listed<'a> {
    fn new(group: &'a AutoScalingGroup) -> Option<Self> {
        let tag = group.tags().iter().find(|tag| tag.key() == Some(tags::INSTANCE_GROUP))?;
        let template = scaling_group::template(group)?.launch_template_id()?;
        Some(Self { group, instance_group: tag.value()?, template })
    }

    /// Those of the machines that were made by the group, with the member if the group counts it.
    fn machines<'m>(
        &'a self,
        all: &'m [&'m Machine],
    ) -> impl Iterator<Item = (&'m Machine, Option<&'a Member>)> {
        let ours = all.iter().filter(|machine| is_alive(machine));
        ours.filter_map(move |machine| {
            let id = machine.instance_id()?;
            let member = self.group.instances().iter().find(|member| member.instance_id() == Some(id));
            let made_for = tag(machine, tags::INSTANCE_GROUP) == Some(self.instance_group);
            (member.is_some() || made_for).then_some((*machine, member))
        })
    }

    fn scaling_group(&self, machines: &[&Machine], templates: &Templates) -> ScalingGroup {
        let size = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
        let instance = |(machine, member): (&Machine, Option<&Member>)| {
            let version = version(machine, member);
            let state = state(machine, member);
            Some(Instance {
                id: Handle(machine.instance_id()?.to_owned()),
                state,
                // Machines show in the list of their group a moment after they are launched.
                membership: match member {
                    None if state == InstanceState::Running => Membership::Detached,
                    _ => Membership::Attached,
                },
                launched: launched(machine),
                outdated: version.and_then(|version| templates.outdated(self.template, version)),
                template: version.map(|version| TemplateVersion(version.to_string())),
                protected: member.and_then(Member::protected_from_scale_in).unwrap_or_default(),
                zone: machine.placement().and_then(|place| place.availability_zone()).map(str::to_owned),
            })
        };
        ScalingGroup {
            instance_group: self.instance_group.to_owned(),
            handle: Handle(self.group.auto_scaling_group_name().unwrap_or_default().to_owned()),
            min: size(self.group.min_size()),
            desired: size(self.group.desired_capacity()),
            max: size(self.group.max_size()),
            template: TemplateVersion(templates.latest(self.template).to_string()),
            instances: self.machines(machines).filter_map(instance).chain(self.unseen(machines)).collect(),
            zones: self.group.availability_zones().iter().cloned().collect(),
            balancing: scaling_group::balancing(self.group),
            trouble: None,
        }
    }

    /// Members that EC2 did not show yet: they were launched a moment ago.
    fn unseen(&self, machines: &[&Machine]) -> impl Iterator<Item = Instance> {
        let seen: BTreeSet<&str> = machines.iter().filter_map(|machine| machine.instance_id()).collect();
        let latest = machines.iter().map(|machine| launched(machine)).max().unwrap_or_default();
        let unseen = self.group.instances().iter().filter_map(move |member| {
            let id = member.instance_id().filter(|id| !seen.contains(id))?;
            Some((id, member))
        });
        unseen.map(move |(id, member)| Instance {
            id: Handle(id.to_owned()),
            state: InstanceState::Pending,
            membership: Membership::Attached,
            launched: latest,
            template: version_listed(member).map(|version| TemplateVersion(version.to_string())),
            outdated: None,
            protected: member.protected_from_scale_in().unwrap_or_default(),
            zone: member.availability_zone().map(str::to_owned),
        })
    }
}

fn versions_in_use(groups: &[Listed<'_>], machines: &[&Machine]) -> BTreeMap<String, BTreeSet<i64>> {
    let of = |group: &Listed<'_>| {
        let versions = group.machines(machines).filter_map(|(machine, member)| version(machine, member));
        (group.template.to_owned(), versions.collect())
    };
    groups.iter().map(of).collect()
}

fn tag<'a>(machine: &'a Machine, key: &str) -> Option<&'a str> {
    machine.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value())
}

/// The version of the template that a machine was made from: as its group says, or as EC2 has tagged it.
fn version(machine: &Machine, member: Option<&Member>) -> Option<i64> {
    member.and_then(version_listed).or_else(|| tag(machine, TEMPLATE_VERSION)?.parse().ok())
}

fn version_listed(member: &Member) -> Option<i64> {
    member.launch_template()?.version()?.parse().ok()
}

fn launched(machine: &Machine) -> Timestamp {
    let seconds = machine.launch_time().map(|time| time.secs()).unwrap_or_default();
    Timestamp::from_second(seconds).unwrap_or_default()
}

/// Whether a machine is there: one that has been stopped is as good as gone, and its group replaces it.
pub(super) fn is_alive(machine: &Machine) -> bool {
    let state = machine.state().and_then(|state| state.name());
    !matches!(state, None | Some(InstanceStateName::Terminated))
}

fn state(machine: &Machine, member: Option<&Member>) -> InstanceState {
    let lifecycle = member.and_then(|member| member.lifecycle_state()).map(LifecycleState::as_str);
    match machine.state().and_then(|state| state.name()) {
        _ if lifecycle.is_some_and(|state| state.starts_with("Terminat")) => InstanceState::Terminating,
        Some(InstanceStateName::Pending) => InstanceState::Pending,
        Some(InstanceStateName::Running) => InstanceState::Running,
        _ => InstanceState::Terminating,
    }
}

/// Why a group that has too few instances could not launch any, if that is why.
async fn trouble(api: &Api, group: &AutoScalingGroup) -> Result<Option<String>, CloudError> {
    let wanted = group.desired_capacity().unwrap_or_default();
    let has = i32::try_from(group.instances().len()).unwrap_or(i32::MAX);
    let Some(name) = group.auto_scaling_group_name().filter(|_| has < wanted) else { return Ok(None) };
    let call = api.autoscaling.describe_scaling_activities().auto_scaling_group_name(name).max_records(1);
    let answer =
        api.autoscaling(Purpose::OBSERVE, "autoscaling:DescribeScalingActivities", call.send()).await?;
    let last = answer.activities().first();
    let failed =
        last.filter(|activity| matches!(activity.status_code(), Some(ScalingActivityStatusCode::Failed)));
    Ok(failed.and_then(|activity| activity.status_message()).map(str::to_owned))
}

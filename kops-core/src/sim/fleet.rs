//! The simulated world as a [`Fleet`].

use async_trait::async_trait;

use super::cloud::SimCloud;
use super::world::World;
use super::{MemberState, SimOptions, Simulated};
use crate::clock::Timestamp;
use crate::cloud::{CloudError, Scope};
use crate::error::ErrorClass;
use crate::fleet::{
    Balancing, Capacity, Fleet, Instance, InstanceState, Membership, Outdated, ScalingGroup, TemplateVersion,
};
use crate::resource::Handle;

#[async_trait]
impl<R: Simulated> Fleet for SimCloud<R> {
    async fn groups(&self, scope: &Scope) -> Result<Vec<ScalingGroup>, CloudError> {
        let options = self.options();
        self.call("list", None, |world, _| Ok(groups(world, scope, options.clock.now(), options))).await
    }

    async fn detach(&self, scope: &Scope, group: &Handle, instance: &Handle) -> Result<(), CloudError> {
        self.call("detach", None, |world, _| {
            let member = world.member(&scope.cluster, group, instance);
            member.map(|member| member.detached = true).ok_or_else(|| {
                let message = format!("there is no instance {instance} in {group}");
                CloudError::general(ErrorClass::NotFound, "detach", message)
            })
        })
        .await
    }

    async fn terminate(
        &self,
        scope: &Scope,
        group: &Handle,
        instance: &Handle,
        capacity: Capacity,
    ) -> Result<(), CloudError> {
        let now = self.options().clock.now();
        self.call("terminate", None, |world, _| {
            let Some(member) = world.member(&scope.cluster, group, instance) else { return Ok(()) };
            if member.terminated.is_none() {
                member.terminated = Some(now);
                if capacity == Capacity::Shrink && !member.detached {
                    world.shrink(group);
                }
            }
            Ok(())
        })
        .await
    }

    /// Simulated machines have no console.
    async fn console(&self, _: &Scope, _: &Handle) -> Result<Option<String>, CloudError> {
        Ok(None)
    }

    async fn hold_zones(&self, _: &Scope, group: &Handle) -> Result<(), CloudError> {
        self.call("hold", None, |world, _| {
            world.touch();
            world.held.insert(group.clone());
            Ok(())
        })
        .await
    }

    async fn free_zones(&self, _: &Scope, group: &Handle) -> Result<(), CloudError> {
        self.call("free", None, |world, _| {
            world.touch();
            world.held.remove(group);
            Ok(())
        })
        .await
    }
}

fn groups<R: Simulated>(
    world: &World<R>,
    scope: &Scope,
    now: Timestamp,
    options: &SimOptions,
) -> Vec<ScalingGroup> {
    let groups = world.groups(&scope.cluster).into_iter().map(|(handle, spec, template, desired)| {
        let version = template.map_or(0, |template| template.version());
        let zones = world.zones(handle, &spec);
        let members = world.members.values().filter(|member| member.uses.first() == Some(handle));
        let instances = members.map(|member| Instance {
            id: member.handle.clone(),
            state: match member.state(now, options.boot_time) {
                MemberState::Booting => InstanceState::Pending,
                MemberState::Running => InstanceState::Running,
                MemberState::Terminating => InstanceState::Terminating,
            },
            membership: if member.detached { Membership::Detached } else { Membership::Attached },
            launched: member.launched,
            template: Some(TemplateVersion(member.template_version.to_string())),
            outdated: template
                .filter(|_| member.template_version < version)
                .map(|template| Outdated { fields: template.changed_since(member.template_version) }),
            protected: false,
            zone: member.zone.clone(),
        });
        ScalingGroup {
            instance_group: spec.instance_group,
            handle: handle.clone(),
            // What was shrunk keeps no more than that.
            min: spec.min.min(desired),
            desired,
            max: spec.max,
            template: TemplateVersion(version.to_string()),
            instances: instances.collect(),
            balancing: match spec.balances {
                true if world.held.contains(handle) => Balancing::Held,
                true => Balancing::Free,
                false => Balancing::Off,
            },
            zones,
            trouble: None,
        }
    });
    let mut groups: Vec<ScalingGroup> = groups.collect();
    groups.sort_by(|a, b| a.instance_group.cmp(&b.instance_group));
    groups
}

//! Scaling groups and their instances on AWS as a [`Fleet`].

mod console;
mod observe;
mod template;

use async_trait::async_trait;
use kops_core::cloud::{CloudError, Scope};
use kops_core::error::ErrorClass;
use kops_core::fleet::{Capacity, Fleet, ScalingGroup};
use kops_core::resource::{Handle, ResourceId};

use super::call::{Purpose, absent_is_fine, boxed};
use super::cloud::{Api, AwsCloud};
use super::scaling_group;
use super::tag::filter;
use crate::resource::kind;

#[async_trait]
impl Fleet for AwsCloud {
    async fn groups(&self, scope: &Scope) -> Result<Vec<ScalingGroup>, CloudError> {
        boxed(|| observe::groups(self.api(), scope)).await
    }

    async fn detach(&self, _: &Scope, group: &Handle, instance: &Handle) -> Result<(), CloudError> {
        boxed(|| detach(self.api(), group, instance)).await
    }

    async fn terminate(
        &self,
        _: &Scope,
        group: &Handle,
        instance: &Handle,
        capacity: Capacity,
    ) -> Result<(), CloudError> {
        boxed(|| terminate(self.api(), group, instance, capacity)).await
    }

    async fn console(&self, _: &Scope, instance: &Handle) -> Result<Option<String>, CloudError> {
        boxed(|| console::read(self.api(), instance)).await
    }

    async fn hold_zones(&self, _: &Scope, group: &Handle) -> Result<(), CloudError> {
        boxed(|| scaling_group::hold_zones(self.api(), group)).await
    }

    async fn free_zones(&self, _: &Scope, group: &Handle) -> Result<(), CloudError> {
        boxed(|| scaling_group::free_zones(self.api(), group)).await
    }
}

fn instance_id(instance: &Handle) -> ResourceId {
    ResourceId::new(kind::INSTANCE, instance.as_str())
}

async fn detach(api: &Api, group: &Handle, instance: &Handle) -> Result<(), CloudError> {
    let id = instance_id(instance);
    let purpose = Purpose { operation: "detach", resource: Some(&id) };
    let call = api
        .autoscaling
        .detach_instances()
        .auto_scaling_group_name(group.as_str())
        .instance_ids(instance.as_str())
        .should_decrement_desired_capacity(false)
        .send();
    match api.autoscaling(purpose, "autoscaling:DetachInstances", call).await {
        // Auto Scaling says `ValidationError` of an instance that is none of the group's, as of much else.
        Err(error) if error.class == ErrorClass::Invalid && !is_member(api, purpose, instance).await? => {
            match runs(api, purpose, instance).await? {
                true => Ok(()),
                false => Err(CloudError { class: ErrorClass::NotFound, ..error }),
            }
        }
        result => result.map(drop),
    }
}

/// Whether any scaling group counts the instance.
async fn is_member(api: &Api, purpose: Purpose<'_>, instance: &Handle) -> Result<bool, CloudError> {
    let call = api.autoscaling.describe_auto_scaling_instances().instance_ids(instance.as_str()).send();
    let found = api.autoscaling(purpose, "autoscaling:DescribeAutoScalingInstances", call).await?;
    Ok(!found.auto_scaling_instances().is_empty())
}

async fn runs(api: &Api, purpose: Purpose<'_>, instance: &Handle) -> Result<bool, CloudError> {
    let call = api.ec2.describe_instances().filters(filter("instance-id", instance.as_str())).send();
    let found = api.ec2(purpose, "ec2:DescribeInstances", call).await?.reservations.unwrap_or_default();
    Ok(found.iter().flat_map(|reservation| reservation.instances()).any(observe::is_alive))
}

async fn terminate(
    api: &Api,
    group: &Handle,
    instance: &Handle,
    capacity: Capacity,
) -> Result<(), CloudError> {
    let id = instance_id(instance);
    let purpose = Purpose { operation: "terminate", resource: Some(&id) };
    // The group itself is told, and replaces the instance at once instead of when it finds it gone.
    if is_member(api, purpose, instance).await? {
        if capacity == Capacity::Shrink {
            make_room(api, purpose, group).await?;
        }
        let call = api
            .autoscaling
            .terminate_instance_in_auto_scaling_group()
            .instance_id(instance.as_str())
            .should_decrement_desired_capacity(capacity == Capacity::Shrink)
            .send();
        match api.autoscaling(purpose, "autoscaling:TerminateInstanceInAutoScalingGroup", call).await {
            // It has left the group in the meantime.
            Err(error)
                if error.class == ErrorClass::Invalid && !is_member(api, purpose, instance).await? => {}
            result => return result.map(drop),
        }
    }
    let call = api.ec2.terminate_instances().instance_ids(instance.as_str()).send();
    absent_is_fine(api.ec2(purpose, "ec2:TerminateInstances", call).await).map(drop)
}

/// Lowers a minimum that forbids one instance less.
async fn make_room(api: &Api, purpose: Purpose<'_>, group: &Handle) -> Result<(), CloudError> {
    let name = group.as_str();
    let call = api.autoscaling.describe_auto_scaling_groups().auto_scaling_group_names(name).send();
    let found = api.autoscaling(purpose, "autoscaling:DescribeAutoScalingGroups", call).await?;
    let Some(found) = found.auto_scaling_groups().first() else { return Ok(()) };
    let less = found.desired_capacity().unwrap_or_default() - 1;
    if found.min_size().unwrap_or_default() <= less {
        return Ok(());
    }
    let call =
        api.autoscaling.update_auto_scaling_group().auto_scaling_group_name(name).min_size(less.max(0));
    api.autoscaling(purpose, "autoscaling:UpdateAutoScalingGroup", call.send()).await.map(drop)
}

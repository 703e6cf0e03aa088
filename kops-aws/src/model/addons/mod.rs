//! The cluster's add-ons: what every cluster needs first, what makes it use AWS, and what its users bring.

mod cloud_controller;
pub(super) mod cluster_autoscaler;
mod ebs_csi_driver;
mod release;
mod storage_class;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use kops_core::addon::{self, Addon};
use kops_core::manifest::{Role, Settings};
use kops_core::resource::{Ownership, ResourceId};
use serde_json::Value;

use super::{Context, ModelError};
use crate::resource::{AwsResource, ManagedFile};
use release::AddonRelease;

/// The label of machines that run the control plane; older versions know it, too.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// What machines of the control plane are tainted with before Kubernetes 1.24.
const OLD_CONTROL_PLANE: &str = "node-role.kubernetes.io/master";

/// The files of the state store that hold the add-ons, and the one that says which there are.
pub(super) fn build(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    let objects = addon::state_objects(context.cluster, &all(context)?)?;
    let contents = objects.iter().filter(|object| object.content_addressed);
    let contents: BTreeSet<ResourceId> = contents.map(ManagedFile::id_of).collect();
    let files = objects.into_iter().map(|object| ManagedFile {
        ownership: Ownership::Managed,
        after: if object.content_addressed { BTreeSet::new() } else { contents.clone() },
        object,
    });
    Ok(files.map(AwsResource::ManagedFile).collect())
}

fn all(context: &Context<'_>) -> Result<Vec<Addon>, ModelError> {
    let release = AddonRelease::of(context.completed.kubernetes_version().map_err(addon::AddonError::from)?);
    let mut addons = addon::essential(context.completed)?;
    addons.extend(cloud_controller::addon(context, release)?);
    addons.extend(ebs_csi_driver::addon(context, release));
    addons.extend(storage_class::addon(context, release));
    addons.extend(cluster_autoscaler::addon(context, release));
    addons.extend(context.facts.addons.iter().cloned());
    Ok(addons)
}

/// How many pods of a controller run on the control plane: two, unless it has but one machine.
fn controllers(context: &Context<'_>) -> u32 {
    let machines = context.completed.groups_of(Role::ControlPlane);
    machines.filter_map(|group| group.spec.max_size).sum::<u32>().clamp(1, 2)
}

/// Whether a setting is there and off.
fn is_off(settings: Option<&Settings>, name: &str) -> bool {
    settings.and_then(|settings| settings.get(name)) == Some(&Value::Bool(false))
}

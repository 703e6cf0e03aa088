use std::collections::{BTreeMap, HashMap};

use super::{Failure, FailureKind, Health};
use crate::fleet::{InstanceState, ScalingGroup};
use crate::manifest::{InstanceGroup, Role};
use crate::node::console::last_words;
use crate::observation::{ClusterView, Observation};
use crate::resource::Handle;

/// How many machines are asked: their reasons are mostly the same.
const MACHINES: usize = 5;

/// Returns the machines to ask why they are no healthy nodes. If the API does not answer, these are the control
/// plane's. Pure.
pub fn machines_to_ask(groups: &[InstanceGroup], seen: &Observation, health: &Health) -> Vec<Handle> {
    let of_failures = health.failures.iter().filter_map(|failure| machine(failure, seen));
    let of_control_plane = health.unreachable.iter().flat_map(|_| control_plane(groups, seen));
    let silent = of_failures.chain(of_control_plane.map(|(instance, _)| instance));
    silent.filter(|instance| runs(instance, seen)).take(MACHINES).collect()
}

/// Adds what machines have said last on their consoles, by machine, to what is wrong with them. Pure.
pub fn explain(
    health: &mut Health,
    groups: &[InstanceGroup],
    seen: &Observation,
    consoles: &BTreeMap<Handle, String>,
) {
    let said: HashMap<&Handle, String> = consoles
        .iter()
        .filter_map(|(instance, console)| Some((instance, format!("it says: {}", last_words(console)?))))
        .collect();
    for failure in &mut health.failures {
        if let Some(words) = machine(failure, seen).and_then(|instance| said.get(&instance)) {
            failure.likely = Some(words.clone());
        }
    }
    if health.unreachable.is_some() {
        let told = control_plane(groups, seen).filter_map(|(instance, group)| {
            Some(Failure {
                kind: FailureKind::Machine,
                name: instance.to_string(),
                message: format!("machine {instance} of the control plane has a problem"),
                instance_group: Some(group.to_owned()),
                since: None,
                likely: Some(said.get(&instance)?.clone()),
            })
        });
        health.failures.extend(told);
    }
}

/// The machine that a failure is about.
fn machine(failure: &Failure, seen: &Observation) -> Option<Handle> {
    match failure.kind {
        FailureKind::Machine => Some(Handle(failure.name.clone())),
        FailureKind::Node => {
            let ClusterView::Seen(snapshot) = &seen.cluster else { return None };
            snapshot.nodes.iter().find(|node| node.name == failure.name)?.instance.clone()
        }
        FailureKind::InstanceGroup | FailureKind::Pod => None,
    }
}

fn control_plane<'a>(
    groups: &'a [InstanceGroup],
    seen: &'a Observation,
) -> impl Iterator<Item = (Handle, &'a str)> {
    let of_control_plane = groups.iter().filter(|group| group.role() == Role::ControlPlane);
    of_control_plane.flat_map(|group| {
        let scaling = seen.groups.iter().filter(|scaling| scaling.instance_group == group.name());
        scaling.flat_map(|scaling| scaling.instances.iter().map(|i| (i.id.clone(), group.name())))
    })
}

/// One that has not been switched on yet, or is on its way out, has nothing to say.
fn runs(instance: &Handle, seen: &Observation) -> bool {
    let mut all = seen.groups.iter().flat_map(|group: &ScalingGroup| &group.instances);
    all.any(|found| found.id == *instance && found.state == InstanceState::Running)
}

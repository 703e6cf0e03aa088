use std::collections::HashMap;
use std::time::Duration;

use super::{Failure, FailureKind, Health, NodeStatus};
use crate::clock::Timestamp;
use crate::cluster_api::{Condition, ConditionStatus, Node, Phase, Pod};
use crate::fleet::{Instance, InstanceState, ScalingGroup};
use crate::manifest::{InstanceGroup, Role};
use crate::observation::{ClusterView, Observation, Snapshot};
use crate::resource::Handle;

/// A machine that has not joined after this time most likely never will: images are up in two minutes and nodes
/// registered a minute later.
const JOINS_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Conditions that explain why a node is not ready, the most telling first.
const TELLING: [(&str, &str); 4] = [
    ("NetworkUnavailable", "the network plugin has not set up the node"),
    ("DiskPressure", "its disk is full"),
    ("MemoryPressure", "it is out of memory"),
    ("PIDPressure", "it runs too many processes"),
];

/// What counts as healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidateOptions {
    /// How many workers may be missing or not ready.
    pub max_unready_nodes: u32,
    /// Whether pods that the cluster itself does not depend on count, too.
    pub all_pods: bool,
}

/// Holds the cluster's groups against their instances, nodes and system pods. Pure.
pub fn validate(
    groups: &[InstanceGroup],
    seen: &Observation,
    options: ValidateOptions,
    now: Timestamp,
) -> Health {
    let cluster = match &seen.cluster {
        ClusterView::Seen(cluster) => cluster,
        ClusterView::CloudOnly => return Health::default(),
        ClusterView::Unreachable(reason) => {
            return Health { unreachable: Some(reason.clone()), ..Health::default() };
        }
    };
    let mut check = Check { health: Health::default(), unready_workers: Vec::new(), now };
    let nodes: HashMap<&Handle, &Node> =
        cluster.nodes.iter().filter_map(|node| Some((node.instance.as_ref()?, node))).collect();
    for group in groups.iter().filter(|group| group.role() != Role::Bastion) {
        match seen.groups.iter().find(|scaling| scaling.instance_group == group.name()) {
            Some(scaling) => check.group(group, scaling, &nodes),
            None => check.health.failures.push(failure(
                FailureKind::InstanceGroup,
                group.name(),
                format!("instance group {} has no scaling group", group.name()),
                Some(group),
            )),
        }
    }
    // A few workers may be missing; if more are, all of them are named.
    if check.unready_workers.len() > usize::try_from(options.max_unready_nodes).unwrap_or(usize::MAX) {
        check.health.failures.append(&mut check.unready_workers);
    }
    check.pods(cluster, options);
    check.health
}

struct Check {
    health: Health,
    unready_workers: Vec<Failure>,
    now: Timestamp,
}

impl Check {
    fn group(&mut self, group: &InstanceGroup, scaling: &ScalingGroup, nodes: &HashMap<&Handle, &Node>) {
        let counted: Vec<&Instance> = scaling.instances.iter().filter(|i| i.is_attached()).collect();
        let (there, desired) = (counted.len(), usize::try_from(scaling.desired).unwrap_or(usize::MAX));
        if there < desired {
            let message = format!("instance group {} has {there} of {desired} machines", group.name());
            self.health.failures.push(Failure {
                likely: scaling.trouble.clone(),
                ..failure(FailureKind::InstanceGroup, group.name(), message, Some(group))
            });
        }
        for instance in counted {
            let found = match nodes.get(&instance.id) {
                None => Some(self.not_joined(instance, group)),
                Some(node) => {
                    self.health.nodes.push(NodeStatus {
                        name: node.name.clone(),
                        zone: instance.zone.clone(),
                        role: group.role(),
                        hostname: node.internal_ip.clone(),
                        status: status(node.readiness()).to_owned(),
                    });
                    (!node.is_ready()).then(|| not_ready(node, group))
                }
            };
            let all = if group.role() == Role::Node {
                &mut self.unready_workers
            } else {
                &mut self.health.failures
            };
            all.extend(found);
        }
    }

    fn not_joined(&self, instance: &Instance, group: &InstanceGroup) -> Failure {
        let age = self.now.duration_since(instance.launched).unsigned_abs();
        let likely = match instance.state {
            InstanceState::Pending => "it is still starting",
            InstanceState::Running if age < JOINS_WITHIN => "it is still setting itself up",
            InstanceState::Running => {
                "setting up the machine has failed, or it cannot reach the API: look at its console output"
            }
            InstanceState::Terminating => "it is on its way out",
        };
        Failure {
            since: Some(instance.launched),
            likely: Some(likely.to_owned()),
            ..failure(
                FailureKind::Machine,
                instance.id.as_str(),
                format!("machine {} has not joined the cluster", instance.id),
                Some(group),
            )
        }
    }

    fn pods(&mut self, cluster: &Snapshot, options: ValidateOptions) {
        let counts = |pod: &&Pod| options.all_pods || pod.is_system_critical();
        let unready = cluster.pods.iter().filter(|pod| !pod.ready && !pod.deleting && !pod.is_finished());
        let broken: HashMap<&str, bool> =
            cluster.nodes.iter().map(|node| (node.name.as_str(), !node.is_ready())).collect();
        for pod in unready.filter(counts) {
            // What belongs to a node that is not ready says nothing that the node does not say.
            let node_is_broken = pod.node.as_deref().is_some_and(|node| broken.get(node) == Some(&true));
            if node_is_broken && !pod.is_drained() {
                continue;
            }
            let priority = pod.priority_class.as_deref().map(|class| format!("{class} ")).unwrap_or_default();
            let what = match pod.phase {
                Phase::Pending => "is pending".to_owned(),
                Phase::Unknown => "is in an unknown phase".to_owned(),
                Phase::Running | Phase::Succeeded | Phase::Failed => {
                    format!("is not ready ({})", pod.unready_containers.join(", "))
                }
            };
            let name = pod.id.to_string();
            let message = format!("{priority}pod {name} {what}");
            let likely = if node_is_broken {
                Some("its node is not ready".to_owned())
            } else {
                pod.reason.as_deref().map(because)
            };
            self.health.failures.push(Failure {
                since: Some(pod.created),
                likely,
                ..failure(FailureKind::Pod, &name, message, None)
            });
        }
    }
}

fn failure(kind: FailureKind, name: &str, message: String, group: Option<&InstanceGroup>) -> Failure {
    let instance_group = group.map(|group| group.name().to_owned());
    Failure { kind, name: name.to_owned(), message, instance_group, since: None, likely: None }
}

fn not_ready(node: &Node, group: &InstanceGroup) -> Failure {
    let readiness = node.readiness();
    let telling = TELLING.iter().find(|(condition, _)| {
        node.conditions.get(*condition).is_some_and(|c| c.status == ConditionStatus::True)
    });
    let likely = match (readiness, telling) {
        (Some(Condition { status: ConditionStatus::Unknown, .. }), _) => {
            Some("its kubelet is silent: the machine or its network is down".to_owned())
        }
        (_, Some((_, words))) => Some((*words).to_owned()),
        (Some(ready), None) if !ready.message.is_empty() => Some(ready.message.clone()),
        (Some(ready), None) if !ready.reason.is_empty() => Some(ready.reason.clone()),
        _ => None,
    };
    Failure {
        since: readiness.map(|ready| ready.since),
        likely,
        ..failure(
            FailureKind::Node,
            &node.name,
            format!("node {} of role {} is not ready", node.name, group.role()),
            Some(group),
        )
    }
}

fn status(readiness: Option<&Condition>) -> &'static str {
    match readiness.map(|ready| ready.status) {
        Some(ConditionStatus::True) => "True",
        Some(ConditionStatus::False) => "False",
        Some(ConditionStatus::Unknown) | None => "Unknown",
    }
}

/// The words of Kubernetes, with what they usually mean.
fn because(reason: &str) -> String {
    let means = match reason {
        "Unschedulable" => "no node has room for it, or tolerates it",
        "ImagePullBackOff" | "ErrImagePull" => "its image cannot be pulled",
        "CrashLoopBackOff" => "it starts and dies again: look at its log",
        "ContainerCreating" => "it waits for its network or its volumes",
        other => return other.to_owned(),
    };
    format!("{means} ({reason})")
}

#[cfg(test)]
mod tests;

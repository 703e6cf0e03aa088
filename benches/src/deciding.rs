//! Looking at a running cluster: the next step of a rolling update, and whether it is healthy.

use std::collections::BTreeMap;
use std::time::Duration;

use kops_core::clock::Timestamp;
use kops_core::cluster_api::{
    Condition, ConditionStatus, Controller, DisruptionBudget, LabelSelector, Node, Phase, Pod, PodRef,
};
use kops_core::fleet::{
    Balancing, Instance, InstanceState, Membership, Outdated, ScalingGroup, TemplateVersion,
};
use kops_core::manifest::{InstanceGroup, Metadata, Role};
use kops_core::observation::{ClusterView, Observation, Snapshot};
use kops_core::resource::Handle;
use kops_core::rolling::{GroupPolicy, Outcome, Policy, State, decide};
use kops_core::validation::{ValidateOptions, validate};

use crate::Failure;
use crate::planning::timed;

const GROUPS: usize = 5;
const PODS_PER_NODE: usize = 10;
const BUDGETS: usize = 20;

pub(crate) fn run() -> Result<(), Failure> {
    println!(
        "Decisions, one thread: {GROUPS} groups, all machines out of date, {PODS_PER_NODE} pods a node\n"
    );
    println!("| nodes | decide | validate |");
    println!("|---:|---:|---:|");
    for nodes in [10, 1000, 5000] {
        one(nodes)?;
    }
    println!();
    Ok(())
}

fn one(nodes: usize) -> Result<(), Failure> {
    let names: Vec<String> = (0..GROUPS).map(|number| format!("nodes-{number}")).collect();
    let seen = observation(&names, nodes / GROUPS)?;
    let policy = Policy::new(names.iter().map(|name| GroupPolicy::new(name.clone(), Role::Node)).collect());
    let now = Timestamp::UNIX_EPOCH + Duration::from_secs(3600);
    let (decision, decide_time) = timed(|| decide(&State::default(), &seen, &policy, now));
    if decision.outcome != Outcome::Going || decision.actions.is_empty() {
        return Err("nothing was decided".into());
    }
    let manifests: Vec<InstanceGroup> = names
        .iter()
        .map(|name| InstanceGroup { metadata: Metadata::named(name), ..Default::default() })
        .collect();
    let (health, validate_time) = timed(|| validate(&manifests, &seen, ValidateOptions::default(), now));
    if health.nodes.len() != nodes {
        return Err("not every node was looked at".into());
    }
    println!("| {nodes} | {decide_time:.1} ms | {validate_time:.1} ms |");
    Ok(())
}

/// Groups of so many machines each, all ready and all out of date.
fn observation(names: &[String], size: usize) -> Result<Observation, Failure> {
    let mut snapshot = Snapshot::default();
    let mut groups = Vec::new();
    for name in names {
        let ids: Vec<String> = (0..size).map(|number| format!("i-{name}-{number}")).collect();
        let desired = u32::try_from(size)?;
        groups.push(ScalingGroup {
            instance_group: name.clone(),
            handle: Handle(name.clone()),
            min: desired,
            desired,
            max: desired,
            template: TemplateVersion("2".to_owned()),
            instances: ids.iter().map(|id| instance(id)).collect(),
            zones: Default::default(),
            balancing: Balancing::Free,
            trouble: None,
        });
        for id in &ids {
            snapshot.nodes.push(node(id));
            let first = snapshot.pods.len();
            snapshot.pods.extend((first..first + PODS_PER_NODE).map(|number| pod(number, id)));
        }
    }
    snapshot.budgets = (0..BUDGETS).map(budget).collect();
    Ok(Observation { groups, cluster: ClusterView::Seen(snapshot) })
}

fn instance(id: &str) -> Instance {
    Instance {
        id: Handle(id.to_owned()),
        state: InstanceState::Running,
        membership: Membership::Attached,
        launched: Timestamp::UNIX_EPOCH,
        template: Some(TemplateVersion("1".to_owned())),
        outdated: Some(Outdated::default()),
        protected: false,
        zone: None,
    }
}

fn node(id: &str) -> Node {
    let ready = Condition {
        status: ConditionStatus::True,
        since: Timestamp::UNIX_EPOCH,
        reason: "KubeletReady".to_owned(),
        message: String::new(),
    };
    Node {
        name: format!("node-{id}"),
        instance: Some(Handle(id.to_owned())),
        created: Timestamp::UNIX_EPOCH,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        unschedulable: false,
        conditions: BTreeMap::from([("Ready".to_owned(), ready)]),
        kubelet_version: "v1.35.7".to_owned(),
        internal_ip: None,
    }
}

fn app(number: usize) -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), format!("app-{}", number % BUDGETS))])
}

fn pod(number: usize, node: &str) -> Pod {
    Pod {
        id: PodRef {
            namespace: "default".to_owned(),
            name: format!("pod-{number}"),
            uid: format!("uid-{number}"),
        },
        node: Some(format!("node-{node}")),
        labels: app(number),
        phase: Phase::Running,
        ready: true,
        unready_containers: Vec::new(),
        reason: None,
        priority_class: None,
        controller: Controller::Replicated,
        created: Timestamp::UNIX_EPOCH,
        deleting: false,
    }
}

fn budget(number: usize) -> DisruptionBudget {
    DisruptionBudget {
        namespace: "default".to_owned(),
        name: format!("app-{number}"),
        selector: LabelSelector { match_labels: app(number), match_expressions: Vec::new() },
        disruptions_allowed: 1,
        current_healthy: 10,
        desired_healthy: 9,
        expected_pods: 10,
        evicts_unready: false,
    }
}

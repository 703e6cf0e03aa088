use std::collections::BTreeMap;

use super::*;
use crate::cluster_api::{Controller, PodRef};
use crate::fleet::{Balancing, Membership, TemplateVersion};
use crate::manifest::{InstanceGroupSpec, Metadata};
use crate::validation::{explain, machines_to_ask};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn group(name: &str, role: Role) -> InstanceGroup {
    let metadata = Metadata { name: name.into(), ..Metadata::default() };
    InstanceGroup { metadata, spec: InstanceGroupSpec { role: Some(role), ..InstanceGroupSpec::default() } }
}

fn scaling(name: &str, desired: u32, instances: &[(&str, InstanceState)]) -> ScalingGroup {
    let instances = instances.iter().map(|(id, state)| Instance {
        id: Handle((*id).into()),
        state: *state,
        membership: Membership::Attached,
        launched: at(0),
        template: None,
        outdated: None,
        protected: false,
        zone: None,
    });
    ScalingGroup {
        instance_group: name.into(),
        handle: Handle(name.into()),
        min: 0,
        desired,
        max: 9,
        template: TemplateVersion("1".into()),
        instances: instances.collect(),
        zones: Default::default(),
        balancing: Balancing::Free,
        trouble: Some("no capacity for m5.large in eu-west-1a".into()),
    }
}

fn node(instance: &str, status: ConditionStatus) -> Node {
    let ready = Condition { status, since: at(60), reason: "KubeletNotReady".into(), message: String::new() };
    Node {
        name: format!("node-{instance}"),
        instance: Some(Handle(instance.into())),
        created: at(50),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        unschedulable: false,
        conditions: BTreeMap::from([("Ready".into(), ready)]),
        kubelet_version: "v1.33.1".into(),
        internal_ip: None,
    }
}

fn pod(name: &str, node: Option<&str>, critical: bool) -> Pod {
    Pod {
        id: PodRef { namespace: "kube-system".into(), name: name.into(), uid: name.into() },
        node: node.map(str::to_owned),
        labels: BTreeMap::new(),
        phase: if node.is_some() { Phase::Running } else { Phase::Pending },
        ready: false,
        unready_containers: vec!["main".into()],
        reason: node.is_none().then(|| "Unschedulable".into()),
        priority_class: critical.then(|| "system-cluster-critical".into()),
        controller: Controller::Replicated,
        created: at(70),
        deleting: false,
    }
}

fn world() -> (Vec<InstanceGroup>, Observation) {
    let groups = vec![group("cp", Role::ControlPlane), group("nodes", Role::Node), group("lost", Role::Node)];
    let running = InstanceState::Running;
    let scaling = vec![
        scaling("cp", 1, &[("i-cp", running)]),
        scaling("nodes", 4, &[("i-a", running), ("i-b", running), ("i-c", InstanceState::Pending)]),
    ];
    let mut silent = node("i-cp", ConditionStatus::Unknown);
    silent.conditions.insert(
        "MemoryPressure".into(),
        Condition {
            status: ConditionStatus::True,
            since: at(1),
            reason: String::new(),
            message: String::new(),
        },
    );
    let cluster = Snapshot {
        nodes: vec![silent, node("i-a", ConditionStatus::False)],
        pods: vec![pod("coredns", None, true), pod("web", Some("node-i-a"), false)],
        budgets: Vec::new(),
    };
    (groups, Observation { groups: scaling, cluster: ClusterView::Seen(cluster) })
}

fn lines(health: &Health) -> String {
    health.failures.iter().map(|failure| format!("{}: {failure}\n", failure.kind)).collect()
}

#[test]
fn every_failure_says_what_since_when_and_why_most_likely() {
    let (groups, seen) = world();
    let health = validate(&groups, &seen, ValidateOptions::default(), at(600));
    insta::assert_snapshot!(lines(&health), @"
    Node: node node-i-cp of role control plane is not ready since 1970-01-01T00:01:00Z: its kubelet is silent: the machine or its network is down
    InstanceGroup: instance group nodes has 3 of 4 machines: no capacity for m5.large in eu-west-1a
    InstanceGroup: instance group lost has no scaling group
    Node: node node-i-a of role node is not ready since 1970-01-01T00:01:00Z: KubeletNotReady
    Machine: machine i-b has not joined the cluster since 1970-01-01T00:00:00Z: setting up the machine has failed, or it cannot reach the API: look at its console output
    Machine: machine i-c has not joined the cluster since 1970-01-01T00:00:00Z: it is still starting
    Pod: system-cluster-critical pod kube-system/coredns is pending since 1970-01-01T00:01:10Z: no node has room for it, or tolerates it (Unschedulable)
    ");
    assert_eq!(health.nodes.len(), 2);
}

#[test]
fn a_few_workers_may_be_missing_and_other_peoples_pods_do_not_count_unless_asked() {
    let (groups, seen) = world();
    let count = |max_unready_nodes, all_pods| {
        validate(&groups, &seen, ValidateOptions { max_unready_nodes, all_pods }, at(600)).failures.len()
    };
    assert_eq!(count(2, false), count(3, false) + 3);
    assert_eq!(count(3, true), count(3, false) + 1);
}

#[test]
fn an_api_that_does_not_answer_is_not_an_unhealthy_cluster() {
    let (groups, mut seen) = world();
    seen.cluster = ClusterView::Unreachable("no route to host".into());
    let health = validate(&groups, &seen, ValidateOptions::default(), at(600));
    assert!(health.failures.is_empty() && !health.is_healthy());
}

#[test]
fn machines_that_are_no_healthy_nodes_say_why_themselves() {
    let (groups, seen) = world();
    let mut health = validate(&groups, &seen, ValidateOptions::default(), at(600));
    let ids = ["i-cp", "i-a", "i-b"].map(|id| Handle(id.into()));
    // One that is still starting has nothing to say.
    assert_eq!(machines_to_ask(&groups, &seen, &health), ids);
    let console =
        "kops-node: unit kubelet.service: it does not stay up (its last words: unknown flag: --x)\n";
    let [_, a, b] = ids;
    let consoles = BTreeMap::from([(b, console.to_owned()), (a, "[ 1.0] Linux\n".to_owned())]);
    explain(&mut health, &groups, &seen, &consoles);
    let told = lines(&health);
    let of = |name: &str| told.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(
        of("machine i-b").ends_with(
            ": it says: unit kubelet.service: it does not stay up (its last words: unknown flag: --x)"
        ),
        "{told}"
    );
    assert!(of("node-i-a").ends_with(": KubeletNotReady"), "who says nothing is judged as before: {told}");
}

#[test]
fn a_control_plane_that_does_not_answer_says_why_on_its_consoles() {
    let (groups, mut seen) = world();
    seen.cluster = ClusterView::Unreachable("no route".into());
    let mut health = validate(&groups, &seen, ValidateOptions::default(), at(600));
    let asked = machines_to_ask(&groups, &seen, &health);
    assert_eq!(asked, [Handle("i-cp".into())]);
    let console = "kops-node: disks: no volume is there for etcd main a\n".to_owned();
    explain(&mut health, &groups, &seen, &BTreeMap::from([(asked[0].clone(), console)]));
    insta::assert_snapshot!(lines(&health), @"Machine: machine i-cp of the control plane has a problem: it says: disks: no volume is there for etcd main a");
    assert!(health.unreachable.is_some());
}

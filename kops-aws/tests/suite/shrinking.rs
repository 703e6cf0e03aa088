//! Groups that get smaller or go, on the simulated AWS: whoever is taken away has been drained before (law F4).
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::support::simulated;
use kops_core::apply::Report;
use kops_core::cluster_api::{ClusterApi, PodRef};
use kops_core::create::Options;
use kops_core::error::ErrorClass;
use kops_core::fleet::{Balancing, Fleet, InstanceState};
use kops_core::operation::{Drain, Event, EventKind, OperationError, Run, RunOptions};
use kops_core::plan::Verb;
use kops_core::resource::Handle;
use kops_core::rolling::{Action, RollEvent, StuckDrain};
use kops_core::sim::{BudgetLimit, Fault, Faults, Workload};
use kops_core::state::Replace;
use simulated::{CLUSTER, World};
use tokio_util::sync::CancellationToken;

/// Four workers.
async fn world() -> World {
    let zones = vec!["us-east-1a".to_owned()];
    World::running(Options { zones, node_count: Some(4), ..Options::default() }).await
}

async fn resize(world: &World, to: u32) {
    let loaded = world.kops.registry().load(CLUSTER).await.unwrap();
    let mut nodes = loaded.groups.into_iter().find(|group| group.name() == "nodes").unwrap();
    (nodes.spec.min_size, nodes.spec.max_size) = (Some(to), Some(to));
    world.kops.registry().replace(vec![nodes.into()], Replace::ExistingOnly).await.unwrap();
}

async fn workers(world: &World) -> BTreeSet<Handle> {
    let groups = world.cloud().groups(&world.scope).await.unwrap();
    let of_nodes = groups.into_iter().filter(|group| group.instance_group == "nodes");
    let alive =
        of_nodes.flat_map(|group| group.instances).filter(|one| one.state != InstanceState::Terminating);
    alive.map(|instance| instance.id).collect()
}

async fn update(world: &World) -> Report {
    world.update(&RunOptions::default()).await.unwrap().report
}

/// Notes what the rolling engine did, and which pods were on machines that were terminated by then.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<Action>>);

impl Notes {
    fn note(&self, event: &Event) {
        if let EventKind::Draining { roll: RollEvent::Done { action }, .. } = &event.kind {
            self.0.lock().unwrap().push(action.clone());
        }
    }

    fn terminated(&self) -> Vec<Handle> {
        let actions = self.0.lock().unwrap();
        let terminated = actions.iter().filter_map(|action| match action {
            Action::Terminate { instance, .. } => Some(instance.clone()),
            _ => None,
        });
        terminated.collect()
    }

    /// Whether it was the rolling engine that took an instance away: one whose end nobody heard of was cordoned at least.
    fn tell_of(&self, instance: &Handle) -> bool {
        let node = format!("node-{instance}");
        self.0.lock().unwrap().iter().any(|action| match action {
            Action::Cordon { node: cordoned, .. } => *cordoned == node,
            Action::Terminate { instance: terminated, .. } => terminated == instance,
            _ => false,
        })
    }

    fn evicted(&self) -> Vec<PodRef> {
        let actions = self.0.lock().unwrap();
        let evicted = actions.iter().filter_map(|action| match action {
            Action::Evict { pod, .. } => Some(pod.clone()),
            _ => None,
        });
        evicted.collect()
    }
}

#[tokio::test]
async fn a_smaller_group_loses_drained_machines_only() {
    let world = world().await;
    let before = workers(&world).await;
    resize(&world, 2).await;
    let plan = world.kops.plan_update(CLUSTER).await.unwrap();
    let told: Vec<_> = plan.steps().iter().flat_map(|step| &step.details).collect();
    assert_eq!(told, ["2 machines are drained and terminated first"]);
    assert_eq!(workers(&world).await, before, "a preview changes nothing");

    let notes = Notes::default();
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let observer = |event: &Event| notes.note(event);
    let run = Run { observer: &observer, cancel: &cancel };
    world.kops.update(CLUSTER, &options, run, |_| {}).await.unwrap().report.into_result().unwrap();
    world.pass_time().await;
    let (gone, after) = (notes.terminated(), workers(&world).await);
    assert_eq!(gone.len(), 2);
    assert_eq!(before.difference(&after).cloned().collect::<BTreeSet<_>>(), gone.into_iter().collect());
    assert!(!notes.evicted().is_empty(), "pods were on the machines");
    assert!(update(&world).await.done.is_empty(), "L1: nothing is left to do");
    let pods = world.cloud().cluster(&world.scope).pods().await.unwrap();
    assert!(pods.iter().all(|pod| pod.ready), "{pods:?}");
}

#[tokio::test]
async fn a_larger_group_drains_nobody() {
    let world = world().await;
    resize(&world, 6).await;
    let plan = world.kops.plan_update(CLUSTER).await.unwrap();
    assert!(plan.steps().iter().all(|step| step.details.is_empty()));
    update(&world).await.into_result().unwrap();
    world.pass_time().await;
    assert_eq!(workers(&world).await.len(), 6);
}

/// Killed at every single call: the next run goes on, no machine goes undrained, and none too many goes.
#[tokio::test]
async fn killed_at_any_call_it_is_carried_on() {
    let mut tried = 0;
    for nth in 1.. {
        let world = world().await;
        resize(&world, 2).await;
        let (machines, before) = (workers(&world).await, world.cloud().calls());
        let notes = Notes::default();
        let (options, cancel) = (RunOptions::default(), CancellationToken::new());
        let observer = |event: &Event| notes.note(event);
        let run = Run { observer: &observer, cancel: &cancel };
        world.cloud().set_faults(Faults::at(nth, Fault::Crash));
        let ended = world.kops.update(CLUSTER, &options, run, |_| {}).await;
        let ended = ended.is_ok_and(|updated| updated.report.is_complete());
        let reached = world.cloud().calls() - before >= nth;
        world.cloud().set_faults(Faults::none());
        if !reached {
            assert!(ended);
            break;
        }
        assert!(workers(&world).await.len() >= 2, "killed at call {nth}");
        world.kops.update(CLUSTER, &options, run, |_| {}).await.unwrap().report.into_result().unwrap();
        world.pass_time().await;
        let left = workers(&world).await;
        assert_eq!(left.len(), 2, "killed at call {nth}");
        for gone in machines.difference(&left) {
            assert!(notes.tell_of(gone), "killed at call {nth}: {gone} went undrained");
        }
        let nodes = world.cloud().cluster(&world.scope).nodes().await.unwrap();
        assert!(nodes.iter().all(|node| !node.unschedulable), "killed at call {nth}: {nodes:?}");
        tried += 1;
    }
    assert!(tried > 20, "only {tried} calls");
}

#[tokio::test]
async fn a_machine_that_cannot_be_drained_keeps_its_group_large() {
    let world = world().await;
    let all = BudgetLimit::MinAvailable(8);
    world.cloud().deploy(CLUSTER, Workload::new("db", 8).with_budget(all));
    world.pass_time().await;
    resize(&world, 1).await;
    let report = update(&world).await;
    let [failed] = report.failed.as_slice() else { panic!("{report:?}") };
    assert_eq!((failed.verb, failed.error.class), (Verb::Update, ErrorClass::Conflict));
    assert_eq!(
        failed.error.to_string(),
        "cannot shrink AutoscalingGroup/nodes.demo.k8s.local: its machines could not be drained"
    );
    let cause = std::error::Error::source(&failed.error).unwrap().to_string();
    assert!(cause.contains("the disruption budget default/db keeps pod"), "{cause}");
    assert_eq!(workers(&world).await.len(), 4);
    let nodes = world.cloud().cluster(&world.scope).nodes().await.unwrap();
    assert!(nodes.iter().all(|node| !node.unschedulable), "{nodes:?}");

    // As they are, if it is asked for; and with force after a time.
    let force =
        Drain { stuck: StuckDrain::ForceAfter(std::time::Duration::from_secs(60)), ..Drain::default() };
    for drain in [Some(force), None] {
        let options = RunOptions { drain, ..RunOptions::default() };
        world.update(&options).await.unwrap().report.into_result().unwrap();
        world.pass_time().await;
        assert_eq!(workers(&world).await.len(), 1);
        resize(&world, 4).await;
        update(&world).await.into_result().unwrap();
        world.pass_time().await;
        resize(&world, 1).await;
    }
}

#[tokio::test]
async fn a_group_that_goes_is_drained_first() {
    let world = world().await;
    let mut more = world.kops.registry().load(CLUSTER).await.unwrap().groups.pop().unwrap();
    assert_eq!(more.name(), "nodes");
    more.metadata.name = "more".to_owned();
    more.metadata.creation_timestamp = None;
    world.kops.registry().replace(vec![more.into()], Replace::OrCreate).await.unwrap();
    update(&world).await.into_result().unwrap();
    world.pass_time().await;

    let notes = Notes::default();
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let observer = |event: &Event| notes.note(event);
    let run = Run { observer: &observer, cancel: &cancel };
    let plan = world.kops.plan_delete_groups(CLUSTER, &["nodes".to_owned()]).await.unwrap();
    let told: Vec<_> = plan.steps().iter().flat_map(|step| &step.details).collect();
    assert_eq!(told, ["4 machines are drained and terminated first"]);
    world
        .kops
        .delete_groups(&plan, &["nodes".to_owned()], &options, run)
        .await
        .unwrap()
        .into_result()
        .unwrap();
    world.pass_time().await;
    assert_eq!(notes.terminated().len(), 4);
    assert!(workers(&world).await.is_empty());
    let pods = world.cloud().cluster(&world.scope).pods().await.unwrap();
    assert!(!pods.is_empty() && pods.iter().all(|pod| pod.ready), "{pods:?}");
}

#[tokio::test]
async fn cancelled_it_opens_the_nodes_again() {
    let world = world().await;
    resize(&world, 1).await;
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let observer = |event: &Event| {
        if let EventKind::Draining { roll: RollEvent::Done { action: Action::Cordon { .. } }, .. } =
            &event.kind
        {
            cancel.cancel();
        }
    };
    let run = Run { observer: &observer, cancel: &cancel };
    let updated = world.kops.update(CLUSTER, &options, run, |_| {}).await;
    let report = match updated {
        Ok(updated) => updated.report,
        Err(OperationError::Cancelled) => Report::default(),
        Err(error) => panic!("{error}"),
    };
    assert!(report.done.iter().all(|done| !done.id.to_string().starts_with("AutoscalingGroup/nodes")));
    assert_eq!(workers(&world).await.len(), 4);
    let nodes = world.cloud().cluster(&world.scope).nodes().await.unwrap();
    assert!(nodes.iter().all(|node| !node.unschedulable), "{nodes:?}");
}

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

async fn in_zones(workers: u32) -> World {
    let zones = ZONES.map(str::to_owned).to_vec();
    World::running(Options { zones, node_count: Some(workers), ..Options::default() }).await
}

/// Puts the workers into other zones.
async fn move_to(world: &World, subnets: &[&str]) {
    let loaded = world.kops.registry().load(CLUSTER).await.unwrap();
    let mut nodes: Vec<_> =
        loaded.groups.into_iter().filter(|group| group.name().starts_with("nodes")).collect();
    for group in &mut nodes {
        group.spec.subnets = subnets.iter().map(|zone| (*zone).to_owned()).collect();
    }
    world
        .kops
        .registry()
        .replace(nodes.into_iter().map(Into::into).collect(), Replace::ExistingOnly)
        .await
        .unwrap();
}

/// What became of the workers that were there before: all that are gone were taken away by the rolling engine, and no
/// scaling group is kept from balancing.
async fn assert_nobody_went_undrained(world: &World, notes: &Notes, before: &BTreeSet<Handle>) {
    world.pass_time().await;
    let after = every_worker(world).await;
    for gone in before.difference(&after) {
        assert!(notes.tell_of(gone), "{gone} went undrained");
    }
    for group in world.cloud().groups(&world.scope).await.unwrap() {
        assert_eq!(group.balancing, Balancing::Free, "{}", group.instance_group);
    }
    let nodes = world.cloud().cluster(&world.scope).nodes().await.unwrap();
    assert!(nodes.iter().all(|node| !node.unschedulable), "{nodes:?}");
}

async fn every_worker(world: &World) -> BTreeSet<Handle> {
    let groups = world.cloud().groups(&world.scope).await.unwrap();
    let of_nodes = groups.into_iter().filter(|group| group.instance_group.starts_with("nodes"));
    let alive =
        of_nodes.flat_map(|group| group.instances).filter(|one| one.state != InstanceState::Terminating);
    alive.map(|instance| instance.id).collect()
}

async fn zones_in_use(world: &World) -> BTreeSet<String> {
    let groups = world.cloud().groups(&world.scope).await.unwrap();
    let of_nodes = groups.into_iter().filter(|group| group.instance_group.starts_with("nodes"));
    of_nodes.flat_map(|group| group.instances).filter_map(|one| one.zone).collect()
}

#[tokio::test]
async fn machines_move_to_other_zones_drained() {
    let world = in_zones(6).await;
    let before = every_worker(&world).await;
    let notes = Notes::default();
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let observer = |event: &Event| notes.note(event);
    let run = Run { observer: &observer, cancel: &cancel };
    for zones in [&ZONES[..2], &ZONES[..], &ZONES[2..]] {
        move_to(&world, zones).await;
        world.kops.update(CLUSTER, &options, run, |_| {}).await.unwrap().report.into_result().unwrap();
        assert_nobody_went_undrained(&world, &notes, &before).await;
        assert_eq!(zones_in_use(&world).await, zones.iter().map(|zone| (*zone).to_owned()).collect());
        assert_eq!(every_worker(&world).await.len(), 6);
        assert!(update(&world).await.done.is_empty(), "L1: nothing is left to do");
    }
}

#[tokio::test]
async fn machines_that_cannot_be_drained_stay_in_their_zones() {
    let world = in_zones(6).await;
    world.cloud().deploy(CLUSTER, Workload::new("db", 12).with_budget(BudgetLimit::MinAvailable(12)));
    world.pass_time().await;
    let before = every_worker(&world).await;
    move_to(&world, &ZONES[..1]).await;
    let report = update(&world).await;
    assert!(!report.is_complete());
    world.pass_time().await;
    assert!(every_worker(&world).await.is_superset(&before), "nobody went");
    // Once it may, the next run goes on.
    world.cloud().deploy(CLUSTER, Workload::new("db", 12));
    let notes = Notes::default();
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let observer = |event: &Event| notes.note(event);
    let run = Run { observer: &observer, cancel: &cancel };
    world.kops.update(CLUSTER, &options, run, |_| {}).await.unwrap().report.into_result().unwrap();
    assert_nobody_went_undrained(&world, &notes, &before).await;
    assert_eq!(zones_in_use(&world).await, BTreeSet::from([ZONES[0].to_owned()]));
}

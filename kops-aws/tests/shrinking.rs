//! Groups that get smaller or go, on the simulated AWS: whoever is taken away has been drained before (law F4).
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

#[path = "support/simulated.rs"]
mod simulated;

use std::collections::BTreeSet;
use std::sync::Mutex;

use kops_core::apply::{ApplyOptions, Drain, Event, Report};
use kops_core::cluster_api::{ClusterApi, PodRef};
use kops_core::create::Options;
use kops_core::error::ErrorClass;
use kops_core::fleet::{Fleet, InstanceState};
use kops_core::operation::{OperationError, Run};
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
    world.update(&ApplyOptions::default()).await.unwrap().report
}

/// Notes what the rolling engine did, and which pods were on machines that were terminated by then.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<Action>>);

impl Notes {
    fn note(&self, event: &Event) {
        if let Event::StepDraining { draining, .. } = event
            && let RollEvent::Done { action } = draining.as_ref()
        {
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
    let (options, cancel) = (ApplyOptions::default(), CancellationToken::new());
    let observer = |event: &Event| notes.note(event);
    let run = Run { options: &options, observer: &observer, cancel: &cancel };
    world.kops.update(CLUSTER, run, |_| {}).await.unwrap().report.into_result().unwrap();
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
        let (options, cancel) = (ApplyOptions::default(), CancellationToken::new());
        let observer = |event: &Event| notes.note(event);
        let run = Run { options: &options, observer: &observer, cancel: &cancel };
        world.cloud().set_faults(Faults::at(nth, Fault::Crash));
        let ended = world.kops.update(CLUSTER, run, |_| {}).await;
        let ended = ended.is_ok_and(|updated| updated.report.is_complete());
        let reached = world.cloud().calls() - before >= nth;
        world.cloud().set_faults(Faults::none());
        if !reached {
            assert!(ended);
            break;
        }
        assert!(workers(&world).await.len() >= 2, "killed at call {nth}");
        world.kops.update(CLUSTER, run, |_| {}).await.unwrap().report.into_result().unwrap();
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
        let options = ApplyOptions { drain, ..ApplyOptions::default() };
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
    let (options, cancel) = (ApplyOptions::default(), CancellationToken::new());
    let observer = |event: &Event| notes.note(event);
    let run = Run { options: &options, observer: &observer, cancel: &cancel };
    let plan = world.kops.plan_delete_groups(CLUSTER, &["nodes".to_owned()]).await.unwrap();
    let told: Vec<_> = plan.steps().iter().flat_map(|step| &step.details).collect();
    assert_eq!(told, ["4 machines are drained and terminated first"]);
    world.kops.delete_groups(&plan, &["nodes".to_owned()], run).await.unwrap().into_result().unwrap();
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
    let (options, cancel) = (ApplyOptions::default(), CancellationToken::new());
    let observer = |event: &Event| {
        if let Event::StepDraining { draining, .. } = event
            && let RollEvent::Done { action: Action::Cordon { .. } } = draining.as_ref()
        {
            cancel.cancel();
        }
    };
    let run = Run { options: &options, observer: &observer, cancel: &cancel };
    let updated = world.kops.update(CLUSTER, run, |_| {}).await;
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

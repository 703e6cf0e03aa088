//! Rolling updates of simulated clusters, on a simulated clock.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::fixture::{Sim, Trouble, run};
use kops_core::fleet::{Balancing, Fleet};
use kops_core::manifest::{CountOrPercent, Role};
use kops_core::resource::Handle;
use kops_core::rolling::{
    Action, Assumptions, Failure, GroupPolicy, Pauses, Policy, Replace, RollError, RollEvent, RollOptions,
    RollTarget, Simulation, StuckDrain, observe, simulate,
};
use kops_core::sim::{BudgetLimit, Fault, Faults, PodTimes, Workload};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

/// Three groups of the control plane, a bastion, two groups of workers.
fn typical() -> Sim {
    let sim = Sim::new(&[
        ("cp-a", Role::ControlPlane, 1),
        ("cp-b", Role::ControlPlane, 1),
        ("cp-c", Role::ControlPlane, 1),
        ("bastions", Role::Bastion, 1),
        ("nodes-a", Role::Node, 3),
        ("nodes-b", Role::Node, 2),
    ]);
    sim.cloud.deploy("demo", Workload::new("web", 4).with_budget(BudgetLimit::MaxUnavailable(1)));
    sim.cloud.deploy("demo", Workload::new("api", 3).with_budget(BudgetLimit::MinAvailable(2)));
    sim.cloud.deploy("demo", Workload::new("batch", 2));
    sim
}

#[test]
fn an_update_replaces_what_is_outdated_in_order_and_breaks_nothing() {
    run(async {
        let sim = typical();
        sim.settle().await;
        sim.new_template("cp-b").await;
        sim.new_template("bastions").await;
        sim.new_template("nodes-a").await;
        let report = sim.roll(&sim.policy()).await.unwrap();
        assert_eq!(report.terminated.len(), 5);
        assert!(report.skipped.is_empty() && report.forced.is_empty());
        sim.assert_clean().await;
        sim.assert_nothing_broken();
        // Bastions, then the control plane, then nodes.
        let roles: Vec<_> = report.terminated.iter().map(|id| sim.role_of(id)).collect();
        let order = [Role::Bastion, Role::ControlPlane, Role::Node, Role::Node, Role::Node];
        assert_eq!(roles, order);
        // A second run has nothing to do, and does nothing.
        let calls = sim.writes();
        assert!(sim.roll(&sim.policy()).await.unwrap().terminated.is_empty());
        assert_eq!(sim.writes(), calls);
    });
}

#[test]
fn forcing_replaces_everything_one_control_plane_machine_at_a_time() {
    run(async {
        let sim = typical();
        sim.settle().await;
        let policy = Policy { replace: Replace::LaunchedBefore(sim.now()), ..sim.policy() };
        let report = sim.roll(&policy).await.unwrap();
        assert_eq!(report.terminated.len(), 9);
        sim.assert_clean().await;
        sim.assert_nothing_broken();
    });
}

#[test]
fn a_single_control_plane_machine_is_replaced_though_its_api_goes_with_it() {
    run(async {
        let sim = Sim::new(&[("cp", Role::ControlPlane, 1), ("nodes", Role::Node, 2)]);
        sim.cloud.deploy("demo", Workload::new("web", 2).with_budget(BudgetLimit::MaxUnavailable(1)));
        sim.settle().await;
        sim.new_template("cp").await;
        sim.new_template("nodes").await;
        assert_eq!(sim.roll(&sim.policy()).await.unwrap().terminated.len(), 3);
        sim.assert_clean().await;
    });
}

#[test]
fn pauses_keep_terminations_apart_and_are_no_standstill() {
    run(async {
        let sim = typical();
        sim.settle().await;
        sim.new_template("nodes-a").await;
        let (between, after_drain) = (Duration::from_secs(20 * 60), Duration::from_secs(90));
        let pauses = Pauses { node: between, after_drain, ..Pauses::default() };
        let policy = Policy { pauses, ..sim.policy() };
        assert!(between > policy.patience);
        let done = Mutex::new(Vec::new());
        let observer = |event: &RollEvent| {
            if let RollEvent::Done { action } = event {
                done.lock().unwrap().push((sim.now(), action.clone()));
            }
        };
        let report = sim.roll_with(&policy, &observer, &CancellationToken::new()).await.unwrap();
        assert_eq!(report.terminated.len(), 3);
        let times = |wanted: fn(&Action) -> bool| -> Vec<_> {
            done.lock().unwrap().iter().filter(|(_, action)| wanted(action)).map(|(at, _)| *at).collect()
        };
        let cordons = times(|action| matches!(action, Action::Cordon { .. }));
        let terminations = times(|action| matches!(action, Action::Terminate { .. }));
        for (termination, cordon) in terminations.iter().zip(&cordons[1..]) {
            assert!(cordon.duration_since(*termination).unsigned_abs() >= between, "{done:?}");
        }
        for (cordon, termination) in cordons.iter().zip(&terminations) {
            assert!(termination.duration_since(*cordon).unsigned_abs() >= after_drain, "{done:?}");
        }
        sim.assert_clean().await;
    });
}

#[test]
fn a_shrinking_group_drains_first() {
    run(async {
        let sim = typical();
        sim.settle().await;
        let mut policy = sim.policy().only(|group| group.name == "nodes-a");
        policy.groups[0].shrink_to = Some(1);
        let report = sim.roll(&policy).await.unwrap();
        assert_eq!(report.terminated.len(), 2);
        sim.assert_nothing_broken();
        assert_eq!(sim.group("nodes-a").await.desired, 1);
        assert_eq!(sim.group("nodes-a").await.instances.len(), 1);
    });
}

/// What a simulated update of the cluster would do, with the times that the cluster has.
async fn simulated(sim: &Sim) -> Simulation {
    let api = sim.cloud.cluster(&sim.scope);
    let target = RollTarget { scope: &sim.scope, fleet: &sim.cloud, cluster: Some(&api) };
    let seen = observe(target).await.unwrap();
    let pods = PodTimes { start: Duration::from_secs(10), grace: Duration::from_secs(5) };
    let assumptions = Assumptions { pods, ..Assumptions::learned_from(&seen) };
    let role = |group: &str| sim.role_of_group(group);
    simulate(&seen, role, &RollOptions::new(sim.policy()), assumptions, sim.now()).await.unwrap()
}

#[test]
fn a_simulation_does_what_the_update_then_does() {
    run(async {
        let sim = typical();
        sim.settle().await;
        for group in ["cp-b", "bastions", "nodes-a", "nodes-b"] {
            sim.new_template(group).await;
        }
        let calls = sim.cloud.calls();
        let simulation = simulated(&sim).await;
        assert_eq!(sim.cloud.calls() - calls, 4, "it looks once and touches nothing");
        assert_eq!((&simulation.stopped, simulation.blocked.len()), (&None, 0));
        assert_eq!(simulation.shortfalls, []);
        let predicted: Vec<_> = simulation
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Terminate { instance, .. } => Some(instance.clone()),
                _ => None,
            })
            .collect();
        let report = sim.roll(&sim.policy()).await.unwrap();
        assert_eq!(report.terminated, predicted);
        assert_eq!(report.took, simulation.took);
        assert_eq!(report.evicted, simulation.evicted);
    });
}

#[test]
fn a_simulation_shows_what_will_be_in_the_way() {
    run(async {
        let sim = stuck();
        sim.settle().await;
        sim.new_template("nodes").await;
        let simulation = simulated(&sim).await;
        assert_eq!(simulation.blocked.len(), 1);
        let stopped = simulation.stopped.unwrap();
        assert!(stopped.contains("default/db keeps pod"), "{stopped}");
    });
}

fn stuck() -> Sim {
    let sim = Sim::new(&[("nodes", Role::Node, 3)]);
    sim.cloud.deploy("demo", Workload::new("db", 1).with_budget(BudgetLimit::MinAvailable(1)));
    sim.cloud.deploy("demo", Workload::new("web", 3));
    sim
}

#[test]
fn a_budget_that_can_never_be_met_is_named_before_anything_starts() {
    run(async {
        let sim = stuck();
        sim.settle().await;
        sim.new_template("nodes").await;
        let preview = sim.preview(&sim.policy()).await;
        assert_eq!(preview.groups[0].needs_update.len(), 3);
        insta::assert_snapshot!(preview.groups[0].needs_update[0].1[0], @"template changed: version");
        insta::assert_snapshot!(preview.blocked[0], @"the disruption budget default/db wants all of its pods at all times, so default/db-1 can never be evicted; lower its minAvailable, raise its maxUnavailable or run more pods");
    });
}

#[test]
fn a_drain_that_cannot_end_fails_is_skipped_or_forced_as_the_policy_says() {
    run(async {
        let after = Duration::from_secs(120);
        let attempt = async |stuck_drain| {
            let sim = stuck();
            sim.settle().await;
            sim.new_template("nodes").await;
            let result = sim.roll(&Policy { stuck: stuck_drain, ..sim.policy() }).await;
            (sim, result)
        };

        let (sim, result) = attempt(StuckDrain::Fail(after)).await;
        let Err(RollError::Stopped { failure, .. }) = result else { panic!("{result:?}") };
        assert!(matches!(failure, Failure::Drain { .. }));
        insta::with_settings!({ filters => [(r"node-i-sim\d+", "NODE"), (r"db-\d+", "POD")] }, {
            insta::assert_snapshot!(failure, @"node NODE could not be drained within 2 min: the disruption budget default/db keeps pod default/POD");
        });
        assert!(sim.cordoned().await.is_empty());
        sim.assert_nothing_broken();

        let (sim, result) = attempt(StuckDrain::Skip(after)).await;
        let report = result.unwrap();
        assert_eq!((report.terminated.len(), report.skipped.len()), (2, 1));
        assert!(sim.cordoned().await.is_empty());
        sim.assert_nothing_broken();

        let (sim, result) = attempt(StuckDrain::ForceAfter(after)).await;
        let report = result.unwrap();
        assert_eq!(report.terminated.len(), 3);
        assert!(!report.forced.is_empty());
        sim.assert_clean().await;
    });
}

#[test]
fn a_template_that_makes_nothing_usable_costs_one_machine_and_stops() {
    run(async {
        let sim = Sim::new(&[("nodes", Role::Node, 8)]);
        sim.cloud.deploy("demo", Workload::new("web", 8).with_budget(BudgetLimit::MaxUnavailable(1)));
        sim.settle().await;
        sim.new_template("nodes").await;
        sim.break_new_nodes();
        let result = sim.roll(&sim.policy()).await;
        let Err(RollError::Stopped { failure: Failure::Stalled { .. }, report }) = result else {
            panic!("{result:?}")
        };
        assert!(report.terminated.is_empty());
        assert_eq!(sim.group("nodes").await.instances.len(), 9);
        sim.assert_nothing_broken();
    });
}

#[test]
fn cancelled_it_uncordons_what_it_was_draining() {
    run(async {
        let sim = stuck();
        sim.settle().await;
        sim.new_template("nodes").await;
        let report = sim.roll_until_cordon(&sim.policy()).await;
        assert!(report.cancelled);
        assert!(sim.cordoned().await.is_empty());
    });
}

/// The process is killed at every single call of an update. Run again: the same end, nothing left over.
#[test]
fn killed_at_any_call_it_is_carried_on() {
    run(async {
        let mut tried = 0;
        for nth in 1.. {
            let sim = typical();
            sim.settle().await;
            for group in ["cp-a", "nodes-a", "bastions"] {
                sim.new_template(group).await;
            }
            let before = sim.cloud.calls();
            sim.cloud.set_faults(Faults::at(nth, Fault::Crash));
            let ended = sim.roll(&sim.policy()).await.is_ok();
            let reached = sim.cloud.calls() - before >= nth;
            sim.cloud.set_faults(Faults::none());
            if !reached {
                assert!(ended);
                break;
            }
            let _rest = sim.roll(&sim.policy()).await.unwrap();
            sim.assert_clean().await;
            sim.assert_nothing_broken();
            assert_eq!(sim.everyone().await.len(), 9, "killed at call {nth}");
            tried += 1;
        }
        assert!(tried > 100, "only {tried} calls");
    });
}

/// 30 s of fixed waits a node, one node at a time, one group after another: what kops's defaults need.
fn serial(nodes: u32, boot: Duration, drain: Duration) -> Duration {
    (boot + Duration::from_secs(30) + drain) * nodes
}

async fn scale(groups: usize, size: u32) -> (Duration, Duration) {
    let boot = Duration::from_secs(150);
    let names: Vec<String> = (0..groups).map(|i| format!("nodes-{i}")).collect();
    let specs: Vec<_> = names.iter().map(|name| (name.as_str(), Role::Node, size)).collect();
    let sim = Sim::booting(&specs, boot, Duration::from_secs(15));
    let nodes = u32::try_from(groups).unwrap() * size;
    for app in 0..10 {
        let workload = Workload::new(format!("app-{app}"), nodes / 5);
        sim.cloud.deploy("demo", workload.with_budget(BudgetLimit::MaxUnavailable((nodes / 50).max(1))));
    }
    sim.settle().await;
    for name in &names {
        sim.new_template(name).await;
    }
    let report = sim.roll(&sim.policy()).await.unwrap();
    assert_eq!(report.terminated.len(), groups * usize::try_from(size).unwrap());
    sim.assert_clean().await;
    sim.assert_nothing_broken();
    (report.took, serial(nodes, boot + Duration::from_secs(15), Duration::from_secs(5)))
}

#[test]
fn a_hundred_workers_are_replaced_ten_times_faster_than_one_after_another() {
    run(async {
        let (took, serial) = scale(5, 20).await;
        assert!(took * 10 <= serial, "{took:?} against {serial:?}");
    });
}

#[test]
fn a_thousand_workers_take_about_as_long_as_a_hundred() {
    run(async {
        let (took, serial) = scale(5, 200).await;
        assert!(took * 100 <= serial, "{took:?} against {serial:?}");
    });
}

#[test]
fn a_group_that_may_miss_some_surges_by_none() {
    run(async {
        let sim = Sim::new(&[("nodes", Role::Node, 6)]);
        sim.cloud.deploy("demo", Workload::new("web", 6).with_budget(BudgetLimit::MaxUnavailable(2)));
        sim.settle().await;
        sim.new_template("nodes").await;
        let mut group = GroupPolicy::new("nodes", Role::Node);
        group.rolling_update.max_surge = Some(CountOrPercent::Count(0));
        group.rolling_update.max_unavailable = Some(CountOrPercent::Count(2));
        let report = sim.roll(&Policy::new(vec![group])).await.unwrap();
        assert_eq!(report.terminated.len(), 6);
        sim.assert_clean().await;
        sim.assert_nothing_broken();
        assert_eq!(sim.most_instances(), 6);
    });
}

/// What may happen between two looks; most of the time nothing does.
fn troubles(calm: bool) -> impl Strategy<Value = Vec<Trouble>> {
    let quiet = prop_oneof![
        12 => Just(Trouble::Nothing),
        1 => any::<usize>().prop_map(Trouble::NewTemplate),
        1 => Just(Trouble::Restart),
    ];
    let wild = prop_oneof![
        12 => Just(Trouble::Nothing),
        1 => any::<usize>().prop_map(Trouble::NewTemplate),
        1 => Just(Trouble::Restart),
        1 => any::<usize>().prop_map(Trouble::Kill),
        1 => any::<usize>().prop_map(Trouble::Silence),
        1 => Just(Trouble::Speak),
    ];
    let one = if calm { quiet.boxed() } else { wild.boxed() };
    prop::collection::vec(one, 0..120)
}

fn limits() -> impl Strategy<Value = (u32, u32)> {
    (0..4_u32, 0..3_u32)
}

/// Updates until everything that was to happen has happened and nothing is left to do, whatever it takes.
async fn update_through(sim: &Sim, policy: &Policy, troubles: Vec<Trouble>, calm: bool) {
    {
        let mut watch = sim.watch.lock().unwrap();
        watch.to_come = troubles;
        watch.troubled = !calm;
    }
    let mut last = String::new();
    for attempt in 0.. {
        let result = sim.roll(policy).await;
        let happens = !sim.watch.lock().unwrap().to_come.is_empty();
        match result {
            Ok(_) if !happens => break,
            Ok(_) | Err(RollError::Fleet(_)) => {}
            // A silent kubelet, or one that died with its machine, may stop it; somebody repairs that.
            Err(error) => {
                assert!(!calm, "{error}");
                last = error.to_string();
                sim.watch.lock().unwrap().to_come.push(Trouble::Speak);
            }
        }
        assert!(attempt < 60, "it does not end: {last}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l5_whatever_happens_no_limit_is_exceeded_no_budget_broken_and_it_ends(
        sizes in (1..5_u32, 1..5_u32),
        members in prop_oneof![Just(1_usize), Just(3)],
        (surge, unavailable) in limits(),
        shrink in prop::option::of(1..5_u32),
        replicas in 2..8_u32,
        zoned in any::<bool>(),
        (calm, troubles) in any::<bool>().prop_flat_map(|calm| (Just(calm), troubles(calm))),
    ) {
        run(async {
            let names: Vec<String> = (0..members).map(|i| format!("cp-{i}")).collect();
            let mut groups: Vec<_> = names.iter().map(|name| (name.as_str(), Role::ControlPlane, 1)).collect();
            groups.extend([("nodes-a", Role::Node, sizes.0), ("nodes-b", Role::Node, sizes.1)]);
            let sim = Sim::new(&groups).in_zones(if zoned { &ZONES } else { &[] });
            let one = BudgetLimit::MaxUnavailable(1);
            sim.cloud.deploy("demo", Workload::new("web", replicas).with_budget(one));
            sim.cloud.deploy("demo", Workload::new("api", 3).with_budget(BudgetLimit::MinAvailable(2)));
            let mut dns = Workload::new("coredns", 2).with_budget(one);
            dns.namespace = "kube-system".into();
            dns.priority_class = Some("system-cluster-critical".into());
            sim.cloud.deploy("demo", dns);
            sim.settle().await;
            for (name, ..) in &groups {
                sim.new_template(name).await;
            }
            let mut policy = sim.policy();
            for group in &mut policy.groups {
                group.rolling_update.max_surge = Some(CountOrPercent::Count(surge));
                group.rolling_update.max_unavailable = Some(CountOrPercent::Count(unavailable));
            }
            for group in policy.groups.iter_mut().filter(|group| group.name == "nodes-a") {
                group.shrink_to = shrink;
            }
            update_through(&sim, &policy, troubles, calm).await;
            let size = shrink.unwrap_or(sizes.0).min(sizes.0);
            assert_eq!(sim.group("nodes-a").await.desired, size);
            for group in sim.cloud.groups(&sim.scope).await.unwrap() {
                assert_eq!(group.balancing, Balancing::Free, "{}", group.instance_group);
            }
            sim.assert_clean().await;
            sim.assert_nothing_broken();
        });
    }
}

const ZONES: [&str; 3] = ["a", "b", "c"];

/// How many instances of a group each zone has.
async fn spread(sim: &Sim, group: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for instance in sim.group(group).await.instances.into_iter().filter(|one| one.is_attached()) {
        *counts.entry(instance.zone.unwrap()).or_default() += 1;
    }
    counts
}

/// F4: what is gone was drained and terminated by the roll, and no group goes on to move others.
async fn assert_only_drained(sim: &Sim, before: Vec<Handle>, terminated: &[Handle]) {
    for _ in 0..20 {
        sim.clock.advance(Duration::from_secs(30));
        sim.cloud.groups(&sim.scope).await.unwrap();
    }
    let after = sim.everyone().await;
    for gone in before.iter().filter(|id| !after.contains(id)) {
        assert!(terminated.contains(gone), "{gone} went undrained");
    }
    for group in sim.cloud.groups(&sim.scope).await.unwrap() {
        assert_eq!(group.balancing, Balancing::Free, "{}", group.instance_group);
    }
    sim.assert_nothing_broken();
}

async fn in_zones(workers: u32) -> Sim {
    let sim = Sim::new(&[("cp", Role::ControlPlane, 1), ("nodes", Role::Node, workers)]).in_zones(&ZONES);
    sim.cloud.deploy("demo", Workload::new("web", 4).with_budget(BudgetLimit::MaxUnavailable(1)));
    sim.settle().await;
    sim
}

#[test]
fn a_shrinking_group_stays_even_and_loses_nobody_undrained() {
    run(async {
        for (from, to) in [(6, 2), (7, 3), (9, 1), (5, 4), (8, 2)] {
            let sim = in_zones(from).await;
            let before = sim.everyone().await;
            let mut policy = sim.policy().only(|group| group.name == "nodes");
            policy.replace = Replace::Nothing;
            policy.groups[0].shrink_to = Some(to);
            let report = sim.roll(&policy).await.unwrap();
            assert_eq!(report.terminated.len(), usize::try_from(from - to).unwrap());
            let counts = spread(&sim, "nodes").await;
            let per_zone = |zone: &str| counts.get(zone).copied().unwrap_or_default();
            let (least, most) =
                (ZONES.map(per_zone).into_iter().min(), ZONES.map(per_zone).into_iter().max());
            assert!(most.unwrap() - least.unwrap() < 2, "{from} to {to}: {counts:?}");
            assert_only_drained(&sim, before, &report.terminated).await;
        }
    });
}

#[test]
fn a_replaced_group_loses_nobody_undrained() {
    run(async {
        let sim = in_zones(7).await;
        let before = sim.everyone().await;
        sim.new_template("nodes").await;
        let report = sim.roll(&sim.policy()).await.unwrap();
        assert_eq!(report.terminated.len(), 7);
        assert_only_drained(&sim, before, &report.terminated).await;
    });
}

#[test]
fn what_stands_where_too_many_are_is_replaced_drained() {
    run(async {
        let sim = in_zones(6).await;
        let handle = sim.group("nodes").await.handle;
        // As an update that changes the zones does.
        sim.cloud.hold_zones(&sim.scope, &handle).await.unwrap();
        let sim = sim.in_zones(&["b", "c", "d"]);
        sim.settle().await;
        let before = sim.everyone().await;
        let mut policy = sim.policy().only(|group| group.name == "nodes");
        policy.replace = Replace::Misplaced;
        let report = sim.roll(&policy).await.unwrap();
        assert_eq!(report.terminated.len(), 2);
        let even = ["b", "c", "d"].map(|zone| (zone.to_owned(), 2));
        assert_eq!(spread(&sim, "nodes").await, BTreeMap::from(even));
        assert_only_drained(&sim, before, &report.terminated).await;
    });
}

/// Killed at a call: the next run lets the group balance again, and nobody went undrained meanwhile.
#[test]
fn zones_that_a_killed_run_held_are_let_go_by_the_next() {
    run(async {
        let mut held = 0;
        for nth in (1..).step_by(3) {
            let sim = in_zones(4).await;
            let mut policy = sim.policy().only(|group| group.name == "nodes");
            policy.groups[0].shrink_to = Some(1);
            sim.cloud.set_faults(Faults::at(nth, Fault::Crash));
            let ended = sim.roll(&policy).await;
            sim.cloud.set_faults(Faults::none());
            if ended.is_ok() {
                break;
            }
            held += usize::from(sim.group("nodes").await.balancing == Balancing::Held);
            assert!(sim.roll(&policy).await.unwrap().skipped.is_empty());
            assert_eq!(sim.group("nodes").await.desired, 1);
            assert_eq!(sim.group("nodes").await.balancing, Balancing::Free, "killed at call {nth}");
            sim.assert_nothing_broken();
        }
        assert!(held > 3, "{held} runs were killed while they held a group");
    });
}

#[test]
fn a_group_that_somebody_keeps_from_balancing_stays_so() {
    run(async {
        let sim = Sim::new(&[("cp", Role::ControlPlane, 1), ("nodes", Role::Node, 6)]);
        let sim = sim.in_zones(&ZONES).without_balancing();
        sim.cloud.deploy("demo", Workload::new("web", 2));
        sim.settle().await;
        sim.new_template("nodes").await;
        assert_eq!(sim.roll(&sim.policy()).await.unwrap().terminated.len(), 6);
        assert_eq!(sim.group("nodes").await.balancing, Balancing::Off);
    });
}

/// A drain that was ended and a machine that cannot be terminated: no drain is under way any more, so patience ends.
#[test]
fn a_machine_that_cannot_be_terminated_ends_in_an_error() {
    run(async {
        let sim = Sim::new(&[("cp", Role::ControlPlane, 1), ("nodes", Role::Node, 2)]);
        sim.cloud.deploy("demo", Workload::new("web", 2));
        sim.settle().await;
        sim.new_template("nodes").await;
        sim.watch.lock().unwrap().no_terminations = true;
        let began = sim.now();
        let error = sim.roll(&sim.policy()).await.unwrap_err();
        let RollError::Stopped { failure: Failure::Stalled { why, .. }, .. } = &error else {
            panic!("{error}")
        };
        assert!(!why.contains("does not answer"), "{why}");
        let took = sim.now().duration_since(began).unsigned_abs();
        assert!(took < sim.policy().patience * 2, "{took:?}");
    });
}

//! The laws of planner and engine (L1 to L6, and what L9 and C14 ask of them) as properties over random worlds, on the simulated cloud.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kops_core::apply::{ApplyOptions, PlanEvent, RetryPolicy, apply};
use kops_core::clock::{ManualClock, Timestamp};
use kops_core::cloud::{Cloud, Reach, Scope};
use kops_core::contract::{self, CloudCase, Toy};
use kops_core::error::ErrorClass;
use kops_core::inventory::{Gap, Inventory};
use kops_core::observer::Quiet;
use kops_core::plan::{Plan, PlanError, Purpose, Verb, plan};
use kops_core::resource::{Handle, Kind, NewIds, Ownership, Resource, ResourceId};
use kops_core::sim::{Fault, Faults, SimCloud, SimOptions};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

fn scope() -> Scope {
    Scope { cluster: "demo".into(), incarnation: "1".into(), zone: None }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH))
}

fn sim(clock: &Arc<ManualClock>, latency: Duration) -> SimCloud<Toy> {
    SimCloud::new(SimOptions { clock: clock.clone(), latency, ..SimOptions::default() })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

async fn observe(cloud: &SimCloud<Toy>) -> Inventory<Toy> {
    cloud.observe(&scope(), Reach::Everything).await.unwrap()
}

/// Some changes cannot be made in one go: those are refused, and not what these laws are about.
async fn possible(cloud: &SimCloud<Toy>, desired: &[Toy]) -> bool {
    let Ok(inventory) = cloud.observe(&scope(), Reach::Everything).await else { return true };
    !matches!(plan(&scope(), Purpose::Update, desired, &inventory), Err(PlanError::Cycle(_)))
}

async fn plan_now(cloud: &SimCloud<Toy>, purpose: Purpose, desired: &[Toy]) -> Plan<Toy> {
    plan(&scope(), purpose, desired, &observe(cloud).await).unwrap()
}

/// One attempt: no retries, so that every failure shows.
fn once() -> ApplyOptions {
    let retry = RetryPolicy {
        attempts: 1,
        visible_within: Duration::ZERO,
        free_within: Duration::ZERO,
        ..RetryPolicy::default()
    };
    ApplyOptions { retry, ..ApplyOptions::default() }
}

async fn attempt(cloud: &SimCloud<Toy>, clock: &ManualClock, purpose: Purpose, desired: &[Toy]) -> bool {
    let Ok(inventory) = cloud.observe(&scope(), Reach::Everything).await else { return false };
    let Ok(plan) = plan(&scope(), purpose, desired, &inventory) else { return false };
    apply(cloud, &plan, &once(), clock, &Quiet, &CancellationToken::new()).await.is_complete()
}

async fn settle(cloud: &SimCloud<Toy>, clock: &ManualClock, purpose: Purpose, desired: &[Toy]) {
    let plan = plan_now(cloud, purpose, desired).await;
    let options = ApplyOptions::default();
    let report = apply(cloud, &plan, &options, clock, &Quiet, &CancellationToken::new()).await;
    report.into_result().unwrap();
}

/// Worlds: up to eight resources, each referring to some of those before it, with random fields.
fn worlds() -> impl Strategy<Value = Vec<Toy>> {
    worlds_of(&["free", "fixed", "version"])
}

/// The same with toys that are parts of what they refer to, or lie within it.
fn related_worlds() -> impl Strategy<Value = Vec<Toy>> {
    worlds_of(&["free", "fixed", "shapes", "within"])
}

fn worlds_of(fields: &'static [&'static str]) -> impl Strategy<Value = Vec<Toy>> {
    let field = prop::sample::select(fields);
    let toy = (any::<u16>(), prop::collection::btree_map(field, 0..3_i64, 0..3));
    (prop::collection::vec(toy, 1..8), any::<u8>()).prop_map(|(toys, missing)| {
        let present = |i: usize| missing & (1 << i) == 0 || i == 0;
        toys.into_iter()
            .enumerate()
            .filter(|(i, _)| present(*i))
            .map(|(i, (edges, fields))| {
                let before = (0..i).filter(|&j| present(j) && edges & (1 << j) != 0);
                let toy = Toy::new(format!("{i}"), before.map(|j| Toy::id_of(format!("{j}"))));
                fields.into_iter().fold(toy, |toy, (name, value)| toy.with(name, value))
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn l1_nothing_is_left_after_applying(before in worlds(), after in worlds()) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::ZERO);
            settle(&cloud, &clock, Purpose::Update, &before).await;
            prop_assume!(possible(&cloud, &after).await);
            settle(&cloud, &clock, Purpose::Update, &after).await;
            assert!(plan_now(&cloud, Purpose::Update, &after).await.is_empty());
            assert_eq!(cloud.everything().len(), after.len());
            Ok(())
        })?;
    }

    #[test]
    fn l2_same_inputs_same_bytes(before in worlds(), after in worlds(), turn in 0..8_usize) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::ZERO);
            settle(&cloud, &clock, Purpose::Update, &before).await;
            prop_assume!(possible(&cloud, &after).await);
            let inventory = observe(&cloud).await;
            let first = plan(&scope(), Purpose::Update, &after, &inventory).unwrap().to_json();
            let mut turned = after.clone();
            turned.rotate_left(turn % after.len());
            assert_eq!(plan(&scope(), Purpose::Update, &turned, &inventory).unwrap().to_json(), first);
            assert_eq!(Plan::<Toy>::from_json(&first).unwrap().to_json(), first);
            Ok(())
        })?;
    }

    #[test]
    fn l3_any_applied_prefix_converges(before in worlds(), after in worlds(), stop in 1..12_u64) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::ZERO);
            settle(&cloud, &clock, Purpose::Update, &before).await;
            prop_assume!(possible(&cloud, &after).await);
            cloud.set_faults(Faults::at(stop, Fault::Crash));
            attempt(&cloud, &clock, Purpose::Update, &after).await;
            cloud.set_faults(Faults::none());
            settle(&cloud, &clock, Purpose::Update, &after).await;
            assert!(plan_now(&cloud, Purpose::Update, &after).await.is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn l4_what_refers_goes_first(world in worlds()) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::from_millis(10));
            settle(&cloud, &clock, Purpose::Update, &world).await;
            let gone: Mutex<Vec<ResourceId>> = Mutex::default();
            let plan = plan_now(&cloud, Purpose::Delete, &[]).await;
            let observer = |event: &PlanEvent| {
                if let PlanEvent::StepDone { id, verb: Verb::Delete, .. } = event {
                    gone.lock().unwrap().push(id.clone());
                }
            };
            // Without a single retry: the order alone has to do.
            let report = apply(&cloud, &plan, &once(), &*clock, &observer, &CancellationToken::new()).await;
            report.into_result().unwrap();
            let gone = gone.into_inner().unwrap();
            let position = |id: &ResourceId| gone.iter().position(|g| g == id).unwrap();
            for toy in &world {
                assert!(toy.requires.iter().all(|to| position(&toy.id()) < position(to)));
            }
        });
    }

    #[test]
    fn l6_what_could_not_be_seen_is_left_alone(before in worlds(), after in worlds()) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::ZERO);
            settle(&cloud, &clock, Purpose::Update, &before).await;
            prop_assume!(possible(&cloud, &after).await);
            let gap = Gap { kinds: vec![Kind::new("Toy")], class: ErrorClass::Denied, reason: "not allowed".into() };
            let seen = observe(&cloud).await;
            for observed in [seen.clone().merge(Inventory::new(vec![], vec![gap.clone()])), Inventory::new(vec![], vec![gap])] {
                let plan = plan(&scope(), Purpose::Update, &after, &observed).unwrap();
                // What was seen may be made again; what is merely surplus may be a misunderstanding.
                let summary = plan.summary();
                assert_eq!((summary.create, summary.delete), (0, 0));
            }
            Ok(())
        })?;
    }

    /// Some of what the cluster made before is named by its handle now, with the cluster's tags on it.
    #[test]
    fn c14_what_is_named_by_its_handle_stays(
        before in related_worlds(),
        after in related_worlds(),
        named in any::<u8>(),
        stop in 1..12_u64,
    ) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::ZERO);
            settle(&cloud, &clock, Purpose::Update, &before).await;
            let made = observe(&cloud).await;
            let (after, handles) = naming(&after, &made, named);
            let named: Vec<_> = made.all().filter(|seen| handles.contains(&seen.handle)).cloned().collect();
            // Some changes are refused: what is named would lose what it needs.
            prop_assume!(!named.is_empty() && plan(&scope(), Purpose::Update, &after, &made).is_ok());

            cloud.set_faults(Faults::at(stop, Fault::Crash));
            attempt(&cloud, &clock, Purpose::Update, &after).await;
            cloud.set_faults(Faults::none());
            let update = plan_now(&cloud, Purpose::Update, &after).await;
            let touched: Mutex<[BTreeSet<Handle>; 2]> = Mutex::default();
            let observer = |event: &PlanEvent| {
                if let PlanEvent::StepDone { verb, handle, .. } = event {
                    touched.lock().unwrap()[usize::from(*verb == Verb::Delete)].insert(handle.clone());
                }
            };
            let options = ApplyOptions::default();
            let report = apply(&cloud, &update, &options, &*clock, &observer, &CancellationToken::new()).await;
            report.into_result().unwrap();
            let [kept, deleted] = touched.into_inner().unwrap();
            assert!(kept.is_disjoint(&deleted), "made or changed, and deleted");

            let left = cloud.everything();
            for seen in &named {
                assert_eq!(left.get(&seen.handle), Some(&seen.resource), "{}", update.display());
                let needs = &seen.uses;
                assert!(needs.iter().all(|handle| left.contains_key(handle)), "{}", update.display());
                // What shapes it has stayed, too.
                let shapes = |o: &&kops_core::inventory::Observed<Toy>| {
                    o.resource.fields.contains_key("shapes") && o.uses.contains(&seen.handle)
                };
                let surplus = |id: &ResourceId| !after.iter().any(|toy| toy.id == *id);
                for part in made.all().filter(shapes).filter(|o| surplus(&o.resource.id)) {
                    assert!(left.contains_key(&part.handle), "{} is gone", part.resource.id);
                }
            }
            let again = plan_now(&cloud, Purpose::Update, &after).await;
            assert!(again.is_empty(), "{}", again.display());
            let everything = observe(&cloud).await;
            let shared: Vec<_> = after.iter().filter(|r| r.ownership == Ownership::Shared).cloned().collect();
            let gone = plan(&scope(), Purpose::Delete, &shared, &everything).unwrap();
            let deleted: Vec<_> = gone.steps().iter().filter_map(|s| s.action.current()).collect();
            assert!(deleted.iter().all(|current| !handles.contains(&current.handle)));
            Ok(())
        })?;
    }

    #[test]
    fn random_trouble_never_doubles_nor_leaks(before in worlds(), after in worlds(), seed in any::<u64>()) {
        run(async {
            let clock = clock();
            let cloud = sim(&clock, Duration::from_millis(1));
            let trouble = vec![
                Fault::Fail(ErrorClass::Throttled),
                Fault::Fail(ErrorClass::Unavailable),
                Fault::LoseResponse,
                Fault::DelayVisibility(4),
            ];
            for world in [&before, &after] {
                cloud.set_faults(Faults::none());
                prop_assume!(possible(&cloud, world).await);
                cloud.set_faults(Faults::random(seed, 4, trouble.clone()));
                let mut rounds = 0;
                while !attempt(&cloud, &clock, Purpose::Update, world).await {
                    rounds += 1;
                    // What was not visible before may make the change impossible after all.
                    prop_assume!(rounds % 50 != 0 || possible(&cloud, world).await);
                    assert!(rounds < 200, "does not converge");
                }
            }
            cloud.set_faults(Faults::none());
            settle(&cloud, &clock, Purpose::Update, &after).await;
            settle(&cloud, &clock, Purpose::Update, &after).await;
            assert_eq!(cloud.everything().len(), after.len());
            Ok(())
        })?;
    }
}

/// A world in which some of what was made is named by its handle, and how those handles are.
fn naming(after: &[Toy], made: &Inventory<Toy>, chosen: u8) -> (Vec<Toy>, BTreeSet<Handle>) {
    let chosen = made.all().enumerate().filter(|(i, _)| chosen & (1 << i) != 0).map(|(_, seen)| seen);
    let names: Vec<(ResourceId, Handle)> = chosen.map(|o| (o.resource.id(), o.handle.clone())).collect();
    let ids = names.iter().map(|(id, handle)| (id.clone(), Toy::id_of(handle.as_str())));
    let ids: NewIds = ids.collect();
    let others = after.iter().filter(|toy| !ids.contains_key(&toy.id)).cloned();
    let shared = ids.values().map(|id| Toy { ownership: Ownership::Shared, ..Toy::new(&id.name, []) });
    let world = others.map(|toy| toy.renamed(&ids)).chain(shared).collect();
    (world, names.into_iter().map(|(_, handle)| handle).collect())
}

/// A chain, a fork, a group: small, but with every kind of step.
fn small_world(field: i64) -> Vec<Toy> {
    let net = Toy::new("net", []).with("free", field);
    let template = Toy::new("template", [net.id()]).with("version", field);
    let mut group = Toy::new("group", [template.id(), net.id()]);
    group.group = Some(kops_core::fleet::GroupSpec {
        instance_group: "group".into(),
        role: kops_core::manifest::Role::Node,
        min: 2,
        max: 3,
        template: template.id(),
        zones: BTreeSet::new(),
        balances: false,
    });
    let balancer = Toy::new("balancer", [net.id()]).with("fixed", field);
    vec![net, template, group, balancer]
}

/// For every call of create, update and delete: it fails, loses its response, or is the last one. Run again:
/// the same end, nothing doubled, nothing left.
#[test]
fn every_call_may_fail() {
    let phases: [(Purpose, Vec<Toy>); 3] =
        [(Purpose::Update, small_world(1)), (Purpose::Update, small_world(2)), (Purpose::Delete, Vec::new())];
    let faults = [
        Fault::Fail(ErrorClass::Unavailable),
        Fault::Fail(ErrorClass::Denied),
        Fault::Fail(ErrorClass::Quota),
        Fault::LoseResponse,
        Fault::DelayVisibility(3),
        Fault::Crash,
    ];
    let mut tried = 0;
    for (broken, _) in phases.iter().enumerate() {
        for fault in faults {
            for nth in 1.. {
                let reached = run(async {
                    let clock = clock();
                    let cloud = sim(&clock, Duration::ZERO);
                    let mut reached = true;
                    for (index, (purpose, desired)) in phases.iter().enumerate() {
                        if index == broken {
                            let before = cloud.calls();
                            cloud.set_faults(Faults::at(nth, fault));
                            attempt(&cloud, &clock, *purpose, desired).await;
                            reached = cloud.calls() - before >= nth;
                            cloud.set_faults(Faults::none());
                        }
                        settle(&cloud, &clock, *purpose, desired).await;
                        assert!(
                            plan_now(&cloud, *purpose, desired).await.is_empty(),
                            "{fault:?} at call {nth}"
                        );
                        assert_eq!(cloud.everything().len(), desired.len(), "{fault:?} at call {nth}");
                    }
                    reached
                });
                if !reached {
                    break;
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "only {tried} cases: the faults did not reach the calls");
}

#[test]
fn the_simulated_cloud_keeps_the_contract() {
    run(async {
        let clock = clock();
        let cloud = sim(&clock, Duration::from_millis(2));
        let mut shared = Toy::new("vpc-1", []);
        shared.ownership = Ownership::Shared;
        let with_shared = |mut world: Vec<Toy>| {
            world[0].requires.push(shared.id());
            world.push(shared.clone());
            world.push(Toy::new("root", []));
            // The battery's edit needs no replacement.
            world[3].fields.clear();
            world
        };
        // In the group's network, and used by it.
        let with_subnet = |mut world: Vec<Toy>, name: &str| {
            let subnet = Toy::new(name, [world[0].id()]).with("range", "10.0.0.0/24").with("within", true);
            world[2].requires.push(subnet.id());
            world.push(subnet);
            world
        };
        let case = CloudCase {
            scope: scope(),
            desired: with_subnet(with_shared(small_world(1)), "a"),
            edited: with_subnet(with_shared(small_world(2)), "a"),
            named: |kind, handle| {
                let id = ResourceId::new(kind.clone(), handle.as_str());
                Some(Toy { id, ownership: Ownership::Shared, ..Toy::new("", []) })
            },
            renamed: with_subnet(with_shared(small_world(1)), "b"),
            options: ApplyOptions::default(),
        };
        contract::cloud(&cloud, &case, &*clock).await.unwrap();
        assert!(cloud.everything().is_empty());
    });
}

#[test]
fn a_duplicate_that_nothing_uses_goes_and_one_in_use_stays() {
    run(async {
        let clock = clock();
        let cloud = sim(&clock, Duration::ZERO);
        let world = small_world(1);
        settle(&cloud, &clock, Purpose::Update, &world).await;
        let in_use = cloud.everything();
        cloud.plant("demo", world[0].clone(), [].into());
        assert_eq!(observe(&cloud).await.duplicates().len(), 1);
        settle(&cloud, &clock, Purpose::Update, &world).await;
        assert_eq!(cloud.everything(), in_use);
    });
}

#[test]
fn a_cancelled_run_ends_what_it_began_and_names_the_rest() {
    run(async {
        let clock = clock();
        let cloud = sim(&clock, Duration::from_millis(10));
        let world = small_world(1);
        let plan = plan_now(&cloud, Purpose::Update, &world).await;
        let cancel = CancellationToken::new();
        let observer = |event: &PlanEvent| {
            if matches!(event, PlanEvent::StepStarted { .. }) {
                cancel.cancel();
            }
        };
        let options = ApplyOptions { concurrency: NonZeroUsize::MIN, ..ApplyOptions::default() };
        let report = apply(&cloud, &plan, &options, &*clock, &observer, &cancel).await;
        assert!(report.cancelled);
        assert_eq!((report.done.len(), report.skipped.len()), (1, 3));
        let error = report.into_result().unwrap_err().to_string();
        insta::assert_snapshot!(error, @"cancelled: 1 steps done, 0 failed, 3 not started; run the same again to go on from there");
    });
}

#[test]
fn failures_name_what_they_kept_from_starting() {
    run(async {
        let clock = clock();
        let cloud = sim(&clock, Duration::ZERO);
        let plan = plan_now(&cloud, Purpose::Update, &small_world(1)).await;
        cloud.set_faults(Faults::at(1, Fault::Fail(ErrorClass::Denied)));
        let report = apply(&cloud, &plan, &once(), &*clock, &Quiet, &CancellationToken::new()).await;
        let skipped: BTreeSet<_> =
            report.skipped.iter().map(|s| (s.id.name.as_str(), s.because.clone())).collect();
        let because = Some(Toy::id_of("net"));
        let all = ["balancer", "group", "template"].map(|name| (name, because.clone()));
        assert_eq!(skipped, all.into());
        insta::assert_snapshot!(report.failed[0].error, @"cannot create Toy/net: the simulated account may not do this");
    });
}

#[test]
fn groups_replace_what_is_terminated() {
    run(async {
        let clock = clock();
        let cloud = sim(&clock, Duration::ZERO);
        settle(&cloud, &clock, Purpose::Update, &small_world(1)).await;
        let first: Vec<_> = cloud.members().into_iter().map(|(m, _)| m.handle).collect();
        assert_eq!(first.len(), 2);
        let seen = observe(&cloud).await;
        let victim = seen.iter().find(|(id, _)| id.name == first[0].0).unwrap().1;
        cloud.delete(&scope(), victim, &kops_core::cloud::Bindings::default()).await.unwrap();
        clock.advance(Duration::from_secs(2));
        let second: Vec<_> = cloud.members().into_iter().map(|(m, _)| m.handle).collect();
        assert_eq!(second.len(), 2);
        assert!(!second.contains(&first[0]) && second.contains(&first[1]));
    });
}

#[test]
fn a_saved_cloud_survives_its_process() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let clock = clock();
        let options = || SimOptions { clock: clock.clone(), ..SimOptions::default() };
        let cloud = SimCloud::open(directory.path(), options()).unwrap();
        settle(&cloud, &clock, Purpose::Update, &small_world(1)).await;
        let refused = SimCloud::<Toy>::open(directory.path(), options()).unwrap_err();
        assert!(refused.to_string().starts_with("another process is using the simulated cloud"));
        let before = cloud.everything();
        drop(cloud);
        let cloud = SimCloud::<Toy>::open(directory.path(), options()).unwrap();
        assert_eq!(cloud.everything(), before);
        assert!(plan_now(&cloud, Purpose::Update, &small_world(1)).await.is_empty());
    });
}

#[test]
fn a_preview_reads_like_this() {
    run(async {
        let clock = clock();
        let cloud = sim(&clock, Duration::ZERO);
        settle(&cloud, &clock, Purpose::Update, &small_world(1)).await;
        let mut next = small_world(2);
        next.remove(2);
        next[1] = next[1].clone().with("text", "one\ntwo\n").with("labels", serde_json::json!({"a": "b"}));
        next.push(
            Toy::new("extra", [next[0].id()]).with("size", 4).with("names", serde_json::json!(["x", "y"])),
        );
        let plan = plan_now(&cloud, Purpose::Update, &next).await;
        insta::assert_snapshot!(plan.display());
    });
}

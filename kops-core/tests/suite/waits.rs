//! Law C15: every wait ends, says what it waits for, and asks for everything that waits in one read.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kops_core::apply::{ApplyOptions, PlanEvent, Report, apply};
use kops_core::clock::{Clock, ManualClock, Timestamp};
use kops_core::cloud::{Cloud, Reach, Scope};
use kops_core::contract::Toy;
use kops_core::error::ErrorClass;
use kops_core::fleet::GroupSpec;
use kops_core::manifest::Role;
use kops_core::observer::Quiet;
use kops_core::plan::{Plan, Purpose, plan};
use kops_core::sim::{Fault, Faults, SimCloud, SimOptions};
use tokio_util::sync::CancellationToken;

fn scope() -> Scope {
    Scope { cluster: "demo".into(), incarnation: "1".into(), zone: None }
}

struct Bench {
    clock: Arc<ManualClock>,
    cloud: SimCloud<Toy>,
}

impl Bench {
    fn new(terminate_time: Duration) -> Self {
        Self::slow(terminate_time, Duration::ZERO)
    }

    /// With calls that take their time.
    fn slow(terminate_time: Duration, latency: Duration) -> Self {
        let clock = Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH));
        let options = SimOptions { clock: clock.clone(), terminate_time, latency, ..SimOptions::default() };
        Self { cloud: SimCloud::new(options), clock }
    }

    /// A network, and a group with instances in it.
    async fn with_instances(self, count: u32) -> Self {
        let network = Toy::new("network", []);
        let template = Toy::new("template", [network.id.clone()]);
        let mut group = Toy::new("group", [network.id.clone(), template.id.clone()]);
        group.group = Some(GroupSpec {
            instance_group: "group".into(),
            role: Role::Node,
            min: count,
            max: count,
            template: template.id.clone(),
            zones: BTreeSet::new(),
            balances: false,
        });
        let plan = self.plan(Purpose::Update, &[network, template, group]).await;
        self.apply(&plan, &CancellationToken::new()).await.into_result().unwrap();
        self.clock.advance(Duration::from_secs(600));
        self
    }

    async fn plan(&self, purpose: Purpose, desired: &[Toy]) -> Plan<Toy> {
        let inventory = self.cloud.observe(&scope(), Reach::Everything).await.unwrap();
        plan(&scope(), purpose, desired, &inventory).unwrap()
    }

    async fn apply(&self, plan: &Plan<Toy>, cancel: &CancellationToken) -> Report {
        apply(&self.cloud, plan, &ApplyOptions::default(), &*self.clock, &Quiet, cancel).await
    }

    fn passed(&self, since: Timestamp) -> Duration {
        self.clock.now().duration_since(since).unsigned_abs()
    }
}

#[tokio::test]
async fn all_that_goes_is_asked_for_in_one_read() {
    let mut spent = BTreeMap::new();
    for instances in [1, 40] {
        let bench = Bench::new(Duration::from_secs(300)).with_instances(instances).await;
        let plan = bench.plan(Purpose::Delete, &[]).await;
        let (before, began) = (bench.cloud.calls(), bench.clock.now());
        bench.apply(&plan, &CancellationToken::new()).await.into_result().unwrap();
        let deletes = u64::try_from(plan.steps().len()).unwrap();
        spent.insert(instances, bench.cloud.calls() - before - deletes);
        assert!(bench.passed(began) < Duration::from_secs(330), "all go side by side");
        assert!(bench.cloud.everything().is_empty() && bench.cloud.members().is_empty());
    }
    // Five minutes with a pause of at most ten seconds, however many instances there are.
    assert!(spent[&1] <= 60, "{spent:?}");
    assert!(spent[&40] <= spent[&1] + 15, "{spent:?}");
}

/// A read that was under way when something was told to go says nothing of it.
#[tokio::test]
async fn nothing_counts_as_gone_that_was_not_asked_for() {
    let bench = Bench::slow(Duration::from_secs(300), Duration::from_secs(3)).with_instances(60).await;
    let plan = bench.plan(Purpose::Delete, &[]).await;
    let too_early = Mutex::new(Vec::new());
    let observer = |event: &PlanEvent| {
        if let PlanEvent::StepDone { id, .. } = event
            && bench.cloud.members().iter().any(|(member, _)| member.handle.as_str() == id.name)
        {
            too_early.lock().unwrap().push(id.clone());
        }
    };
    let (options, cancel) = (ApplyOptions::default(), CancellationToken::new());
    let report = apply(&bench.cloud, &plan, &options, &*bench.clock, &observer, &cancel).await;
    report.into_result().unwrap();
    assert_eq!(*too_early.lock().unwrap(), []);
}

#[tokio::test]
async fn what_never_goes_ends_in_an_error_that_names_it() {
    let bench = Bench::new(Duration::from_secs(24 * 3600)).with_instances(2).await;
    let plan = bench.plan(Purpose::Delete, &[]).await;
    let (began, waits) = (bench.clock.now(), Mutex::new(Vec::new()));
    let observer = |event: &PlanEvent| {
        if let PlanEvent::StepWaiting { reason, within, .. } = event {
            waits.lock().unwrap().push((reason.clone(), *within));
        }
    };
    let options = ApplyOptions::default();
    let cancel = CancellationToken::new();
    let report = apply(&bench.cloud, &plan, &options, &*bench.clock, &observer, &cancel).await;
    assert!(bench.passed(began) <= options.retry.gone_within + options.retry.longest_pause);
    assert!(waits.lock().unwrap().contains(&("it is shutting down".to_owned(), options.retry.gone_within)));
    let words: Vec<String> = report.failed.iter().map(|failed| failed.error.to_string()).collect();
    assert!(
        words.iter().any(|words| {
            words.starts_with("cannot delete Instance/i-sim")
                && words.ends_with("is still there after 15 minutes: it is shutting down")
        }),
        "{words:?}"
    );
    assert!(report.failed.iter().all(|failed| failed.error.class == ErrorClass::Conflict));
    assert!(report.failed.iter().all(|failed| failed.error.hint.is_some()));
}

#[tokio::test]
async fn a_wait_ends_when_the_run_is_cancelled() {
    let bench = Bench::new(Duration::from_secs(24 * 3600)).with_instances(2).await;
    let plan = bench.plan(Purpose::Delete, &[]).await;
    let (cancel, began) = (CancellationToken::new(), bench.clock.now());
    let observer = |event: &PlanEvent| {
        if matches!(event, PlanEvent::StepWaiting { .. }) {
            cancel.cancel();
        }
    };
    let options = ApplyOptions::default();
    let report = apply(&bench.cloud, &plan, &options, &*bench.clock, &observer, &cancel).await;
    assert!(report.cancelled);
    assert!(bench.passed(began) < Duration::from_secs(60));
}

#[tokio::test]
async fn an_api_that_stays_unreachable_while_something_goes_ends_in_an_error() {
    let bench = Bench::new(Duration::from_secs(24 * 3600)).with_instances(2).await;
    let plan = bench.plan(Purpose::Delete, &[]).await;
    let began = bench.clock.now();
    let observer = |event: &PlanEvent| {
        if matches!(event, PlanEvent::StepWaiting { .. }) {
            let down = Fault::Fail(ErrorClass::Unavailable);
            bench.cloud.set_faults(Faults::random(1, 1, vec![down]));
        }
    };
    let options = ApplyOptions::default();
    let cancel = CancellationToken::new();
    let report = apply(&bench.cloud, &plan, &options, &*bench.clock, &observer, &cancel).await;
    assert!(bench.passed(began) < options.retry.gone_within);
    assert!(report.failed.iter().any(|failed| failed.error.class == ErrorClass::Unavailable), "{report:?}");
}

/// By time: a try may be quick, and what was made may take minutes to be seen everywhere.
#[tokio::test]
async fn what_is_not_visible_yet_is_waited_for_by_the_clock() {
    let bench = Bench::new(Duration::from_secs(1));
    let plan = bench.plan(Purpose::Update, &[Toy::new("network", [])]).await;
    let limit = ApplyOptions::default().retry.visible_within;
    for hidden in [limit / 2, limit * 2] {
        let began = bench.clock.now();
        let observer = |event: &PlanEvent| {
            if matches!(event, PlanEvent::StepRetrying { .. }) && bench.passed(began) >= hidden {
                bench.cloud.set_faults(Faults::none());
            }
        };
        bench.cloud.set_faults(Faults::random(1, 1, vec![Fault::Fail(ErrorClass::NotYetVisible)]));
        let (options, cancel) = (ApplyOptions::default(), CancellationToken::new());
        let report = apply(&bench.cloud, &plan, &options, &*bench.clock, &observer, &cancel).await;
        assert_eq!(report.is_complete(), hidden < limit);
        if let Some(failed) = report.failed.first() {
            let waited = bench.passed(began);
            assert!(waited >= limit && waited < limit + Duration::from_secs(20), "{waited:?}");
            let words = failed.error.to_string();
            assert!(words.contains("(tried ") && words.contains(" times in 24"), "{words}");
        }
        bench.cloud.set_faults(Faults::none());
    }
}

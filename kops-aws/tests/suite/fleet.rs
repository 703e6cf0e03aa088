//! The laws of fleets (F1 to F3, and what F4 needs of a fleet), on the simulated AWS and over HTTP; and machines
//! replaced by a rolling update that asks the cloud alone.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]
#![cfg_attr(feature = "sdk", expect(clippy::panic, reason = "a failing test should say where"))]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kops_aws::provider::SimProvider;
use kops_core::apply::{ApplyOptions, Quiet};
use kops_core::clock::{Clock, ManualClock};
use kops_core::cloud::Scope;
use kops_core::create::{self, Options};
use kops_core::error::ErrorClass;
use kops_core::fleet::{Balancing, Capacity, Fleet, Instance, Membership, ScalingGroup};
use kops_core::operation::{Access, Kops, Run};
use kops_core::provider::Provider;
use kops_core::resource::Handle;
use kops_core::rolling::RollEvent;
use kops_core::sim::{SimCloud, SimOptions};
use kops_core::state::{MemoryStore, Replace};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "fleet.k8s.local";

/// A running cluster, and how time passes for its machines.
struct Bench<P> {
    kops: Kops<P>,
    pass: Box<dyn Fn(Duration) + Send + Sync>,
}

impl<P: Provider> Bench<P> {
    fn fleet(&self) -> &dyn Fleet {
        self.kops.provider().fleet().unwrap()
    }

    async fn create(&self) {
        let options = Options {
            name: CLUSTER.to_owned(),
            cloud_provider: "aws".to_owned(),
            state_store: self.kops.registry().store().to_string(),
            zones: vec!["us-east-1a".to_owned()],
            node_count: Some(3),
            admin_access: vec!["203.0.113.0/24".parse().unwrap()],
            ..Options::default()
        };
        let manifests = create::manifests(&options).unwrap();
        self.kops.registry().create(manifests.manifests()).await.unwrap();
        self.update().await;
    }

    async fn update(&self) {
        // Emulated machines run no Kubernetes.
        let limits = ApplyOptions { drain: None, ..ApplyOptions::default() };
        let cancel = CancellationToken::new();
        let run = Run { options: &limits, observer: &Quiet, cancel: &cancel };
        self.kops.update(CLUSTER, run, |_| {}).await.unwrap().report.into_result().unwrap();
        (self.pass)(Duration::from_secs(600));
    }

    async fn change_machine_type(&self, group: &str, machine_type: &str) {
        let mut loaded = self.kops.registry().load(CLUSTER).await.unwrap();
        let manifest = loaded.groups.iter_mut().find(|manifest| manifest.name() == group).unwrap();
        manifest.spec.machine_type = Some(machine_type.to_owned());
        let manifest = manifest.clone();
        self.kops.registry().replace(vec![manifest.into()], Replace::ExistingOnly).await.unwrap();
        self.update().await;
    }

    async fn group(&self, name: &str) -> ScalingGroup {
        let groups = self.fleet().groups(&scope()).await.unwrap();
        assert!(groups.is_sorted_by(|a, b| a.instance_group < b.instance_group), "{groups:?}");
        groups.into_iter().find(|group| group.instance_group == name).unwrap()
    }
}

fn scope() -> Scope {
    Scope { cluster: CLUSTER.to_owned(), incarnation: String::new() }
}

fn attached(group: &ScalingGroup) -> Vec<&Instance> {
    group.instances.iter().filter(|instance| instance.is_attached()).collect()
}

fn ids<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> BTreeSet<Handle> {
    instances.into_iter().map(|instance| instance.id.clone()).collect()
}

async fn laws<P: Provider>(bench: &Bench<P>) {
    let (fleet, scope) = (bench.fleet(), scope());
    bench.create().await;
    let fresh = bench.group("nodes").await;
    assert_eq!((fresh.min, fresh.desired, fresh.max, attached(&fresh).len()), (3, 3, 3, 3), "{fresh:?}");
    assert!(fresh.instances.iter().all(|one| one.outdated.is_none() && !one.protected), "{fresh:?}");
    assert!(
        fresh.instances.iter().all(|one| one.template.as_ref() == Some(&fresh.template)),
        "F3: {fresh:?}"
    );
    assert_eq!(fresh.trouble, None);

    bench.change_machine_type("nodes", "m5.large").await;
    let stale = bench.group("nodes").await;
    assert_eq!(ids(&stale.instances), ids(&fresh.instances), "an update replaces no machine");
    assert_ne!(stale.template, fresh.template);
    for instance in &stale.instances {
        let outdated = instance.outdated.as_ref().map(|outdated| outdated.fields.clone());
        assert_eq!(outdated.unwrap_or_default(), ["InstanceType"], "F3: {instance:?}");
        assert_eq!(instance.template.as_ref(), Some(&fresh.template), "F3: {instance:?}");
    }

    let gone = &stale.instances[0].id;
    for _ in 0..2 {
        fleet.detach(&scope, &stale.handle, gone).await.unwrap();
    }
    (bench.pass)(Duration::from_secs(600));
    let now = bench.group("nodes").await;
    let detached = now.instances.iter().find(|one| one.id == *gone).unwrap();
    assert_eq!(detached.membership, Membership::Detached, "F2: {now:?}");
    assert!(detached.outdated.is_some(), "F3: {now:?}");
    assert_eq!((attached(&now).len(), now.desired), (3, 3), "F2: {now:?}");
    let replacement =
        attached(&now).into_iter().find(|one| !ids(&stale.instances).contains(&one.id)).unwrap();
    assert_eq!(replacement.outdated, None, "F1: {now:?}");
    let nobody = fleet.detach(&scope, &stale.handle, &Handle("i-00000000000000000".to_owned())).await;
    assert_eq!(nobody.unwrap_err().class, ErrorClass::NotFound);

    for _ in 0..2 {
        fleet.terminate(&scope, &now.handle, gone, Capacity::Keep).await.unwrap();
    }
    let second = &stale.instances[1].id;
    for _ in 0..2 {
        fleet.terminate(&scope, &now.handle, second, Capacity::Keep).await.unwrap();
    }
    (bench.pass)(Duration::from_secs(600));
    let now = bench.group("nodes").await;
    let left = ids(attached(&now));
    assert!(!left.contains(gone) && !left.contains(second), "{now:?}");
    assert_eq!((left.len(), now.desired), (3, 3), "F1: {now:?}");
    assert_eq!(attached(&now).iter().filter(|one| one.outdated.is_none()).count(), 2, "F1: {now:?}");

    let group = bench.group("nodes").await;
    for held in [true, true, false, false] {
        match held {
            true => fleet.hold_zones(&scope, &group.handle).await.unwrap(),
            false => fleet.free_zones(&scope, &group.handle).await.unwrap(),
        }
        let expected = if held { Balancing::Held } else { Balancing::Free };
        assert_eq!(bench.group("nodes").await.balancing, expected, "F5");
    }

    let third = &stale.instances[2].id;
    fleet.terminate(&scope, &now.handle, third, Capacity::Shrink).await.unwrap();
    (bench.pass)(Duration::from_secs(600));
    let now = bench.group("nodes").await;
    assert_eq!((attached(&now).len(), now.desired, now.min), (2, 2, 2), "F1: {now:?}");
    assert!(!ids(attached(&now)).contains(third), "F1: {now:?}");
}

/// F4 and F5 in several zones: a suspension of the user's stays, and one of ours hides nothing from an update.
async fn zones<P: Provider>(bench: &Bench<P>) {
    let (fleet, scope) = (bench.fleet(), scope());
    let suspend = async |processes: &[&str]| {
        let mut loaded = bench.kops.registry().load(CLUSTER).await.unwrap();
        let manifest = loaded.groups.iter_mut().find(|manifest| manifest.name() == "nodes").unwrap();
        manifest.spec.suspend_processes = processes.iter().map(|it| (*it).to_owned()).collect();
        let manifest = manifest.clone();
        bench.kops.registry().replace(vec![manifest.into()], Replace::ExistingOnly).await.unwrap();
        bench.update().await;
    };
    suspend(&["AZRebalance"]).await;
    let group = bench.group("nodes").await;
    assert_eq!(group.balancing, Balancing::Off);
    fleet.hold_zones(&scope, &group.handle).await.unwrap();
    fleet.free_zones(&scope, &group.handle).await.unwrap();
    assert_eq!(bench.group("nodes").await.balancing, Balancing::Off, "F5");
    suspend(&[]).await;
    assert_eq!(bench.group("nodes").await.balancing, Balancing::Free);
    // A run that was killed: the next update lets the group go.
    fleet.hold_zones(&scope, &group.handle).await.unwrap();
    bench.update().await;
    assert_eq!(bench.group("nodes").await.balancing, Balancing::Free);
    let left = bench.kops.plan_update(CLUSTER).await.unwrap();
    assert!(left.is_empty(), "{}", left.display());
}

/// Every machine of the workers is replaced, and nothing is left to do.
async fn roll<P: Provider>(bench: &Bench<P>) {
    bench.update().await;
    bench.change_machine_type("nodes", "m5.xlarge").await;
    let before = ids(&bench.group("nodes").await.instances);
    let mut options = bench.kops.roll_options(CLUSTER).await.unwrap();
    options.policy.min_ready = Duration::ZERO;
    options.poll = Duration::from_millis(100);
    let cancel = CancellationToken::new();
    let report = bench
        .kops
        .rolling_update(CLUSTER, &options, Access::CloudOnly, &|_: &RollEvent| {}, &cancel)
        .await
        .unwrap();
    assert!(report.skipped.is_empty(), "{report:?}");
    let after = bench.group("nodes").await;
    assert!(ids(attached(&after)).is_disjoint(&before), "{after:?}");
    assert!(attached(&after).iter().all(|one| one.outdated.is_none()), "{after:?}");
    assert_eq!(attached(&after).len(), usize::try_from(after.desired).unwrap(), "{after:?}");
}

#[tokio::test]
async fn the_simulated_fleet_keeps_the_laws() {
    let clock = Arc::new(ManualClock::eager("2026-01-02T03:04:05Z".parse().unwrap()));
    let options = SimOptions { clock: clock.clone(), ..SimOptions::default() };
    let provider = SimProvider::new(SimCloud::new(options));
    let clock_of_kops: Arc<dyn Clock> = clock.clone();
    let kops = Kops::with_clock(provider, Arc::new(MemoryStore::new()), clock_of_kops);
    let bench = Bench { kops, pass: Box::new(move |time| clock.advance(time)) };
    laws(&bench).await;
    roll(&bench).await;
    zones(&bench).await;
}

#[cfg(feature = "sdk")]
#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_on_aws_keeps_the_laws() {
    use kops_aws::S3Options;
    use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
    use kops_aws::provider::AwsProvider;

    let name = "the_fleet_on_aws_keeps_the_laws";
    let machines = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("fleet");
    let _ = std::fs::remove_dir_all(&machines);
    let options = kops_testbed::Options { machines: Some(machines.clone()), ..Default::default() };
    let Some(testbed) = kops_testbed::required_or_skip(name, options) else { return };
    let options =
        AwsOptions { region: Some("us-east-1".to_owned()), endpoint: Some(testbed.endpoint().to_owned()) };
    let credentials = kops_aws::s3::Credentials::new("test", "test", None, None, "test");
    let credentials = aws_credential_types::provider::SharedCredentialsProvider::new(credentials);
    let config = aws_config(&options).await.into_builder().credentials_provider(credentials).build();
    let provider = AwsProvider::new(AwsCloud::new(&config), S3Options::default());
    let kops = Kops::new(provider, Arc::new(MemoryStore::new()));
    let bench = Bench { kops, pass: Box::new(|_| {}) };
    laws(&bench).await;
    roll(&bench).await;
    zones(&bench).await;
    let address = bench.kops.api_server(CLUSTER).await.unwrap();
    assert!(address.url.starts_with("https://") && address.url.contains("elb"), "{address:?}");
    assert_eq!(address.name, "api.internal.fleet.k8s.local");
    consoles(&bench, &testbed, &machines).await;
    testbed.assert_no_gaps();
}

/// Consoles are read as they are now, or, of instances whose consoles cannot be, as they were after the start.
#[cfg(feature = "sdk")]
async fn consoles<P: Provider>(
    bench: &Bench<P>,
    testbed: &kops_testbed::Testbed,
    machines: &std::path::Path,
) {
    use kops_testbed::{Fault, Rule};

    let nodes = bench.group("nodes").await;
    let [first, second, ..] = attached(&nodes)[..] else { panic!("{nodes:?}") };
    let folder = machines.join("machines").join(first.id.as_str());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("console.log"), "kops: no role yet\n").unwrap();
    let console = async |instance: &Instance| bench.fleet().console(&scope(), &instance.id).await;
    assert_eq!(console(first).await.unwrap().as_deref(), Some("kops: no role yet\n"));
    assert_eq!(console(second).await.unwrap(), None);
    let old = Fault::Fail { code: "UnsupportedOperation".to_owned() };
    testbed.inject(Rule::on("ec2", "GetConsoleOutput", old).nth(1));
    assert_eq!(console(first).await.unwrap().as_deref(), Some("kops: no role yet\n"));
    let denied = Fault::Fail { code: "UnauthorizedOperation".to_owned() };
    testbed.inject(Rule::on("ec2", "GetConsoleOutput", denied));
    let error = console(first).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("the credentials need to be allowed ec2:GetConsoleOutput"));
    testbed.clear_faults();
}

//! The laws of fleets on the simulated AWS and over HTTP; and machines
//! replaced by a rolling update that asks the cloud alone.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]
#![cfg_attr(feature = "sdk", expect(clippy::panic, reason = "a failing test should say where"))]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kops_aws::provider::SimProvider;
use kops_core::clock::{Clock, ManualClock};
use kops_core::cloud::Scope;
use kops_core::contract::{self, FleetCase};
use kops_core::create::{self, Options};
use kops_core::fleet::{Balancing, Fleet, Instance, ScalingGroup};
use kops_core::observer::Quiet;
use kops_core::operation::{Access, Kops, Run, RunOptions};
use kops_core::provider::Provider;
use kops_core::resource::Handle;
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
        let limits = RunOptions { drain: None, ..RunOptions::default() };
        let cancel = CancellationToken::new();
        let run = Run { observer: &Quiet, cancel: &cancel };
        self.kops.update(CLUSTER, &limits, run, |_| {}).await.unwrap().report.into_result().unwrap();
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
    Scope { cluster: CLUSTER.to_owned(), incarnation: String::new(), zone: None }
}

fn attached(group: &ScalingGroup) -> Vec<&Instance> {
    group.instances.iter().filter(|instance| instance.is_attached()).collect()
}

fn ids<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> BTreeSet<Handle> {
    instances.into_iter().map(|instance| instance.id.clone()).collect()
}

async fn laws<P: Provider>(bench: &Bench<P>) {
    bench.create().await;
    let case = FleetCase {
        scope: &scope(),
        group: "nodes",
        changed_fields: &["InstanceType"],
        nobody: Handle("i-00000000000000000".to_owned()),
    };
    let change = async || bench.change_machine_type("nodes", "m5.large").await;
    Box::pin(contract::fleet(bench.fleet(), &case, change, &*bench.pass)).await.unwrap();
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
        .rolling_update(CLUSTER, &options, Access::CloudOnly, Run { observer: &Quiet, cancel: &cancel })
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

//! A cluster's whole life on moto as it is, as other people's test harnesses run it: without the proxy, its rules and
//! its corrections.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::sync::Arc;
use std::time::Duration;

use kops_aws::S3Options;
use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
use kops_aws::provider::AwsProvider;
use kops_core::cloud::{Reach, Scope};
use kops_core::create::{self, Options};
use kops_core::manifest::{InstanceGroup, LoadBalancerClass};
use kops_core::observer::Quiet;
use kops_core::operation::{Access, Kops, Run, RunOptions};
use kops_core::plan::Action;
use kops_core::provider::Provider;
use kops_core::rolling::RollOptions;
use kops_core::state::{MemoryStore, Replace};
use kops_testbed::{PlainMoto, plain_moto_or_skip};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "plain.k8s.local";

struct Bench {
    kops: Kops<AwsProvider>,
    options: RunOptions,
    cancel: CancellationToken,
}

impl Bench {
    async fn new(moto: &PlainMoto) -> Self {
        let options = AwsOptions { region: Some("us-east-1".to_owned()), endpoint: Some(moto.endpoint()) };
        let credentials = kops_aws::s3::Credentials::new("test", "test", None, None, "test");
        let credentials = aws_credential_types::provider::SharedCredentialsProvider::new(credentials);
        let config = aws_config(&options).await.into_builder().credentials_provider(credentials).build();
        let provider = AwsProvider::new(AwsCloud::new(&config), S3Options::default());
        let kops = Kops::new(provider, Arc::new(MemoryStore::new()));
        // Plain moto knows no machines that could be drained.
        let options = RunOptions { drain: None, ..RunOptions::default() };
        Self { kops, options, cancel: CancellationToken::new() }
    }

    fn run(&self) -> Run<'_> {
        Run { observer: &Quiet, cancel: &self.cancel }
    }

    /// How many steps an update had to do.
    async fn update(&self) -> usize {
        self.kops
            .update(CLUSTER, &self.options, self.run(), |_| {})
            .await
            .unwrap()
            .report
            .into_result()
            .unwrap()
            .len()
    }

    /// Fails if an update would do anything, but for what moto passes over: the type of the machines' names.
    async fn assert_nothing_to_do(&self) {
        let left = self.kops.plan_update(CLUSTER).await.unwrap();
        let changes = left.steps().iter().flat_map(|step| match &step.action {
            Action::Update { changes, .. } => changes.iter().map(|it| it.field.clone()).collect(),
            _ => vec![step.id.to_string()],
        });
        let changes: Vec<String> = changes.filter(|change| change != "ResourceBasedNaming").collect();
        assert!(changes.is_empty(), "{changes:?}: {}", left.display());
    }

    async fn edit(&self, edit: impl FnOnce(&mut InstanceGroup)) {
        let loaded = self.kops.registry().load(CLUSTER).await.unwrap();
        let mut nodes = loaded.groups.into_iter().find(|group| group.name() == "nodes").unwrap();
        edit(&mut nodes);
        self.kops.registry().replace(vec![nodes.into()], Replace::ExistingOnly).await.unwrap();
    }
}

async fn whole_life(moto: &PlainMoto, class: LoadBalancerClass) {
    let bench = Bench::new(moto).await;
    let options = Options {
        name: CLUSTER.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: bench.kops.registry().store().to_string(),
        zones: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        node_count: Some(3),
        admin_access: vec!["203.0.113.0/24".parse().unwrap()],
        api_load_balancer_class: Some(class),
        ..Options::default()
    };
    bench.kops.registry().create(create::manifests(&options).unwrap().manifests()).await.unwrap();
    assert!(bench.update().await > 40);
    bench.assert_nothing_to_do().await;

    bench.edit(|nodes| nodes.spec.machine_type = Some("m5.large".to_owned())).await;
    assert!(bench.update().await > 0);
    bench.assert_nothing_to_do().await;
    let mut rolling = bench.kops.roll_options(CLUSTER).await.unwrap().policy;
    rolling.min_ready = Duration::ZERO;
    let rolling = RollOptions { poll: Duration::from_millis(100), ..RollOptions::new(rolling) };
    let roll = bench.kops.rolling_update(CLUSTER, &rolling, Access::CloudOnly, bench.run());
    assert!(roll.await.unwrap().skipped.is_empty());
    bench.edit(|nodes| (nodes.spec.min_size, nodes.spec.max_size) = (Some(1), Some(1))).await;
    assert!(bench.update().await > 0);
    bench.assert_nothing_to_do().await;

    let plan = bench.kops.plan_delete(CLUSTER).await.unwrap();
    bench.kops.delete(&plan, &bench.options.apply, bench.run()).await.unwrap();
    let scope = Scope { cluster: CLUSTER.to_owned(), incarnation: String::new(), zone: None };
    let left = bench.kops.provider().cloud().observe(&scope, Reach::Everything).await.unwrap();
    assert!(left.is_empty() && left.gaps().is_empty(), "{class:?}: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_lives_and_goes_on_plain_moto() {
    let Some(moto) = plain_moto_or_skip("a_cluster_lives_and_goes_on_plain_moto") else { return };
    for class in [LoadBalancerClass::Classic, LoadBalancerClass::Network] {
        whole_life(&moto, class).await;
    }
}

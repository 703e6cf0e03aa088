//! Every changing call of create, update and delete over HTTP: it fails, its answer is lost, or it is the last one.
//! Run again: the same end, nothing doubled, nothing left. A sample of the calls; all of them with
//! `KOPS_EXHAUSTIVE=1 cargo test --workspace --test suite every_call::`.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use aws_config::SdkConfig;
use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::resource::AwsResource;
use kops_core::apply::{ApplyOptions, RetryPolicy, apply};
use kops_core::clock::SystemClock;
use kops_core::cloud::{Cloud, Reach, Scope};
use kops_core::create::{self, Options};
use kops_core::manifest::{Recommendations, complete};
use kops_core::observer::Quiet;
use kops_core::plan::{Purpose, plan};
use kops_testbed::{Fault, Rule, Testbed, required_or_skip};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "every.k8s.local";

fn scope() -> Scope {
    Scope { cluster: CLUSTER.to_owned(), incarnation: "1".to_owned(), zone: None }
}

/// The resources of a cluster with one master; `nodes` is the type of its workers.
fn desired(nodes: &str) -> Vec<AwsResource> {
    let created = create::manifests(&Options {
        name: CLUSTER.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: "s3://state".to_owned(),
        zones: vec!["us-east-1a".to_owned()],
        node_size: Some(nodes.to_owned()),
        admin_access: vec!["203.0.113.0/24".parse().unwrap()],
        ..Options::default()
    })
    .unwrap();
    let completed = complete(&created.cluster, &created.groups, &Recommendations::default());
    let state = StateLocation::S3 {
        bucket: "state".into(),
        region: "us-east-1".into(),
        prefix: String::new(),
        kms_key: None,
    };
    let mut facts = Facts::simulated(&completed, state, None);
    let offered = &kops_testbed::Image::stock()[0];
    for image in facts.images.values_mut().flatten() {
        image.id.clone_from(&offered.id);
        image.root_device.clone_from(&offered.root_device);
    }
    let resources = model(&completed, &facts).unwrap();
    // Files are the state store's, and tried there.
    let kept = |resource: &AwsResource| {
        !matches!(resource, AwsResource::ManagedFile(_) | AwsResource::Keypair(_) | AwsResource::Secret(_))
    };
    let mut resources: Vec<AwsResource> = resources.into_iter().filter(kept).collect();
    for resource in &mut resources {
        if let AwsResource::LaunchTemplate(template) = resource {
            template.after.clear();
        }
    }
    resources
}

async fn config(testbed: &Testbed) -> SdkConfig {
    let options =
        AwsOptions { region: Some("us-east-1".to_owned()), endpoint: Some(testbed.endpoint().to_owned()) };
    let credentials = kops_aws::s3::Credentials::new("test", "test", None, None, "test");
    let provider = aws_sdk_ec2::config::SharedCredentialsProvider::new(credentials);
    aws_config(&options).await.into_builder().credentials_provider(provider).build()
}

/// One run as the command makes it, but with short pauses. Says whether everything was done.
async fn run(aws: &AwsCloud, purpose: Purpose, desired: &[AwsResource]) -> bool {
    let reach = if purpose == Purpose::Delete { Reach::Everything } else { Reach::Managed };
    let Ok(inventory) = aws.observe(&scope(), reach).await else { return false };
    let plan = plan(&scope(), purpose, desired, &inventory).unwrap();
    let pause = std::time::Duration::from_millis(20);
    let retry = RetryPolicy {
        first_pause: pause,
        longest_pause: pause * 5,
        attempts: 4,
        visible_within: pause * 20,
        ..RetryPolicy::default()
    };
    let options = ApplyOptions { retry, ..ApplyOptions::default() };
    let report = apply(aws, &plan, &options, &SystemClock, &Quiet, &CancellationToken::new()).await;
    report.is_complete() && inventory.gaps().is_empty()
}

async fn settle(aws: &AwsCloud, purpose: Purpose, desired: &[AwsResource]) {
    for _ in 0..5 {
        if run(aws, purpose, desired).await {
            break;
        }
    }
    let reach = if purpose == Purpose::Delete { Reach::Everything } else { Reach::Managed };
    let inventory = aws.observe(&scope(), reach).await.unwrap();
    let left = plan(&scope(), purpose, desired, &inventory).unwrap();
    assert!(left.is_empty(), "left after {purpose:?}:\n{}", left.display());
    assert!(inventory.duplicates().is_empty(), "there twice: {:?}", inventory.duplicates());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_may_go_wrong() {
    let Some(testbed) = required_or_skip("every_call_may_go_wrong", kops_testbed::Options::default()) else {
        return;
    };
    let all = std::env::var_os("KOPS_EXHAUSTIVE").is_some();
    let (first, second) = (desired("t3.medium"), desired("m5.large"));
    let phases: [(Purpose, &[AwsResource]); 3] =
        [(Purpose::Update, &first), (Purpose::Update, &second), (Purpose::Delete, &[])];
    let mut tried = 0;
    for (broken, _) in phases.iter().enumerate() {
        for fault in [Fault::fail("InternalError"), Fault::LoseResponse, Fault::Stop] {
            let step = if all { 1 } else { 23 };
            for nth in (1..).step_by(step) {
                testbed.reset().unwrap();
                let aws = AwsCloud::new(&config(&testbed).await);
                let mut reached = true;
                for (index, (purpose, desired)) in phases.iter().enumerate() {
                    if index == broken {
                        testbed.clear_calls();
                        testbed.inject(Rule::mutations(fault.clone()).nth(nth));
                        tokio::select! {
                            _ = run(&aws, *purpose, desired) => {}
                            () = testbed.stopped() => {}
                        }
                        testbed.settled().await;
                        reached = testbed.calls().iter().any(|call| call.injected.is_some());
                        testbed.clear_faults();
                    }
                    settle(&aws, *purpose, desired).await;
                }
                if !reached {
                    break;
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 9, "only {tried} calls went wrong");
}

//! What takes its time on AWS: machines that go, what is not visible yet, and what somebody has deleted by hand.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::resource::AwsResource;
use kops_core::apply::{ApplyOptions, PlanEvent, RetryPolicy, apply};
use kops_core::clock::{ManualClock, SystemClock, Timestamp};
use kops_core::cloud::{Cloud, Reach, Scope};
use kops_core::create::{self, Options};
use kops_core::manifest::{LoadBalancerClass, Recommendations, complete};
use kops_core::observer::Quiet;
use kops_core::plan::{Plan, Purpose, plan};
use kops_core::resource::Resource;
use kops_testbed::{Fault, Lag, Rule, Testbed, required_or_skip};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "waits.k8s.local";

fn scope() -> Scope {
    Scope { cluster: CLUSTER.to_owned(), incarnation: "1".to_owned(), zone: None }
}

/// The resources of a cluster with one master and four workers, but for what is kept in the state store.
fn desired(more: Options) -> Vec<AwsResource> {
    let created = create::manifests(&Options {
        name: CLUSTER.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: "s3://state".to_owned(),
        zones: vec!["us-east-1a".to_owned()],
        node_count: Some(4),
        admin_access: vec!["203.0.113.0/24".parse().unwrap()],
        ..more
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
    let kept = |resource: &AwsResource| {
        !matches!(resource, AwsResource::ManagedFile(_) | AwsResource::Keypair(_) | AwsResource::Secret(_))
    };
    let mut resources: Vec<AwsResource> =
        model(&completed, &facts).unwrap().into_iter().filter(kept).collect();
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

async fn planned(aws: &AwsCloud, purpose: Purpose, desired: &[AwsResource]) -> Plan<AwsResource> {
    let reach = if purpose == Purpose::Delete { Reach::Everything } else { Reach::Managed };
    let inventory = aws.observe(&scope(), reach).await.unwrap();
    assert!(inventory.gaps().is_empty(), "{:?}", inventory.gaps());
    plan(&scope(), purpose, desired, &inventory).unwrap()
}

/// Carries out a plan with pauses that are short.
async fn carry_out(aws: &AwsCloud, plan: &Plan<AwsResource>) {
    let retry = RetryPolicy {
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(100),
        ..RetryPolicy::default()
    };
    let options = ApplyOptions { retry, ..ApplyOptions::default() };
    let report = apply(aws, plan, &options, &SystemClock, &Quiet, &CancellationToken::new()).await;
    report.into_result().unwrap();
}

fn count(testbed: &Testbed, action: &str) -> usize {
    testbed.calls().iter().filter(|call| call.action == action).count()
}

/// C15.
#[tokio::test(flavor = "multi_thread")]
async fn machines_that_go_are_told_once_and_asked_for_together() {
    let test = "machines_that_go_are_told_once_and_asked_for_together";
    let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
    let aws = AwsCloud::new(&config(&testbed).await);
    let made = planned(&aws, Purpose::Update, &desired(Options::default())).await;
    carry_out(&aws, &made).await;
    let goes = planned(&aws, Purpose::Delete, &[]).await;
    let machines = goes.steps().iter().filter(|step| step.id.kind.as_str() == "Instance").count();
    assert_eq!(machines, 5);
    testbed.clear_calls();
    let slowly = Fault::DelayVisibility(Lag::Calls(60));
    testbed.inject(Rule::on("ec2", "TerminateInstances", slowly).always());
    carry_out(&aws, &goes).await;
    assert_eq!(count(&testbed, "TerminateInstances"), machines);
    assert_eq!(count(&testbed, "DeleteAutoScalingGroup"), 2);
    let asked = count(&testbed, "DescribeInstances");
    let calls: Vec<String> = testbed.calls().iter().map(ToString::to_string).collect();
    assert!((1..=60).contains(&asked), "{asked} times: {calls:#?}");
    assert!(planned(&aws, Purpose::Delete, &[]).await.is_empty());
    testbed.assert_no_gaps();
}

/// C9: each service in its own words, for longer than a dozen tries take.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_service_sees_yet_is_waited_for() {
    for network in [false, true] {
        let test = "what_no_service_sees_yet_is_waited_for";
        let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
        let aws = AwsCloud::new(&config(&testbed).await);
        let class = if network { LoadBalancerClass::Network } else { LoadBalancerClass::Classic };
        let wanted = desired(Options { api_load_balancer_class: Some(class), ..Options::default() });
        let made = planned(&aws, Purpose::Update, &wanted).await;
        let lag = Fault::DelayVisibility(Lag::Time(Duration::from_secs(100)));
        testbed.inject(Rule::mutations(lag).always());
        let clock = Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH));
        let observer = |event: &PlanEvent| {
            if let PlanEvent::StepRetrying { pause, .. } = event {
                testbed.advance(*pause);
            }
        };
        // One step at a time: the pauses of others would move the clock while a call is under way.
        let options = ApplyOptions { concurrency: NonZeroUsize::MIN, ..ApplyOptions::default() };
        let cancel = CancellationToken::new();
        let report = apply(&aws, &made, &options, &*clock, &observer, &cancel).await;
        assert!(report.is_complete(), "{:#?}", report.failed);
        let codes: std::collections::BTreeSet<String> =
            testbed.calls().iter().filter_map(|call| call.error_code.clone()).collect();
        let hidden = ["InvalidVpcID.NotFound", "InvalidSubnetID.NotFound", "NoSuchEntity", "ValidationError"];
        assert!(hidden.iter().all(|code| codes.contains(*code)), "{codes:?}");
        testbed.clear_faults();
        testbed.advance(Duration::from_secs(200));
        let left = planned(&aws, Purpose::Update, &wanted).await;
        assert!(left.is_empty(), "{}", left.display());
        testbed.assert_no_gaps();
    }
}

/// EC2 answers a client token that it knows with what was made then, be it gone or not.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_by_hand_is_made_again() {
    let test = "what_was_deleted_by_hand_is_made_again";
    let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
    let config = config(&testbed).await;
    let (aws, ec2) = (AwsCloud::new(&config), aws_sdk_ec2::Client::new(&config));
    let wanted = desired(Options::default());
    carry_out(&aws, &planned(&aws, Purpose::Update, &wanted).await).await;
    // Twice: what was made instead may go, too. And by a process that has made neither.
    for aws in [&aws, &AwsCloud::new(&config), &aws] {
        let seen = aws.observe(&scope(), Reach::Managed).await.unwrap();
        let mut tables = Vec::new();
        for (_, observed) in seen.iter() {
            let handle = observed.handle.as_str();
            match &observed.resource {
                AwsResource::EbsVolume(_) => {
                    ec2.delete_volume().volume_id(handle).send().await.unwrap();
                }
                AwsResource::RouteTableAssociation(_) => {
                    ec2.disassociate_route_table().association_id(handle).send().await.unwrap();
                }
                AwsResource::RouteTable(_) => tables.push(handle.to_owned()),
                _ => {}
            }
        }
        for table in tables {
            ec2.delete_route_table().route_table_id(table).send().await.unwrap();
        }
        let again = planned(aws, Purpose::Update, &wanted).await;
        let volumes = again.steps().iter().filter(|step| step.id.kind.as_str() == "EBSVolume").count();
        assert!(volumes >= 2, "{}", again.display());
        carry_out(aws, &again).await;
        let left = planned(aws, Purpose::Update, &wanted).await;
        assert!(left.is_empty(), "{}", left.display());
    }
    testbed.assert_no_gaps();
}

/// One answer of each create with a client token is lost: nothing is made twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_nothing_twice() {
    let test = "a_lost_answer_makes_nothing_twice";
    let Some(testbed) = required_or_skip(test, kops_testbed::Options::default()) else { return };
    let config = config(&testbed).await;
    let config = config.into_builder().retry_config(aws_config::retry::RetryConfig::disabled()).build();
    let aws = AwsCloud::new(&config);
    for action in ["CreateVolume", "CreateRouteTable", "CreateLaunchTemplate"] {
        testbed.inject(Rule::on("ec2", action, Fault::LoseResponse));
    }
    let wanted = desired(Options::default());
    carry_out(&aws, &planned(&aws, Purpose::Update, &wanted).await).await;
    let seen = aws.observe(&scope(), Reach::Managed).await.unwrap();
    assert!(seen.duplicates().is_empty(), "{:?}", seen.duplicates());
    assert!(planned(&aws, Purpose::Update, &wanted).await.is_empty());
    let volumes = wanted.iter().filter(|it| it.id().kind.as_str() == "EBSVolume").count();
    assert_eq!(count(&testbed, "CreateVolume"), volumes, "what was made is found");
}

//! The proxy by itself: log, faults, gaps, start and stop.

use std::time::{Duration, Instant};

use kops_testbed::{Fault, Options, Rule, Testbed, TestbedError, Throttle, required_or_skip};

use crate::client::Client;

const REGION: &str = "ap-northeast-1";

fn actions(testbed: &Testbed) -> Vec<(String, Option<u16>)> {
    testbed.calls().into_iter().map(|call| (call.action, call.status)).collect()
}

async fn vpcs(client: &Client, cidr: &str) -> usize {
    let filter = [("Filter.1.Name", "cidr"), ("Filter.1.Value.1", cidr)];
    client.call("ec2", "DescribeVpcs", &filter).await.ok().texts("vpcId").len()
}

#[tokio::test]
async fn calls_pass_and_are_logged() {
    let Some(testbed) = required_or_skip("calls_pass_and_are_logged", Options::default()) else { return };
    let client = Client::new(&testbed, REGION);
    client.call("ec2", "CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).await.ok();
    let missing = client.call("iam", "GetRole", &[("RoleName", "nobody")]).await;
    assert_eq!((missing.status, missing.code()), (404, Some("NoSuchEntity")));
    client.call("elb", "DescribeLoadBalancers", &[]).await.ok();
    client.call("elbv2", "DescribeLoadBalancers", &[]).await.ok();
    let seen: Vec<String> = testbed
        .calls()
        .iter()
        .map(|call| {
            assert!(call.duration > Duration::ZERO);
            let code = call.error_code.as_deref().unwrap_or("ok");
            format!("{} {} {} {} {code}", call.service, call.action, call.resource, call.mutation)
        })
        .collect();
    assert_eq!(
        seen,
        [
            "ec2 CreateVpc CidrBlock=10.1.0.0/16 true ok",
            "iam GetRole RoleName=nobody false NoSuchEntity",
            "elb DescribeLoadBalancers  false ok",
            "elbv2 DescribeLoadBalancers  false ok",
        ]
    );
    testbed.assert_no_gaps();

    testbed.reset().unwrap();
    assert_eq!(testbed.calls(), []);
    assert_eq!(vpcs(&client, "10.1.0.0/16").await, 0);
}

#[tokio::test]
async fn objects_pass_and_are_logged() {
    let Some(testbed) = required_or_skip("objects_pass_and_are_logged", Options::default()) else { return };
    let client = Client::new(&testbed, REGION);
    let configuration = format!(
        "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    );
    client.s3("PUT", "/state", &[], &configuration).await.unwrap().ok();
    client.s3("PUT", "/state/a/b", &[("if-none-match", "*")], "one").await.unwrap().ok();
    let lost = client.s3("PUT", "/state/a/b", &[("if-none-match", "*")], "two").await.unwrap();
    assert_eq!((lost.status, lost.code()), (412, Some("PreconditionFailed")));
    assert_eq!(client.s3("GET", "/state/a/b", &[], "").await.unwrap().body, "one");
    assert_eq!(client.s3("HEAD", "/state/none", &[], "").await.unwrap().status, 404);
    testbed.inject(Rule::on("s3", "PutObject", Fault::Throttle));
    let slow = client.s3("PUT", "/state/a/c", &[], "x").await.unwrap();
    assert_eq!((slow.status, slow.code()), (503, Some("SlowDown")));
    let expected = [
        ("CreateBucket", Some(200)),
        ("PutObject", Some(200)),
        ("PutObject", Some(412)),
        ("GetObject", Some(200)),
        ("HeadObject", Some(404)),
        ("PutObject", Some(503)),
    ];
    assert_eq!(actions(&testbed), expected.map(|(action, status)| (action.to_owned(), status)));
    assert_eq!(testbed.calls()[2].error_code.as_deref(), Some("PreconditionFailed"));
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let Some(testbed) = required_or_skip("faults_strike_before_or_after_the_effect", Options::default())
    else {
        return;
    };
    let client = Client::new(&testbed, REGION);

    testbed.inject(Rule::on("ec2", "CreateVpc", Fault::fail("VpcLimitExceeded")));
    let failed = client.call("ec2", "CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).await;
    assert_eq!((failed.status, failed.code()), (400, Some("VpcLimitExceeded")));
    assert_eq!(vpcs(&client, "10.1.0.0/16").await, 0);

    testbed.inject(Rule::on("autoscaling", "DescribeAutoScalingGroups", Fault::Throttle).times(2));
    for expected in [Some("Throttling"), Some("Throttling"), None] {
        assert_eq!(client.call("autoscaling", "DescribeAutoScalingGroups", &[]).await.code(), expected);
    }
    testbed.inject(Rule::on("ec2", "DescribeVpcs", Fault::Throttle));
    let throttled = client.call("ec2", "DescribeVpcs", &[]).await;
    assert_eq!((throttled.status, throttled.code()), (503, Some("RequestLimitExceeded")));

    testbed.clear_calls();
    testbed.inject(Rule::mutations(Fault::LoseResponse).about("10.2.0.0/16"));
    assert!(client.try_call("ec2", "CreateVpc", &[("CidrBlock", "10.2.0.0/16")]).await.is_none());
    assert_eq!(vpcs(&client, "10.2.0.0/16").await, 1, "the call has taken effect");
    let lost = &testbed.calls()[0];
    assert_eq!((lost.status, lost.injected.as_ref()), (None, Some(&Fault::LoseResponse)));
}

#[tokio::test]
async fn after_a_stop_nothing_takes_effect() {
    let Some(testbed) = required_or_skip("after_a_stop_nothing_takes_effect", Options::default()) else {
        return;
    };
    let client = Client::new(&testbed, REGION);
    testbed.inject(Rule::mutations(Fault::Stop).nth(2));
    client.call("ec2", "CreateVpc", &[("CidrBlock", "10.1.0.0/16")]).await.ok();
    assert!(client.try_call("ec2", "CreateVpc", &[("CidrBlock", "10.2.0.0/16")]).await.is_none());
    testbed.stopped().await;
    assert!(client.try_call("ec2", "DescribeVpcs", &[]).await.is_none());
    testbed.settled().await;
    testbed.clear_faults();
    assert_eq!(vpcs(&client, "10.1.0.0/16").await, 1);
    assert_eq!(vpcs(&client, "10.2.0.0/16").await, 0);
}

#[tokio::test]
async fn a_call_goes_on_when_its_client_has_gone() {
    let Some(testbed) = required_or_skip("a_call_goes_on_when_its_client_has_gone", Options::default())
    else {
        return;
    };
    let client = Client::new(&testbed, REGION);
    testbed.inject(Rule::on("ec2", "CreateVpc", Fault::Delay(Duration::from_millis(300))));
    let call = client.try_call("ec2", "CreateVpc", &[("CidrBlock", "10.1.0.0/16")]);
    tokio::time::timeout(Duration::from_millis(100), call).await.expect_err("the client gives up first");
    assert_eq!(actions(&testbed), [("CreateVpc".to_owned(), None)]);
    testbed.settled().await;
    assert_eq!(actions(&testbed), [("CreateVpc".to_owned(), Some(200))]);
    assert_eq!(vpcs(&client, "10.1.0.0/16").await, 1);
}

#[tokio::test]
async fn what_moto_does_not_know_is_a_gap() {
    let Some(testbed) = required_or_skip("what_moto_does_not_know_is_a_gap", Options::default()) else {
        return;
    };
    let client = Client::new(&testbed, REGION);
    let reply = client.call("ec2", "DescribeNothing", &[]).await;
    assert_eq!((reply.status, reply.code()), (400, Some("EmulatorGap")));
    let gaps = testbed.gaps();
    assert_eq!((gaps[0].service.as_str(), gaps[0].action.as_str()), ("ec2", "DescribeNothing"));
    let verdict = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| testbed.assert_no_gaps()));
    assert!(verdict.is_err());
}

#[tokio::test]
async fn rate_and_latency_are_as_asked() {
    let options = Options {
        throttle: Some(Throttle { burst: 3.0, per_second: 0.001 }),
        latency: Duration::from_millis(50),
        ..Options::default()
    };
    let Some(testbed) = required_or_skip("rate_and_latency_are_as_asked", options) else { return };
    let client = Client::new(&testbed, REGION);
    let start = Instant::now();
    for expected in [None, None, None, Some("RequestLimitExceeded")] {
        assert_eq!(client.call("ec2", "DescribeVpcs", &[]).await.code(), expected);
    }
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(
        client.call("iam", "ListRoles", &[]).await.code(),
        None,
        "each service has a limit of its own"
    );
}

#[tokio::test]
async fn images_are_found_by_owner_and_name() {
    let Some(testbed) = required_or_skip("images_are_found_by_owner_and_name", Options::default()) else {
        return;
    };
    let client = Client::new(&testbed, REGION);
    let name = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260714";
    let params = [("Owner.1", "099720109477"), ("Filter.1.Name", "name"), ("Filter.1.Value.1", name)];
    let found = client.call("ec2", "DescribeImages", &params).await.ok();
    assert_eq!(found.texts("imageId").len(), 1);
    assert_eq!(found.text("architecture"), Some("arm64"));
    assert_eq!(found.text("rootDeviceName"), Some("/dev/sda1"));
    assert_eq!(found.text("imageOwnerId"), Some("099720109477"));
}

#[tokio::test]
async fn everything_ends_with_the_testbed() {
    let Some(testbed) = required_or_skip("everything_ends_with_the_testbed", Options::default()) else {
        return;
    };
    let client = Client::new(&testbed, REGION);
    client.call("ec2", "DescribeVpcs", &[]).await.ok();
    drop(testbed);
    assert!(client.try_call("ec2", "DescribeVpcs", &[]).await.is_none());
}

#[test]
fn a_missing_moto_is_told_apart() {
    let options = Options { python: "no-such-python".to_owned(), ..Options::default() };
    let error = Testbed::start(options).expect_err("there is no such program");
    assert!(matches!(error, TestbedError::MotoMissing { .. }), "{error}");
    let options = Options { python: "false".to_owned(), ..Options::default() };
    let error = Testbed::start(options).expect_err("it prints no port");
    assert!(matches!(error, TestbedError::MotoDied { .. }), "{error}");
}

//! What a machine is told when the metadata service, EC2 or S3 are in trouble, or its clock is: answers that no emulator
//! gives.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::scripted;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use kops_aws::S3StateStore;
use kops_aws::api::AwsMachine;
use kops_aws::s3::S3Options;
use kops_core::cloud::CloudError;
use kops_core::error::Retry;
use kops_core::node::{Host, Machine, MachineCloud};
use kops_core::state::{Key, StateStore};
use scripted::{Answer, Request, Scripted};

const NO_INSTANCES: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet/></DescribeInstancesResponse>"#;

async fn config(endpoint: &str) -> SdkConfig {
    let retries = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("AKIATEST", "secret", None, None, "test"))
        .retry_config(retries)
        .endpoint_url(endpoint)
        .load()
        .await
}

fn host() -> Host {
    Host {
        cni_plugins: String::new(),
        resolv_conf: String::new(),
        cgroup_v1: false,
        may_lower_oom_score: true,
    }
}

async fn machine(metadata: &str) -> AwsMachine {
    AwsMachine::with_metadata_at(&config("http://127.0.0.1:1").await, metadata).unwrap()
}

async fn identify(metadata: &str) -> Result<Machine, CloudError> {
    machine(metadata).await.machine(host()).await
}

/// What EC2's metadata service answers.
fn metadata(request: &Request) -> Answer {
    let is_authorized = request.header("x-aws-ec2-metadata-token") == Some("token");
    let text = match request.path.trim_start_matches("/latest/meta-data/") {
        "/latest/api/token" if request.method == "PUT" => {
            return Answer::new(200)
                .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
                .body("token".to_owned());
        }
        _ if !is_authorized => return Answer::new(401),
        "instance-id" => "i-0123456789abcdef0",
        "local-ipv4" => "172.20.32.10",
        "placement/availability-zone" => "eu-west-1a",
        "placement/region" => "eu-west-1",
        "instance-type" => "t3.medium",
        _ => return Answer::new(404),
    };
    Answer::new(200).body(text.to_owned())
}

/// What the machine says of a metadata service that answers so.
async fn said(answer: impl Fn(&Request) -> Option<Answer> + Send + 'static) -> String {
    let service = Scripted::start(move |request, _| answer(request));
    let error = identify(&service.endpoint()).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff, "{error}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("IMDSv2")), "{error}");
    error.to_string()
}

fn page(text: &str) -> Answer {
    Answer::new(200).header("x-aws-ec2-metadata-token-ttl-seconds", "21600").body(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_knows_itself() {
    let service = Scripted::start(|request, _| Some(metadata(request)));
    let machine = identify(&service.endpoint()).await.unwrap();
    assert_eq!(machine.provider_id, "aws:///eu-west-1a/i-0123456789abcdef0");
    assert_eq!((machine.region.as_str(), machine.machine_type.as_str()), ("eu-west-1", "t3.medium"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_metadata_service_that_are_none_are_told() {
    let is_token = |request: &Request| request.path.ends_with("/token");
    let refused = said(|_| Some(Answer::new(403))).await;
    let expired =
        said(move |request| Some(if is_token(request) { metadata(request) } else { Answer::new(401) })).await;
    let broken = said(|_| Some(Answer::new(500))).await;
    let absent =
        said(move |request| Some(if is_token(request) { metadata(request) } else { Answer::new(404) })).await;
    let foreign = said(|_| Some(page("<html>Please log in to this network</html>"))).await;
    let empty = said(move |request| Some(if is_token(request) { metadata(request) } else { page("") })).await;
    let cut = said(|_| None).await;
    let all = [refused, expired, broken, absent, foreign, empty, cut].join("\n");
    insta::with_settings!({filters => vec![(r"\([a-z4-]+(/[a-z-]+)?\)", "(…)")]}, {
        insta::assert_snapshot!(all, @r"
        cannot identify this machine of the cluster: the instance's metadata (…) cannot be had: request forbidden: IMDS is disabled or the caller has insufficient permissions.
        cannot identify this machine of the cluster: the instance's metadata (…) cannot be had: HTTP status 401
        cannot identify this machine of the cluster: the instance's metadata (…) cannot be had: token response did not contain a TTL header
        cannot identify this machine of the cluster: the instance's metadata (…) cannot be had: HTTP status 404
        cannot identify this machine of the cluster: the instance's metadata (…) is none, but 42 bytes of text
        cannot identify this machine of the cluster: the instance's metadata (…) is none, but 0 bytes of text
        cannot identify this machine of the cluster: the instance's metadata (…) cannot be had: connection closed before message completed
        ");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_service_that_is_down_or_silent_holds_a_machine_up_for_a_bounded_time() {
    // Connections are taken by the kernel, and nobody answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent_at = silent.local_addr().unwrap();
    let down = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let down_at = down.local_addr().unwrap();
    drop(down);
    for (address, expected) in [(down_at, "refused"), (silent_at, "timed out")] {
        let start = Instant::now();
        let error = identify(&format!("http://{address}")).await.unwrap_err();
        let took = start.elapsed();
        assert!(error.to_string().to_lowercase().contains(expected), "{error}");
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_service_that_comes_up_late_is_found() {
    let is_up = Arc::new(AtomicBool::new(false));
    let seen = is_up.clone();
    let service = Scripted::start(move |request, _| {
        Some(if seen.load(Ordering::SeqCst) { metadata(request) } else { Answer::new(503) })
    });
    let machine = machine(&service.endpoint()).await;
    assert!(machine.machine(host()).await.is_err());
    is_up.store(true, Ordering::SeqCst);
    assert_eq!(machine.machine(host()).await.unwrap().id, "i-0123456789abcdef0");
}

/// EC2's region is not the bucket's, and a zone's name does not tell the region.
#[tokio::test(flavor = "multi_thread")]
async fn ec2_is_asked_in_the_machines_own_region() {
    let service = Scripted::start(|request, _| {
        Some(match request.path.trim_start_matches("/latest/meta-data/placement/") {
            "availability-zone" => page("us-west-2-lax-1a"),
            "region" => page("us-west-2"),
            _ => metadata(request),
        })
    });
    let ec2 = Scripted::start(|_, _| Some(Answer::new(200).body(NO_INSTANCES.to_owned())));
    let machine = AwsMachine::with_metadata_at(&config(&ec2.endpoint()).await, &service.endpoint()).unwrap();
    let itself = machine.machine(host()).await.unwrap();
    assert_eq!((itself.region.as_str(), itself.zone.as_str()), ("us-west-2", "us-west-2-lax-1a"));
    machine.peers("demo.k8s.local").await.unwrap();
    let asked = ec2.requests().pop().unwrap();
    assert!(asked.authorization().contains("/us-west-2/ec2/"), "{}", asked.authorization());
}

/// A time as answers carry it, so many hours from now.
fn date(hours: i64) -> (i64, String) {
    let now = DateTime::from(std::time::SystemTime::now()).secs();
    let at = DateTime::from_secs(now + hours * 3600);
    (at.secs(), at.fmt(Format::HttpDate).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ec2_tells_by_how_much_the_clock_is_wrong() {
    for hours in [-26, 0, 5] {
        let (_, date) = date(hours);
        let ec2 = Scripted::start(move |_, _| {
            Some(Answer::new(200).header("date", &date).body(NO_INSTANCES.to_owned()))
        });
        let service = Scripted::start(|request, _| Some(metadata(request)));
        let machine =
            AwsMachine::with_metadata_at(&config(&ec2.endpoint()).await, &service.endpoint()).unwrap();
        assert_eq!(machine.clock_ahead(), None);
        machine.peers("demo.k8s.local").await.unwrap();
        let off = machine.clock_ahead().unwrap().as_secs() + hours * 3600;
        assert!((-60..60).contains(&off), "{hours} h: {off} s");
    }
}

fn too_skewed(date: &str) -> Answer {
    let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the \
                current time is too large.</Message></Error>";
    Answer::new(403).header("date", date).body(body.to_owned())
}

async fn read(s3: &Scripted) -> Result<Option<Vec<u8>>, kops_core::state::StateError> {
    let options = S3Options {
        config: Some(config(&s3.endpoint()).await),
        endpoint: Some(s3.endpoint()),
        ..S3Options::default()
    };
    let store = S3StateStore::open("s3://state", options).await?;
    Ok(store.get(&Key::new("a").unwrap()).await?.map(|object| object.bytes))
}

/// So a wrong clock alone keeps no machine from its state: kops-node has to look at it by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_signs_by_the_time_of_s3() {
    let (at, date) = date(3);
    let s3 = Scripted::start(move |request, _| {
        let signed = request.header("x-amz-date").unwrap_or_default();
        // `20260102T030405Z`, to the hour.
        let expected = DateTime::from_secs(at).fmt(Format::DateTime).unwrap().replace(['-', ':'], "");
        if request.method != "HEAD" && signed.get(..11) != expected.get(..11) {
            return Some(too_skewed(&date));
        }
        Some(Answer::new(200).header("date", &date).header("etag", "\"1\"").body("it".to_owned()))
    });
    assert_eq!(read(&s3).await.unwrap().unwrap(), b"it");
}

/// The first question, whether the bucket is there, is answered without any words.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_s3_does_not_take_is_told() {
    for (hours, expected) in
        [(3, "clock is too far"), (-9000, "clock is too far"), (0, "allow s3:ListBucket")]
    {
        let (_, date) = date(hours);
        let s3 = Scripted::start(move |_, _| Some(Answer::new(403).header("date", &date)));
        let error = read(&s3).await.unwrap_err();
        assert!(error.hint().unwrap().contains(expected), "{hours} h: {error:?}");
    }
    let s3 = Scripted::start(|request, _| {
        Some(if request.method == "HEAD" { Answer::new(200) } else { too_skewed("") })
    });
    let error = read(&s3).await.unwrap_err();
    assert!(error.to_string().contains("difference between the request time"), "{error}");
    assert!(error.hint().unwrap().contains("clock is too far"), "{error:?}");
}

//! Machines that prove themselves to the control plane, on an emulated STS that checks signatures.

#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::time::Duration;

use crate::support::scripted;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::Credentials;
use kops_aws::api::{AwsMachine, AwsOptions, aws_config};
use kops_core::clock::{Clock, SystemClock, later};
use kops_core::node::MachineCloud;
use kops_core::node::admission::Prover;
use kops_testbed::{Options, SESSION_SECRET, Testbed, required_or_skip, session_token};
use scripted::{Answer, Scripted};

const CLUSTER: &str = "demo.k8s.local";
const KEY: &str = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";
const MASTER: (&str, &str) = ("masters.demo.k8s.local", "i-0aaaaaaaaaaaaaaaa");
const WORKER: (&str, &str) = ("nodes.demo.k8s.local", "i-0bbbbbbbbbbbbbbbb");

/// A machine in a session of its role, which asks AWS at this endpoint.
async fn machine(endpoint: &str, (role, id): (&str, &str), secret: &str) -> AwsMachine {
    let options = AwsOptions { region: None, endpoint: Some(endpoint.to_owned()) };
    let credentials = Credentials::new("ASIATEST", secret, Some(session_token(role, id)), None, "test");
    let config = aws_config(&options).await.into_builder();
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let metadata = Scripted::start(|_, _| {
        let answer = Answer::new(200).header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        Some(answer.body("eu-north-1".to_owned()))
    });
    AwsMachine::with_metadata_at(&config, &metadata.endpoint()).unwrap()
}

async fn master(testbed: &Testbed) -> AwsMachine {
    machine(testbed.endpoint(), MASTER, SESSION_SECRET).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_proves_which_it_is_for_one_key_and_one_cluster() {
    let Some(testbed) = required_or_skip("a_machine_proves_which_it_is", Options::default()) else { return };
    let (master, worker) =
        (master(&testbed).await, machine(testbed.endpoint(), WORKER, SESSION_SECRET).await);
    testbed.clear_calls();
    let proof = worker.prove(CLUSTER, KEY).await.unwrap();
    assert!(testbed.calls().is_empty(), "it is signed, and not sent: {:?}", testbed.calls());
    assert!(!proof.contains(SESSION_SECRET), "{proof}");

    let prover = master.prover(CLUSTER, KEY, &proof).await.unwrap().unwrap();
    let now = SystemClock.now();
    assert!(prover.at <= now && now < later(prover.at, Duration::from_secs(60)), "{prover:?}");
    let expected = Prover {
        machine: WORKER.1.to_owned(),
        role: WORKER.0.to_owned(),
        is_of_account: true,
        at: prover.at,
    };
    assert_eq!(prover, expected);

    let other_key = KEY.replace('5', "6");
    assert_eq!(master.prover(CLUSTER, &other_key, &proof).await.unwrap(), None, "stolen for another key");
    assert_eq!(master.prover("other.k8s.local", KEY, &proof).await.unwrap(), None, "for another cluster");
    testbed.assert_no_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_signed_so_proves_nothing() {
    let Some(testbed) = required_or_skip("what_was_not_signed_so", Options::default()) else { return };
    let master = master(&testbed).await;
    let proves = async |proof: &str| master.prover(CLUSTER, KEY, proof).await.unwrap().is_some();

    let worker = machine(testbed.endpoint(), WORKER, SESSION_SECRET).await;
    let proof = worker.prove(CLUSTER, KEY).await.unwrap();
    assert!(proves(&proof).await);
    let token = session_token(WORKER.0, WORKER.1);
    assert!(!proves(&proof.replace(&token, &session_token(WORKER.0, MASTER.1))).await, "another's session");
    assert!(!proves(&proof.replace("eu-north-1", "eu-west-1")).await, "another region");

    let stranger = machine(testbed.endpoint(), WORKER, "guessed").await;
    assert!(!proves(&stranger.prove(CLUSTER, KEY).await.unwrap()).await, "without the session's secret");
    let elsewhere = testbed.endpoint().replace("127.0.0.1", "localhost");
    assert_ne!(elsewhere, testbed.endpoint());
    let elsewhere = machine(&elsewhere, WORKER, SESSION_SECRET).await;
    assert!(!proves(&elsewhere.prove(CLUSTER, KEY).await.unwrap()).await, "for another host");

    let mut old: serde_json::Value = serde_json::from_str(&proof).unwrap();
    old["date"] = serde_json::json!("20260101T120000Z");
    testbed.clear_calls();
    assert!(!proves(&old.to_string()).await, "made at another time");
    for none in ["", "{}", "null", &proof[1..], &format!("{{\"host\": \"example.com\", {}", &proof[1..])] {
        assert!(!proves(none).await, "{none}");
    }
    assert!(!proves(&proof.replace("ASIATEST", &"A".repeat(9000))).await, "too long");
    assert_eq!(testbed.calls().len(), 1, "only what looks like a proof is asked about");
}

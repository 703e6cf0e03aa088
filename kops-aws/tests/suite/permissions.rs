//! Clusters under the permissions that are printed and given, and no others: operators act by the policy of
//! `create state-store`, machines by those of their roles.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::scripted;
use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use kops_aws::api::{AwsCloud, AwsMachine, AwsOptions, aws_config};
use kops_aws::provider::AwsProvider;
use kops_aws::s3::{Credentials, S3Options, S3StateStore, create_state_store};
use kops_core::clock::{Clock, SystemClock};
use kops_core::create::{self, Options};
use kops_core::error::ErrorClass;
use kops_core::etcd::Backups;
use kops_core::fleet::{Capacity, Fleet};
use kops_core::manifest::{DnsType, InstanceGroup, LoadBalancerType, Role};
use kops_core::node::MachineCloud;
use kops_core::observer::Quiet;
use kops_core::operation::{Access, Kops, Run, RunOptions};
use kops_core::provider::Provider;
use kops_core::state::{Key, Prefix, Put, Replace, StateStore};
use kops_testbed::{Options as TestbedOptions, Testbed, required_or_skip, session_token};
use scripted::{Answer, Scripted};
use tokio_util::sync::CancellationToken;

const REGION: &str = "us-east-1";
const STORE: &str = "s3://team-state/clusters";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}"#;
const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCboK3XHZAfbUdarspGL43CpXGtIeQqlOnbnrAgi6XGFXQURg8GZBcTLv+FPwJTbT17VC\
    HI3xFXHY/JwDIhRLoygDiEC/70klnT5PcUGwtUTX6d2VcXWeD1pxJZez4gL+MnbGZBH//WOlBbU+qOqHfzVRDprw0r+lxoaE7pktTxww==";
const CLASSIC: &str = "classic.k8s.local";
const NETWORK: &str = "network.example.com";
/// One with names in a hosted zone, and with a load balancer; the next one is without.
const ZONED: &str = "zoned.example.com";
const NAMED: &str = "named.example.com";

/// Calls with the credentials of a role; without one, of an administrator.
async fn config(testbed: &Testbed, role: Option<&str>) -> SdkConfig {
    let options =
        AwsOptions { region: Some(REGION.to_owned()), endpoint: Some(testbed.endpoint().to_owned()) };
    let token = role.map(|role| session_token(role, "i-0123456789abcdef0"));
    let credentials = Credentials::new("ASIATEST", "secret", token, None, "test");
    let config = aws_config(&options).await.into_builder();
    config.credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

fn s3(config: &SdkConfig) -> S3Options {
    S3Options {
        endpoint: config.endpoint_url().map(str::to_owned),
        config: Some(config.clone()),
        ..S3Options::default()
    }
}

/// A state store, and an operator who may do what its policy says.
async fn operator(testbed: &Testbed, kms_key: Option<&str>) -> Kops<AwsProvider> {
    let admin = config(testbed, None).await;
    let options = S3Options { kms_key: kms_key.map(str::to_owned), ..s3(&admin) };
    let created = create_state_store(STORE, options).await.unwrap();
    let iam = aws_sdk_iam::Client::new(&admin);
    iam.create_role().role_name("operator").assume_role_policy_document(TRUST).send().await.unwrap();
    let policy = iam.put_role_policy().role_name("operator").policy_name("operator");
    policy.policy_document(created.policy).send().await.unwrap();
    let config = config(testbed, Some("operator")).await;
    let store = S3StateStore::open(STORE, s3(&config)).await.unwrap();
    Kops::new(AwsProvider::new(AwsCloud::new(&config), s3(&config)), Arc::new(store))
}

async fn create(kops: &Kops<AwsProvider>, name: &str) {
    let options = Options {
        name: name.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: STORE.to_owned(),
        zones: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        node_count: Some(3),
        admin_access: vec!["203.0.113.0/24".parse().unwrap()],
        ssh_public_key: Some(KEY.to_owned()),
        sets: match name {
            CLASSIC => vec!["cluster.spec.api.loadBalancer.class=Classic".to_owned()],
            ZONED | NAMED => Vec::new(),
            _ => vec![
                "cluster.spec.topology.dns.type=None".to_owned(),
                "cluster.spec.api.loadBalancer.class=Network".to_owned(),
                "cluster.spec.api.loadBalancer.type=Public".to_owned(),
            ],
        },
        api_load_balancer_type: Some(LoadBalancerType::Public).filter(|_| name != NAMED),
        dns: Some(DnsType::Public).filter(|_| [ZONED, NAMED].contains(&name)),
        ..Options::default()
    };
    kops.registry().create(create::manifests(&options).unwrap().manifests()).await.unwrap();
    update(kops, name).await;
}

async fn update(kops: &Kops<AwsProvider>, name: &str) {
    let (options, cancel) = (RunOptions { drain: None, ..RunOptions::default() }, CancellationToken::new());
    let run = Run { observer: &Quiet, cancel: &cancel };
    kops.update(name, &options, run, |_| {}).await.unwrap().report.into_result().unwrap();
    let left = kops.plan_update(name).await.unwrap();
    assert!(left.is_empty(), "nothing is left to do: {}", left.display());
}

async fn change(kops: &Kops<AwsProvider>, name: &str, how: impl Fn(&mut InstanceGroup)) {
    let loaded = kops.registry().load(name).await.unwrap();
    let mut nodes = loaded.groups.into_iter().find(|group| group.role() == Role::Node).unwrap();
    how(&mut nodes);
    kops.registry().replace(vec![nodes.into()], Replace::ExistingOnly).await.unwrap();
    update(kops, name).await;
}

async fn of_a_life(testbed: &Testbed, kops: &Kops<AwsProvider>, name: &str) {
    create(kops, name).await;
    change(kops, name, |nodes| nodes.spec.machine_type = Some("m5.large".to_owned())).await;
    let mut options = kops.roll_options(name).await.unwrap();
    options.policy.min_ready = Duration::ZERO;
    options.poll = Duration::from_millis(100);
    let cancel = CancellationToken::new();
    let rolled = kops
        .rolling_update(name, &options, Access::CloudOnly, Run { observer: &Quiet, cancel: &cancel })
        .await;
    assert!(rolled.unwrap().skipped.is_empty());
    kops.instances(name, Access::CloudOnly).await.unwrap();
    kops.api_server(name).await.unwrap();

    change(kops, name, |nodes| (nodes.spec.min_size, nodes.spec.max_size) = (Some(2), Some(2))).await;
    let scope = kops_core::cloud::Scope { cluster: name.to_owned(), incarnation: String::new(), zone: None };
    let fleet: &dyn Fleet = kops.provider().fleet().unwrap();
    let groups = fleet.groups(&scope).await.unwrap();
    let group = groups.iter().find(|group| group.instance_group.starts_with("nodes")).unwrap();
    fleet.terminate(&scope, &group.handle, &group.instances[0].id, Capacity::Shrink).await.unwrap();

    let backups = Backups::new(kops.registry().store().as_ref(), name, "main").unwrap();
    let backup = backups.save(b"packed", "3.5.9", 1, SystemClock.now()).await.unwrap();
    let (options, cancel) = (RunOptions::default(), CancellationToken::new());
    let run = Run { observer: &Quiet, cancel: &cancel };
    assert_eq!(kops.etcd_backups(name, "main").await.unwrap().len(), 1);
    let restore = kops.plan_etcd_restore(name, "main", &backup).await.unwrap();
    kops.restore_etcd(&restore, Duration::ZERO, run).await.unwrap();

    machines(testbed, name).await;

    let plan = kops.plan_delete(name).await.unwrap();
    kops.delete(&plan, &options.apply, run).await.unwrap();
}

/// Returns a machine with the credentials of its role, as kops-node makes it.
async fn machine(testbed: &Testbed, role: &str) -> (AwsMachine, S3StateStore) {
    let config = config(testbed, Some(role)).await;
    let store = S3StateStore::in_region(STORE, REGION, s3(&config)).await.unwrap();
    let metadata = Scripted::start(|request, _| {
        let token = Answer::new(200).header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        Some(if request.method == "PUT" {
            token.body("token".to_owned())
        } else {
            token.body(REGION.to_owned())
        })
    });
    (AwsMachine::with_metadata_at(&config, &metadata.endpoint()).unwrap(), store)
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Everything that kops-node does on AWS, with the permissions of its role.
async fn machines(testbed: &Testbed, cluster: &str) {
    let (master, state) = machine(testbed, &format!("masters.{cluster}")).await;
    let peers = master.peers(cluster).await.unwrap();
    let worker = peers.iter().find(|peer| peer.role == Role::Node).unwrap().id.clone();
    let first = peers.iter().find(|peer| peer.role == Role::ControlPlane).unwrap().id.clone();
    let volumes = master.volumes(cluster).await.unwrap();
    for (volume, device) in volumes.iter().zip(["/dev/xvdu", "/dev/xvdv"]) {
        master.attach(&volume.id, &first, device).await.unwrap();
    }
    master.load_balancer(cluster).await.unwrap_or_else(|error| {
        assert_ne!(cluster, NETWORK, "{error}");
        BTreeSet::new()
    });
    if let [zone] = zones(testbed).await.as_slice() {
        let api = peers.iter().filter(|peer| peer.role == Role::ControlPlane).map(|peer| peer.address);
        let names = BTreeMap::from([(format!("api.internal.{cluster}"), api.collect::<BTreeSet<_>>())]);
        let published = master.publish(zone, &names).await;
        assert_eq!(published.is_ok(), [ZONED, NAMED].contains(&cluster), "{published:?}");
    }
    let pods = "100.96.0.0/11".parse().unwrap();
    for ways in [&["100.96.1.0/24", "100.96.2.0/24"][..], &["100.96.2.0/24"]] {
        let ways = ways.iter().map(|range| (range.parse().unwrap(), worker.clone()));
        master.route_pods(cluster, pods, &ways.collect::<BTreeMap<_, _>>()).await.unwrap();
    }
    let other = BTreeMap::from([("100.96.2.0/24".parse().unwrap(), first)]);
    master.route_pods(cluster, pods, &other).await.unwrap();
    let ids = BTreeSet::from([format!("aws:///us-east-1a/{worker}")]);
    assert!(master.departed(&ids).await.unwrap().is_empty());

    let at = |rest: &str| key(&format!("{cluster}/{rest}"));
    let keysets = Prefix::root().join(cluster).unwrap().join("pki").unwrap();
    assert!(!state.list(&keysets).await.unwrap().is_empty());
    assert!(state.get(&at("pki/private/kubernetes-ca/keyset.yaml")).await.unwrap().is_some());
    assert!(state.get(&at("addons/bootstrap-channel.yaml")).await.unwrap().is_some());
    assert_eq!(state.get(&at("secrets/none")).await.unwrap(), None);
    let join = at("secrets/node-join");
    let version = state.put(&join, b"{}", Put::IfAbsent).await.unwrap();
    state.put(&join, b"{ }", Put::IfUnchanged(version)).await.unwrap();
    let backup = at("backups/etcd/main/2026-01-15T12:00:00Z-000001/_etcd_backup.meta");
    state.put(&backup, b"{}", Put::Always).await.unwrap();
    state.delete(&backup).await.unwrap();
    let denied = state.put(&at("config"), b"", Put::Always).await.unwrap_err();
    assert_eq!(denied.class(), ErrorClass::Denied);

    let (worker, state) = machine(testbed, &format!("nodes.{cluster}")).await;
    assert!(state.get(&join).await.unwrap().is_some());
    for absent in [at("igconfig/node/nodes/none.yaml"), key("programs/none/kubelet")] {
        assert_eq!(state.get(&absent).await.unwrap(), None, "S3 refuses what is not there");
    }
    if cluster == CLASSIC {
        assert!(state.get(&at("secrets/gossip-key")).await.unwrap().is_some());
        assert!(!worker.peers(cluster).await.unwrap().is_empty());
    }
    let denied = state.get(&at("pki/private/kubernetes-ca/keyset.yaml")).await.unwrap_err();
    assert_eq!(denied.class(), ErrorClass::Denied);
    assert_eq!(worker.volumes(cluster).await.unwrap_err().class, ErrorClass::Denied);
    assert_eq!(worker.attach("vol-1", "i-1", "x").await.unwrap_err().class, ErrorClass::Denied);
}

/// The ids of all zones.
async fn zones(testbed: &Testbed) -> Vec<String> {
    let route53 = aws_sdk_route53::Client::new(&config(testbed, None).await);
    let zones = route53.list_hosted_zones().send().await.unwrap().hosted_zones;
    zones.into_iter().map(|zone| zone.id.rsplit('/').next().unwrap().to_owned()).collect()
}

/// Names and types of all records of a zone.
async fn records(testbed: &Testbed, zone: &str) -> Vec<String> {
    let route53 = aws_sdk_route53::Client::new(&config(testbed, None).await);
    let sets = route53.list_resource_record_sets().hosted_zone_id(zone).send().await.unwrap();
    let sets = sets.resource_record_sets.iter();
    sets.map(|set| format!("{} {}", set.name, set.r#type)).collect()
}

/// Makes a zone with records of somebody else.
async fn make_zone(testbed: &Testbed, name: &str) -> String {
    use aws_sdk_route53::types::{
        Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
    };
    let route53 = aws_sdk_route53::Client::new(&config(testbed, None).await);
    let made = route53.create_hosted_zone().name(name).caller_reference(name).send().await.unwrap();
    let id = made.hosted_zone.unwrap().id;
    let names = ["api.other", "*.zoned", "www.zoned", "www.internal.named"].into_iter();
    let changes = names.map(|first| {
        let value = ResourceRecord::builder().value("192.0.2.1").build().unwrap();
        let set = ResourceRecordSet::builder().name(format!("{first}.{name}")).r#type(RrType::A).ttl(300);
        let set = set.resource_records(value).build().unwrap();
        Change::builder().action(ChangeAction::Create).resource_record_set(set).build().unwrap()
    });
    let batch = ChangeBatch::builder().set_changes(Some(changes.collect())).build().unwrap();
    route53.change_resource_record_sets().hosted_zone_id(&id).change_batch(batch).send().await.unwrap();
    id
}

/// Names in a hosted zone: made, kept by machines, deleted, and nothing else in the zone is touched.
#[tokio::test(flavor = "multi_thread")]
async fn names_in_a_zone_come_and_go_and_foreign_ones_stay() {
    let name = "names_in_a_zone_come_and_go_and_foreign_ones_stay";
    let Some(testbed) = required_or_skip(name, TestbedOptions::default()) else { return };
    let kops = operator(&testbed, None).await;
    let zone = Box::pin(make_zone(&testbed, "example.com")).await;
    let before = records(&testbed, &zone).await;
    assert!(before.len() > 4, "{before:?}");
    for cluster in [ZONED, NAMED, CLASSIC] {
        Box::pin(of_a_life(&testbed, &kops, cluster)).await;
        assert_eq!(records(&testbed, &zone).await, before, "{cluster}");
    }
    Box::pin(create(&kops, ZONED)).await;
    let own = records(&testbed, &zone).await.into_iter().filter(|record| !before.contains(record));
    assert_eq!(own.collect::<Vec<_>>(), ["api.zoned.example.com. A", "api.internal.zoned.example.com. A"]);
    Box::pin(make_zone(&testbed, "example.com")).await;
    let doubled = kops.plan_update(ZONED).await.unwrap_err();
    let doubled = std::iter::successors(Some(&doubled as &dyn std::error::Error), |error| error.source());
    let doubled = doubled.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(doubled.contains("there are several public hosted zones example.com"), "{doubled}");
    testbed.assert_no_gaps();
}

/// From the first update to the deletion, and nothing is refused.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_live_by_the_permissions_that_are_given() {
    let name = "clusters_live_by_the_permissions_that_are_given";
    let Some(testbed) = required_or_skip(name, TestbedOptions::default()) else { return };
    let kops = operator(&testbed, None).await;
    for cluster in [CLASSIC, NETWORK] {
        Box::pin(of_a_life(&testbed, &kops, cluster)).await;
    }
    testbed.assert_no_gaps();
}

/// A customer's key: workers read what it encrypts, and who writes may use it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_a_key_of_the_customer_can_be_read_by_its_machines() {
    let name = "a_store_with_a_key_of_the_customer_can_be_read_by_its_machines";
    let Some(testbed) = required_or_skip(name, TestbedOptions::default()) else { return };
    for key in ["arn:aws:kms:us-east-1:123456789012:key/1234", "alias/state"] {
        testbed.reset().unwrap();
        let kops = operator(&testbed, Some(key)).await;
        create(&kops, CLASSIC).await;
        machines(&testbed, CLASSIC).await;
    }
}

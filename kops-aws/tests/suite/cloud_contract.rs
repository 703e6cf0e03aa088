//! AWS as a cloud: the laws of `kops_core::contract` over HTTP, and budgets of calls.
#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use crate::support::naming;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use kops_aws::api::AwsCloud;
use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::resource::{AwsResource, kind};
use kops_core::apply::{ApplyOptions, RetryPolicy, apply};
use kops_core::clock::SystemClock;
use kops_core::cloud::{Bindings, Cloud, Ensure, Reach, Scope};
use kops_core::contract::{CloudCase, cloud};
use kops_core::error::ErrorClass;
use kops_core::manifest::{self, Manifest, Recommendations};
use kops_core::observer::Quiet;
use kops_core::plan::{Plan, Purpose, plan};
use kops_core::resource::{Kind, Resource};
use kops_core::ssh::PublicKey;
use kops_testbed::{Image, Options, Testbed, required_or_skip};
use tokio_util::sync::CancellationToken;

const REGION: &str = "eu-west-1";
/// Of RSA: of others moto shows another fingerprint than AWS.
const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCtWu40XQo8dczLsCq0OWV+hxm9uV3WxeH9Kgh4sMzQxNtoU1pvW0XdjpkBesRK\
                   GoolfWeCLXWxpyQb1IaiMkKoz7MdhQ/6UKjMjP66aFWWp3pwD0uj0HuJ7tq4gKHKRYGTaZIRWpzUiANBrjugVgA+Sd7E/mYwc/DMXkIy\
                   RZbvhQ==";

/// A cluster with a control-plane group in each of the first `masters` zones, and one group of workers.
fn desired(name: &str, masters: usize, more: &str) -> Vec<AwsResource> {
    let subnet = |zone: &str| vec![format!("{{name: {zone}, zone: {zone}, type: Public}}")];
    desired_in(&subnet, name, masters, more)
}

/// The same with machines in private subnets, and a gateway in each zone.
fn private(name: &str, masters: usize, more: &str) -> Vec<AwsResource> {
    let subnets = |zone: &str| {
        vec![
            format!("{{name: {zone}, zone: {zone}, type: Private}}"),
            format!("{{name: utility-{zone}, zone: {zone}, type: Utility}}"),
        ]
    };
    desired_in(&subnets, name, masters, more)
}

fn desired_in(
    subnets: &dyn Fn(&str) -> Vec<String>,
    name: &str,
    masters: usize,
    more: &str,
) -> Vec<AwsResource> {
    let zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];
    let masters = &zones[..masters];
    let member = |zone: &&str| format!("{{name: {zone}, instanceGroup: master-{zone}}}");
    let members = masters.iter().map(member).collect::<Vec<_>>().join(", ");
    let subnets = zones.iter().flat_map(|zone| subnets(zone)).collect::<Vec<_>>().join(", ");
    let group = |group: &str, spec: &str| {
        format!(
            "---\napiVersion: kops.k8s.io/v1alpha2\nkind: InstanceGroup\n\
             metadata: {{name: {group}, labels: {{kops.k8s.io/cluster: {name}}}}}\nspec: {{{spec}}}\n"
        )
    };
    let mut text = format!(
        "apiVersion: kops.k8s.io/v1alpha2\nkind: Cluster\nmetadata: {{name: {name}}}\nspec:\n  \
         kubernetesVersion: 1.35.7\n  kubernetesApiAccess: [203.0.113.0/24]\n  sshAccess: [203.0.113.0/24]\n  \
         etcdClusters:\n  - {{name: main, etcdMembers: [{members}]}}\n  - {{name: events, etcdMembers: [{members}]}}\n  \
         subnets: [{subnets}]\n{more}"
    );
    text.push_str(&group("nodes", "role: Node"));
    text.push_str(&group("spot", SPOT));
    if more.contains("bastion:") {
        text.push_str(&group("bastions", "role: Bastion, subnets: [utility-eu-west-1a, utility-eu-west-1b]"));
    }
    for zone in masters {
        text.push_str(&group(&format!("master-{zone}"), &format!("role: Master, subnets: [{zone}]")));
    }
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in manifest::read("test.yaml", &text).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => unreachable!(),
        }
    }
    let completed = manifest::complete(&cluster.unwrap(), &groups, &Recommendations::default());
    assert_eq!(manifest::validate(&completed), []);
    let state = StateLocation::S3 {
        bucket: "state".into(),
        region: REGION.into(),
        prefix: String::new(),
        kms_key: None,
    };
    let mut facts = Facts::simulated(&completed, state, Some(PublicKey::parse(KEY).unwrap()));
    let offered = Image::stock().swap_remove(0);
    for image in facts.images.values_mut().flatten() {
        image.id.clone_from(&offered.id);
        image.root_device.clone_from(&offered.root_device);
    }
    on_aws(model(&completed, &facts).unwrap())
}

/// Several machine types, a mix of prices, and what else a scaling group can be told.
const SPOT: &str = "role: Node, maxPrice: \"0.2\", capacityRebalance: true, maxInstanceLifetime: 48h20m, \
     cpuCredits: unlimited, minSize: 1, maxSize: 3, mixedInstancesPolicy: {instances: [t3.large, t3.medium], \
     onDemandBase: 1, onDemandAboveBase: 50}";

const ADDITIONAL_POLICY: &str = r#"  additionalPolicies: {node: '[{"Action": "s3:GetObject", "Effect": "Allow", "Resource": "*"}]'}
"#;

/// Without the files, which are kept in the state store.
fn on_aws(resources: Vec<AwsResource>) -> Vec<AwsResource> {
    let kept = resources.into_iter().filter_map(|resource| match resource {
        AwsResource::ManagedFile(_) | AwsResource::Keypair(_) | AwsResource::Secret(_) => None,
        AwsResource::LaunchTemplate(mut template) => {
            template.after.retain(|id| id.kind != kind::MANAGED_FILE);
            Some(AwsResource::LaunchTemplate(template))
        }
        other => Some(other),
    });
    kept.collect()
}

/// Something in place for every kind that has something, and new versions of launch templates.
fn edited(desired: &[AwsResource]) -> Vec<AwsResource> {
    let edit = |resource: &AwsResource| {
        let mut resource = resource.clone();
        match &mut resource {
            AwsResource::LaunchTemplate(template) => template.instance_monitoring ^= true,
            AwsResource::AutoscalingGroup(group) => {
                group.max_size += 1;
                if let Some(mixed) = &mut group.mixed_instances {
                    mixed.instance_types.reverse();
                    mixed.spot_allocation_strategy = "capacity-optimized".to_owned();
                    mixed.spot_instance_pools = None;
                    mixed.spot_max_price = None;
                    group.max_instance_lifetime = 0;
                    group.capacity_rebalance = false;
                }
                group.suspend_processes.insert("AZRebalance".to_owned());
                group.tags.insert("team".to_owned(), "blue".to_owned());
                group.tags.retain(|key, _| !key.starts_with("k8s.io/cluster-autoscaler/"));
            }
            AwsResource::ClassicLoadBalancer(balancer) => {
                balancer.idle_timeout += 60;
                balancer.health_check.interval += 5;
                balancer.subnets.pop_last();
            }
            AwsResource::NetworkLoadBalancer(balancer) => balancer.cross_zone_load_balancing ^= true,
            AwsResource::TargetGroup(group) => {
                group.health_check.healthy_threshold += 1;
                group.attributes.insert("deregistration_delay.timeout_seconds".to_owned(), "60".to_owned());
            }
            AwsResource::IamRole(role) => {
                role.tags.insert("team".to_owned(), "blue".to_owned());
            }
            AwsResource::IamRolePolicy(policy) => policy.policy_document["Statement"][0]["Sid"] = "a".into(),
            _ => {}
        }
        resource
    };
    desired.iter().map(edit).collect()
}

async fn config(testbed: &Testbed) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(testbed.endpoint())
        .load()
        .await
}

async fn connect(testbed: &Testbed) -> AwsCloud {
    AwsCloud::new(&config(testbed).await)
}

fn options() -> ApplyOptions {
    let retry = RetryPolicy {
        first_pause: Duration::from_millis(50),
        longest_pause: Duration::from_millis(500),
        free_within: Duration::from_secs(60),
        ..RetryPolicy::default()
    };
    ApplyOptions { retry, ..ApplyOptions::default() }
}

fn scope(cluster: &str) -> Scope {
    Scope { cluster: cluster.to_owned(), incarnation: "2026-11-23T00:00:00Z".to_owned(), zone: None }
}

async fn left_to_do(aws: &AwsCloud, scope: &Scope, desired: &[AwsResource]) -> Plan<AwsResource> {
    let inventory = aws.observe(scope, Reach::Managed).await.unwrap();
    assert!(inventory.gaps().is_empty(), "{:?}", inventory.gaps());
    plan(scope, Purpose::Update, desired, &inventory).unwrap()
}

async fn bring_about(aws: &AwsCloud, scope: &Scope, desired: &[AwsResource]) {
    let made = left_to_do(aws, scope, desired).await;
    let report = apply(aws, &made, &options(), &SystemClock, &Quiet, &CancellationToken::new()).await;
    report.into_result().unwrap();
}

async fn keeps_the_laws(test: &str, name: &str, desired: Vec<AwsResource>) {
    let Some(testbed) = required_or_skip(test, Options { page_size: Some(5), ..Options::default() }) else {
        return;
    };
    let aws = connect(&testbed).await;
    let edited = edited(&desired);
    let case = CloudCase {
        scope: scope(name),
        renamed: naming::renamed(&desired),
        named: naming::named,
        desired,
        edited,
        options: options(),
    };
    let result = cloud(&aws, &case, &SystemClock).await;
    assert!(result.is_ok(), "{:#?}", result.unwrap_err());
    testbed.assert_no_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_a_classic_load_balancer_keeps_the_laws() {
    let name = "demo.k8s.local";
    let more = format!("{ADDITIONAL_POLICY}  api: {{loadBalancer: {{type: Public, class: Classic}}}}\n");
    let desired = desired(name, 1, &more);
    keeps_the_laws("a_cluster_with_a_classic_load_balancer_keeps_the_laws", name, desired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_a_network_load_balancer_keeps_the_laws() {
    let name = "ha.k8s.local";
    let desired = desired(name, 3, "  api: {loadBalancer: {type: Public, class: Network}}\n");
    keeps_the_laws("a_cluster_with_a_network_load_balancer_keeps_the_laws", name, desired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_cluster_with_bastions_keeps_the_laws() {
    let name = "private.k8s.local";
    let more = "  api: {loadBalancer: {type: Internal, class: Network}}\n  topology: {bastion: {}}\n";
    let desired = private(name, 3, more);
    let count = |kind: Kind| desired.iter().filter(|resource| resource.id().kind == kind).count();
    let kinds = [kind::NAT_GATEWAY, kind::ELASTIC_IP, kind::ROUTE_TABLE, kind::NETWORK_LOAD_BALANCER];
    assert_eq!(kinds.map(count), [3, 3, 4, 2]);
    keeps_the_laws("a_private_cluster_with_bastions_keeps_the_laws", name, desired).await;
}

/// A first apply of five groups, and an observation with nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn calls_stay_within_their_budgets() {
    for (class, first, nothing_to_do) in [("Classic", 150, 32), ("Network", 150, 35)] {
        let Some(testbed) = required_or_skip("calls_stay_within_their_budgets", Options::default()) else {
            return;
        };
        let aws = connect(&testbed).await;
        let scope = scope("budget.k8s.local");
        let more = format!("  api: {{loadBalancer: {{type: Public, class: {class}}}}}\n");
        let desired = desired(&scope.cluster, 3, &more);
        bring_about(&aws, &scope, &desired).await;
        let spent = aws.calls().total();
        assert!(spent <= first, "{class}: {spent} calls: {:#?}", aws.calls().count());

        let again = connect(&testbed).await;
        let left = left_to_do(&again, &scope, &desired).await;
        assert!(left.is_empty(), "{}", left.display());
        let spent = again.calls().total();
        assert!(spent <= nothing_to_do, "{class}: {spent} calls: {:#?}", again.calls().count());
    }
}

/// AWS would answer a client token that it knows with what was made then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_desired_before_can_be_desired_again() {
    let test = "what_was_desired_before_can_be_desired_again";
    let Some(testbed) = required_or_skip(test, Options::default()) else { return };
    let (aws, scope) = (connect(&testbed).await, scope("again.k8s.local"));
    let first = desired(&scope.cluster, 1, "");
    let second = edited(&first);
    for desired in [&first, &second, &first, &second] {
        bring_about(&aws, &scope, desired).await;
        let left = left_to_do(&aws, &scope, desired).await;
        assert!(left.is_empty(), "{}", left.display());
    }
    testbed.assert_no_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_others_are_neither_seen_nor_taken() {
    let test = "roles_of_others_are_neither_seen_nor_taken";
    let Some(testbed) = required_or_skip(test, Options::default()) else { return };
    let (aws, scope) = (connect(&testbed).await, scope("foreign.k8s.local"));
    let iam = aws_sdk_iam::Client::new(&config(&testbed).await);
    let theirs = aws_sdk_iam::types::Tag::builder().key("KubernetesCluster").value("theirs").build().unwrap();
    let role = iam.create_role().role_name("nodes.foreign.k8s.local").tags(theirs);
    role.assume_role_policy_document(r#"{"Version": "2012-10-17", "Statement": []}"#).send().await.unwrap();

    let seen = aws.observe(&scope, Reach::Everything).await.unwrap();
    assert!(seen.is_empty(), "{seen:?}");
    let all = desired(&scope.cluster, 1, "");
    let role = all.iter().find(|it| it.id().to_string() == "IAMRole/nodes.foreign.k8s.local").unwrap();
    let request = Ensure { desired: role, current: None, bindings: &Bindings::default() };
    let error = aws.ensure(&scope, request).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::AlreadyExists, "{error}");
}

//! The network of a cluster, and what goes with it, on an emulated AWS over HTTP: the laws of the contract, calls that go
//! wrong, and what the cluster's services leave behind.

#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use crate::support::naming;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, ResourceType, Tag, TagSpecification, VolumeType};
use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::resource::{AwsResource, Shared, kind};
use kops_core::apply::{ApplyOptions, Report, RetryPolicy, apply};
use kops_core::clock::SystemClock;
use kops_core::cloud::{Cloud, Reach, Scope};
use kops_core::contract::{self, CloudCase};
use kops_core::error::ErrorClass;
use kops_core::manifest::{self, CompletedCluster, Manifest, Recommendations};
use kops_core::observer::Quiet;
use kops_core::plan::{Purpose, plan};
use kops_core::resource::{Kind, Ownership, Resource};
use kops_core::ssh::PublicKey;
use kops_testbed::{Fault, Options, Rule, Testbed, required_or_skip};
use tokio_util::sync::CancellationToken;

const REGION: &str = "eu-west-1";
const CLUSTER: &str = "demo.k8s.local";
const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCub/WtICgm4XukY8yBEbMyL+hLq9tSMXVoLtHV7LgKbjmWKg6hRy0qB+yR89ro\
                   +/RbV4nuIPRJYlt+VHQguh4F39LyYrsdYlnpOareat0x+B3EaKz4hn0ZEy/7D4rbhs7oYrLYMlay/WyijzadA8f83+cLMHKZThmNZ7Za\
                   93CLAw== a@b";

fn completed(more: &str) -> CompletedCluster {
    let text = format!(
        "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: {CLUSTER}}}
spec:
  kubernetesVersion: 1.35.7
  kubernetesApiAccess: [203.0.113.0/24]
  sshAccess: [203.0.113.0/24]
  etcdClusters:
  - {{name: main, etcdMembers: [{{name: a, instanceGroup: master}}]}}
  - {{name: events, etcdMembers: [{{name: a, instanceGroup: master}}]}}
  subnets:
  - {{name: {REGION}a, zone: {REGION}a, type: Public}}
  - {{name: {REGION}b, zone: {REGION}b, type: Public}}
{more}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: nodes, labels: {{kops.k8s.io/cluster: {CLUSTER}}}}}
spec: {{role: Node}}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: master, labels: {{kops.k8s.io/cluster: {CLUSTER}}}}}
spec: {{role: Master, subnets: [{REGION}a]}}
"
    );
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in manifest::read("test.yaml", &text).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => unreachable!(),
        }
    }
    manifest::complete(&cluster.unwrap(), &groups, &Recommendations::default())
}

fn is_network(resource: &AwsResource) -> bool {
    const KINDS: [Kind; 12] = [
        kind::VPC,
        kind::DHCP_OPTIONS,
        kind::VPC_DHCP_OPTIONS_ASSOCIATION,
        kind::INTERNET_GATEWAY,
        kind::SUBNET,
        kind::ROUTE_TABLE,
        kind::ROUTE,
        kind::ROUTE_TABLE_ASSOCIATION,
        kind::SECURITY_GROUP,
        kind::SECURITY_GROUP_RULE,
        kind::SSH_KEY,
        kind::EBS_VOLUME,
    ];
    KINDS.contains(&resource.id().kind)
}

/// The model's resources of the kinds that this is about.
fn network(more: &str) -> Vec<AwsResource> {
    let completed = completed(more);
    let state = StateLocation::Unreachable("nowhere".to_owned());
    let facts = Facts::simulated(&completed, state, Some(PublicKey::parse(KEY).unwrap()));
    let mut all = model(&completed, &facts).unwrap();
    all.retain(is_network);
    all
}

fn scope() -> Scope {
    Scope { cluster: CLUSTER.to_owned(), incarnation: "1".to_owned(), zone: None }
}

fn options() -> ApplyOptions {
    let retry = RetryPolicy {
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        attempts: 8,
        visible_within: Duration::from_secs(5),
        free_within: Duration::from_secs(5),
        gone_within: Duration::from_secs(5),
    };
    ApplyOptions { retry, ..ApplyOptions::default() }
}

async fn connect(testbed: &Testbed) -> AwsCloud {
    let options =
        AwsOptions { region: Some(REGION.to_owned()), endpoint: Some(testbed.endpoint().to_owned()) };
    let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
    let config = aws_config(&options).await.into_builder();
    AwsCloud::new(&config.credentials_provider(SharedCredentialsProvider::new(credentials)).build())
}

/// A client that is not the code under test.
async fn somebody_else(testbed: &Testbed) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_ec2::config::Region::new(REGION))
        .endpoint_url(testbed.endpoint())
        .credentials_provider(Credentials::new("AKIAOTHER", "secret", None, None, "test"))
        .build();
    aws_sdk_ec2::Client::from_conf(config)
}

async fn run(cloud: &AwsCloud, desired: &[AwsResource], purpose: Purpose) -> Report {
    let reach = if purpose == Purpose::Delete { Reach::Everything } else { Reach::Managed };
    let inventory = cloud.observe(&scope(), reach).await.unwrap();
    let plan = plan(&scope(), purpose, desired, &inventory).unwrap();
    apply(cloud, &plan, &options(), &SystemClock, &Quiet, &CancellationToken::new()).await
}

async fn bring_about(cloud: &AwsCloud, desired: &[AwsResource]) {
    run(cloud, desired, Purpose::Update).await.into_result().expect("it can be applied");
}

async fn assert_empty(cloud: &AwsCloud) {
    let left = cloud.observe(&scope(), Reach::Everything).await.unwrap();
    let left: Vec<String> = left.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(left, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    let Some(testbed) = required_or_skip("the_contract_holds", Options::default()) else { return };
    let cloud = connect(&testbed).await;
    let mut desired = network("");
    desired.push(AwsResource::Shared(Shared::new(kind::SUBNET, "subnet-0123456789abcdef0")));
    let mut edited = network("  cloudLabels: {team: a}");
    edited.push(AwsResource::Shared(Shared::new(kind::SUBNET, "subnet-0123456789abcdef0")));
    let case = CloudCase {
        scope: scope(),
        renamed: naming::renamed(&desired),
        named: naming::named,
        desired,
        edited,
        options: options(),
    };
    let verdict = contract::cloud(&cloud, &case, &SystemClock).await;
    if let Err(broken) = verdict {
        panic!("{broken}: {:?}", std::error::Error::source(&broken).map(ToString::to_string));
    }
    testbed.assert_no_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observation_takes_few_calls_and_changes_nothing() {
    let Some(testbed) = required_or_skip("an_observation_takes_few_calls", Options::default()) else {
        return;
    };
    let cloud = connect(&testbed).await;
    bring_about(&cloud, &network("")).await;
    testbed.clear_calls();
    cloud.observe(&scope(), Reach::Managed).await.unwrap();
    let actions: Vec<String> = testbed
        .calls()
        .into_iter()
        .filter(|call| call.service == "ec2")
        .map(|call| call.action)
        .filter(|action| !action.contains("LaunchTemplate"))
        .collect();
    assert_eq!(actions.len(), 12, "{actions:?}");
    assert_eq!(mutations(&testbed), 0);
}

fn mutations(testbed: &Testbed) -> usize {
    testbed.calls().iter().filter(|call| call.mutation).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_change_is_put_back_and_never_made_twice() {
    let Some(testbed) = required_or_skip("what_people_change_is_put_back", Options::default()) else {
        return;
    };
    let (cloud, people) = (connect(&testbed).await, somebody_else(&testbed).await);
    let desired = network("");
    bring_about(&cloud, &desired).await;
    let before = cloud.observe(&scope(), Reach::Managed).await.unwrap();
    let handle = |kind: Kind, name: &str| {
        let of_kind = before.iter().find(|(id, _)| id.kind == kind && id.name == name);
        of_kind.unwrap_or_else(|| panic!("there is no {kind}/{name}")).1.handle.to_string()
    };
    let renamed = [
        handle(kind::VPC, CLUSTER),
        handle(kind::INTERNET_GATEWAY, CLUSTER),
        handle(kind::DHCP_OPTIONS, CLUSTER),
        handle(kind::ROUTE_TABLE, CLUSTER),
    ];
    let name = Tag::builder().key("Name").value("mine").build();
    people.create_tags().set_resources(Some(renamed.to_vec())).tags(name).send().await.unwrap();
    let masters = handle(kind::SECURITY_GROUP, &format!("masters.{CLUSTER}"));
    let by_hand = |port| {
        let range = IpRange::builder().cidr_ip("198.51.100.0/24").build();
        IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port).ip_ranges(range).build()
    };
    let open = people.authorize_security_group_ingress().group_id(&masters);
    open.ip_permissions(by_hand(22)).ip_permissions(by_hand(9100)).send().await.unwrap();
    people
        .replace_route_table_association()
        .association_id(handle(kind::ROUTE_TABLE_ASSOCIATION, &format!("{REGION}a.{CLUSTER}")))
        .route_table_id(other_table(&people, &renamed[0]).await)
        .send()
        .await
        .unwrap();

    let inventory = cloud.observe(&scope(), Reach::Managed).await.unwrap();
    let plan = plan(&scope(), Purpose::Update, &desired, &inventory).unwrap();
    let drift = plan.display().to_string();
    for expected in
        ["VPC/", "InternetGateway/", "DHCPOptions/", "RouteTable/", "from-198.51.100.0/24-ingress-tcp-22to22"]
    {
        assert!(drift.contains(expected), "{expected} is not in\n{drift}");
    }
    assert!(!drift.contains("9100"), "the port is not kops's\n{drift}");
    bring_about(&cloud, &desired).await;
    let after = cloud.observe(&scope(), Reach::Managed).await.unwrap();
    assert!(after.duplicates().is_empty());
    let again = kops_core::plan::plan(&scope(), Purpose::Update, &desired, &after).unwrap();
    assert!(again.is_empty(), "{}", again.display());
    for (id, observed) in before.iter().filter(|(id, _)| id.kind != kind::ROUTE_TABLE_ASSOCIATION) {
        assert_eq!(after.get(id).map(|o| &o.handle), Some(&observed.handle), "{id}");
    }
}

async fn other_table(people: &aws_sdk_ec2::Client, vpc: &str) -> String {
    let made = people.create_route_table().vpc_id(vpc).send().await.unwrap();
    made.route_table.unwrap().route_table_id.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_left_goes_with_the_cluster_and_not_before() {
    let Some(testbed) = required_or_skip("what_services_left", Options::default()) else { return };
    let (cloud, services) = (connect(&testbed).await, somebody_else(&testbed).await);
    let desired = network("");
    bring_about(&cloud, &desired).await;
    let seen = cloud.observe(&scope(), Reach::Managed).await.unwrap();
    let handle = |kind: Kind, name: &str| {
        seen.iter().find(|(id, _)| id.kind == kind && id.name == name).unwrap().1.handle.to_string()
    };
    let vpc = handle(kind::VPC, CLUSTER);
    let owned = |kind: ResourceType, key: String, value: &str| {
        let tag = Tag::builder().key(key).value(value).build();
        TagSpecification::builder().resource_type(kind).tags(tag).build()
    };
    let ownership = || format!("kubernetes.io/cluster/{CLUSTER}");
    // A service's load balancer: its group, and a rule of the nodes' group about it.
    let made = services
        .create_security_group()
        .group_name("k8s-elb-a1b2")
        .description("Security group for Kubernetes ELB a1b2 (default/web)")
        .vpc_id(&vpc)
        .tag_specifications(owned(ResourceType::SecurityGroup, ownership(), "owned"));
    let group = made.send().await.unwrap().group_id.unwrap();
    let pair = aws_sdk_ec2::types::UserIdGroupPair::builder().group_id(&group).build();
    services
        .authorize_security_group_ingress()
        .group_id(handle(kind::SECURITY_GROUP, &format!("nodes.{CLUSTER}")))
        .ip_permissions(IpPermission::builder().ip_protocol("-1").user_id_group_pairs(pair).build())
        .send()
        .await
        .unwrap();
    // The volumes of claims, one of them with nothing but the old tag, and an interface that a plugin forgot.
    for tags in [
        owned(ResourceType::Volume, ownership(), "owned"),
        owned(ResourceType::Volume, "KubernetesCluster".to_owned(), CLUSTER),
    ] {
        let volume = services.create_volume().availability_zone(format!("{REGION}a")).size(1);
        volume.volume_type(VolumeType::Gp3).tag_specifications(tags).send().await.unwrap();
    }
    services
        .create_network_interface()
        .subnet_id(handle(kind::SUBNET, &format!("{REGION}a.{CLUSTER}")))
        .groups(&group)
        .tag_specifications(owned(ResourceType::NetworkInterface, ownership(), "owned"))
        .send()
        .await
        .unwrap();

    let inventory = cloud.observe(&scope(), Reach::Everything).await.unwrap();
    let left = |kind: Kind| {
        let of_kind = inventory
            .iter()
            .filter(|(id, o)| id.kind == kind && o.resource.ownership() == Ownership::Dependent);
        of_kind.count()
    };
    assert_eq!(left(kind::EBS_VOLUME), 2);
    assert_eq!(left(kind::NETWORK_INTERFACE), 1);
    assert_eq!(left(kind::SECURITY_GROUP), 1);
    let update = plan(&scope(), Purpose::Update, &desired, &inventory).unwrap();
    assert!(update.is_empty(), "an update leaves them alone:\n{}", update.display());

    // Who tries to delete the group too early learns by name what keeps it.
    let (_, stray) = inventory.iter().find(|(id, _)| id.name == group).unwrap();
    let refused = cloud.delete(&scope(), stray, &Default::default()).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict);
    let words = refused.to_string();
    assert!(words.contains("eni-") && words.contains(&format!("nodes.{CLUSTER}")), "{words}");

    run(&cloud, &[], Purpose::Delete).await.into_result().expect("everything goes");
    assert_empty(&cloud).await;
    let volumes = services.describe_volumes().send().await.unwrap().volumes.unwrap_or_default();
    assert_eq!(volumes.len(), 0, "{volumes:?}");
    let tagged = Filter::builder().name("tag-key").values(ownership()).build();
    let tagged = services.describe_vpcs().filters(tagged).send().await.unwrap();
    assert_eq!(tagged.vpcs().len(), 0);
    testbed.assert_no_gaps();
}

/// What AWS would make twice is made once, whichever call loses its answer.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_leave_one_of_each() {
    let Some(testbed) = required_or_skip("lost_answers_leave_one_of_each", Options::default()) else {
        return;
    };
    let (cloud, desired) = (connect(&testbed).await, network(""));
    for action in [
        "CreateVpc",
        "ModifyVpcAttribute",
        "CreateDhcpOptions",
        "AssociateDhcpOptions",
        "CreateInternetGateway",
        "AttachInternetGateway",
        "CreateSubnet",
        "CreateRouteTable",
        "CreateRoute",
        "AssociateRouteTable",
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "ImportKeyPair",
        "CreateVolume",
    ] {
        testbed.inject(Rule::on("ec2", action, Fault::LoseResponse));
        bring_about(&cloud, &desired).await;
        let struck = testbed.calls().iter().any(|call| call.injected == Some(Fault::LoseResponse));
        assert!(struck, "{action} is never called");
        testbed.clear_faults();
        let inventory = cloud.observe(&scope(), Reach::Everything).await.unwrap();
        assert!(inventory.duplicates().is_empty(), "{action}: {:?}", inventory.duplicates());
        let again = plan(&scope(), Purpose::Update, &desired, &inventory).unwrap();
        assert!(again.is_empty(), "{action}:\n{}", again.display());
        testbed.reset().unwrap();
    }
}

/// What cannot be read is neither made nor deleted, nor is what refers to it.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_left_alone() {
    let Some(testbed) = required_or_skip("what_cannot_be_read", Options::default()) else { return };
    let cloud = connect(&testbed).await;
    let desired = network("");
    bring_about(&cloud, &desired).await;
    for action in ["DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups", "DescribeInternetGateways"] {
        testbed.inject(Rule::on("ec2", action, Fault::fail("UnauthorizedOperation")).always());
        let inventory = cloud.observe(&scope(), Reach::Managed).await.unwrap();
        testbed.clear_faults();
        let gap = inventory.gaps().first().expect("there is a gap");
        assert_eq!(gap.class, ErrorClass::Denied);
        assert!(gap.reason.contains(&format!("ec2:{action}")), "{}", gap.reason);
        let plan = plan(&scope(), Purpose::Update, &desired, &inventory).unwrap();
        assert_eq!(plan.steps().len(), 0, "{action}:\n{}", plan.display());
    }
    testbed.inject(Rule::any(Fault::fail("UnauthorizedOperation")).always());
    let error =
        cloud.observe(&Scope { cluster: "other".into(), ..scope() }, Reach::Managed).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
}

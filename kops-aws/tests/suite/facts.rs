//! What is looked up before the plan, on an emulated AWS over HTTP: zones, machine types, images, networks of others.

#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::Credentials;
use kops_aws::api::{AwsCloud, AwsOptions, aws_config};
use kops_aws::check::check;
use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::recommendations;
use kops_aws::resource::{AwsResource, kind};
use kops_core::apply::{ApplyOptions, Report, apply};
use kops_core::clock::SystemClock;
use kops_core::cloud::{Cloud, Reach, Scope};
use kops_core::create::{self, Options as CreateOptions};
use kops_core::error::{ErrorClass, Retry};
use kops_core::manifest::{CompletedCluster, GroupIam, complete};
use kops_core::observer::Quiet;
use kops_core::plan::{Purpose, plan};
use kops_core::resource::Resource;
use kops_testbed::{Image, Options, Testbed, required_or_skip};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "demo.k8s.local";

fn cluster(zones: &[&str], change: impl FnOnce(&mut CreateOptions)) -> CompletedCluster {
    let mut options = CreateOptions {
        cloud_provider: "aws".to_owned(),
        image: Some(format!("{}/{}", Image::stock()[0].owner, Image::stock()[0].name)),
        name: CLUSTER.to_owned(),
        recommendations: recommendations(),
        state_store: "s3://state".to_owned(),
        zones: zones.iter().map(|zone| (*zone).to_owned()).collect(),
        ..CreateOptions::default()
    };
    change(&mut options);
    let created = create::manifests(&options).unwrap();
    complete(&created.cluster, &created.groups, &options.recommendations)
}

async fn config(testbed: &Testbed, region: &str) -> aws_config::SdkConfig {
    let options =
        AwsOptions { region: Some(region.to_owned()), endpoint: Some(testbed.endpoint().to_owned()) };
    let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
    let config = aws_config(&options).await.into_builder();
    config.credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

async fn connect(testbed: &Testbed, region: &str) -> AwsCloud {
    AwsCloud::new(&config(testbed, region).await)
}

/// A client that is not the code under test.
async fn somebody_else(testbed: &Testbed, region: &'static str) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_ec2::config::Region::new(region))
        .endpoint_url(testbed.endpoint())
        .credentials_provider(Credentials::new("AKIAOTHER", "secret", None, None, "test"))
        .build();
    aws_sdk_ec2::Client::from_conf(config)
}

async fn facts(cloud: &AwsCloud, completed: &CompletedCluster) -> Facts {
    let state = StateLocation::Unreachable("nowhere".to_owned());
    cloud.facts(completed, state, None).await.unwrap()
}

async fn told(cloud: &AwsCloud, completed: &CompletedCluster) -> String {
    let violations = check(completed, &facts(cloud, completed).await);
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn actions(testbed: &Testbed) -> Vec<String> {
    let mut actions: Vec<String> = testbed.calls().into_iter().map(|call| call.action).collect();
    actions.sort();
    actions
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_and_machine_types_are_looked_up_once() {
    let Some(testbed) = required_or_skip("zones_and_machine_types", Options::default()) else { return };
    let cloud = connect(&testbed, "us-east-1").await;
    let fine = cluster(&["us-east-1a", "us-east-1b"], |_| {});
    testbed.clear_calls();
    assert_eq!(told(&cloud, &fine).await, "");
    assert_eq!(
        actions(&testbed),
        ["DescribeImages", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes"]
    );
    testbed.clear_calls();
    assert_eq!(told(&cloud, &fine).await, "");
    assert_eq!(actions(&testbed), ["DescribeImages"]);

    let faults = [
        told(&cloud, &cluster(&["us-east-1z"], |_| {})).await,
        told(&cloud, &cluster(&["us-east-1a"], |o| o.node_size = Some("t2.micre".to_owned()))).await,
        told(&cloud, &cluster(&["us-east-1a", "us-east-1e"], |_| {})).await,
        told(&connect(&testbed, "us-est-1").await, &cluster(&["us-est-1a"], |_| {})).await,
    ];
    insta::assert_snapshot!(faults.join("\n"), @r"
    cluster.spec.subnets[0].zone: there is no zone `us-east-1z` that the account can use in us-east-1 (the zones are us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1e, us-east-1f)
    instanceGroup[nodes].spec.machineType: there is no machine type `t2.micre` in us-east-1 (did you mean t2.micro?)
    instanceGroup[nodes].spec.machineType: us-east-1e does not have the machine type `t3.medium`; these have it: us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f (choose another machine type, or give the group subnets in other zones)
    cluster.spec.subnets[0].zone: there is no region `us-est-1` (did you mean us-east-1?)
    ");
    testbed.assert_no_gaps();
}

#[tokio::test(flavor = "multi_thread")]
async fn images_follow_the_architecture_and_may_be_deprecated() {
    let Some(testbed) = required_or_skip("images_follow_the_architecture", Options::default()) else {
        return;
    };
    let cloud = connect(&testbed, "eu-west-1").await;
    let images = Image::stock();
    let [amd64, arm64] = ["x86_64", "arm64"].map(|wanted| {
        images.iter().find(|image| image.architecture == wanted && image.name.contains("20260714")).unwrap()
    });
    let on_arm = cluster(&["eu-west-1a"], |options| options.node_size = Some("t4g.medium".to_owned()));
    let found = facts(&cloud, &on_arm).await;
    assert_eq!(check(&on_arm, &found), []);
    let of_group = |name: &str| found.image(on_arm.group(name).unwrap()).unwrap().id.clone();
    assert_eq!(of_group("nodes"), arm64.id);
    assert_eq!(of_group("master-eu-west-1a"), amd64.id);

    let by_id = cluster(&["eu-west-1a"], |options| {
        (options.node_size, options.image) = (Some("t4g.medium".to_owned()), Some(amd64.id.clone()));
    });
    insta::assert_snapshot!(told(&cloud, &by_id).await, @"instanceGroup[nodes].spec.image: the image is for x86_64, and t4g.medium is arm64 (choose an image for the machine type, or another machine type)");

    let old = images.iter().find(|image| image.deprecated).unwrap();
    for name in [old.id.clone(), format!("ubuntu/{}", old.name)] {
        let completed = cluster(&["eu-west-1a"], |options| options.image = Some(name));
        let found = facts(&cloud, &completed).await;
        assert_eq!(found.image(&completed.groups[0]).unwrap().id, old.id);
    }
}

fn scope() -> Scope {
    Scope { cluster: CLUSTER.to_owned(), incarnation: "1".to_owned(), zone: None }
}

async fn update(cloud: &AwsCloud, desired: &[AwsResource]) -> Report {
    let inventory = cloud.observe(&scope(), Reach::Managed).await.unwrap();
    let plan = plan(&scope(), Purpose::Update, desired, &inventory).unwrap();
    apply(cloud, &plan, &ApplyOptions::default(), &SystemClock, &Quiet, &CancellationToken::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clusters_range_is_seen_before_and_final_if_it_is_not() {
    let Some(testbed) = required_or_skip("another_clusters_range", Options::default()) else { return };
    let (cloud, others) = (connect(&testbed, "eu-west-1").await, somebody_else(&testbed, "eu-west-1").await);
    let vpc = others.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap().vpc.unwrap();
    let vpc = vpc.vpc_id.unwrap();
    let gateway = others.create_internet_gateway().send().await.unwrap().internet_gateway.unwrap();
    let attach = others.attach_internet_gateway().vpc_id(&vpc);
    attach.set_internet_gateway_id(gateway.internet_gateway_id).send().await.unwrap();
    let completed = cluster(&["eu-west-1a"], |options| {
        options.network_id = Some(vpc.clone());
        options.network_cidr = Some("10.0.0.0/16".parse().unwrap());
    });
    let free = facts(&cloud, &completed).await;
    assert_eq!(check(&completed, &free), []);
    let subnet = others.create_subnet().vpc_id(&vpc).cidr_block("10.0.32.0/20");
    let subnet = subnet.send().await.unwrap().subnet.unwrap().subnet_id.unwrap();
    let seen = told(&cloud, &completed).await.replace(&vpc, "VPC").replace(&subnet, "SUBNET");
    insta::assert_snapshot!(seen, @"cluster.spec.subnets[0].cidr: 10.0.0.0/16 overlaps the existing subnet SUBNET (10.0.32.0/20) of VPC (choose a range that is free, or name the existing subnet by its id)");

    // It came between the plan and its apply.
    let kinds = [kind::VPC, kind::SUBNET];
    let mut desired = model(&completed, &free).unwrap();
    desired.retain(|resource| kinds.contains(&resource.id().kind));
    let begun = std::time::Instant::now();
    let report = update(&cloud, &desired).await;
    let error = &report.failed.first().expect("the range is taken").error;
    assert_eq!((error.class, error.retry), (ErrorClass::Conflict, Retry::Never));
    assert!(error.to_string().contains("InvalidSubnet.Conflict"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "nothing ends such a conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_encrypts_by_default_is_no_difference() {
    let Some(testbed) = required_or_skip("an_account_that_encrypts", Options::default()) else { return };
    let (cloud, owner) = (connect(&testbed, "eu-west-1").await, somebody_else(&testbed, "eu-west-1").await);
    owner.enable_ebs_encryption_by_default().send().await.unwrap();
    let mut completed = cluster(&["eu-west-1a"], |_| {});
    for etcd in &mut completed.cluster.spec.etcd_clusters {
        etcd.etcd_members.iter_mut().for_each(|member| member.encrypted_volume = Some(false));
    }
    let mut desired = model(&completed, &facts(&cloud, &completed).await).unwrap();
    desired.retain(|resource| resource.id().kind == kind::EBS_VOLUME);
    update(&cloud, &desired).await.into_result().unwrap();
    let inventory = cloud.observe(&scope(), Reach::Managed).await.unwrap();
    let encrypted = inventory.iter().all(|(_, observed)| match &observed.resource {
        AwsResource::EbsVolume(volume) => volume.encrypted,
        _ => false,
    });
    assert!(encrypted && inventory.iter().count() == 2);
    let again = plan(&scope(), Purpose::Update, &desired, &inventory).unwrap();
    assert!(again.is_empty(), "{}", again.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn key_pairs_and_security_groups_that_are_named_have_to_be_there() {
    let Some(testbed) = required_or_skip("key_pairs_and_security_groups", Options::default()) else { return };
    let (cloud, others) = (connect(&testbed, "eu-west-1").await, somebody_else(&testbed, "eu-west-1").await);
    let vpc = others.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap().vpc.unwrap();
    let vpc = vpc.vpc_id.unwrap();
    let group = others.create_security_group().group_name("more").description("more").vpc_id(&vpc);
    let group = group.send().await.unwrap().group_id.unwrap();
    others.create_key_pair().key_name("there").send().await.unwrap();
    let named = |key: &str, groups: &[&str]| {
        let mut completed = cluster(&["eu-west-1a"], |_| {});
        completed.cluster.spec.ssh_key_name = Some(key.to_owned());
        completed.groups[0].spec.additional_security_groups =
            groups.iter().map(|group| (*group).to_owned()).collect();
        completed
    };
    assert_eq!(told(&cloud, &named("there", &[&group])).await, "");
    let iam = aws_sdk_iam::Client::new(&config(&testbed, "eu-west-1").await);
    iam.create_instance_profile().instance_profile_name("without-role").send().await.unwrap();
    let with_profile = |name: &str| {
        let mut completed = cluster(&["eu-west-1a"], |_| {});
        let arn = format!("arn:aws:iam::123456789012:instance-profile/{name}");
        completed.groups[0].spec.iam = Some(GroupIam { profile: Some(arn) });
        completed
    };
    for name in ["gone", "without-role"] {
        let expected = format!(
            "instanceGroup[master-eu-west-1a].spec.iam.profile: there is no instance profile `{name}` that holds a role \
             (give it a role with the permissions of the group's machines, or remove the field)"
        );
        assert_eq!(told(&cloud, &with_profile(name)).await, expected);
    }
    let role = iam
        .create_role()
        .role_name("given")
        .assume_role_policy_document(r#"{"Version": "2012-10-17", "Statement": []}"#);
    role.send().await.unwrap();
    let hold = iam.add_role_to_instance_profile().instance_profile_name("without-role").role_name("given");
    hold.send().await.unwrap();
    assert_eq!(told(&cloud, &with_profile("without-role")).await, "");
    let found = told(&cloud, &named("gone", &[&group, "sg-0123456789abcdef0"])).await;
    insta::assert_snapshot!(found, @r"
    cluster.spec.sshKeyName: there is no key pair `gone` in eu-west-1 (import it, or leave out the field to have one made of the cluster's SSH public key)
    instanceGroup[master-eu-west-1a].spec.additionalSecurityGroups[1]: there is no security group sg-0123456789abcdef0 in eu-west-1
    ");
}

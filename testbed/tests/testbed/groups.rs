//! Scaling groups.

use crate::client::{Client, Reply};
use crate::shared::{self, IMAGE, security_group, vpc_and_subnet};

async fn template(client: &Client, group: &str, profile: &str) -> String {
    client.call("iam", "CreateInstanceProfile", &[("InstanceProfileName", profile)]).await.ok();
    let params = [
        ("LaunchTemplateName", "nodes"),
        ("LaunchTemplateData.ImageId", IMAGE),
        ("LaunchTemplateData.InstanceType", "t3.medium"),
        ("LaunchTemplateData.IamInstanceProfile.Name", profile),
        ("LaunchTemplateData.NetworkInterface.1.DeviceIndex", "0"),
        ("LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ("LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1", group),
    ];
    client.call("ec2", "CreateLaunchTemplate", &params).await.id("launchTemplateId")
}

async fn create(client: &Client, template: &str, subnets: &str, more: &[(&str, &str)]) -> Reply {
    let params = [
        ("AutoScalingGroupName", "nodes.demo"),
        ("LaunchTemplate.LaunchTemplateId", template),
        ("LaunchTemplate.Version", "$Latest"),
        ("VPCZoneIdentifier", subnets),
    ];
    client.call("autoscaling", "CreateAutoScalingGroup", &[&params, more].concat()).await
}

const NAME: (&str, &str) = ("AutoScalingGroupName", "nodes.demo");

#[tokio::test]
async fn a_group_has_bounds_and_one_name() {
    let Some(client) = shared::client("us-west-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "us-west-1a").await;
    let group = security_group(&client, &vpc, "nodes").await;
    let template = template(&client, &group, "nodes.bounds").await;
    let sizes = |min, max, desired| [("MinSize", min), ("MaxSize", max), ("DesiredCapacity", desired)];
    let refused = create(&client, &template, &subnet, &sizes("1", "4", "9")).await;
    assert_eq!(refused.code(), Some("ValidationError"));
    create(&client, &template, &subnet, &sizes("1", "4", "2")).await.ok();
    let again = create(&client, &template, &subnet, &sizes("1", "4", "2")).await;
    assert_eq!(again.code(), Some("AlreadyExists"));
    let desired = async |count| {
        client.call("autoscaling", "SetDesiredCapacity", &[NAME, ("DesiredCapacity", count)]).await
    };
    assert_eq!(desired("5").await.code(), Some("ValidationError"));
    assert_eq!(desired("0").await.code(), Some("ValidationError"));
    desired("3").await.ok();
    let update = client.call("autoscaling", "UpdateAutoScalingGroup", &[NAME, ("MinSize", "5")]).await;
    assert_eq!(update.code(), Some("ValidationError"));

    let delete = client.call("autoscaling", "DeleteAutoScalingGroup", &[NAME]).await;
    assert_eq!(delete.code(), Some("ResourceInUse"));
    client.call("autoscaling", "UpdateAutoScalingGroup", &[NAME, ("MinSize", "0")]).await.ok();
    desired("0").await.ok();
    client.call("autoscaling", "DeleteAutoScalingGroup", &[NAME]).await.ok();
}

#[tokio::test]
async fn members_are_as_their_template_says_and_spread_over_the_zones() {
    let Some(client) = shared::client("us-west-2") else { return };
    let (vpc, a) = vpc_and_subnet(&client, "us-west-2a").await;
    let params = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.2.0/24"), ("AvailabilityZone", "us-west-2b")];
    let b = client.call("ec2", "CreateSubnet", &params).await.id("subnetId");
    let group = security_group(&client, &vpc, "nodes").await;
    let template = template(&client, &group, "nodes.west").await;
    let sizes = [("MinSize", "4"), ("MaxSize", "4")];
    create(&client, &template, &format!("{a},{b}"), &sizes).await.ok();
    let reply = client.call("ec2", "DescribeInstances", &[]).await.ok();
    let in_subnet = |subnet: &str| reply.body.matches(&format!("<subnetId>{subnet}</subnetId>")).count();
    assert!(in_subnet(&a) > 0 && in_subnet(&a) == in_subnet(&b), "{} and {}", in_subnet(&a), in_subnet(&b));
    assert_eq!(reply.body.matches("instance-profile/nodes.west</arn>").count(), 4, "{}", reply.body);
    let refused = client.call("ec2", "DeleteSecurityGroup", &[("GroupId", &group)]).await;
    assert_eq!(refused.code(), Some("DependencyViolation"), "the members use it");

    let instances = reply.texts("instanceId");
    let protect = [NAME, ("InstanceIds.member.1", instances[0]), ("ProtectedFromScaleIn", "true")];
    client.call("autoscaling", "SetInstanceProtection", &protect).await.ok();
    client.call("autoscaling", "DeleteAutoScalingGroup", &[NAME, ("ForceDelete", "true")]).await.ok();
    let running = [("Filter.1.Name", "instance-state-name"), ("Filter.1.Value.1", "running")];
    let reply = client.call("ec2", "DescribeInstances", &running).await.ok();
    assert_eq!(reply.texts("instanceId"), Vec::<&str>::new());
}

#[tokio::test]
async fn metrics_that_were_enabled_are_shown() {
    let Some(client) = shared::client("us-gov-west-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "us-gov-west-1a").await;
    let group = security_group(&client, &vpc, "nodes").await;
    let template = template(&client, &group, "nodes.metrics").await;
    create(&client, &template, &subnet, &[("MinSize", "0"), ("MaxSize", "1")]).await.ok();
    let metrics = [
        NAME,
        ("Granularity", "1Minute"),
        ("Metrics.member.1", "GroupMinSize"),
        ("Metrics.member.2", "GroupMaxSize"),
    ];
    client.call("autoscaling", "EnableMetricsCollection", &metrics).await.ok();
    let reply = client.call("autoscaling", "DescribeAutoScalingGroups", &[]).await.ok();
    assert_eq!(reply.texts("Metric"), ["GroupMinSize", "GroupMaxSize"], "{}", reply.body);
}

#[tokio::test]
async fn a_template_must_name_a_profile_that_is_there() {
    let Some(client) = shared::client("ap-northeast-2") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "ap-northeast-2a").await;
    let group = security_group(&client, &vpc, "nodes").await;
    let template = template(&client, &group, "nodes.gone").await;
    client.call("iam", "DeleteInstanceProfile", &[("InstanceProfileName", "nodes.gone")]).await.ok();
    let reply = create(&client, &template, &subnet, &[("MinSize", "0"), ("MaxSize", "1")]).await;
    assert_eq!(reply.code(), Some("ValidationError"));
    assert!(reply.body.contains("Invalid IAM Instance Profile name"), "{}", reply.body);
}

//! The same request twice is carried out once.

use crate::shared::{self, IMAGE, vpc_and_subnet};

#[tokio::test]
async fn a_client_token_is_good_for_one_resource() {
    let Some(client) = shared::client("ca-central-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "ca-central-1a").await;
    let volume = [("AvailabilityZone", "ca-central-1a"), ("Size", "20")];
    let table = [("VpcId", vpc.as_str())];
    let template = [("LaunchTemplateName", "nodes"), ("LaunchTemplateData.InstanceType", "t3.medium")];
    let instance = [
        ("ImageId", IMAGE),
        ("InstanceType", "t3.medium"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet.as_str()),
    ];
    let cases = [
        ("CreateVolume", volume.as_slice(), "volumeId"),
        ("CreateRouteTable", &table, "routeTableId"),
        ("CreateLaunchTemplate", &template, "launchTemplateId"),
        ("CreateLaunchTemplateVersion", &template, "versionNumber"),
        ("RunInstances", &instance, "instanceId"),
    ];
    for (action, params, element) in cases {
        let with = |token| [params, &[("ClientToken", token)]].concat();
        let first = client.call("ec2", action, &with("one")).await.id(element);
        let again = client.call("ec2", action, &with("one")).await.id(element);
        assert_eq!(first, again, "{action}");
        let mut other = with("one");
        other.push(("TagSpecification.1.Tag.1.Key", "other"));
        let kind = match action {
            "CreateVolume" => "volume",
            "CreateRouteTable" => "route-table",
            "RunInstances" => "instance",
            _ => "launch-template",
        };
        other.push(("TagSpecification.1.ResourceType", kind));
        let mismatch = client.call("ec2", action, &other).await;
        assert_eq!(mismatch.code(), Some("IdempotentParameterMismatch"), "{action}");
        if action != "CreateLaunchTemplate" {
            let second = client.call("ec2", action, &with("two")).await.id(element);
            assert_ne!(first, second, "{action}");
        }
    }
}

#[tokio::test]
async fn many_at_once_with_one_token_make_one() {
    let Some(client) = shared::client("ca-west-1") else { return };
    let volume = [("AvailabilityZone", "ca-west-1a"), ("Size", "20"), ("ClientToken", "same")];
    let call = || async { client.call("ec2", "CreateVolume", &volume).await.id("volumeId") };
    let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
    assert!([&b, &c, &d].iter().all(|id| **id == a));
}

#[tokio::test]
async fn a_load_balancer_of_a_name_is_one() {
    let Some(client) = shared::client("sa-east-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "sa-east-1a").await;
    let balancer = [("Name", "api"), ("Type", "network"), ("Subnets.member.1", subnet.as_str())];
    let first = client.call("elbv2", "CreateLoadBalancer", &balancer).await.id("LoadBalancerArn");
    let again = client.call("elbv2", "CreateLoadBalancer", &balancer).await.id("LoadBalancerArn");
    assert_eq!(first, again);
    assert!(first.contains("loadbalancer/net/api/"), "{first}");
    let described = client.call("elbv2", "DescribeLoadBalancers", &[]).await.ok();
    assert_eq!(described.text("Scheme"), Some("internet-facing"));
    let other = [balancer.as_slice(), &[("Scheme", "internal")]].concat();
    let reply = client.call("elbv2", "CreateLoadBalancer", &other).await;
    assert_eq!(reply.code(), Some("DuplicateLoadBalancerName"));
    let targets = [("Name", "tcp"), ("Protocol", "TCP"), ("Port", "443"), ("VpcId", vpc.as_str())];
    let first = client.call("elbv2", "CreateTargetGroup", &targets).await.id("TargetGroupArn");
    let again = client.call("elbv2", "CreateTargetGroup", &targets).await.id("TargetGroupArn");
    assert_eq!(first, again);
    let other = [("Name", "tcp"), ("Protocol", "TCP"), ("Port", "80"), ("VpcId", vpc.as_str())];
    assert_eq!(
        client.call("elbv2", "CreateTargetGroup", &other).await.code(),
        Some("DuplicateTargetGroupName")
    );
}

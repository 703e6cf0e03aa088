//! What was just made may not be seen yet.

use kops_testbed::{Fault, Lag, Options, Rule, required_or_skip};

use crate::client::Client;

#[tokio::test]
async fn a_new_resource_is_seen_after_some_calls() {
    let Some(testbed) = required_or_skip("a_new_resource_is_seen_after_some_calls", Options::default())
    else {
        return;
    };
    let client = Client::new(&testbed, "ap-northeast-1");
    testbed.inject(Rule::on("ec2", "CreateVpc", Fault::DelayVisibility(Lag::Calls(3))));
    let vpc = client.call("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await.id("vpcId");
    let list = async || {
        let reply = client.call("ec2", "DescribeVpcs", &[]).await.ok();
        reply.texts("vpcId").contains(&vpc.as_str())
    };
    let named = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.1.0/24")];
    assert!(!list().await);
    assert_eq!(client.call("ec2", "CreateSubnet", &named).await.code(), Some("InvalidVpcID.NotFound"));
    let by_id = client.call("ec2", "DescribeVpcs", &[("VpcId.1", &vpc)]).await;
    assert_eq!(by_id.code(), Some("InvalidVpcID.NotFound"));
    assert!(list().await, "the fourth call sees it");
    client.call("ec2", "CreateSubnet", &named).await.ok();
}

#[tokio::test]
async fn a_name_is_hidden_only_where_it_names_the_resource() {
    let test = "a_name_is_hidden_only_where_it_names_the_resource";
    let Some(testbed) = required_or_skip(test, Options::default()) else { return };
    let client = Client::new(&testbed, "ap-northeast-1");
    testbed.inject(Rule::mutations(Fault::DelayVisibility(Lag::Calls(4))));
    let role = [("RoleName", "nodes"), ("AssumeRolePolicyDocument", "{}")];
    client.call("iam", "CreateRole", &role).await.ok();
    client.call("iam", "CreateInstanceProfile", &[("InstanceProfileName", "nodes")]).await.ok();
    let both = [("InstanceProfileName", "nodes"), ("RoleName", "nodes")];
    let reply = client.call("iam", "AddRoleToInstanceProfile", &both).await;
    assert_eq!((reply.status, reply.code()), (404, Some("NoSuchEntity")));
    assert_eq!(client.call("iam", "CreateRole", &role).await.code(), Some("EntityAlreadyExists"));
    assert_eq!(client.call("iam", "ListRoles", &[]).await.ok().texts("RoleName"), Vec::<&str>::new());
    client.call("iam", "AddRoleToInstanceProfile", &both).await.ok();
}

/// Whoever made it, the service that is called says in its own words that it does not see it; and a template's content is
/// looked up by those who launch from it.
#[tokio::test]
async fn each_service_says_in_its_own_words_that_it_does_not_see_something() {
    let test = "each_service_says_in_its_own_words_that_it_does_not_see_something";
    let Some(testbed) = required_or_skip(test, Options::default()) else { return };
    let client = Client::new(&testbed, "ap-northeast-1");
    let vpc = client.call("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await.id("vpcId");
    let gateway = client.call("ec2", "CreateInternetGateway", &[]).await.id("internetGatewayId");
    let lag = Fault::DelayVisibility(Lag::Time(std::time::Duration::from_secs(100)));
    testbed.inject(Rule::mutations(lag).always());
    let attach = [("InternetGatewayId", gateway.as_str()), ("VpcId", vpc.as_str())];
    client.call("ec2", "AttachInternetGateway", &attach).await.ok();
    let zone = [("VpcId", vpc.as_str()), ("AvailabilityZone", "ap-northeast-1a")];
    let subnet = [&zone[..], &[("CidrBlock", "10.0.0.0/24")]].concat();
    let subnet = client.call("ec2", "CreateSubnet", &subnet).await.id("subnetId");
    client.call("iam", "CreateInstanceProfile", &[("InstanceProfileName", "nodes")]).await.ok();
    let template = [
        ("LaunchTemplateName", "nodes"),
        ("LaunchTemplateData.IamInstanceProfile.Name", "nodes"),
        ("LaunchTemplateData.InstanceType", "t3.medium"),
    ];
    let template = client.call("ec2", "CreateLaunchTemplate", &template).await.id("launchTemplateId");

    let balancer = [
        ("LoadBalancerName", "api"),
        ("Subnets.member.1", subnet.as_str()),
        ("Listeners.member.1.Protocol", "TCP"),
        ("Listeners.member.1.LoadBalancerPort", "443"),
        ("Listeners.member.1.InstancePort", "443"),
    ];
    let group = [
        ("AutoScalingGroupName", "nodes"),
        ("LaunchTemplate.LaunchTemplateId", template.as_str()),
        ("MinSize", "1"),
        ("MaxSize", "1"),
        ("VPCZoneIdentifier", subnet.as_str()),
    ];
    let refused = client.call("elb", "CreateLoadBalancer", &balancer).await;
    assert!(matches!(refused.code(), Some("SubnetNotFound" | "InvalidSubnet")), "{:?}", refused.code());
    assert_eq!(
        client.call("autoscaling", "CreateAutoScalingGroup", &group).await.code(),
        Some("ValidationError")
    );
    testbed.advance(std::time::Duration::from_secs(200));
    client.call("elb", "CreateLoadBalancer", &balancer).await.ok();
    let with_balancer = [&group[..], &[("LoadBalancerNames.member.1", "api")]].concat();
    let refused = client.call("autoscaling", "CreateAutoScalingGroup", &with_balancer).await;
    assert_eq!(refused.code(), Some("ValidationError"));
}

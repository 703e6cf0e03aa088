//! How many, how long, and of which characters.

use crate::shared::{self, security_group, vpc_and_subnet};

#[tokio::test]
async fn a_filter_takes_two_hundred_values() {
    let Some(client) = shared::client("ca-central-1") else { return };
    for (count, expected) in [(200, None), (201, Some("FilterLimitExceeded"))] {
        let names: Vec<String> = (1..=count).map(|number| format!("Filter.1.Value.{number}")).collect();
        let mut params = vec![("Filter.1.Name", "instance-id")];
        params.extend(names.iter().map(|name| (name.as_str(), "i-0123456789abcdef0")));
        assert_eq!(client.call("ec2", "DescribeInstances", &params).await.code(), expected);
    }
}

#[tokio::test]
async fn a_resource_has_fifty_tags() {
    let Some(client) = shared::client("ca-west-1") else { return };
    let vpc = client.call("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await.id("vpcId");
    let tag = async |from: usize, to: usize| {
        let names: Vec<[String; 2]> =
            (from..to).map(|n| ["Key", "Value"].map(|part| format!("Tag.{}.{part}", n - from + 1))).collect();
        let values: Vec<String> = (from..to).map(|number| format!("t{number}")).collect();
        let mut params = vec![("ResourceId.1", vpc.as_str())];
        for ([key, value], text) in names.iter().zip(&values) {
            params.extend([(key.as_str(), text.as_str()), (value.as_str(), "x")]);
        }
        client.call("ec2", "CreateTags", &params).await.code().map(str::to_owned)
    };
    assert_eq!(tag(0, 51).await.as_deref(), Some("TagLimitExceeded"));
    assert_eq!(tag(0, 30).await, None);
    assert_eq!(tag(30, 51).await.as_deref(), Some("TagLimitExceeded"));
    assert_eq!(tag(20, 50).await, None);
}

#[tokio::test]
async fn iam_and_load_balancers_take_fewer_characters_in_tags() {
    let Some(client) = shared::client("ap-south-1") else { return };
    let document = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let role = |tags: &[(&'static str, &'static str)]| {
        let fixed = [("RoleName", "r"), ("AssumeRolePolicyDocument", document)];
        fixed.into_iter().chain(tags.iter().copied()).collect::<Vec<_>>()
    };
    let odd = role(&[("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "50% off")]);
    assert_eq!(client.call("iam", "CreateRole", &odd).await.code(), Some("ValidationError"));
    let twice = role(&[
        ("Tags.member.1.Key", "Owner"),
        ("Tags.member.1.Value", "a"),
        ("Tags.member.2.Key", "owner"),
        ("Tags.member.2.Value", "b"),
    ]);
    assert_eq!(client.call("iam", "CreateRole", &twice).await.code(), Some("InvalidInput"));
    let volume = [
        ("AvailabilityZone", "ap-south-1a"),
        ("Size", "20"),
        ("TagSpecification.1.ResourceType", "volume"),
        ("TagSpecification.1.Tag.1.Key", "a"),
        ("TagSpecification.1.Tag.1.Value", "50% off"),
    ];
    client.call("ec2", "CreateVolume", &volume).await.ok();
}

#[tokio::test]
async fn names_have_lengths_and_characters() {
    let Some(client) = shared::client("ap-east-1") else { return };
    let long = "x".repeat(65);
    let role = [("RoleName", long.as_str()), ("AssumeRolePolicyDocument", "{}")];
    assert_eq!(client.call("iam", "CreateRole", &role).await.code(), Some("ValidationError"));
    let balancer = [("Name", &long[..33]), ("Type", "network")];
    assert_eq!(client.call("elbv2", "CreateLoadBalancer", &balancer).await.code(), Some("ValidationError"));
    let template = [("LaunchTemplateName", "a b"), ("LaunchTemplateData.InstanceType", "t3.medium")];
    let reply = client.call("ec2", "CreateLaunchTemplate", &template).await;
    assert_eq!(reply.code(), Some("InvalidLaunchTemplateName.MalformedException"));
}

#[tokio::test]
async fn a_security_group_has_sixty_rules_a_direction_and_family() {
    let Some(client) = shared::client("sa-east-1") else { return };
    let (vpc, _) = vpc_and_subnet(&client, "sa-east-1a").await;
    let group = security_group(&client, &vpc, "g").await;
    let allow = async |family: &str, field: &str, ranges: Vec<String>| {
        let names: Vec<String> =
            (1..=ranges.len()).map(|n| format!("IpPermissions.1.{family}.{n}.{field}")).collect();
        let mut params = vec![
            ("GroupId", group.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "443"),
            ("IpPermissions.1.ToPort", "443"),
        ];
        params.extend(names.iter().zip(&ranges).map(|(name, range)| (name.as_str(), range.as_str())));
        client.call("ec2", "AuthorizeSecurityGroupIngress", &params).await.code().map(str::to_owned)
    };
    let ipv4 = |from: usize, to: usize| (from..to).map(|n| format!("10.0.{n}.0/24")).collect::<Vec<_>>();
    assert_eq!(allow("IpRanges", "CidrIp", ipv4(0, 60)).await, None);
    assert_eq!(allow("Ipv6Ranges", "CidrIpv6", vec!["::/0".to_owned()]).await, None);
    let more = allow("IpRanges", "CidrIp", ipv4(60, 61)).await;
    assert_eq!(more.as_deref(), Some("RulesPerSecurityGroupLimitExceeded"));
}

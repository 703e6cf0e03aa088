//! Tags and security group rules.

use crate::shared::{self, security_group, vpc_and_subnet};

#[tokio::test]
async fn tags_that_aws_refuses() {
    let Some(client) = shared::client("ap-south-1") else { return };
    let create = |kind: &'static str, key: &'static str| {
        let params = [
            ("CidrBlock", "10.0.0.0/16"),
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", key),
            ("TagSpecification.1.Tag.1.Value", "v"),
        ];
        let client = &client;
        async move { client.call("ec2", "CreateVpc", &params).await }
    };
    assert_eq!(create("subnet", "Name").await.code(), Some("InvalidParameterValue"));
    assert_eq!(create("vpc", "aws:name").await.code(), Some("InvalidParameterValue"));
    let vpc = create("vpc", "Name").await.id("vpcId");
    let tag = [("ResourceId.1", vpc.as_str()), ("Tag.1.Key", "aws:x"), ("Tag.1.Value", "v")];
    assert_eq!(client.call("ec2", "CreateTags", &tag).await.code(), Some("InvalidParameterValue"));
    let twice = [("ResourceId.1", vpc.as_str()), ("Tag.1.Key", "a"), ("Tag.2.Key", "a")];
    assert_eq!(client.call("ec2", "CreateTags", &twice).await.code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn dhcp_options_have_the_tags_they_were_made_with() {
    let Some(client) = shared::client("ap-south-2") else { return };
    let params = [
        ("DhcpConfiguration.1.Key", "domain-name"),
        ("DhcpConfiguration.1.Value.1", "ap-south-2.compute.internal"),
        ("TagSpecification.1.ResourceType", "dhcp-options"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "demo.k8s.local"),
    ];
    let reply = client.call("ec2", "CreateDhcpOptions", &params).await.ok();
    assert!(reply.body.contains("<value>demo.k8s.local</value>"), "{}", reply.body);
    let filter = [("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "demo.k8s.local")];
    let found = client.call("ec2", "DescribeDhcpOptions", &filter).await.ok();
    assert_eq!(found.texts("dhcpOptionsId"), [reply.text("dhcpOptionsId").unwrap()]);
}

#[tokio::test]
async fn rules_are_added_all_or_none() {
    let Some(client) = shared::client("ap-east-1") else { return };
    let (vpc, _) = vpc_and_subnet(&client, "ap-east-1a").await;
    let group = security_group(&client, &vpc, "masters").await;
    let other = security_group(&client, &vpc, "nodes").await;
    let tcp = |number: usize, port: &str, cidr: &str| {
        [("IpProtocol", "tcp"), ("FromPort", port), ("ToPort", port), ("IpRanges.1.CidrIp", cidr)]
            .map(|(name, value)| (format!("IpPermissions.{number}.{name}"), value.to_owned()))
    };
    let authorize = async |rules: Vec<[(String, String); 4]>| {
        let mut params = vec![("GroupId".to_owned(), group.clone())];
        params.extend(rules.into_iter().flatten());
        let params: Vec<(&str, &str)> =
            params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        client.call("ec2", "AuthorizeSecurityGroupIngress", &params).await
    };
    authorize(vec![tcp(1, "22", "0.0.0.0/0")]).await.ok();
    let refused = authorize(vec![tcp(1, "443", "0.0.0.0/0"), tcp(2, "22", "0.0.0.0/0")]).await;
    assert_eq!(refused.code(), Some("InvalidPermission.Duplicate"));
    let twice = authorize(vec![tcp(1, "80", "0.0.0.0/0"), tcp(2, "80", "0.0.0.0/0")]).await;
    assert_eq!(twice.code(), Some("InvalidPermission.Duplicate"));
    let rules = async || {
        let params = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group.as_str())];
        let reply = client.call("ec2", "DescribeSecurityGroupRules", &params).await.ok();
        reply.texts("isEgress").iter().filter(|egress| **egress == "false").count()
    };
    assert_eq!(rules().await, 1, "the new rule of the refused call is not there");
    authorize(vec![tcp(1, "443", "0.0.0.0/0"), tcp(2, "22", "10.0.0.0/8")]).await.ok();
    assert_eq!(rules().await, 3);
    let from_group = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", other.as_str()),
    ];
    client.call("ec2", "AuthorizeSecurityGroupIngress", &from_group).await.ok();
    let again = client.call("ec2", "AuthorizeSecurityGroupIngress", &from_group).await;
    assert_eq!(again.code(), Some("InvalidPermission.Duplicate"));
    let egress = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    let reply = client.call("ec2", "AuthorizeSecurityGroupEgress", &egress).await;
    assert_eq!(reply.code(), Some("InvalidPermission.Duplicate"), "a new group lets everything out");
}

/// A range belongs to one subnet of a network, whatever both are called; so does a network to one gateway.
#[tokio::test]
async fn what_a_network_has_once_is_not_given_twice() {
    let Some(client) = shared::client("ap-east-2") else { return };
    let (vpc, _) = vpc_and_subnet(&client, "ap-east-2a").await;
    for range in ["10.0.1.0/24", "10.0.1.128/25", "10.0.0.0/20"] {
        let params = [("VpcId", vpc.as_str()), ("CidrBlock", range), ("AvailabilityZone", "ap-east-2a")];
        let refused = client.call("ec2", "CreateSubnet", &params).await;
        assert_eq!(refused.code(), Some("InvalidSubnet.Conflict"), "{range}");
    }
    let attach = async || {
        let gateway = client.call("ec2", "CreateInternetGateway", &[]).await.id("internetGatewayId");
        let params = [("InternetGatewayId", gateway.as_str()), ("VpcId", vpc.as_str())];
        client.call("ec2", "AttachInternetGateway", &params).await
    };
    attach().await.ok();
    assert_eq!(attach().await.code(), Some("Resource.AlreadyAssociated"));
}

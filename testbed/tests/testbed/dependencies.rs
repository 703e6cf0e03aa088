//! What others still use can't be deleted.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::shared::{self, IMAGE, security_group, vpc_and_subnet};

async fn code(client: &Client, action: &str, params: &[(&str, &str)]) -> Option<String> {
    client.call("ec2", action, params).await.code().map(str::to_owned)
}

fn violation() -> Option<String> {
    Some("DependencyViolation".to_owned())
}

#[tokio::test]
async fn a_security_group_that_another_one_refers_to() {
    let Some(client) = shared::client("eu-west-1") else { return };
    let (vpc, _) = vpc_and_subnet(&client, "eu-west-1a").await;
    let masters = security_group(&client, &vpc, "masters").await;
    let nodes = security_group(&client, &vpc, "nodes").await;
    let rule = [
        ("GroupId", masters.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", nodes.as_str()),
    ];
    client.call("ec2", "AuthorizeSecurityGroupIngress", &rule).await.ok();
    let itself = [
        ("GroupId", nodes.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", nodes.as_str()),
    ];
    client.call("ec2", "AuthorizeSecurityGroupIngress", &itself).await.ok();
    assert_eq!(code(&client, "DeleteSecurityGroup", &[("GroupId", &nodes)]).await, violation());
    client.call("ec2", "RevokeSecurityGroupIngress", &rule).await.ok();
    assert_eq!(
        code(&client, "DeleteSecurityGroup", &[("GroupId", &nodes)]).await,
        None,
        "its own rules don't hold it"
    );
}

#[tokio::test]
async fn a_group_and_a_subnet_with_an_instance() {
    let Some(client) = shared::client("eu-west-2") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "eu-west-2a").await;
    let group = security_group(&client, &vpc, "nodes").await;
    let params = [
        ("ImageId", IMAGE),
        ("InstanceType", "t3.medium"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet.as_str()),
        ("SecurityGroupId.1", group.as_str()),
    ];
    let instance = client.call("ec2", "RunInstances", &params).await.id("instanceId");
    assert_eq!(code(&client, "DeleteSecurityGroup", &[("GroupId", &group)]).await, violation());
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, violation());
    client.call("ec2", "TerminateInstances", &[("InstanceId.1", &instance)]).await.ok();
    assert_eq!(code(&client, "DeleteSecurityGroup", &[("GroupId", &group)]).await, None);
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, None);
}

#[tokio::test]
async fn a_group_and_a_subnet_with_a_load_balancer() {
    let Some(client) = shared::client("eu-west-3") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "eu-west-3a").await;
    let group = security_group(&client, &vpc, "api-elb").await;
    let params = [
        ("LoadBalancerName", "api"),
        ("Listeners.member.1.Protocol", "TCP"),
        ("Listeners.member.1.LoadBalancerPort", "443"),
        ("Listeners.member.1.InstancePort", "443"),
        ("Subnets.member.1", subnet.as_str()),
        ("SecurityGroups.member.1", group.as_str()),
    ];
    client.call("elb", "CreateLoadBalancer", &params).await.ok();
    let gateway = client.call("ec2", "CreateInternetGateway", &[]).await.id("internetGatewayId");
    let attachment = [("VpcId", vpc.as_str()), ("InternetGatewayId", gateway.as_str())];
    client.call("ec2", "AttachInternetGateway", &attachment).await.ok();
    assert_eq!(code(&client, "DetachInternetGateway", &attachment).await, violation());
    assert_eq!(code(&client, "DeleteSecurityGroup", &[("GroupId", &group)]).await, violation());
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, violation());
    client.call("elb", "DeleteLoadBalancer", &[("LoadBalancerName", "api")]).await.ok();
    let params = [
        ("Name", "api"),
        ("Type", "network"),
        ("Subnets.member.1", subnet.as_str()),
        ("SecurityGroups.member.1", group.as_str()),
    ];
    let arn = client.call("elbv2", "CreateLoadBalancer", &params).await.id("LoadBalancerArn");
    assert_eq!(code(&client, "DeleteSecurityGroup", &[("GroupId", &group)]).await, violation());
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, violation());
    assert_eq!(code(&client, "DetachInternetGateway", &attachment).await, violation());
    client.call("elbv2", "DeleteLoadBalancer", &[("LoadBalancerArn", &arn)]).await.ok();
    assert_eq!(code(&client, "DetachInternetGateway", &attachment).await, None);
    assert_eq!(code(&client, "DeleteSecurityGroup", &[("GroupId", &group)]).await, None);
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, None);
}

/// Tries again until a call is no longer refused.
async fn until_done(client: &Client, action: &str, params: &[(&str, &str)]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Some(code) = code(client, action, params).await {
        assert!(Instant::now() < deadline, "{action}: {code}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_subnet_with_a_nat_gateway_and_its_address() {
    let Some(client) = shared::client("eu-north-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "eu-north-1a").await;
    let gateway = client.call("ec2", "CreateInternetGateway", &[]).await.id("internetGatewayId");
    let attachment = [("VpcId", vpc.as_str()), ("InternetGatewayId", gateway.as_str())];
    client.call("ec2", "AttachInternetGateway", &attachment).await.ok();
    let address = client.call("ec2", "AllocateAddress", &[("Domain", "vpc")]).await.id("allocationId");
    let params = [("SubnetId", subnet.as_str()), ("AllocationId", address.as_str()), ("ClientToken", "nat")];
    let nat = client.call("ec2", "CreateNatGateway", &params).await.id("natGatewayId");
    let replayed = client.call("ec2", "CreateNatGateway", &params).await.id("natGatewayId");
    assert_eq!(replayed, nat);
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, violation());
    assert_eq!(code(&client, "DetachInternetGateway", &attachment).await, violation());
    let in_use = code(&client, "ReleaseAddress", &[("AllocationId", &address)]).await;
    assert_eq!(in_use.as_deref(), Some("InvalidIPAddress.InUse"));
    let table = client.call("ec2", "CreateRouteTable", &[("VpcId", &vpc)]).await.id("routeTableId");
    let to = ("DestinationCidrBlock", "0.0.0.0/0");
    let route = [("RouteTableId", table.as_str()), to, ("NatGatewayId", nat.as_str())];
    let pending = code(&client, "CreateRoute", &route).await;
    assert_eq!(pending.as_deref(), Some("InvalidNatGatewayID.NotFound"), "it is not available yet");
    until_done(&client, "CreateRoute", &route).await;
    client.call("ec2", "DeleteRouteTable", &[("RouteTableId", &table)]).await.ok();
    client.call("ec2", "DeleteNatGateway", &[("NatGatewayId", &nat)]).await.ok();
    let in_use = code(&client, "ReleaseAddress", &[("AllocationId", &address)]).await;
    assert_eq!(
        in_use.as_deref(),
        Some("InvalidIPAddress.InUse"),
        "it goes with the gateway, which takes time"
    );
    until_done(&client, "ReleaseAddress", &[("AllocationId", &address)]).await;
    assert_eq!(code(&client, "DetachInternetGateway", &attachment).await, None);
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, None);
}

#[tokio::test]
async fn a_vpc_with_anything_in_it() {
    let Some(client) = shared::client("eu-south-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "eu-south-1a").await;
    let group = security_group(&client, &vpc, "nodes").await;
    let table = client.call("ec2", "CreateRouteTable", &[("VpcId", &vpc)]).await.id("routeTableId");
    let gateway = client.call("ec2", "CreateInternetGateway", &[]).await.id("internetGatewayId");
    let attachment = [("VpcId", vpc.as_str()), ("InternetGatewayId", gateway.as_str())];
    client.call("ec2", "AttachInternetGateway", &attachment).await.ok();
    let steps: [(&str, Vec<(&str, &str)>); 4] = [
        ("DeleteSubnet", vec![("SubnetId", &subnet)]),
        ("DeleteSecurityGroup", vec![("GroupId", &group)]),
        ("DeleteRouteTable", vec![("RouteTableId", &table)]),
        ("DetachInternetGateway", attachment.to_vec()),
    ];
    for (action, params) in steps {
        assert_eq!(code(&client, "DeleteVpc", &[("VpcId", &vpc)]).await, violation(), "before {action}");
        client.call("ec2", action, &params).await.ok();
    }
    assert_eq!(code(&client, "DeleteVpc", &[("VpcId", &vpc)]).await, None);
}

#[tokio::test]
async fn dhcp_options_and_gateways_and_tables_in_use() {
    let Some(client) = shared::client("eu-south-2") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "eu-south-2a").await;
    let options = [
        ("DhcpConfiguration.1.Key", "domain-name"),
        ("DhcpConfiguration.1.Value.1", "eu-south-2.compute.internal"),
    ];
    let options = client.call("ec2", "CreateDhcpOptions", &options).await.id("dhcpOptionsId");
    let association = [("VpcId", vpc.as_str()), ("DhcpOptionsId", options.as_str())];
    client.call("ec2", "AssociateDhcpOptions", &association).await.ok();
    assert_eq!(code(&client, "DeleteDhcpOptions", &[("DhcpOptionsId", &options)]).await, violation());
    let gateway = client.call("ec2", "CreateInternetGateway", &[]).await.id("internetGatewayId");
    let attachment = [("VpcId", vpc.as_str()), ("InternetGatewayId", gateway.as_str())];
    client.call("ec2", "AttachInternetGateway", &attachment).await.ok();
    assert_eq!(code(&client, "DeleteInternetGateway", &[("InternetGatewayId", &gateway)]).await, violation());
    let table = client.call("ec2", "CreateRouteTable", &[("VpcId", &vpc)]).await.id("routeTableId");
    let association = [("RouteTableId", table.as_str()), ("SubnetId", subnet.as_str())];
    client.call("ec2", "AssociateRouteTable", &association).await.ok();
    assert_eq!(code(&client, "DeleteRouteTable", &[("RouteTableId", &table)]).await, violation());
    // An association goes with its subnet.
    assert_eq!(code(&client, "DeleteSubnet", &[("SubnetId", &subnet)]).await, None);
    assert_eq!(code(&client, "DeleteRouteTable", &[("RouteTableId", &table)]).await, None);
}

#[tokio::test]
async fn roles_and_profiles_go_in_order() {
    let Some(client) = shared::client("us-east-1") else { return };
    let role = [("RoleName", "nodes.demo"), ("AssumeRolePolicyDocument", "{}")];
    client.call("iam", "CreateRole", &role).await.ok();
    let name = [("RoleName", "nodes.demo")];
    let policy = [
        ("RoleName", "nodes.demo"),
        ("PolicyName", "nodes.demo"),
        (
            "PolicyDocument",
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        ),
    ];
    client.call("iam", "PutRolePolicy", &policy).await.ok();
    let profile = [("InstanceProfileName", "nodes.demo")];
    client.call("iam", "CreateInstanceProfile", &profile).await.ok();
    let both = [("InstanceProfileName", "nodes.demo"), ("RoleName", "nodes.demo")];
    client.call("iam", "AddRoleToInstanceProfile", &both).await.ok();
    let conflict =
        |reply: crate::client::Reply| assert_eq!((reply.status, reply.code()), (409, Some("DeleteConflict")));
    conflict(client.call("iam", "DeleteInstanceProfile", &profile).await);
    conflict(client.call("iam", "DeleteRole", &name).await);
    client.call("iam", "RemoveRoleFromInstanceProfile", &both).await.ok();
    conflict(client.call("iam", "DeleteRole", &name).await);
    client.call("iam", "DeleteInstanceProfile", &profile).await.ok();
    client.call("iam", "DeleteRolePolicy", &policy[..2]).await.ok();
    client.call("iam", "DeleteRole", &name).await.ok();
}

#[tokio::test]
async fn a_target_group_with_a_listener() {
    let Some(client) = shared::client("us-east-2") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "us-east-2a").await;
    let balancer = [("Name", "api"), ("Type", "network"), ("Subnets.member.1", subnet.as_str())];
    let balancer = client.call("elbv2", "CreateLoadBalancer", &balancer).await.id("LoadBalancerArn");
    let targets = [("Name", "tcp"), ("Protocol", "TCP"), ("Port", "443"), ("VpcId", vpc.as_str())];
    let targets = client.call("elbv2", "CreateTargetGroup", &targets).await.id("TargetGroupArn");
    let listener = [
        ("LoadBalancerArn", balancer.as_str()),
        ("Protocol", "TCP"),
        ("Port", "443"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", targets.as_str()),
    ];
    client.call("elbv2", "CreateListener", &listener).await.ok();
    let reply = client.call("elbv2", "DeleteTargetGroup", &[("TargetGroupArn", &targets)]).await;
    assert_eq!(reply.code(), Some("ResourceInUse"));
    client.call("elbv2", "DeleteLoadBalancer", &[("LoadBalancerArn", &balancer)]).await.ok();
    client.call("elbv2", "DeleteTargetGroup", &[("TargetGroupArn", &targets)]).await.ok();
}

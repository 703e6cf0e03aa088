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

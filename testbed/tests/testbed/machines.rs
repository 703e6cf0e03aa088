//! What AWS learns from machines, if something plays them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_testbed::{Options, required_or_skip};

use crate::client::Client;
use crate::shared::{IMAGE, vpc_and_subnet};

#[tokio::test]
async fn consoles_and_checks_of_health_are_those_that_are_told() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machines");
    let _ = std::fs::remove_dir_all(&folder);
    let options = Options { machines: Some(folder.clone()), ..Options::default() };
    let Some(testbed) = required_or_skip("machines", options) else { return };
    let client = Client::new(&testbed, "us-east-1");
    let (vpc, subnet) = vpc_and_subnet(&client, "us-east-1a").await;
    let params = [("ImageId", IMAGE), ("MinCount", "1"), ("MaxCount", "1"), ("SubnetId", subnet.as_str())];
    let params = [&params[..], &[("InstanceType", "t3.medium")]].concat();
    let instance = client.call("ec2", "RunInstances", &params).await.id("instanceId");
    let console = async || {
        let reply = client.call("ec2", "GetConsoleOutput", &[("InstanceId", instance.as_str())]).await;
        let output = reply.text("output").unwrap_or_default();
        String::from_utf8(STANDARD.decode(output.trim()).unwrap()).unwrap()
    };
    assert_eq!(console().await, "");
    let machine = folder.join("machines").join(&instance);
    std::fs::create_dir_all(&machine).unwrap();
    std::fs::write(machine.join("console.log"), "booting\n").unwrap();
    assert_eq!(console().await, "booting\n");

    let group = [("Name", "tcp"), ("Protocol", "TCP"), ("Port", "443"), ("VpcId", vpc.as_str())];
    let group = client.call("elbv2", "CreateTargetGroup", &group).await.id("TargetGroupArn");
    let target = [("TargetGroupArn", group.as_str()), ("Targets.member.1.Id", instance.as_str())];
    client.call("elbv2", "RegisterTargets", &target).await.ok();
    let listener = [
        ("Listeners.member.1.Protocol", "TCP"),
        ("Listeners.member.1.LoadBalancerPort", "443"),
        ("Listeners.member.1.InstancePort", "443"),
    ];
    let balancer =
        [&[("LoadBalancerName", "api"), ("Subnets.member.1", subnet.as_str())], &listener[..]].concat();
    client.call("elb", "CreateLoadBalancer", &balancer).await.ok();
    let member = [("LoadBalancerName", "api"), ("Instances.member.1.InstanceId", instance.as_str())];
    client.call("elb", "RegisterInstancesWithLoadBalancer", &member).await.ok();
    let states = async || {
        let new = client.call("elbv2", "DescribeTargetHealth", &target[..1]).await.id("State");
        let classic = client.call("elb", "DescribeInstanceHealth", &member[..1]).await.id("State");
        (new, classic)
    };
    assert_eq!(states().await, ("initial".to_owned(), "OutOfService".to_owned()));
    let health = format!(
        r#"{{"{group}": {{"{instance}": ["unhealthy", "Target.FailedHealthChecks", "no"]}}, "api": {{"{instance}": ["InService"]}}}}"#
    );
    std::fs::write(folder.join("health.json"), health).unwrap();
    assert_eq!(states().await, ("unhealthy".to_owned(), "InService".to_owned()));
}

//! One testbed for all tests that need none of their own.

use std::sync::OnceLock;

use kops_testbed::{Options, Testbed, required_or_skip};

use crate::client::Client;

/// A client of the shared testbed; each test takes a region of its own. None where moto is not installed.
pub(crate) fn client(region: &str) -> Option<Client> {
    static TESTBED: OnceLock<Option<Testbed>> = OnceLock::new();
    let testbed = TESTBED.get_or_init(|| required_or_skip("strict rules", Options::default()));
    testbed.as_ref().map(|testbed| Client::new(testbed, region))
}

/// A VPC with one subnet in the first zone.
pub(crate) async fn vpc_and_subnet(client: &Client, zone: &str) -> (String, String) {
    let vpc = client.call("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await.id("vpcId");
    let params = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.1.0/24"), ("AvailabilityZone", zone)];
    let subnet = client.call("ec2", "CreateSubnet", &params).await.id("subnetId");
    (vpc, subnet)
}

pub(crate) async fn security_group(client: &Client, vpc: &str, name: &str) -> String {
    let params = [("VpcId", vpc), ("GroupName", name), ("GroupDescription", name)];
    client.call("ec2", "CreateSecurityGroup", &params).await.id("groupId")
}

pub(crate) const IMAGE: &str = "ami-0a71e5b03f0260714";

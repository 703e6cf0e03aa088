//! Zones, machine types and images: which there are, and which go together.

use crate::shared::{self, IMAGE, vpc_and_subnet};

/// An image for arm64.
const ARM_IMAGE: &str = "ami-0a71e5b03f0260715";
/// An image that its owner has deprecated.
const OLD_IMAGE: &str = "ami-0a71e5b03f0240423";

#[tokio::test]
async fn there_is_nothing_in_a_zone_that_does_not_exist() {
    let Some(client) = shared::client("eu-central-1") else { return };
    let (vpc, _) = vpc_and_subnet(&client, "eu-central-1a").await;
    let subnet =
        [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.2.0/24"), ("AvailabilityZone", "eu-central-1x")];
    assert_eq!(client.call("ec2", "CreateSubnet", &subnet).await.code(), Some("InvalidParameterValue"));
    let volume = [("AvailabilityZone", "eu-central-1x"), ("Size", "20")];
    assert_eq!(client.call("ec2", "CreateVolume", &volume).await.code(), Some("InvalidZone.NotFound"));
    let subnet =
        [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.1.128/25"), ("AvailabilityZone", "eu-central-1b")];
    assert_eq!(client.call("ec2", "CreateSubnet", &subnet).await.code(), Some("InvalidSubnet.Conflict"));
}

#[tokio::test]
async fn a_machine_needs_a_type_that_its_zone_has_and_an_image_that_fits() {
    let Some(client) = shared::client("us-east-1") else { return };
    let (vpc, subnet) = vpc_and_subnet(&client, "us-east-1a").await;
    let params = [("VpcId", vpc.as_str()), ("CidrBlock", "10.0.2.0/24"), ("AvailabilityZone", "us-east-1e")];
    let poor = client.call("ec2", "CreateSubnet", &params).await.id("subnetId");
    for (number, (machine_type, image, subnet, expected)) in [
        ("t3.medium", IMAGE, &subnet, None),
        ("t2.medium", IMAGE, &poor, None),
        ("t3.medium", IMAGE, &poor, Some("Unsupported")),
        ("t2.micre", IMAGE, &subnet, Some("InvalidParameterValue")),
        ("t4g.medium", IMAGE, &subnet, Some("InvalidParameterValue")),
        ("t4g.medium", ARM_IMAGE, &subnet, None),
    ]
    .into_iter()
    .enumerate()
    {
        let machine = [
            ("ImageId", image),
            ("InstanceType", machine_type),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", subnet.as_str()),
        ];
        let code = client.call("ec2", "RunInstances", &machine).await.code().map(str::to_owned);
        assert_eq!(code.as_deref(), expected, "{machine_type} with {image}");
        // A template is taken as it is; the group that would launch from it is not.
        let name = format!("template-{number}");
        let template = [
            ("LaunchTemplateName", name.as_str()),
            ("LaunchTemplateData.InstanceType", machine_type),
            ("LaunchTemplateData.ImageId", image),
        ];
        client.call("ec2", "CreateLaunchTemplate", &template).await.ok();
        let group = [
            ("AutoScalingGroupName", name.as_str()),
            ("LaunchTemplate.LaunchTemplateName", name.as_str()),
            ("MinSize", "0"),
            ("MaxSize", "0"),
            ("VPCZoneIdentifier", subnet.as_str()),
        ];
        let reply = client.call("autoscaling", "CreateAutoScalingGroup", &group).await;
        assert_eq!(reply.code(), expected.map(|_| "ValidationError"), "{machine_type} with {image}");
    }
}

#[tokio::test]
async fn deprecated_images_are_listed_for_those_who_ask() {
    let Some(client) = shared::client("eu-north-1") else { return };
    let by_filter = [("Filter.1.Name", "image-id"), ("Filter.1.Value.1", OLD_IMAGE)];
    let listed = async |params: &[(&str, &str)]| {
        client.call("ec2", "DescribeImages", params).await.ok().texts("imageId").len()
    };
    assert_eq!(listed(&by_filter).await, 0);
    assert_eq!(listed(&[by_filter[0], by_filter[1], ("IncludeDeprecated", "true")]).await, 1);
    assert_eq!(listed(&[("ImageId.1", OLD_IMAGE)]).await, 1);
}

#[tokio::test]
async fn an_account_may_encrypt_by_default() {
    let Some(client) = shared::client("eu-south-1") else { return };
    let encrypted = async || {
        let volume = [("AvailabilityZone", "eu-south-1a"), ("Size", "20"), ("Encrypted", "false")];
        client.call("ec2", "CreateVolume", &volume).await.id("encrypted")
    };
    assert_eq!(encrypted().await, "false");
    client.call("ec2", "EnableEbsEncryptionByDefault", &[]).await.ok();
    assert_eq!(encrypted().await, "true");
}

//! Launch templates and volumes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::shared::{self, IMAGE, vpc_and_subnet};

#[tokio::test]
async fn user_data_has_a_limit() {
    let Some(client) = shared::client("ap-southeast-1") else { return };
    for (size, expected) in [(16_384, None), (16_385, Some("InvalidParameterValue"))] {
        let data = STANDARD.encode("x".repeat(size));
        let name = format!("template-{size}");
        let params = [("LaunchTemplateName", name.as_str()), ("LaunchTemplateData.UserData", data.as_str())];
        assert_eq!(client.call("ec2", "CreateLaunchTemplate", &params).await.code(), expected);
    }
    let params = [("LaunchTemplateName", "bad"), ("LaunchTemplateData.UserData", "#!/bin/sh")];
    let reply = client.call("ec2", "CreateLaunchTemplate", &params).await;
    assert_eq!(reply.code(), Some("InvalidUserData.Malformed"));
}

#[tokio::test]
async fn versions_of_a_template_can_be_deleted() {
    let Some(client) = shared::client("ap-southeast-2") else { return };
    let template = [("LaunchTemplateName", "nodes"), ("LaunchTemplateData.InstanceType", "t3.medium")];
    let id = client.call("ec2", "CreateLaunchTemplate", &template).await.id("launchTemplateId");
    for _ in 2..=20 {
        client.call("ec2", "CreateLaunchTemplateVersion", &template).await.ok();
    }
    let versions = async || {
        let reply =
            client.call("ec2", "DescribeLaunchTemplateVersions", &[("LaunchTemplateId", &id)]).await.ok();
        let mut numbers: Vec<u32> =
            reply.texts("versionNumber").iter().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(versions().await, (1..=20).collect::<Vec<_>>());
    let delete = [
        ("LaunchTemplateId", id.as_str()),
        ("LaunchTemplateVersion.1", "2"),
        ("LaunchTemplateVersion.2", "20"),
        ("LaunchTemplateVersion.3", "1"),
        ("LaunchTemplateVersion.4", "77"),
    ];
    let reply = client.call("ec2", "DeleteLaunchTemplateVersions", &delete).await.ok();
    let deleted = reply.text("successfullyDeletedLaunchTemplateVersionSet").unwrap();
    assert!(deleted.contains("<versionNumber>2<") && deleted.contains("<versionNumber>20<"), "{deleted}");
    let kept = reply.text("unsuccessfullyDeletedLaunchTemplateVersionSet").unwrap();
    assert!(kept.contains("launchTemplateVersionDoesNotExist"), "{kept}");
    assert!(kept.contains("<versionNumber>1<"), "the default version stays: {kept}");
    assert_eq!(versions().await, [vec![1], (3..=19).collect()].concat());
    // A number is never given out again, and the latest is the highest that is left.
    let latest = [("LaunchTemplateId", id.as_str()), ("LaunchTemplateVersion.1", "$Latest")];
    let reply = client.call("ec2", "DescribeLaunchTemplateVersions", &latest).await.ok();
    assert_eq!(reply.texts("versionNumber"), ["19"]);
    let next = client.call("ec2", "CreateLaunchTemplateVersion", &template).await.id("versionNumber");
    assert_eq!(next, "21");
}

#[tokio::test]
async fn the_latest_versions_of_all_templates_are_listed() {
    let Some(client) = shared::client("ap-southeast-3") else { return };
    for number in 0..17 {
        let name = format!("template-{number}");
        let template =
            [("LaunchTemplateName", name.as_str()), ("LaunchTemplateData.InstanceType", "t3.medium")];
        client.call("ec2", "CreateLaunchTemplate", &template).await.ok();
        client.call("ec2", "CreateLaunchTemplateVersion", &template).await.ok();
    }
    let reply = client.call("ec2", "DescribeLaunchTemplates", &[]).await.ok();
    assert_eq!(reply.texts("launchTemplateId").len(), 17);
    let latest = [("LaunchTemplateVersion.1", "$Latest")];
    let reply = client.call("ec2", "DescribeLaunchTemplateVersions", &latest).await.ok();
    assert_eq!(reply.texts("versionNumber"), ["2"; 17]);
}

#[tokio::test]
async fn a_volume_stays_in_its_zone() {
    let Some(client) = shared::client("ap-northeast-1") else { return };
    let (_, subnet) = vpc_and_subnet(&client, "ap-northeast-1a").await;
    let instance = [
        ("ImageId", IMAGE),
        ("InstanceType", "t3.medium"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet.as_str()),
    ];
    let instance = client.call("ec2", "RunInstances", &instance).await.id("instanceId");
    for (zone, expected) in
        [("ap-northeast-1c", Some("InvalidVolume.ZoneMismatch")), ("ap-northeast-1a", None)]
    {
        let volume = [("AvailabilityZone", zone), ("Size", "20")];
        let volume = client.call("ec2", "CreateVolume", &volume).await.id("volumeId");
        let params =
            [("VolumeId", volume.as_str()), ("InstanceId", instance.as_str()), ("Device", "/dev/sdf")];
        assert_eq!(client.call("ec2", "AttachVolume", &params).await.code(), expected);
    }
}

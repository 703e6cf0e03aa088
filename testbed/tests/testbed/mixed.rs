//! Scaling groups with several machine types and spot instances.

use crate::client::{Client, Reply};
use crate::shared::{self, IMAGE, security_group, vpc_and_subnet};

const NAME: (&str, &str) = ("AutoScalingGroupName", "mixed.demo");
const SIZES: [(&str, &str); 2] = [("MinSize", "4"), ("MaxSize", "4")];
const OVERRIDE: &str = "MixedInstancesPolicy.LaunchTemplate.Overrides.member";
const ABOVE: &str = "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity";
const POOLS: &str = "MixedInstancesPolicy.InstancesDistribution.SpotInstancePools";
const STRATEGY: &str = "MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy";

struct Bench<'a> {
    client: &'a Client,
    template: String,
    subnet: String,
}

impl<'a> Bench<'a> {
    async fn new(client: &'a Client, zone: &str, more: &[(&str, &str)]) -> Self {
        let (vpc, subnet) = vpc_and_subnet(client, zone).await;
        let group = security_group(client, &vpc, "mixed").await;
        let params = [
            ("LaunchTemplateName", "mixed"),
            ("LaunchTemplateData.ImageId", IMAGE),
            ("LaunchTemplateData.InstanceType", "t3.medium"),
            ("LaunchTemplateData.NetworkInterface.1.DeviceIndex", "0"),
            ("LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1", &group),
        ];
        let made = client.call("ec2", "CreateLaunchTemplate", &[&params, more].concat()).await;
        Self { client, template: made.id("launchTemplateId"), subnet }
    }

    async fn call(&self, action: &str, more: &[(&str, &str)]) -> Reply {
        let first = format!("{OVERRIDE}.1.InstanceType");
        let second = format!("{OVERRIDE}.2.InstanceType");
        let specification = "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification";
        let (id, version) = (format!("{specification}.LaunchTemplateId"), format!("{specification}.Version"));
        let params = [
            NAME,
            (id.as_str(), self.template.as_str()),
            (version.as_str(), "$Latest"),
            (first.as_str(), "m5.large"),
            (second.as_str(), "m5.xlarge"),
            ("VPCZoneIdentifier", self.subnet.as_str()),
        ];
        self.client.call("autoscaling", action, &[&params, more].concat()).await
    }
}

#[tokio::test]
async fn a_policy_is_shown_in_full_and_decides_what_is_launched() {
    let Some(client) = shared::client("af-south-1") else { return };
    let bench = Bench::new(&client, "af-south-1a", &[]).await;
    bench.call("CreateAutoScalingGroup", &[&SIZES[..], &[(ABOVE, "50")]].concat()).await.ok();
    let show = async || client.call("autoscaling", "DescribeAutoScalingGroups", &[]).await.ok();
    let shown = show().await;
    for (field, value) in [
        ("OnDemandAllocationStrategy", "prioritized"),
        ("OnDemandBaseCapacity", "0"),
        ("OnDemandPercentageAboveBaseCapacity", "50"),
        ("SpotAllocationStrategy", "lowest-price"),
        ("SpotInstancePools", "2"),
    ] {
        assert_eq!(shown.text(field), Some(value), "{field}: {}", shown.body);
    }
    let machines = client.call("ec2", "DescribeInstances", &[]).await.ok();
    assert_eq!(machines.texts("instanceLifecycle"), ["spot"; 2], "{}", machines.body);
    let types = machines.texts("instanceType");
    assert_eq!(types.iter().filter(|name| **name == "m5.large").count(), 2, "{types:?}");

    // What an update leaves out stays as it was.
    client
        .call("autoscaling", "UpdateAutoScalingGroup", &[NAME, ("MaxInstanceLifetime", "86400")])
        .await
        .ok();
    let shown = show().await;
    assert_eq!(shown.text("OnDemandPercentageAboveBaseCapacity"), Some("50"), "{}", shown.body);
    assert_eq!(shown.text("MaxInstanceLifetime"), Some("86400"), "{}", shown.body);
    bench
        .call("UpdateAutoScalingGroup", &[(STRATEGY, "capacity-optimized"), ("CapacityRebalance", "true")])
        .await
        .ok();
    let shown = show().await;
    assert_eq!(shown.text("OnDemandPercentageAboveBaseCapacity"), Some("50"), "{}", shown.body);
    assert_eq!((shown.text("SpotInstancePools"), shown.text("CapacityRebalance")), (None, Some("true")));
}

#[tokio::test]
async fn policies_that_cannot_be_are_refused() {
    let Some(client) = shared::client("me-central-1") else { return };
    let bench = Bench::new(&client, "me-central-1a", &[]).await;
    let third = format!("{OVERRIDE}.3.InstanceType");
    let cores = format!("{OVERRIDE}.3.InstanceRequirements.VCpuCount.Min");
    let cases: [&[(&str, &str)]; 8] = [
        &[(POOLS, "3"), (STRATEGY, "capacity-optimized")],
        &[(POOLS, "21")],
        &[(STRATEGY, "cheapest")],
        &[(ABOVE, "101")],
        &[(&third, "m5.large")],
        &[(&third, "m5.nothing")],
        &[(&cores, "2"), (STRATEGY, "capacity-optimized-prioritized")],
        &[("MaxInstanceLifetime", "3600")],
    ];
    for more in cases {
        let refused = bench.call("CreateAutoScalingGroup", &[&SIZES[..], more].concat()).await;
        assert_eq!(refused.code(), Some("ValidationError"), "{more:?}");
    }
    let never =
        bench.call("CreateAutoScalingGroup", &[&SIZES[..], &[("MaxInstanceLifetime", "0")]].concat()).await;
    assert_eq!(never.code(), Some("ValidationError"), "a new group has no lifetime to take away");
}

#[tokio::test]
async fn the_policy_says_the_price_and_not_the_template() {
    let Some(client) = shared::client("me-south-1") else { return };
    let spot = [("LaunchTemplateData.InstanceMarketOptions.MarketType", "spot")];
    let bench = Bench::new(&client, "me-south-1a", &spot).await;
    let refused = bench.call("CreateAutoScalingGroup", &SIZES).await;
    assert_eq!(refused.code(), Some("ValidationError"));
    assert!(refused.body.contains("InstanceMarketOptions"), "{}", refused.body);
}

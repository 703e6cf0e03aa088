//! Scaling groups with several machine types, spot instances and a longest lifetime.
//!
//! <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html>

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::xml;

const DISTRIBUTION: &str = "MixedInstancesPolicy.InstancesDistribution";
const TEMPLATE: &str = "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification";
const ON_DEMAND: [&str; 2] = ["lowest-price", "prioritized"];
const SPOT: [&str; 5] = [
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "diversified",
    "lowest-price",
    "price-capacity-optimized",
];

pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    let is_create = match (view.call.service.as_str(), view.call.action.as_str()) {
        ("autoscaling", "CreateAutoScalingGroup") => true,
        ("autoscaling", "UpdateAutoScalingGroup") => false,
        _ => return Ok(()),
    };
    check_lifetime(view.param("MaxInstanceLifetime"), is_create)?;
    if !view.call.params.iter().any(|(name, _)| name.starts_with("MixedInstancesPolicy.")) {
        return Ok(());
    }
    if view.call.params.iter().any(|(name, _)| name.starts_with("LaunchTemplate.")) {
        return Err(invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or \
             MixedInstancesPolicy parameter.",
        ));
    }
    check_distribution(view)?;
    check_types(view).await?;
    check_template(view).await
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// 0 takes a lifetime away, which a new group has not.
fn check_lifetime(text: &str, is_create: bool) -> Result<(), ApiError> {
    let Ok(seconds) = text.parse::<u64>() else { return Ok(()) };
    if seconds == 0 && !is_create || (86_400..=31_536_000).contains(&seconds) {
        return Ok(());
    }
    Err(invalid(format!("MaxInstanceLifetime {seconds} is not between 86400 and 31536000 seconds")))
}

fn check_distribution(view: &View<'_>) -> Result<(), ApiError> {
    let field = |name: &str| view.param(&format!("{DISTRIBUTION}.{name}"));
    for (name, known) in [("OnDemandAllocationStrategy", &ON_DEMAND[..]), ("SpotAllocationStrategy", &SPOT)] {
        let strategy = field(name);
        if !strategy.is_empty() && !known.contains(&strategy) {
            return Err(invalid(format!("Invalid {name} {strategy}")));
        }
    }
    let (spot, pools) = (field("SpotAllocationStrategy"), field("SpotInstancePools"));
    if !pools.is_empty() && !["", "lowest-price"].contains(&spot) {
        return Err(invalid(
            "SpotInstancePools option is only available with the lowest-price allocation strategy",
        ));
    }
    if pools.parse().is_ok_and(|pools: u32| !(1..=20).contains(&pools)) {
        return Err(invalid("SpotInstancePools must be between 1 and 20"));
    }
    if field("OnDemandPercentageAboveBaseCapacity").parse().is_ok_and(|percent: u32| percent > 100) {
        return Err(invalid("OnDemandPercentageAboveBaseCapacity must be between 0 and 100"));
    }
    let by_requirements = view.call.params.iter().any(|(name, _)| name.contains(".InstanceRequirements."));
    let ordered = [field("OnDemandAllocationStrategy"), spot];
    if by_requirements && ordered.iter().any(|strategy| strategy.ends_with("prioritized")) {
        return Err(invalid(
            "You cannot use a prioritized allocation strategy with attribute-based instance type selection",
        ));
    }
    Ok(())
}

async fn check_types(view: &View<'_>) -> Result<(), ApiError> {
    let is_type = |name: &str| name.contains(".Overrides.member.") && name.ends_with(".InstanceType");
    let types = view.call.params.iter().filter(|(name, _)| is_type(name));
    let mut seen = Vec::new();
    for (_, machine_type) in types {
        if seen.contains(&machine_type) {
            return Err(invalid(format!("Duplicate instance type {machine_type} in overrides")));
        }
        seen.push(machine_type);
        let filter =
            Params::from_iter([("Filter.1.Name", "instance-type"), ("Filter.1.Value.1", machine_type)]);
        let found = view.ask("ec2", "DescribeInstanceTypes", filter).await?;
        if xml::items(&found, "instanceTypeSet").is_empty() {
            return Err(invalid(format!("Invalid instance type: {machine_type}")));
        }
    }
    Ok(())
}

/// The policy says the price.
async fn check_template(view: &View<'_>) -> Result<(), ApiError> {
    let id = view.param(&format!("{TEMPLATE}.LaunchTemplateId"));
    let version = view.param(&format!("{TEMPLATE}.Version"));
    if id.is_empty() {
        return Ok(());
    }
    let params = Params::from_iter([("LaunchTemplateId", id), ("LaunchTemplateVersion.1", version)]);
    let found = view.ask("ec2", "DescribeLaunchTemplateVersions", params).await?;
    if xml::texts(&found, "marketType").is_empty() {
        return Ok(());
    }
    Err(invalid(
        "You cannot use a launch template that is set to request Spot Instances (InstanceMarketOptions) when you \
         configure an Auto Scaling group with a mixed instances policy.",
    ))
}

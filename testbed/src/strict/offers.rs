//! Zones and machine types: which there are, where, and for which images.

use std::collections::BTreeSet;

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::xml;

/// What is to be launched.
struct Launch {
    machine_type: String,
    image: String,
    zones: BTreeSet<String>,
}

pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    match (view.call.service.as_str(), view.call.action.as_str()) {
        ("ec2", "CreateVolume") => check_zone(view, view.param("AvailabilityZone")).await,
        ("ec2", "RunInstances") if !view.param("InstanceType").is_empty() => {
            let zones = zones_of(view, view.param("SubnetId")).await?;
            let launch = Launch {
                machine_type: view.param("InstanceType").to_owned(),
                image: view.param("ImageId").to_owned(),
                zones,
            };
            check_launch(view, &launch).await
        }
        ("autoscaling", "CreateAutoScalingGroup" | "UpdateAutoScalingGroup") => {
            let Some(launch) = of_group(view).await? else { return Ok(()) };
            // Auto Scaling tries a launch, and words what EC2 says its own way.
            check_launch(view, &launch).await.map_err(|error| {
                let message = format!("You must use a valid fully-formed launch template. {}", error.message);
                ApiError::new("ValidationError", message)
            })
        }
        _ => Ok(()),
    }
}

async fn check_zone(view: &View<'_>, zone: &str) -> Result<(), ApiError> {
    let zones = view.all("ec2", "DescribeAvailabilityZones", "availabilityZoneInfo").await?;
    if zone.is_empty() || zones.iter().any(|known| xml::text(known, "zoneName") == zone) {
        return Ok(());
    }
    Err(ApiError::new("InvalidZone.NotFound", format!("The zone '{zone}' does not exist.")))
}

/// The zones of subnets, whose ids have commas between them.
async fn zones_of(view: &View<'_>, subnets: &str) -> Result<BTreeSet<String>, ApiError> {
    let mut params = Params::default();
    for (index, subnet) in subnets.split(',').filter(|id| !id.is_empty()).enumerate() {
        params.set(&format!("SubnetId.{}", index + 1), subnet);
    }
    if params == Params::default() {
        return Ok(BTreeSet::new());
    }
    let found = view.ask("ec2", "DescribeSubnets", params).await?;
    Ok(xml::texts(&found, "availabilityZone").into_iter().collect())
}

/// What a scaling group would launch, as far as the call says it anew.
async fn of_group(view: &View<'_>) -> Result<Option<Launch>, ApiError> {
    let (name, id) =
        (view.param("LaunchTemplate.LaunchTemplateName"), view.param("LaunchTemplate.LaunchTemplateId"));
    let template = match (name, id) {
        ("", "") => return Ok(None),
        ("", id) => Params::default().with("LaunchTemplateId", id),
        (name, _) => Params::default().with("LaunchTemplateName", name),
    };
    let version = Some(view.param("LaunchTemplate.Version")).filter(|version| !version.is_empty());
    let template = template.with("LaunchTemplateVersion.1", version.unwrap_or("$Default"));
    let found = view.ask("ec2", "DescribeLaunchTemplateVersions", template).await?;
    let first = |element: &str| xml::texts(&found, element).into_iter().next().unwrap_or_default();
    Ok(Some(Launch {
        machine_type: first("instanceType"),
        image: first("imageId"),
        zones: zones_of(view, view.param("VPCZoneIdentifier")).await?,
    }))
}

async fn check_launch(view: &View<'_>, launch: &Launch) -> Result<(), ApiError> {
    let Launch { machine_type, image, zones } = launch;
    if machine_type.is_empty() {
        return Ok(());
    }
    let offers = Params::from_iter([
        ("LocationType", "availability-zone"),
        ("Filter.1.Name", "instance-type"),
        ("Filter.1.Value.1", machine_type),
    ]);
    let offers = view.ask("ec2", "DescribeInstanceTypeOfferings", offers).await?;
    let offered: BTreeSet<String> = xml::texts(&offers, "location").into_iter().collect();
    let types = Params::from_iter([("Filter.1.Name", "instance-type"), ("Filter.1.Value.1", machine_type)]);
    let types = view.ask("ec2", "DescribeInstanceTypes", types).await?;
    if xml::items(&types, "instanceTypeSet").is_empty() {
        let message = format!("Invalid value '{machine_type}' for InstanceType.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    if let Some(zone) = zones.iter().find(|zone| !offered.contains(*zone)) {
        let others: Vec<&str> = offered.iter().map(String::as_str).collect();
        return Err(ApiError::new(
            "Unsupported",
            format!(
                "Your requested instance type ({machine_type}) is not supported in your requested Availability Zone \
                 ({zone}). Please retry your request by not specifying an Availability Zone or choosing {}.",
                others.join(", ")
            ),
        ));
    }
    let images = view.ask("ec2", "DescribeImages", Params::default().with("ImageId.1", image)).await?;
    let of_image = xml::texts(&images, "architecture").concat();
    let of_type: Vec<String> = xml::items(&types, "instanceTypeSet")
        .iter()
        .flat_map(|found| xml::items(found, "supportedArchitectures"))
        .filter_map(|architecture| architecture.get_text().map(|text| text.trim().to_owned()))
        .collect();
    if !of_type.contains(&of_image) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!(
                "The architecture '{}' of the specified instance type does not match the architecture '{of_image}' of \
                 the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
                of_type.join(",")
            ),
        ));
    }
    Ok(())
}

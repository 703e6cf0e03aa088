//! Scaling groups.

use xmltree::Element;

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::xml;

pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    if view.call.service != "autoscaling" {
        return Ok(());
    }
    let name = view.param("AutoScalingGroupName");
    match view.call.action.as_str() {
        "CreateAutoScalingGroup" => {
            if find(view, name).await?.is_some() {
                return Err(ApiError::new(
                    "AlreadyExists",
                    format!(
                        "AutoScalingGroup by this name already exists - A group with the name {name} already exists"
                    ),
                ));
            }
            check_sizes(view, None)
        }
        "UpdateAutoScalingGroup" => check_sizes(view, find(view, name).await?.as_ref()),
        "SetDesiredCapacity" => {
            let Some(group) = find(view, name).await? else { return Ok(()) };
            let (wanted, min, max) =
                (number(view.param("DesiredCapacity")), size(&group, "MinSize"), size(&group, "MaxSize"));
            match wanted {
                Some(wanted) if Some(wanted) > max => Err(out_of_range(wanted, "above max", max)),
                Some(wanted) if Some(wanted) < min => Err(out_of_range(wanted, "below min", min)),
                _ => Ok(()),
            }
        }
        "DeleteAutoScalingGroup" if view.param("ForceDelete") != "true" => {
            let members = find(view, name).await?.map_or(0, |group| xml::items(&group, "Instances").len());
            if members > 0 {
                return Err(ApiError::new(
                    "ResourceInUse",
                    "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn find(view: &View<'_>, name: &str) -> Result<Option<Element>, ApiError> {
    let params = Params::default().with("AutoScalingGroupNames.member.1", name);
    let root = view.ask("autoscaling", "DescribeAutoScalingGroups", params).await?;
    Ok(xml::items(&root, "AutoScalingGroups").first().map(|group| (*group).clone()))
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn size(group: &Element, field: &str) -> Option<u64> {
    number(&xml::text(group, field))
}

fn out_of_range(wanted: u64, side: &str, bound: Option<u64>) -> ApiError {
    let bound = bound.unwrap_or_default();
    ApiError::new(
        "ValidationError",
        format!("New SetDesiredCapacity value {wanted} is {side} value {bound} for the AutoScalingGroup."),
    )
}

/// Minimum ≤ desired ≤ maximum. What an update leaves out stays; a desired capacity that was left out moves into the new
/// bounds by itself.
fn check_sizes(view: &View<'_>, group: Option<&Element>) -> Result<(), ApiError> {
    let asked = |field: &str| number(view.param(field));
    let after = |field: &str| asked(field).or_else(|| size(group?, field));
    let (min, max) = (after("MinSize"), after("MaxSize"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ApiError::new(
            "ValidationError",
            format!("Max bound, {max}, must be greater than or equal to min bound, {min}"),
        ));
    }
    if let (Some(min), Some(max), Some(desired)) = (min, max, asked("DesiredCapacity"))
        && !(min..=max).contains(&desired)
    {
        return Err(ApiError::new(
            "ValidationError",
            format!(
                "Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}"
            ),
        ));
    }
    Ok(())
}

//! Launch templates, instances and volumes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::xml;

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html>
const USER_DATA_LIMIT: usize = 16_384;

pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    if view.call.service != "ec2" {
        return Ok(());
    }
    match view.call.action.as_str() {
        "RunInstances" => check_user_data(view.param("UserData")),
        "CreateLaunchTemplate" | "CreateLaunchTemplateVersion" => {
            check_user_data(view.param("LaunchTemplateData.UserData"))
        }
        "AttachVolume" => check_zones(view).await,
        _ => Ok(()),
    }
}

fn check_user_data(text: &str) -> Result<(), ApiError> {
    let Ok(bytes) = STANDARD.decode(text.as_bytes()) else {
        return Err(ApiError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."));
    };
    if bytes.len() > USER_DATA_LIMIT {
        return Err(ApiError::new("InvalidParameterValue", "User data is limited to 16384 bytes"));
    }
    Ok(())
}

async fn check_zones(view: &View<'_>) -> Result<(), ApiError> {
    let (volume, instance) = (view.param("VolumeId"), view.param("InstanceId"));
    let volumes = view.ask("ec2", "DescribeVolumes", Params::default().with("VolumeId.1", volume)).await?;
    let instances =
        view.ask("ec2", "DescribeInstances", Params::default().with("InstanceId.1", instance)).await?;
    if xml::texts(&volumes, "availabilityZone").first() == xml::texts(&instances, "availabilityZone").first()
    {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidVolume.ZoneMismatch",
        format!("The volume '{volume}' is not in the same availability zone as instance '{instance}'"),
    ))
}

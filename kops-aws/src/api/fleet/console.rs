//! What an instance has written to its console.

use aws_sdk_ec2::operation::get_console_output::GetConsoleOutputOutput;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::resource::Handle;

use super::instance_id;
use crate::api::call::Purpose;
use crate::api::cloud::Api;

/// Reads it as it is now. Of instances that are not made on Nitro, EC2 only has what it took down after their start.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html>
pub(super) async fn read(api: &Api, instance: &Handle) -> Result<Option<String>, CloudError> {
    let output = match ask(api, instance, true).await {
        Err(error) if error.class == ErrorClass::Unsupported => ask(api, instance, false).await?,
        answer => answer?,
    };
    let text = output.output.and_then(|text| STANDARD.decode(text.trim()).ok()).unwrap_or_default();
    Ok((!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned()))
}

async fn ask(api: &Api, instance: &Handle, latest: bool) -> Result<GetConsoleOutputOutput, CloudError> {
    let id = instance_id(instance);
    let purpose = Purpose { operation: "read the console of", resource: Some(&id) };
    let call = api.ec2.get_console_output().instance_id(instance.as_str()).latest(latest).send();
    api.ec2(purpose, "ec2:GetConsoleOutput", call).await
}

//! The words of each service for what it does not allow.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::needs::Need;
use super::{Caller, partition};
use crate::call::{AwsCall, Protocol};
use crate::envelope::ApiError;

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
pub(super) fn refuse(call: &AwsCall, caller: &Caller, need: &Need, is_explicit: bool) -> ApiError {
    let Need { action, resource, .. } = need;
    let because = if is_explicit {
        "with an explicit deny in an identity-based policy".to_owned()
    } else {
        format!("because no identity-based policy allows the {action} action")
    };
    let who = caller.arn(partition(&call.region).0);
    let quoted = if call.protocol == Protocol::S3 { format!("\"{resource}\"") } else { resource.clone() };
    let words = format!("User: {who} is not authorized to perform: {action} on resource: {quoted} {because}");
    match call.protocol {
        // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html
        Protocol::Ec2 => {
            let encoded = STANDARD.encode(format!("{action} {resource} {:?}", need.context));
            let words = format!(
                "You are not authorized to perform this operation. {words}. Encoded authorization failure message: {encoded}"
            );
            ApiError::new("UnauthorizedOperation", words)
        }
        Protocol::Json => ApiError::new("AccessDeniedException", words),
        Protocol::Query | Protocol::S3 | Protocol::RestXml => ApiError::new("AccessDenied", words),
    }
}

/// The caller's role is gone, and its credentials with it.
pub(super) fn unknown(call: &AwsCall) -> ApiError {
    match call.protocol {
        Protocol::Ec2 => {
            ApiError::new("AuthFailure", "AWS was not able to validate the provided access credentials")
        }
        Protocol::S3 => ApiError::new(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        Protocol::Json => ApiError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        Protocol::Query | Protocol::RestXml => {
            ApiError::new("InvalidClientTokenId", "The security token included in the request is invalid.")
        }
    }
}

//! Who may take a role.

use serde_json::Value;

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::iam;

/// Services are called by one name in each partition, and no other is known there.
pub(crate) fn check(call: &AwsCall) -> Result<(), ApiError> {
    let document = match (call.service.as_str(), call.action.as_str()) {
        ("iam", "CreateRole") => call.params.get("AssumeRolePolicyDocument"),
        ("iam", "UpdateAssumeRolePolicy") => call.params.get("PolicyDocument"),
        _ => None,
    };
    let Some(document) = document.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return Ok(());
    };
    let known = iam::ec2_principal(&call.region);
    for service in services(&document["Statement"]) {
        if service.starts_with("ec2.") && service != known {
            return Err(ApiError::new(
                "MalformedPolicyDocument",
                format!("Invalid principal in policy: \"SERVICE\":\"{service}\""),
            ));
        }
    }
    Ok(())
}

/// The services that a document's statements name.
fn services(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(statements) => statements.iter().flat_map(services).collect(),
        statement => match &statement["Principal"]["Service"] {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            name => name.as_str().into_iter().collect(),
        },
    }
}

//! What a service says of something that it does not see: each in its own words, whoever made it.

use super::Kind;
use crate::envelope::ApiError;

/// The refusal of a call to `service` that names something hidden.
pub(super) fn refusal(service: &str, kind: &Kind, id: &str) -> ApiError {
    let (code, message) = match service {
        "autoscaling" => ("ValidationError", by_auto_scaling(kind, id)),
        "elb" | "elbv2" => by_load_balancing(kind, id),
        "ec2" if kind.service == "iam" => ("InvalidParameterValue", profile(id)),
        _ => (kind.not_found, format!("'{id}' does not exist (not yet visible)")),
    };
    ApiError::new(code, message)
}

fn profile(name: &str) -> String {
    format!(
        "Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    )
}

/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-launch-template.html> and public reports.
fn by_auto_scaling(kind: &Kind, id: &str) -> String {
    let template = "You must use a valid fully-formed launch template.";
    match (kind.service, kind.create) {
        ("elb", _) => {
            "Provided Load Balancers may not be valid. Please ensure they exist and try again.".to_owned()
        }
        ("elbv2", _) => {
            "Provided Target Groups may not be valid. Please ensure they exist and try again.".to_owned()
        }
        ("autoscaling", _) => {
            format!("AutoScalingGroup name not found - AutoScalingGroup {id} not found")
        }
        ("iam", _) => format!("{template} {}", profile(id)),
        (_, "CreateLaunchTemplate") => {
            format!("{template} The specified launch template, with template ID {id}, does not exist.")
        }
        (_, "CreateSubnet") => format!("The subnet ID '{id}' does not exist"),
        (_, "CreateSecurityGroup") => format!("{template} The security group '{id}' does not exist"),
        (_, "ImportKeyPair") => format!("{template} The key pair '{id}' does not exist"),
        _ => format!("'{id}' does not exist"),
    }
}

/// The errors of `CreateLoadBalancer` and `CreateTargetGroup` in both API references.
fn by_load_balancing(kind: &Kind, id: &str) -> (&'static str, String) {
    match (kind.service, kind.create) {
        ("ec2", "CreateSubnet") => ("SubnetNotFound", format!("The subnet ID '{id}' does not exist")),
        ("ec2", "CreateSecurityGroup") => {
            ("InvalidSecurityGroup", format!("The security group '{id}' does not exist"))
        }
        ("ec2", "AttachInternetGateway") => ("InvalidSubnet", "The VPC has no internet gateway".to_owned()),
        ("ec2", "CreateVpc") => ("ValidationError", format!("The VPC ID '{id}' is not found")),
        _ => (kind.not_found, format!("'{id}' does not exist (not yet visible)")),
    }
}

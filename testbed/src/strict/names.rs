//! Names: how long they may be, and of which characters.

use crate::call::AwsCall;
use crate::envelope::ApiError;

/// What a service takes as a name.
struct Name {
    service: &'static str,
    action: &'static str,
    parameter: &'static str,
    lengths: std::ops::RangeInclusive<usize>,
    /// The characters beside letters and digits.
    others: &'static str,
    code: &'static str,
}

const fn name(
    service: &'static str,
    action: &'static str,
    parameter: &'static str,
    most: usize,
    others: &'static str,
) -> Name {
    Name { service, action, parameter, lengths: 1..=most, others, code: "ValidationError" }
}

const OF_IAM: &str = "_+=,.@-";

/// From the API references of the services, each at the action.
const NAMES: [Name; 9] = [
    name("iam", "CreateRole", "RoleName", 64, OF_IAM),
    name("iam", "CreateInstanceProfile", "InstanceProfileName", 128, OF_IAM),
    name("iam", "PutRolePolicy", "PolicyName", 128, OF_IAM),
    name("elb", "CreateLoadBalancer", "LoadBalancerName", 32, "-"),
    name("elbv2", "CreateLoadBalancer", "Name", 32, "-"),
    name("elbv2", "CreateTargetGroup", "Name", 32, "-"),
    name(
        "autoscaling",
        "CreateAutoScalingGroup",
        "AutoScalingGroupName",
        255,
        " !\"#$%&'()*+,-./;<=>?@[]^_`{|}~",
    ),
    Name {
        code: "InvalidParameterValue",
        ..name("ec2", "CreateSecurityGroup", "GroupName", 255, " ._-:/()#,@[]+=&;{}!$*")
    },
    Name {
        code: "InvalidLaunchTemplateName.MalformedException",
        lengths: 3..=128,
        ..name("ec2", "CreateLaunchTemplate", "LaunchTemplateName", 128, "().-/_")
    },
];

pub(crate) fn check(call: &AwsCall) -> Result<(), ApiError> {
    let of_call = |name: &&Name| name.service == call.service && name.action == call.action;
    for name in NAMES.iter().filter(of_call) {
        let value = call.params.get(name.parameter).unwrap_or_default();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || name.others.contains(c);
        if !name.lengths.contains(&value.chars().count()) || !value.chars().all(is_allowed) {
            let message = format!(
                "'{value}' is not a valid {} of {} to {} characters",
                name.parameter,
                name.lengths.start(),
                name.lengths.end()
            );
            return Err(ApiError::new(name.code, message));
        }
    }
    Ok(())
}

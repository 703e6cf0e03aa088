//! What AWS's errors mean: the only place that knows their codes.

use kops_core::error::ErrorClass;

/// The meaning of an answer by its code, or by its HTTP status when it has none.
///
/// Codes are shared by the services, or differ in prefixes and suffixes that say the same everywhere
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
pub(crate) fn classify(code: Option<&str>, status: Option<u16>) -> ErrorClass {
    match code {
        Some(code) => by_code(code).or_else(|| by_status(status)).unwrap_or(ErrorClass::Invalid),
        None => by_status(status).unwrap_or(ErrorClass::Unavailable),
    }
}

fn by_code(code: &str) -> Option<ErrorClass> {
    Some(match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "TransactionInProgressException"
        | "BandwidthLimitExceeded"
        | "DependencyThrottle"
        | "DependencyThrottleException"
        | "EC2ThrottledException"
        | "SnapshotCreationPerVolumeRateExceeded"
        | "SlowDown" => ErrorClass::Throttled,
        // The request asks for more than one call may: it has to be made in parts.
        "FilterLimitExceeded" | "RequestResourceCountExceeded" => ErrorClass::Invalid,
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AuthFailure"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "InsufficientPrivilegesException"
        | "OptInRequired"
        | "RegionDisabledException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "UnrecognizedClientException"
        | "KMS.DisabledException"
        | "InvalidObjectState" => ErrorClass::Denied,
        "MaxSpotInstanceCountExceeded"
        | "MaxScheduledInstanceCapacityExceeded"
        | "VolumeModificationRateExceeded"
        | "PendingVerification"
        | "OperationNotPermitted"
        | "OperationNotPermittedException"
        | "Blocked" => ErrorClass::Quota,
        "DependencyViolation"
        | "DeleteConflict"
        | "ResourceInUse"
        | "ResourceInUseException"
        | "ResourceContention"
        | "ScalingActivityInProgress"
        | "VolumeInUse"
        | "IncorrectInstanceState"
        | "Resource.AlreadyAssociated"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "PreconditionFailed"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "EntityTemporarilyUnmodifiable"
        // A record is not as it was a moment ago, or another change of the zone is under way.
        | "InvalidChangeBatch"
        => ErrorClass::Conflict,
        "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" | "NoSuchEntity" | "NoSuchHostedZone"
        | "Gateway.NotAttached" => {
            ErrorClass::NotFound
        }
        // Load balancers say so of groups that do not exist (ELB API reference, CreateLoadBalancer).
        "InvalidSecurityGroup" => ErrorClass::NotFound,
        // The one that must be complete first was made a moment ago: of load balancers the network's way to the internet.
        "IncorrectState" | "InvalidSubnet" => ErrorClass::NotYetVisible,
        "AlreadyExists"
        | "EntityAlreadyExists"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "DuplicateAccessPointName"
        | "DuplicateLoadBalancerName"
        | "DuplicateListener"
        | "DuplicateTargetGroupName"
        | "RouteAlreadyExists" => ErrorClass::AlreadyExists,
        "InternalError"
        | "InternalFailure"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "Unavailable"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceFailure" => ErrorClass::Unavailable,
        "UnsupportedOperation" | "Unsupported" | "NotImplemented" => ErrorClass::Unsupported,
        _ => return by_pattern(code),
    })
}

fn by_pattern(code: &str) -> Option<ErrorClass> {
    let absent = ["NotFound", "NotFoundError", "NotFoundException", ".Unknown"];
    let limits = ["LimitExceeded", "LimitExceededException", "LimitExceededFault"];
    if absent.iter().any(|end| code.ends_with(end)) {
        Some(ErrorClass::NotFound)
    } else if code.ends_with(".Duplicate") || code.ends_with("AlreadyExistsException") {
        Some(ErrorClass::AlreadyExists)
    } else if limits.iter().any(|end| code.ends_with(end))
        || code.starts_with("TooMany")
        || code.starts_with("Insufficient")
    {
        Some(ErrorClass::Quota)
    } else if code.ends_with(".InUse") || code.ends_with(".Conflict") || code.ends_with("InUseException") {
        Some(ErrorClass::Conflict)
    } else {
        None
    }
}

/// Returns what an answer means if its words tell more than its code.
///
/// What IAM has made takes seconds to reach the services that use it, and until then they call it invalid
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>).
/// Auto Scaling says `ValidationError` of everything, also of what EC2 or Elastic Load Balancing have just made.
#[cfg(feature = "sdk")]
fn by_words(code: Option<&str>, words: &str) -> Option<ErrorClass> {
    let words = words.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    match code? {
        "InvalidParameterValue" | "InvalidParameterCombination" if says(&["iam instance profile"]) => {
            Some(ErrorClass::NotYetVisible)
        }
        // A user or role may have been made a moment ago. A service of that name is known to IAM, or it is not: the
        // partition decides.
        "MalformedPolicyDocument" if says(&["invalid principal in policy"]) => match says(&["\"aws\":"]) {
            true => Some(ErrorClass::NotYetVisible),
            false => Some(ErrorClass::Invalid),
        },
        // An image is looked up before anything is made: one that is missing then is gone.
        "ValidationError" if says(&["image id", "ami id"]) => None,
        "ValidationError" if says(&["autoscalinggroup name not found", "group name not found"]) => {
            Some(ErrorClass::NotFound)
        }
        "ValidationError" if says(&NOT_SEEN_BY_AUTO_SCALING) => Some(ErrorClass::NotYetVisible),
        "InvalidSubnet" if says(&["ip space", "address"]) => Some(ErrorClass::Quota),
        "OperationNotPermitted" | "OperationNotPermittedException" if says(&["protect"]) => {
            Some(ErrorClass::Denied)
        }
        _ => None,
    }
}

/// Auto Scaling's words for subnets, security groups, key pairs and launch templates; for load balancers and target
/// groups; for instance profiles; and for networks of load balancers (`CreateTargetGroup`).
#[cfg(feature = "sdk")]
const NOT_SEEN_BY_AUTO_SCALING: [&str; 7] = [
    "does not exist",
    "do not exist",
    "may not be valid. please ensure they exist",
    "target groups not found",
    "target group not found",
    "iam instance profile",
    "is not found",
];

/// Returns what helps against a limit, by the code and the words of the answer.
#[cfg(feature = "sdk")]
pub(crate) fn limit_hint(code: Option<&str>, words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    match code.unwrap_or_default() {
        "PendingVerification" => {
            "AWS is still verifying the account: wait some hours, then run the same again, or ask AWS Support"
        }
        "Blocked" => "AWS has blocked the account: only AWS Support can help",
        "OperationNotPermitted" | "OperationNotPermittedException" => {
            "AWS does not allow this for the account: ask AWS Support"
        }
        "VolumeModificationRateExceeded" => "a volume can be changed again six hours after its last change",
        "InsufficientFreeAddressesInSubnet" => {
            "the subnet has no free address left: delete what is not needed, or use a larger subnet"
        }
        "InvalidSubnet" if words.contains("ip space") || words.contains("address") => {
            "the subnet has too few free addresses: delete what is not needed, or use a larger subnet"
        }
        "SpotMaxPriceTooLow" => "the price is below the market's: raise maxPrice",
        code if code.starts_with("Insufficient") => {
            "AWS has no capacity left there: try again later, or choose another zone or machine type"
        }
        _ => "ask AWS for a higher limit (Service Quotas), or delete what is not needed",
    }
}

fn by_status(status: Option<u16>) -> Option<ErrorClass> {
    Some(match status? {
        401 | 403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        409 | 412 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled,
        500..=599 => ErrorClass::Unavailable,
        _ => return None,
    })
}

#[cfg(feature = "sdk")]
pub(crate) use sdk::Fault;

#[cfg(feature = "sdk")]
mod sdk {
    use std::error::Error;

    use aws_credential_types::provider::error::CredentialsError;
    use aws_sdk_s3::error::ProvideErrorMetadata;
    use aws_sdk_s3::operation::RequestId;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::DateTime;
    use aws_smithy_types::date_time::Format;
    use kops_core::clock::{Clock, SystemClock};
    use kops_core::error::{Cause, ErrorClass};

    use super::{by_words, classify, limit_hint};

    const OUT_OF_TIME: &str = "by this machine's clock, the service's certificate does not hold";
    const SET_THE_CLOCK: &str =
        "this machine's clock is too far from AWS's: set it (`timedatectl` tells whether it is kept)";

    /// A failed call, told apart from the operation that it was.
    #[derive(Debug)]
    pub(crate) struct Fault {
        /// What it means.
        pub(crate) class: ErrorClass,
        /// AWS's code, if AWS answered with one.
        pub(crate) code: Option<String>,
        /// The HTTP status, if anybody answered.
        pub(crate) status: Option<u16>,
        /// AWS's number of the request, by which its support finds it.
        pub(crate) request_id: Option<String>,
        /// Whether the call may have taken effect all the same.
        pub(crate) maybe_applied: bool,
        /// The region that S3 says the bucket is in, if it says so.
        pub(crate) bucket_region: Option<String>,
        /// Whether this machine's clock is too far from that of the answer: then AWS takes no signature.
        pub(crate) clock_is_off: bool,
        /// Why it failed, for people: AWS's words where there are any.
        pub(crate) message: String,
        /// The SDK's error.
        pub(crate) source: Cause,
    }

    impl Fault {
        /// The action that AWS says is not allowed, if it says so: often another one than that of the call.
        pub(crate) fn refused_action(&self) -> Option<&str> {
            let (_, rest) = self.message.split_once("not authorized to perform: ")?;
            rest.split_whitespace().next()
        }

        pub(crate) fn is(&self, code: &str) -> bool {
            self.code.as_deref() == Some(code)
        }

        /// What to do, where the reason is neither the request nor a permission.
        pub(crate) fn hint(&self) -> Option<&'static str> {
            match self.code.as_deref() {
                // An answer to HEAD has no code.
                _ if self.class == ErrorClass::Denied && self.clock_is_off => Some(SET_THE_CLOCK),
                Some("RequestTimeTooSkewed" | "RequestExpired") => Some(SET_THE_CLOCK),
                Some("ExpiredToken" | "ExpiredTokenException") => {
                    Some("the credentials have expired: get new ones (log in again)")
                }
                None if self.message == OUT_OF_TIME => Some(SET_THE_CLOCK),
                Some("FilterLimitExceeded" | "RequestResourceCountExceeded") => {
                    Some("this is a fault of this program: please report it")
                }
                code if self.class == ErrorClass::Quota => Some(limit_hint(code, &self.message)),
                Some("OperationNotPermitted") => Some("take the protection away first, if it is not wanted"),
                _ => None,
            }
        }
    }

    impl<E> From<SdkError<E, HttpResponse>> for Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        fn from(error: SdkError<E, HttpResponse>) -> Self {
            let response = error.raw_response();
            let status = response.map(|response| response.status().as_u16());
            let bucket_region = response
                .and_then(|response| response.headers().get("x-amz-bucket-region"))
                .map(str::to_owned);
            let clock_is_off =
                response.is_some_and(|response| is_far_from_now(response.headers().get("date")));
            let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
            let (class, message) = match &error {
                SdkError::ServiceError(service) => {
                    let words = service.err().message().unwrap_or("AWS refused without saying why");
                    let class = by_words(code.as_deref(), words);
                    let class = class.unwrap_or_else(|| classify(code.as_deref(), status));
                    (class, words.to_owned())
                }
                SdkError::TimeoutError(_) => {
                    (ErrorClass::Unavailable, "there was no answer in time".to_owned())
                }
                _ if is_for_want_of_credentials(&error) => {
                    (ErrorClass::Denied, "there are no usable AWS credentials".to_owned())
                }
                SdkError::DispatchFailure(_) if is_out_of_time(&error) => {
                    (ErrorClass::Unavailable, OUT_OF_TIME.to_owned())
                }
                SdkError::DispatchFailure(_) => {
                    (ErrorClass::Unavailable, "the service could not be reached".to_owned())
                }
                SdkError::ResponseError(_) => {
                    (ErrorClass::Unavailable, "the answer could not be understood".to_owned())
                }
                _ => (ErrorClass::Invalid, "the request could not be made".to_owned()),
            };
            let request_id = error.request_id().map(str::to_owned);
            let maybe_applied = class == ErrorClass::Unavailable;
            Self {
                class,
                code,
                status,
                request_id,
                maybe_applied,
                bucket_region,
                clock_is_off,
                message,
                source: error.into(),
            }
        }
    }

    /// Whether the time of an answer is farther from this machine's than a signature may be
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>).
    fn is_far_from_now(date: Option<&str>) -> bool {
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        date.is_some_and(|date| SystemClock.now().as_second().abs_diff(date.secs()) > 5 * 60)
    }

    /// Whether the service's certificate is of another time than this machine's.
    pub(super) fn is_out_of_time(error: &(dyn Error + 'static)) -> bool {
        let words = error.to_string().to_lowercase();
        let is_about_time =
            ["expired", "not valid yet", "notvalidyet"].iter().any(|part| words.contains(part));
        (words.contains("certificate") && is_about_time) || error.source().is_some_and(is_out_of_time)
    }

    fn is_for_want_of_credentials(error: &(dyn Error + 'static)) -> bool {
        error.is::<CredentialsError>() || error.source().is_some_and(is_for_want_of_credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_before_status() {
        for (code, status, class) in [
            (Some("RequestLimitExceeded"), Some(503), ErrorClass::Throttled),
            (Some("UnauthorizedOperation"), Some(403), ErrorClass::Denied),
            (Some("VpcLimitExceeded"), Some(400), ErrorClass::Quota),
            (Some("InvalidVpcID.NotFound"), Some(400), ErrorClass::NotFound),
            (Some("InvalidLaunchTemplateName.NotFoundException"), Some(400), ErrorClass::NotFound),
            (Some("InvalidGroup.Duplicate"), Some(400), ErrorClass::AlreadyExists),
            (Some("InvalidGroup.InUse"), Some(400), ErrorClass::Conflict),
            (Some("DependencyViolation"), Some(400), ErrorClass::Conflict),
            (Some("InsufficientInstanceCapacity"), Some(500), ErrorClass::Quota),
            (Some("ServerSideEncryptionConfigurationNotFoundError"), Some(404), ErrorClass::NotFound),
            (Some("SomethingNew"), Some(503), ErrorClass::Unavailable),
            (Some("InvalidParameterValue"), Some(400), ErrorClass::Invalid),
            (None, Some(403), ErrorClass::Denied),
            (None, Some(500), ErrorClass::Unavailable),
            (Some("VolumeInUse"), Some(400), ErrorClass::Conflict),
            (Some("ResourceInUse"), Some(400), ErrorClass::Conflict),
            (Some("DeleteConflict"), Some(409), ErrorClass::Conflict),
            (Some("NoSuchEntity"), Some(404), ErrorClass::NotFound),
            (Some("InvalidPermission.Duplicate"), Some(400), ErrorClass::AlreadyExists),
            (Some("InvalidSubnet.Conflict"), Some(400), ErrorClass::Conflict),
            (Some("Gateway.NotAttached"), Some(400), ErrorClass::NotFound),
            (Some("IncorrectState"), Some(400), ErrorClass::NotYetVisible),
            (Some("Throttling"), Some(400), ErrorClass::Throttled),
            (Some("SlowDown"), Some(503), ErrorClass::Throttled),
            (Some("AccessDenied"), Some(403), ErrorClass::Denied),
            (None, None, ErrorClass::Unavailable),
        ] {
            assert_eq!(classify(code, status), class, "{code:?} {status:?}");
        }
    }

    /// As rustls has it.
    #[cfg(feature = "sdk")]
    #[test]
    fn certificates_of_another_time_are_known() {
        let cause = |words: &str| std::io::Error::other(std::io::Error::other(words.to_owned()));
        let expired = "invalid peer certificate: certificate expired: verification time 1 (UNIX)";
        assert!(sdk::is_out_of_time(&cause(expired)));
        assert!(sdk::is_out_of_time(&cause("invalid peer certificate: certificate not valid yet")));
        assert!(!sdk::is_out_of_time(&cause("invalid peer certificate: UnknownIssuer")));
    }

    /// The tables of EC2, both generations of ELB, Auto Scaling, IAM, STS and S3.
    #[test]
    fn codes_of_every_service_are_known() {
        use ErrorClass::{Denied, Invalid, NotFound, NotYetVisible, Quota, Throttled};
        let table: [(ErrorClass, &[&str]); 6] = [
            (
                Throttled,
                &[
                    "RequestLimitExceeded",
                    "BandwidthLimitExceeded",
                    "DependencyThrottle",
                    "EC2ThrottledException",
                    "TooManyRequestsException",
                    "RequestThrottledException",
                    "PriorRequestNotComplete",
                ],
            ),
            (
                NotFound,
                &[
                    "SubnetNotFound",
                    "InvalidSecurityGroup",
                    "NatGatewayNotFound",
                    "LoadBalancerNotFound",
                    "AccessPointNotFound",
                    "TargetGroupNotFound",
                    "ListenerNotFound",
                    "CertificateNotFound",
                    "InvalidSubnetID.NotFound",
                    "InvalidAMIID.Unavailable.NotFound",
                    "NoSuchEntity",
                ],
            ),
            (NotYetVisible, &["InvalidSubnet", "IncorrectState"]),
            (
                Quota,
                &[
                    "TooManyLoadBalancers",
                    "TooManyAccessPoints",
                    "TooManyTags",
                    "TooManyRegistrationsForTargetId",
                    "VcpuLimitExceeded",
                    "InstanceLimitExceeded",
                    "RulesPerSecurityGroupLimitExceeded",
                    "LimitExceeded",
                    "MaxSpotInstanceCountExceeded",
                    "PendingVerification",
                    "Blocked",
                    "OperationNotPermitted",
                    "InsufficientInstanceCapacity",
                    "InsufficientCapacity",
                    "InsufficientFreeAddressesInSubnet",
                ],
            ),
            (Invalid, &["FilterLimitExceeded", "RequestResourceCountExceeded", "InvalidFilter"]),
            (Denied, &["RegionDisabledException", "OptInRequired", "UnauthorizedOperation"]),
        ];
        for (class, codes) in table {
            for code in codes {
                assert_eq!(classify(Some(code), Some(400)), class, "{code}");
            }
        }
    }

    #[cfg(feature = "sdk")]
    #[test]
    fn hints_against_limits_are_true() {
        let higher = "ask AWS for a higher limit";
        for (code, words, hint) in [
            ("VcpuLimitExceeded", "", higher),
            ("TooManyLoadBalancers", "", higher),
            ("InsufficientInstanceCapacity", "", "another zone or machine type"),
            ("InsufficientFreeAddressesInSubnet", "", "larger subnet"),
            ("InvalidSubnet", "Not enough IP space available in subnet-1", "larger subnet"),
            ("PendingVerification", "", "still verifying the account"),
            ("Blocked", "", "AWS Support"),
            (
                "OperationNotPermitted",
                "This AWS account currently does not support creating load balancers",
                "AWS Support",
            ),
        ] {
            let found = limit_hint(Some(code), words);
            assert!(found.contains(hint), "{code}: {found}");
        }
    }

    #[cfg(feature = "sdk")]
    #[test]
    fn words_go_before_vague_codes() {
        use ErrorClass::{Denied, Invalid, NotFound, NotYetVisible, Quota};
        let profile = "Value (nodes.a.b) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
        for (code, words, class) in [
            ("InvalidParameterValue", profile, Some(NotYetVisible)),
            ("ValidationError", profile, Some(NotYetVisible)),
            ("InvalidParameterValue", "the range is not valid", None),
            ("UnauthorizedOperation", profile, None),
            ("ValidationError", "The subnet ID 'subnet-1' does not exist", Some(NotYetVisible)),
            (
                "ValidationError",
                "You must use a valid fully-formed launch template. The specified launch template, with template ID lt-1, does not exist.",
                Some(NotYetVisible),
            ),
            (
                "ValidationError",
                "You must use a valid fully-formed launch template. The security group 'sg-1' does not exist",
                Some(NotYetVisible),
            ),
            (
                "ValidationError",
                "Provided Load Balancers may not be valid. Please ensure they exist and try again.",
                Some(NotYetVisible),
            ),
            (
                "ValidationError",
                "Provided Target Groups may not be valid. Please ensure they exist and try again.",
                Some(NotYetVisible),
            ),
            ("ValidationError", "One or more target groups not found", Some(NotYetVisible)),
            ("ValidationError", "The VPC ID 'vpc-1' is not found", Some(NotYetVisible)),
            (
                "ValidationError",
                "You must use a valid fully-formed launch template. The image id '[ami-1]' does not exist",
                None,
            ),
            ("ValidationError", "AutoScalingGroup name not found - null", Some(NotFound)),
            ("ValidationError", "Max bound, 1, must be greater than or equal to min bound, 2", None),
            (
                "MalformedPolicyDocument",
                "Invalid principal in policy: \"AWS\":\"arn:aws:iam::1:role/a\"",
                Some(NotYetVisible),
            ),
            (
                "MalformedPolicyDocument",
                "Invalid principal in policy: \"SERVICE\":\"ec2.amazonaws.com\"",
                Some(Invalid),
            ),
            ("InvalidSubnet", "VPC vpc-1 has no internet gateway", None),
            ("InvalidSubnet", "Not enough IP space available in subnet-1", Some(Quota)),
            (
                "OperationNotPermitted",
                "The instance 'i-1' may not be terminated: modify its 'disableApiTermination' instance attribute (termination protection)",
                Some(Denied),
            ),
        ] {
            assert_eq!(by_words(Some(code), words), class, "{code}: {words}");
        }
    }
}

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
        | "TooManyRequestsException"
        | "PriorRequestNotComplete"
        | "SlowDown" => ErrorClass::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AuthFailure"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "OptInRequired"
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
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientFreeAddressesInSubnet"
        | "InsufficientAddressCapacity"
        | "InsufficientVolumeCapacity"
        | "MaxSpotInstanceCountExceeded"
        | "TooManyBuckets"
        | "TooManyLoadBalancers"
        | "TooManyTargetGroups"
        | "LimitExceeded"
        | "LimitExceededException" => ErrorClass::Quota,
        "DependencyViolation"
        | "DeleteConflict"
        | "ResourceInUse"
        | "ResourceInUseException"
        | "ScalingActivityInProgress"
        | "VolumeInUse"
        | "IncorrectInstanceState"
        | "Resource.AlreadyAssociated"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "PreconditionFailed"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "EntityTemporarilyUnmodifiable" => ErrorClass::Conflict,
        "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchUpload"
        | "NoSuchEntity"
        | "NotFound"
        | "AccessPointNotFound"
        | "LoadBalancerNotFound"
        | "LoadBalancerNotFoundException"
        | "TargetGroupNotFound"
        | "Gateway.NotAttached"
        | "ListenerNotFound" => ErrorClass::NotFound,
        // The one that must be complete first was made a moment ago.
        "IncorrectState" => ErrorClass::NotYetVisible,
        "AlreadyExists"
        | "EntityAlreadyExists"
        | "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
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
    let absent = [".NotFound", "NotFoundError", "NotFoundException", ".Unknown"];
    if absent.iter().any(|end| code.ends_with(end)) {
        Some(ErrorClass::NotFound)
    } else if code.ends_with(".Duplicate") || code.ends_with("AlreadyExistsException") {
        Some(ErrorClass::AlreadyExists)
    } else if code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException") {
        Some(ErrorClass::Quota)
    } else if code.ends_with(".InUse") || code.ends_with(".Conflict") || code.ends_with("InUseException") {
        Some(ErrorClass::Conflict)
    } else {
        None
    }
}

/// What an answer means whose code says less than its words: what IAM has made takes seconds to reach the services that
/// use it, and until then they call it invalid
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>).
#[cfg(feature = "sdk")]
fn by_words(code: Option<&str>, words: &str) -> Option<ErrorClass> {
    let words = words.to_ascii_lowercase();
    let about_iam = words.contains("iam instance profile") || words.contains("invalid principal in policy");
    let vague = matches!(
        code,
        Some(
            "InvalidParameterValue"
                | "ValidationError"
                | "InvalidParameterCombination"
                | "MalformedPolicyDocument"
        )
    );
    (about_iam && vague).then_some(ErrorClass::NotYetVisible)
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

    use super::{by_words, classify};

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

    #[cfg(feature = "sdk")]
    #[test]
    fn words_go_before_vague_codes() {
        let profile = "Value (nodes.a.b) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
        for code in ["InvalidParameterValue", "ValidationError"] {
            assert_eq!(by_words(Some(code), profile), Some(ErrorClass::NotYetVisible), "{code}");
        }
        assert_eq!(by_words(Some("InvalidParameterValue"), "the range is not valid"), None);
        assert_eq!(by_words(Some("UnauthorizedOperation"), profile), None);
    }
}

//! One call: waits for its turn, and turns a failure into words.

use std::error::Error;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use futures::future::BoxFuture;
use kops_core::cloud::{CloudError, Left};
use kops_core::error::{ErrorClass, Retry};
use kops_core::resource::ResourceId;
use tokio::sync::Semaphore;

use crate::error::Fault;

/// How many calls one service gets at once: EC2 throttles an account by its rate, and a plan's steps come all at once.
const AT_ONCE: usize = 16;

/// What a call is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose<'a> {
    /// The verb: `observe`, `create`, `change`, `delete`.
    pub(super) operation: &'static str,
    /// The resource, if it is about one.
    pub(super) resource: Option<&'a ResourceId>,
}

impl<'a> Purpose<'a> {
    pub(super) const OBSERVE: Purpose<'static> = Purpose { operation: "observe", resource: None };

    pub(super) fn create(id: &'a ResourceId) -> Self {
        Self { operation: "create", resource: Some(id) }
    }

    pub(super) fn change(id: &'a ResourceId) -> Self {
        Self { operation: "change", resource: Some(id) }
    }

    pub(super) fn delete(id: &'a ResourceId) -> Self {
        Self { operation: "delete", resource: Some(id) }
    }

    pub(super) fn error(self, class: ErrorClass, message: impl Into<Box<str>>) -> CloudError {
        let error = CloudError::general(class, self.operation, message);
        CloudError { resource: self.resource.cloned(), ..error }
    }
}

/// The turns of one service.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Turns {
    /// Makes a call. `action` is the IAM action that allows it, such as `ec2:CreateVpc`.
    pub(super) async fn send<T, E>(
        &self,
        purpose: Purpose<'_>,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, CloudError>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        // The semaphore is never closed.
        let _turn = self.0.acquire().await;
        call.await.map_err(|error| failed(purpose, action, error.into()))
    }
}

fn failed(purpose: Purpose<'_>, action: &'static str, fault: Fault) -> CloudError {
    // What was made a moment ago is not known everywhere at once (EC2 API reference, "Eventual consistency").
    let class = match (purpose.operation, fault.class) {
        ("create" | "change", ErrorClass::NotFound) => ErrorClass::NotYetVisible,
        (_, class) => class,
    };
    let hint = match class {
        _ if fault.hint().is_some() => fault.hint().map(Into::into),
        ErrorClass::Denied => {
            let action = fault.refused_action().unwrap_or(action);
            Some(format!("the credentials need to be allowed {action}").into())
        }
        _ => None,
    };
    let left = if fault.maybe_applied { Left::Unknown } else { Left::Nothing };
    CloudError { hint, left, retry: class.retry(), ..purpose.error(class, reason(&fault)) }
        .with_source(fault.source)
}

/// AWS's words without what only machines can read, and for those who ask AWS the code and the request.
fn reason(fault: &Fault) -> String {
    let words = fault.message.split("Encoded authorization failure message").next().unwrap_or_default();
    let words = words.trim().trim_end_matches('.');
    let request = fault.request_id.as_ref().map(|id| format!("request {id}"));
    let marks: Vec<String> = fault.code.iter().cloned().chain(request).collect();
    if marks.is_empty() { words.to_owned() } else { format!("{words} ({})", marks.join(", ")) }
}

/// For creates that would make another one if the SDK repeated them: whoever repeats them looks first.
pub(super) fn once() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::new().retry_config(aws_sdk_ec2::config::retry::RetryConfig::disabled())
}

/// A future on the heap, made outside the caller's stack frame: those of the SDK's calls take kilobytes each, and a
/// function that chooses among many would need room for all of them.
#[inline(never)]
pub(super) fn boxed<'a, T, F>(make: impl FnOnce() -> F) -> BoxFuture<'a, T>
where
    F: Future<Output = T> + Send + 'a,
{
    Box::pin(make())
}

/// What AWS answered without.
pub(super) fn missing(purpose: Purpose<'_>, what: &str) -> CloudError {
    let error = purpose.error(ErrorClass::Unavailable, format!("AWS answered without {what}"));
    CloudError { retry: Retry::Backoff, ..error }.maybe_applied()
}

/// Nothing where something was not there.
pub(super) fn absent_is_fine<T>(result: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.class, ErrorClass::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use kops_core::resource::Kind;

    use super::*;

    fn failure(class: ErrorClass, code: &str, message: &str) -> CloudError {
        let fault = Fault {
            class,
            code: Some(code.to_owned()),
            status: Some(400),
            request_id: Some("42".to_owned()),
            maybe_applied: class == ErrorClass::Unavailable,
            bucket_region: None,
            clock_is_off: false,
            message: message.to_owned(),
            source: message.into(),
        };
        let id = ResourceId::new(Kind::new("VPC"), "a.b");
        failed(Purpose::create(&id), "ec2:CreateVpc", fault)
    }

    #[test]
    fn errors_name_resource_reason_and_request() {
        let error =
            failure(ErrorClass::Quota, "VpcLimitExceeded", "The maximum number of VPCs has been reached.");
        assert_eq!(
            error.to_string(),
            "cannot create VPC/a.b: The maximum number of VPCs has been reached (VpcLimitExceeded, request 42)"
        );
        assert_eq!((error.retry, error.left), (Retry::Never, Left::Nothing));
        let error = failure(ErrorClass::Unavailable, "InternalError", "it broke");
        assert_eq!((error.retry, error.left), (Retry::Backoff, Left::Unknown));
        let error = failure(ErrorClass::NotFound, "InvalidVpcID.NotFound", "there is none");
        assert_eq!((error.class, error.retry), (ErrorClass::NotYetVisible, Retry::Backoff));
    }

    #[test]
    fn who_is_denied_learns_what_to_ask_for() {
        let words =
            "You are not authorized to perform this operation. Encoded authorization failure message: abc";
        let error = failure(ErrorClass::Denied, "UnauthorizedOperation", words);
        assert!(!error.to_string().contains("abc"), "{error}");
        assert_eq!(error.hint.as_deref(), Some("the credentials need to be allowed ec2:CreateVpc"));
        let words = "User: arn:aws:iam::1:user/x is not authorized to perform: ec2:CreateTags on resource: y";
        let error = failure(ErrorClass::Denied, "UnauthorizedOperation", words);
        assert_eq!(error.hint.as_deref(), Some("the credentials need to be allowed ec2:CreateTags"));
    }
}

//! What a failed call to S3 tells the user.

use kops_core::error::{Cause, ErrorClass};
use kops_core::state::{Failure, StateError};

use crate::error::Fault;
use crate::partition;

/// A call to S3, as far as its errors name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// What was tried, as a verb.
    pub(super) operation: &'static str,
    /// The permission it needs.
    pub(super) action: &'static str,
    /// The bucket.
    pub(super) bucket: &'a str,
    /// The bucket's region, as far as it is known.
    pub(super) region: &'a str,
    /// The object or the store, as its users write it.
    pub(super) location: &'a str,
}

impl Call<'_> {
    pub(super) fn failed(self, fault: impl Into<Fault>) -> StateError {
        let fault = fault.into();
        let Self { operation, action, bucket, region, location } = self;
        let (message, hint) = if fault.is("NoSuchBucket") {
            (
                format!("there is no bucket {bucket:?}"),
                Some(format!("check the name, or create the bucket: kops create state-store s3://{bucket}")),
            )
        } else if let Some(found) = fault.bucket_region.as_ref().filter(|_| is_elsewhere(&fault)) {
            (format!("the bucket {bucket:?} is in {found}"), Some(format!("use the region {found}")))
        } else if let Some(hint) = fault.hint() {
            (fault.message.clone(), Some(hint.to_owned()))
        } else if fault.class == ErrorClass::Denied && fault.status.is_some() {
            let is_about_bucket = action.contains("Bucket") || action.ends_with("EncryptionConfiguration");
            let resource = if is_about_bucket { "" } else { "/*" };
            let partition = partition::of_region(region);
            let hint = match fault.refused_action() {
                // Of the key that encrypts.
                Some(other) if other != action => format!("allow {other}"),
                _ => format!("allow {action} on arn:{partition}:s3:::{bucket}{resource}"),
            };
            (format!("the credentials do not allow {action}: {}", fault.message), Some(hint))
        } else if fault.class == ErrorClass::Denied {
            (fault.message.clone(), Some("log in, or say which credentials to use (AWS_PROFILE)".to_owned()))
        } else {
            (fault.message.clone(), None)
        };
        let mut failure = Failure::new(fault.class, operation, location, message).with_source(fault.source);
        failure.hint = hint;
        failure.into()
    }

    /// The bucket is there already, in another region than asked for.
    pub(super) fn elsewhere(self, region: &str) -> StateError {
        let message = format!("the bucket {:?} exists already, in {region}", self.bucket);
        Failure::new(ErrorClass::AlreadyExists, self.operation, self.location, message)
            .with_hint(format!("use it with the region {region}, or choose another name"))
            .into()
    }

    /// The request lacks something, which no input can cause.
    pub(super) fn unbuildable(self, error: impl Into<Cause>) -> StateError {
        Failure::new(ErrorClass::Invalid, self.operation, self.location, "the request is not complete")
            .with_source(error)
            .into()
    }
}

/// Whether S3 says that another region has the bucket.
pub(super) fn is_elsewhere(fault: &Fault) -> bool {
    fault.is("PermanentRedirect")
        || fault.is("AuthorizationHeaderMalformed")
        || fault.is("IllegalLocationConstraintException")
        || matches!(fault.status, Some(301 | 307 | 400) if fault.bucket_region.is_some())
}

//! S3: checksums, regions and pages.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::Uri;
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use hyper::http::request::Parts;
use md5::{Digest, Md5};

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::upstream::Upstream;

/// What is known of buckets, and how lists of objects are cut.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    page_size: Option<usize>,
    regions: Mutex<HashMap<String, String>>,
    writing: tokio::sync::Mutex<()>,
}

impl Objects {
    pub(crate) fn new(page_size: Option<usize>) -> Self {
        Self { page_size, ..Self::default() }
    }

    pub(crate) fn clear(&self) {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for the turn of a write. S3 compares and writes in one step; moto does it in two, and loses writes between
    /// them. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub(crate) async fn turn(&self, call: &AwsCall) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let writes = matches!(call.action.as_str(), "PutObject" | "DeleteObject" | "DeleteObjects");
        if writes { Some(self.writing.lock().await) } else { None }
    }

    /// Refuses what S3 refuses.
    pub(crate) async fn check(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<(), ApiError> {
        check_digests(&parts.headers, body)?;
        let bucket = call.resource.split('/').next().unwrap_or_default();
        if bucket.is_empty() || matches!(call.action.as_str(), "CreateBucket" | "GetBucketLocation") {
            return Ok(());
        }
        match self.region(upstream, call, bucket).await? {
            Some(region) if region != call.region => Err(elsewhere(region)),
            _ => Ok(()),
        }
    }

    async fn region(
        &self,
        upstream: &Upstream,
        call: &AwsCall,
        bucket: &str,
    ) -> Result<Option<String>, ApiError> {
        let known = {
            let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
            // A deleted bucket may be made again elsewhere.
            if call.action == "DeleteBucket" { regions.remove(bucket) } else { regions.get(bucket).cloned() }
        };
        if known.is_some() {
            return Ok(known);
        }
        let region = upstream.bucket_region(call, bucket).await?;
        if let Some(region) = region.as_ref().filter(|_| call.action != "DeleteBucket") {
            let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
            regions.insert(bucket.to_owned(), region.clone());
        }
        Ok(region)
    }

    /// Makes a list ask for a small page.
    pub(crate) fn with_small_pages(&self, call: &AwsCall, mut parts: Parts) -> Parts {
        let lists = matches!(call.action.as_str(), "ListObjects" | "ListObjectsV2" | "ListObjectVersions");
        let Some(size) = self.page_size.filter(|_| lists) else { return parts };
        let kept: Vec<(String, String)> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let wanted = kept.iter().find(|(key, _)| key == "max-keys").and_then(|(_, value)| value.parse().ok());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept.iter().filter(|(key, _)| key != "max-keys"))
            .append_pair("max-keys", &wanted.unwrap_or(size).min(size).to_string())
            .finish();
        if let Ok(uri) = Uri::try_from(format!("{}?{query}", parts.uri.path())) {
            parts.uri = uri;
        }
        parts
    }
}

/// Buckets of regions that opened after 20 March 2019 are not known everywhere: no redirect leads to them.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html>
fn elsewhere(region: String) -> ApiError {
    let is_old = OLD_REGIONS.contains(&region.as_str()) || region.starts_with("us-gov-");
    let (code, status, message) = if is_old {
        let message =
            "The bucket you are attempting to access must be addressed using the specified endpoint."
                .to_owned();
        ("PermanentRedirect", StatusCode::MOVED_PERMANENTLY, message)
    } else {
        let message = format!(
            "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        ("IllegalLocationConstraintException", StatusCode::BAD_REQUEST, message)
    };
    ApiError { code: code.to_owned(), message, status, bucket_region: Some(region) }
}

/// The regions that were open by then.
const OLD_REGIONS: [&str; 19] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>
fn check_digests(headers: &HeaderMap, body: &Bytes) -> Result<(), ApiError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header(CONTENT_ENCODING.as_str()).is_some_and(|encoding| encoding.contains("aws-chunked")) {
        // The body carries its checksum in itself.
        return Ok(());
    }
    let refuse = |what: &str| {
        Err(ApiError::new("BadDigest", format!("The {what} you specified did not match what we received.")))
    };
    if header("content-md5").is_some_and(|sent| sent != STANDARD.encode(Md5::digest(body))) {
        return refuse("Content-MD5");
    }
    let crc32 = || STANDARD.encode(crc32fast::hash(body).to_be_bytes());
    if header("x-amz-checksum-crc32").is_some_and(|sent| sent != crc32()) {
        return refuse("CRC32");
    }
    Ok(())
}

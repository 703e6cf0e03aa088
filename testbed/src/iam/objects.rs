//! What calls to S3 need.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use hyper::HeaderMap;
use hyper::http::request::Parts;

use super::needs::Need;
use super::policy::Context;
use super::{ACCOUNT, partition};
use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::upstream::Upstream;

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// The permission by which absence may be told.
pub(super) fn listing(call: &AwsCall) -> Need {
    let bucket = call.resource.split('/').next().unwrap_or_default();
    Need::new("s3:ListBucket", arn(call, bucket))
}

fn arn(call: &AwsCall, resource: &str) -> String {
    format!("arn:{}:s3:::{resource}", partition(&call.region).0)
}

/// The permissions that a call needs before it is carried out.
pub(super) async fn of_call(
    upstream: &Upstream,
    call: &AwsCall,
    parts: &Parts,
) -> Result<Vec<Need>, ApiError> {
    let Some(action) = action(call, parts) else {
        return Ok(vec![Need::new("s3:ListAllMyBuckets", "*")]);
    };
    // A deletion of several names them in its body; a role that may delete everything may delete those.
    let below = if call.action == "DeleteObjects" { "/*" } else { "" };
    let resource = arn(call, &format!("{}{below}", call.resource));
    let mut needs = vec![Need::new(action, &resource)];
    if call.action == "PutObject" {
        let more = [("x-amz-tagging", "s3:PutObjectTagging"), ("x-amz-acl", "s3:PutObjectAcl")];
        let more = more.iter().filter(|(name, _)| header(parts, name).is_some());
        needs.extend(more.map(|(_, action)| Need::new(*action, &resource)));
    }
    if matches!(call.action.as_str(), "PutObject" | "PostMultipartUploads") {
        let bucket = call.resource.split('/').next().unwrap_or_default();
        let key = match header(parts, "x-amz-server-side-encryption-aws-kms-key-id") {
            Some(key) => Some(key.to_owned()),
            None if header(parts, "x-amz-server-side-encryption") == Some("AES256") => None,
            None => upstream.key_of_bucket(call, bucket).await?,
        };
        needs.extend(key.and_then(|key| use_of_key("kms:GenerateDataKey", call, &key)));
    }
    Ok(needs)
}

/// The action of a call on a bucket or an object; `None` for the list of all buckets.
fn action(call: &AwsCall, parts: &Parts) -> Option<String> {
    let is_object = call.resource.contains('/');
    let query = parts.uri.query().unwrap_or_default();
    let versioned = query.split('&').any(|part| part.starts_with("versionId="));
    let action = match call.action.as_str() {
        "ListBuckets" => return None,
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "GetObject" | "HeadObject" if versioned => "GetObjectVersion",
        "HeadObject" => "GetObject",
        "CopyObject" | "PostMultipartUploads" | "PutMultipartUpload" | "PostMultipartUpload" => "PutObject",
        "DeleteObject" if versioned => "DeleteObjectVersion",
        "DeleteObjects" => "DeleteObject",
        "DeleteMultipartUpload" => "AbortMultipartUpload",
        "GetMultipartUpload" => "ListMultipartUploadParts",
        "GetMultipartUploads" => "ListBucketMultipartUploads",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" => "PutLifecycleConfiguration",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetAcl" if is_object => "GetObjectAcl",
        "PutAcl" if is_object => "PutObjectAcl",
        "GetTagging" if is_object => "GetObjectTagging",
        "PutTagging" if is_object => "PutObjectTagging",
        "GetAcl" => "GetBucketAcl",
        "PutAcl" => "PutBucketAcl",
        "GetTagging" => "GetBucketTagging",
        "PutTagging" => "PutBucketTagging",
        // All others are called as their permission: GetObject, CreateBucket, PutBucketVersioning, …
        other => other,
    };
    Some(format!("s3:{action}"))
}

/// The permission that reading an object needs on top, by the answer: that of the key it is encrypted with.
pub(super) fn of_answer(call: &AwsCall, headers: &HeaderMap) -> Option<Need> {
    let key = headers.get("x-amz-server-side-encryption-aws-kms-key-id")?.to_str().ok()?;
    (call.action == "GetObject").then(|| use_of_key("kms:Decrypt", call, key)).flatten()
}

/// A customer's key is used with the caller's own permissions; the one that KMS keeps for S3 in every account is not.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms>
fn use_of_key(action: &str, call: &AwsCall, key: &str) -> Option<Need> {
    if key.is_empty() || key.ends_with("alias/aws/s3") {
        return None;
    }
    let (partition, suffix) = partition(&call.region);
    let arn = match key.starts_with("arn:") {
        true => key.to_owned(),
        false => format!("arn:{partition}:kms:{}:{ACCOUNT}:key/{key}", call.region),
    };
    let mut context = Context::default().with("kms:ViaService", format!("s3.{}.{suffix}", call.region));
    // moto keeps an alias as it was given, where AWS looks up its key.
    if let Some((_, alias)) = key.split_once("alias/") {
        context.set("kms:ResourceAliases", format!("alias/{alias}"));
    }
    Some(Need { context, ..Need::new(action, arn) })
}

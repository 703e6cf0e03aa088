use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Object as Listed, ServerSideEncryption};
use kops_core::clock::Timestamp;
use kops_core::error::ErrorClass;
use kops_core::state::{
    Entry, Failure, Key, LostUpdate, Object, Prefix, Put, StateError, StateStore, Version,
};
use tokio::sync::OnceCell;

use super::bucket::{Encryption, encryption};
use super::fault::Call;
use super::location::{Located, Regions, locate};
use super::{S3Options, S3Url};
use crate::error::Fault;
use crate::store_key;

/// Metadata that tells one write from another of the same bytes.
const WRITE_ID: &str = "kops-write";
/// Metadata that names who wrote.
const WRITER: &str = "kops-writer";
/// How many bytes a second the slowest line takes: programs of a hundred million bytes go over it in two hours.
const SLOWEST: u64 = 16 * 1024;
/// How often a call is made again that S3 itself asks to repeat, or whose answer breaks off.
const ATTEMPTS: u32 = 6;

/// A state store in an S3 bucket, or in one of another service that speaks S3 and knows conditional writes.
///
/// Versions are entity tags. Writes are conditional by `If-None-Match` and `If-Match`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>); each carries an id of its own, so
/// that a write whose answer was lost is not taken for somebody else's. Clones share their connections.
#[derive(Clone)]
pub struct S3StateStore {
    client: Client,
    url: S3Url,
    region: String,
    kms_key: Option<String>,
    writer: Option<String>,
    encryption: Arc<OnceCell<Option<Encryption>>>,
    writes: Arc<WriteIds>,
}

impl S3StateStore {
    /// Opens the store at `url` (`s3://bucket/prefix`), in whatever region its bucket is.
    ///
    /// # Errors
    /// `url` is no address, there is no such bucket, it may not be used, or S3 cannot be reached.
    pub async fn open(url: &str, options: S3Options) -> Result<Self, StateError> {
        let url = S3Url::parse(url)?;
        let Located { client, region, .. } = locate(&url, &Regions::new(&options).await).await?;
        Ok(Self::new(client, url, region, &options))
    }

    /// Opens the store at `url` in a region that is known to have its bucket. Makes no call, so that it needs no permission
    /// to look at the bucket itself.
    ///
    /// # Errors
    /// `url` is no address.
    pub async fn in_region(url: &str, region: &str, options: S3Options) -> Result<Self, StateError> {
        let url = S3Url::parse(url)?;
        let client = Regions::new(&options).await.client(region);
        Ok(Self::new(client, url, region.to_owned(), &options))
    }

    fn new(client: Client, url: S3Url, region: String, options: &S3Options) -> Self {
        Self {
            client,
            url,
            region,
            kms_key: options.kms_key.clone(),
            writer: options.writer.clone(),
            encryption: Arc::default(),
            writes: Arc::new(WriteIds::new()),
        }
    }

    /// Returns the customer's KMS key that new objects are encrypted with: that of the options, or else the bucket's.
    /// Returns `None` if S3 encrypts with keys of its own.
    ///
    /// # Errors
    /// The bucket's encryption cannot be read. It then is not known who may read the objects.
    pub async fn kms_key(&self) -> Result<Option<String>, StateError> {
        let of_customer = |key: &String| store_key::of_customer(key).is_some();
        if let Some(key) = &self.kms_key {
            return Ok(Some(key.clone()).filter(of_customer));
        }
        let location = self.to_string();
        let found = self.encryption().await.map_err(|fault| {
            self.call("read the encryption of", "s3:GetEncryptionConfiguration", &location).failed(fault)
        })?;
        Ok(found.as_ref().and_then(|encryption| encryption.kms_key.clone()))
    }

    async fn encryption(&self) -> Result<&Option<Encryption>, Fault> {
        self.encryption.get_or_try_init(|| encryption(&self.client, &self.url.bucket)).await
    }

    /// Where it is.
    pub fn url(&self) -> &S3Url {
        &self.url
    }

    /// The region of its bucket.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The name of the object in the bucket.
    fn name(&self, key: &Key) -> String {
        let prefix = self.url.prefix.as_str();
        if prefix.is_empty() { key.to_string() } else { format!("{prefix}/{key}") }
    }

    fn call<'a>(&'a self, operation: &'static str, action: &'static str, location: &'a str) -> Call<'a> {
        Call { operation, action, bucket: &self.url.bucket, region: &self.region, location }
    }

    async fn request(&self, name: &str, id: &str, put: &Put) -> PutObjectFluentBuilder {
        let request = self.client.put_object().bucket(&self.url.bucket).key(name).metadata(WRITE_ID, id);
        let request = match put {
            Put::Always => request,
            Put::IfAbsent => request.if_none_match("*"),
            Put::IfUnchanged(version) => request.if_match(version.as_str()),
        };
        let request = match &self.writer {
            // Metadata travels in headers, which hold ASCII only.
            Some(writer) => request.metadata(WRITER, writer.replace(|c: char| !c.is_ascii_graphic(), "_")),
            None => request,
        };
        self.encrypted(request).await
    }

    /// As kops: a bucket that encrypts by itself is left to do so, any other is told to.
    async fn encrypted(&self, put: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        if let Some(key) = &self.kms_key {
            return put.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(key);
        }
        // Callers that may not know are as well off with the header.
        let encrypts = self.encryption().await.is_ok_and(Option::is_some);
        if encrypts { put } else { put.server_side_encryption(ServerSideEncryption::Aes256) }
    }

    /// Gives a write the time that its bytes take on a slow line. Whether they still move is what the SDK watches (its
    /// stalled-stream protection); its other time-outs do not tell a slow body from a silent service.
    fn timeouts(&self, bytes: usize) -> Option<TimeoutConfig> {
        let allowance = Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / SLOWEST);
        let usual = self.client.config().timeout_config().filter(|_| !allowance.is_zero())?;
        let longer = |time: Option<Duration>| time.map(|time| time.saturating_add(allowance));
        let mut timeouts = usual.to_builder();
        timeouts.set_read_timeout(longer(usual.read_timeout()));
        timeouts.set_operation_attempt_timeout(longer(usual.operation_attempt_timeout()));
        timeouts.set_operation_timeout(longer(usual.operation_timeout()));
        Some(timeouts.build())
    }

    async fn head(&self, name: &str, call: Call<'_>) -> Result<Option<HeadObjectOutput>, StateError> {
        match self.client.head_object().bucket(&self.url.bucket).key(name).send().await.map_err(Fault::from) {
            Ok(found) => Ok(Some(found)),
            Err(fault) if fault.class == ErrorClass::NotFound => Ok(None),
            Err(fault) => Err(call.failed(fault)),
        }
    }

    async fn read(&self, name: &str, call: Call<'_>) -> Result<Option<Object>, Broken> {
        let answer = self.client.get_object().bucket(&self.url.bucket).key(name).send().await;
        let answer = match answer.map_err(Fault::from) {
            Ok(answer) => answer,
            Err(fault) if fault.is("NoSuchKey") || is_unlisted(&fault) => return Ok(None),
            Err(fault) => return Err(Broken::Refused(call.failed(fault))),
        };
        let version = tag(answer.e_tag, call).map_err(Broken::Refused)?;
        let bytes = answer.body.collect().await.map_err(|error| {
            let message = "the answer broke off";
            let failure = Failure::new(ErrorClass::Unavailable, call.operation, call.location, message);
            Broken::OffInTheMiddle(failure.with_source(error).into())
        })?;
        // Not `to_vec`, which goes byte by byte: programs have a hundred million.
        Ok(Some(Object { bytes: bytes.into_bytes().into(), version }))
    }

    fn entry(&self, listed: Listed, location: &str) -> Result<Option<Entry>, StateError> {
        let name = listed.key.unwrap_or_default();
        let size = u64::try_from(listed.size.unwrap_or_default()).unwrap_or_default();
        // Consoles show folders by means of empty objects whose names end in a slash.
        if name.ends_with('/') && size == 0 {
            return Ok(None);
        }
        let rest = match self.url.prefix.as_str() {
            "" => name.as_str(),
            prefix => name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&name),
        };
        let version = tag(listed.e_tag, self.call("list", "s3:ListBucket", location))?;
        Ok(Some(Entry { key: Key::new(rest)?, version, size }))
    }
}

/// Whether an object is not there, said to one who may read it but not list the bucket: the refusal names the permission
/// that would have told (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>, "Permissions").
fn is_unlisted(fault: &Fault) -> bool {
    fault.is("AccessDenied") && fault.message.contains("not authorized to perform: s3:ListBucket")
}

/// Why a read came to nothing.
enum Broken {
    Refused(StateError),
    OffInTheMiddle(StateError),
}

impl fmt::Debug for S3StateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3StateStore")
            .field("url", &self.url)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for S3StateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[async_trait]
impl StateStore for S3StateStore {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        let location = format!("{self}/{key}");
        let call = self.call("read", "s3:GetObject", &location);
        let name = self.name(key);
        let mut attempt = 1;
        loop {
            match self.read(&name, call).await {
                Ok(object) => return Ok(object),
                Err(Broken::OffInTheMiddle(_)) if attempt < ATTEMPTS => pause(attempt).await,
                Err(Broken::OffInTheMiddle(error) | Broken::Refused(error)) => return Err(error),
            }
            attempt += 1;
        }
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        let location = format!("{self}/{key}");
        let call = self.call("write", "s3:PutObject", &location);
        let name = self.name(key);
        let id = self.writes.next();
        let mut attempt = 1;
        loop {
            let request = self.request(&name, &id, &put).await.body(ByteStream::from(bytes.to_vec()));
            let sent = match self.timeouts(bytes.len()) {
                Some(timeouts) => {
                    let longer = aws_sdk_s3::config::Builder::new().timeout_config(timeouts);
                    request.customize().config_override(longer).send().await
                }
                None => request.send().await,
            };
            let fault = match sent.map_err(Fault::from) {
                Ok(answer) => return tag(answer.e_tag, call),
                Err(fault) => fault,
            };
            // Two conditional writes at once: S3 asks one of them to try again.
            if fault.is("ConditionalRequestConflict") && attempt < ATTEMPTS {
                pause(attempt).await;
                attempt += 1;
                continue;
            }
            let has_lost = fault.status == Some(412)
                || fault.is("ConditionalRequestConflict")
                || (fault.is("NoSuchKey") && matches!(put, Put::IfUnchanged(_)));
            if !has_lost {
                return Err(call.failed(fault));
            }
            let found = self.head(&name, call).await?;
            let of = |what: &str| found.as_ref().and_then(|found| found.metadata()?.get(what).cloned());
            if of(WRITE_ID).as_ref() == Some(&id) {
                // It was this very write, and only its first answer got lost.
                return tag(found.and_then(|found| found.e_tag), call);
            }
            return Err(match put {
                Put::Always => call.failed(fault),
                Put::IfAbsent => StateError::Exists { location },
                Put::IfUnchanged(_) => LostUpdate {
                    writer: of(WRITER),
                    modified: found.as_ref().and_then(modified),
                    found: found.and_then(|found| found.e_tag).map(Version::new),
                    location,
                }
                .into(),
            });
        }
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        let location = format!("{self}/{prefix}");
        let parts = [self.url.prefix.as_str(), prefix.as_str()];
        let below: String =
            parts.iter().filter(|part| !part.is_empty()).map(|part| format!("{part}/")).collect();
        let mut pages =
            self.client.list_objects_v2().bucket(&self.url.bucket).prefix(below).into_paginator().send();
        let mut entries = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.call("list", "s3:ListBucket", &location).failed(error))?;
            for listed in page.contents.unwrap_or_default() {
                entries.extend(self.entry(listed, &location)?);
            }
        }
        // General purpose buckets list in this order anyway; others do not.
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        let location = format!("{self}/{key}");
        let name = self.name(key);
        match self.client.delete_object().bucket(&self.url.bucket).key(name).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.call("delete", "s3:DeleteObject", &location).failed(error)),
        }
    }
}

fn tag(tag: Option<String>, call: Call<'_>) -> Result<Version, StateError> {
    tag.map(Version::new).ok_or_else(|| {
        let message = "the answer has no entity tag, so later changes could not be noticed";
        Failure::new(ErrorClass::Unsupported, call.operation, call.location, message).into()
    })
}

fn modified(found: &HeadObjectOutput) -> Option<Timestamp> {
    Timestamp::from_second(found.last_modified()?.secs()).ok()
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(25) * 2_u32.pow(attempt)).await;
}

/// Ids that no other write of any process has.
#[derive(Debug)]
struct WriteIds {
    process: u64,
    count: AtomicU64,
}

impl WriteIds {
    fn new() -> Self {
        // Seeded by the system's randomness, anew for each.
        Self { process: RandomState::new().build_hasher().finish(), count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:016x}-{}", self.process, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

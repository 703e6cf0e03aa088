//! Finding the region of a bucket.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use kops_core::state::StateError;

use super::fault::{Call, is_elsewhere};
use super::{S3Options, S3Url};
use crate::error::Fault;

/// Where buckets are looked for that nobody named a region for: it answers for all regions of the standard partition.
pub(super) const FIRST_REGION: &str = "us-east-1";

/// Makes clients for S3's regions.
pub(super) struct Regions<'a> {
    config: SdkConfig,
    options: &'a S3Options,
    /// The region that is asked first.
    pub(super) home: String,
}

impl<'a> Regions<'a> {
    pub(super) async fn new(options: &'a S3Options) -> Self {
        let config = match &options.config {
            Some(config) => config.clone(),
            None => aws_config::load_defaults(BehaviorVersion::latest()).await,
        };
        let home = options.region.clone().or_else(|| config.region().map(ToString::to_string));
        Self { config, options, home: home.unwrap_or_else(|| FIRST_REGION.to_owned()) }
    }

    pub(super) fn client(&self, region: &str) -> Client {
        let mut builder = Builder::from(&self.config).region(Region::new(region.to_owned()));
        if let Some(credentials) = &self.options.credentials {
            builder = builder.credentials_provider(credentials.clone());
        }
        if let Some(endpoint) = &self.options.endpoint {
            // Other makers' services know no buckets in host names, and often no checksums in trailers.
            builder = builder
                .endpoint_url(endpoint)
                .force_path_style(true)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        Client::from_conf(builder.build())
    }
}

/// A bucket that was found.
pub(super) struct Located {
    /// A client for its region.
    pub(super) client: Client,
    pub(super) region: String,
    /// Why it may not be looked at, if it may not: it can be somebody else's, or one that may only be read and written.
    pub(super) refused: Option<StateError>,
}

/// Finds the region of a bucket.
pub(super) async fn locate(url: &S3Url, regions: &Regions<'_>) -> Result<Located, StateError> {
    let home = regions.home.clone();
    let client = regions.client(&home);
    let is_aws = regions.options.endpoint.is_none();
    let location = url.to_string();
    let (operation, action) = ("open", "s3:ListBucket");
    let call = Call { operation, action, bucket: &url.bucket, region: &home, location: &location };
    match client.head_bucket().bucket(&url.bucket).send().await.map_err(Fault::from) {
        Ok(found) => {
            let region = found.bucket_region().filter(|_| is_aws).unwrap_or(&home);
            let client = if *region == home { client } else { regions.client(region) };
            Ok(Located { client, region: region.to_owned(), refused: None })
        }
        // HEAD answers have no body, so no code: a redirect, or a refusal, names the region in a header.
        Err(fault) if is_elsewhere(&fault) => {
            let Some(region) = fault.bucket_region.clone().filter(|region| *region != home) else {
                return Err(call.failed(fault));
            };
            let client = regions.client(&region);
            match client.head_bucket().bucket(&url.bucket).send().await.map_err(Fault::from) {
                Ok(_) => Ok(Located { client, region, refused: None }),
                Err(fault) if is_refused(&fault) => {
                    Ok(Located { client, region, refused: Some(call.failed(fault)) })
                }
                Err(fault) => Err(missing(call, fault)),
            }
        }
        // That the bucket is there, and where, is all that was asked.
        Err(fault) if is_refused(&fault) => {
            let region = fault.bucket_region.clone().filter(|_| is_aws).unwrap_or_else(|| home.clone());
            Ok(Located { client: regions.client(&region), region, refused: Some(call.failed(fault)) })
        }
        Err(fault) => Err(missing(call, fault)),
    }
}

/// Whether a refusal tells where the bucket is
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>).
fn is_refused(fault: &Fault) -> bool {
    fault.status == Some(403) && fault.bucket_region.is_some()
}

/// The answer to HEAD on a bucket that is not there has no code of its own.
fn missing(call: Call<'_>, mut fault: Fault) -> StateError {
    if fault.status == Some(404) {
        fault.code = Some("NoSuchBucket".to_owned());
    }
    call.failed(fault)
}

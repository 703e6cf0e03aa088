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

/// A client for the bucket's own region, and that region.
pub(super) async fn locate(url: &S3Url, regions: &Regions<'_>) -> Result<(Client, String), StateError> {
    let home = regions.home.clone();
    let client = regions.client(&home);
    let is_aws = regions.options.endpoint.is_none();
    let location = url.to_string();
    let call = Call { operation: "open", action: "s3:ListBucket", bucket: &url.bucket, location: &location };
    match client.head_bucket().bucket(&url.bucket).send().await.map_err(Fault::from) {
        Ok(found) => {
            let region = found.bucket_region().filter(|_| is_aws).unwrap_or(&home);
            Ok(if region == home { (client, home) } else { (regions.client(region), region.to_owned()) })
        }
        // HEAD answers have no body, so no code: a redirect, or a refusal, names the region in a header.
        Err(fault) if is_elsewhere(&fault) && is_aws => {
            let Some(region) = fault.bucket_region.clone().filter(|region| *region != home) else {
                return Err(call.failed(fault));
            };
            let client = regions.client(&region);
            client
                .head_bucket()
                .bucket(&url.bucket)
                .send()
                .await
                .map_err(|error| missing(call, error.into()))?;
            Ok((client, region))
        }
        Err(fault) => Err(missing(call, fault)),
    }
}

/// The answer to HEAD on a bucket that is not there has no code of its own.
fn missing(call: Call<'_>, mut fault: Fault) -> StateError {
    if fault.status == Some(404) {
        fault.code = Some("NoSuchBucket".to_owned());
    }
    call.failed(fault)
}

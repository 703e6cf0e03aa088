//! AWS through its SDK for Rust, as options and environment say.

use std::sync::Arc;

use kops_aws::api::{AwsOptions, aws_config};
use kops_aws::provider::AwsProvider;
use kops_aws::s3::{self, Credentials};
use kops_aws::{S3Options, S3StateStore};
use kops_core::lease::Holder;
use kops_core::state::StateStore;
use kops_core::web::{Client, Web};

use crate::aws::Bucket;
use crate::context::AnyProvider;
use crate::environment::{holder, variable};
use crate::error::CliError;

/// The state store in a bucket.
pub(crate) async fn state_store(url: &str) -> Result<Arc<dyn StateStore>, CliError> {
    Ok(Arc::new(S3StateStore::open(url, s3_options(None, None).await).await?))
}

/// AWS in that region, or in the one that the environment or the SDK's settings name.
pub(crate) async fn provider(region: Option<String>) -> Result<AnyProvider, CliError> {
    let region = region.or_else(region_of_environment);
    Ok(Arc::new(AwsProvider::connect(&AwsOptions { region, endpoint: endpoint() }).await))
}

/// The web, where makers of programs publish their checksums.
pub(crate) fn web() -> Result<Arc<dyn Web>, CliError> {
    let client = Client::new();
    Ok(Arc::new(
        client.map_err(|error| CliError::new("no program can be asked for on the web").with_source(error))?,
    ))
}

/// Makes a bucket, or sets one up.
pub(crate) async fn create_state_store(
    url: &str,
    region: Option<String>,
    kms_key: Option<String>,
) -> Result<Bucket, CliError> {
    let s3::Created { region, is_new, policy, .. } =
        s3::create_state_store(url, s3_options(region, kms_key).await).await?;
    Ok(Bucket { is_new, region, policy })
}

/// How to reach S3, or what kops's variables name in its place.
async fn s3_options(region: Option<String>, kms_key: Option<String>) -> S3Options {
    let region = region.or_else(|| variable("S3_REGION"));
    let credentials = variable("S3_ACCESS_KEY_ID").zip(variable("S3_SECRET_ACCESS_KEY"));
    let Holder { name, host } = holder();
    let writer = [name, host].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("@");
    S3Options {
        config: Some(
            aws_config(&AwsOptions { region: region.clone().or_else(region_of_environment), endpoint: None })
                .await,
        ),
        credentials: credentials
            .map(|(id, secret)| Credentials::new(id, secret, None, None, "S3_ACCESS_KEY_ID")),
        region,
        endpoint: variable("S3_ENDPOINT").or_else(endpoint),
        kms_key,
        writer: Some(writer).filter(|writer| !writer.is_empty()),
    }
}

/// Returns another endpoint for AWS's API, as the SDKs name it; for tests and private clouds.
fn endpoint() -> Option<String> {
    variable("AWS_ENDPOINT_URL")
}

/// Returns the region that the SDKs' variables name.
fn region_of_environment() -> Option<String> {
    variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"))
}

//! From options to clients.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

/// How to reach AWS. Credentials come from where the SDKs look for them.
#[derive(Clone, Debug, Default)]
pub struct AwsOptions {
    /// The region; none: the one that the SDKs find.
    pub region: Option<String>,
    /// Another endpoint for all services, such as an emulator's.
    pub endpoint: Option<String>,
}

/// The configuration of all clients: standard retries, ten attempts, bounded waits.
///
/// Not the SDK's adaptive retries: they slow all calls of a client down for minutes once a few were throttled.
pub async fn aws_config(options: &AwsOptions) -> SdkConfig {
    let retries = RetryConfig::standard()
        .with_max_attempts(10)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(5));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(90))
        .build();
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).retry_config(retries).timeout_config(timeouts);
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}

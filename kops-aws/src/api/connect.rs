//! From options to clients.

use std::time::Duration;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::{ProvideRegion, RegionProviderChain};
use aws_config::profile::ProfileFileRegionProvider;
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
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(retries)
        .timeout_config(timeouts)
        .region(region(options.region.clone()).await);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}

/// Looks for the region where the SDK does.
async fn region(chosen: Option<String>) -> RegionProviderChain {
    let first = match chosen {
        Some(region) => Some(Region::new(region)),
        None => EnvironmentVariableRegionProvider::new().region().await,
    };
    RegionProviderChain::first_try(with_name(first))
        .or_else(ProfileFileRegionProvider::new())
        .or_else(ImdsRegionProvider::builder().build())
}

/// Takes a region without a name for none: a variable that is empty counts as unset, which the SDK sees otherwise.
fn with_name(region: Option<Region>) -> Option<Region> {
    region.filter(|region| !region.as_ref().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_region_without_a_name_is_none() {
        let chosen = region(Some("eu-west-1".to_owned())).await;
        assert_eq!(chosen.region().await, Some(Region::new("eu-west-1")));
        assert_eq!(with_name(Some(Region::new(""))), None);
    }
}

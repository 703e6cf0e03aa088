//! A build without AWS: quick to make, and enough to try everything on a simulated cloud.

use std::sync::Arc;

use kops_core::state::StateStore;
use kops_core::web::Web;

use crate::aws::Bucket;
use crate::context::AnyProvider;
use crate::error::CliError;

pub(crate) async fn state_store(url: &str) -> Result<Arc<dyn StateStore>, CliError> {
    Err(without_aws(&format!("open {url}")))
}

pub(crate) async fn provider(_region: Option<String>) -> Result<AnyProvider, CliError> {
    Err(without_aws("reach AWS"))
}

pub(crate) async fn create_state_store(
    url: &str,
    _region: Option<String>,
    _kms_key: Option<String>,
) -> Result<Bucket, CliError> {
    Err(without_aws(&format!("make {url}")))
}

pub(crate) fn web() -> Result<Arc<dyn Web>, CliError> {
    Err(without_aws("reach the web"))
}

fn without_aws(what: &str) -> CliError {
    CliError::new(format!("cannot {what}: this kops was built without AWS")).with_hint(
        "build it with AWS (`cargo build --release --package kops-cli`), or give --sim to use the simulated cloud",
    )
}

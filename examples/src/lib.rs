//! What the example programs share: the life of one cluster, from options to nothing, on any cloud.

use std::error::Error;

use kops_core::apply::ApplyOptions;
use kops_core::create::{self, Options};
use kops_core::observer::Observer;
use kops_core::operation::{Event, Kops, Run, RunOptions};
use kops_core::provider::Provider;
use tokio_util::sync::CancellationToken;

/// What can end an example.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How a cluster is made here: one master, two workers, one zone, closed to all but one address range.
///
/// # Errors
/// When a range or a manifest is wrong.
pub fn options(name: &str, state_store: &str) -> Result<Options, Failure> {
    Ok(Options {
        name: name.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: state_store.to_owned(),
        zones: vec!["ap-northeast-1a".to_owned()],
        admin_access: vec!["203.0.113.0/24".parse()?],
        ..Options::default()
    })
}

/// Creates a cluster, looks whether anything is left to do, and deletes it: each is one call, told to `observer`,
/// and ends early when `cancel` is triggered. What an early end leaves is found again by the next call.
///
/// # Errors
/// Whatever the first call that fails says.
pub async fn live_and_die<P: Provider>(
    kops: &Kops<P>,
    options: &Options,
    observer: &dyn Observer<Event>,
    cancel: &CancellationToken,
) -> Result<(usize, usize), Failure> {
    let run = Run { observer, cancel };

    kops.registry().create(create::manifests(options)?.manifests()).await?;
    let made =
        kops.update(&options.name, &RunOptions::default(), run, |_plan| {}).await?.report.into_result()?;
    let again = kops.plan_update(&options.name).await?;
    if !again.is_empty() {
        return Err(format!("applied, and yet:\n{}", again.display()).into());
    }
    let plan = kops.plan_delete(&options.name).await?;
    let deleted = kops.delete(&plan, &ApplyOptions::default(), run).await?;
    Ok((made.len(), deleted.resources.len()))
}

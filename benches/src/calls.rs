//! Calls to AWS, and the time they take on the emulator, by number of instance groups.

use std::sync::Arc;
use std::time::Instant;

use kops_aws::api::AwsOptions;
use kops_aws::provider::AwsProvider;
use kops_aws::s3::{Credentials, create_state_store};
use kops_aws::{S3Options, S3StateStore};
use kops_core::apply::ApplyOptions;
use kops_core::observer::Quiet;
use kops_core::operation::{Kops, Run, RunOptions};
use kops_testbed::{Options, Testbed};
use tokio_util::sync::CancellationToken;

use crate::{Failure, fleet, process};

const CLUSTER: &str = "bench.k8s.local";
const STATE: &str = "s3://bench-state";

pub(crate) async fn run() -> Result<(), Failure> {
    println!(
        "Calls over HTTP (S3 included), wall time against the emulator, processor time of this process\n"
    );
    println!("| groups | | calls | wall | CPU |");
    println!("|---:|---|---:|---:|---:|");
    for workers in [1, 3, 9, 49, 53] {
        one(workers).await?;
    }
    println!("\npeak memory of this process: {:.0} MiB\n", process::peak_memory());
    Ok(())
}

async fn one(workers: usize) -> Result<(), Failure> {
    let testbed = Testbed::start(Options::default())?;
    let endpoint = Some(testbed.endpoint().to_owned());
    let region = Some("ap-northeast-1".to_owned());
    let credentials = Some(Credentials::new("bench", "bench", None, None, "bench"));
    let s3 =
        S3Options { endpoint: endpoint.clone(), region: region.clone(), credentials, ..S3Options::default() };
    create_state_store(STATE, s3.clone()).await?;
    let store = Arc::new(S3StateStore::open(STATE, s3).await?);
    let provider = AwsProvider::connect(&AwsOptions { region, endpoint }).await;
    let kops = Kops::new(provider, store);
    kops.registry().create(fleet::manifests(CLUSTER, STATE, workers)?).await?;

    let cancel = CancellationToken::new();
    let run = Run { observer: &Quiet, cancel: &cancel };
    let meter = Meter { testbed: &testbed, groups: workers + 1 };
    meter.measure("first preview", kops.plan_update(CLUSTER)).await?;
    meter.measure("first update", first_update(&kops, run)).await?;
    kops.remember(CLUSTER).await?;
    let again = meter.measure("no-op update", kops.plan_update(CLUSTER)).await?;
    if !again.is_empty() {
        return Err(format!("left after applying:\n{}", again.display()).into());
    }
    let plan = meter.measure("delete preview", kops.plan_delete(CLUSTER)).await?;
    meter.measure("delete", kops.delete(&plan, &ApplyOptions::default(), run)).await?;
    testbed.assert_no_gaps();
    Ok(())
}

async fn first_update(kops: &Kops<AwsProvider>, run: Run<'_>) -> Result<(), Failure> {
    kops.update(CLUSTER, &RunOptions::default(), run, |_plan| {}).await?.report.into_result()?;
    Ok(())
}

struct Meter<'a> {
    testbed: &'a Testbed,
    groups: usize,
}

impl Meter<'_> {
    async fn measure<T, E>(&self, what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.testbed.clear_calls();
        let (begun, cpu) = (Instant::now(), process::cpu_time());
        let result = work.await;
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), process::cpu_time() - cpu);
        println!("| {} | {what} | {} | {wall:.2} s | {cpu:.2} s |", self.groups, self.testbed.calls().len());
        result
    }
}

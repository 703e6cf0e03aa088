//! A cluster on the simulated AWS, on a clock that jumps.

use std::sync::Arc;
use std::time::Duration;

use kops_aws::provider::SimProvider;
use kops_aws::resource::AwsResource;
use kops_core::clock::{ManualClock, Timestamp};
use kops_core::cloud::Scope;
use kops_core::create::{self, Options};
use kops_core::fleet::Fleet;
use kops_core::observer::Quiet;
use kops_core::operation::{Kops, OperationError, Run, RunOptions, Updated};
use kops_core::sim::{BudgetLimit, SimCloud, SimOptions, Workload};
use kops_core::state::MemoryStore;
use tokio_util::sync::CancellationToken;

pub(crate) const CLUSTER: &str = "demo.k8s.local";

pub(crate) struct World {
    pub(crate) kops: Kops<SimProvider>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) scope: Scope,
}

impl World {
    /// A cluster that runs, with a deployment of which one pod may be missing.
    pub(crate) async fn running(options: Options) -> Self {
        let clock = Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH));
        let cloud = SimCloud::new(SimOptions { clock: clock.clone(), ..SimOptions::default() });
        let kops = Kops::with_clock(SimProvider::new(cloud), Arc::new(MemoryStore::new()), clock.clone());
        let options = Options {
            name: CLUSTER.to_owned(),
            cloud_provider: "aws".to_owned(),
            state_store: "memory".to_owned(),
            admin_access: vec!["203.0.113.0/24".parse().unwrap()],
            ..options
        };
        kops.registry().create(create::manifests(&options).unwrap().manifests()).await.unwrap();
        let scope = Scope { cluster: CLUSTER.to_owned(), incarnation: String::new(), zone: None };
        let world = Self { kops, clock, scope };
        world.update(&RunOptions::default()).await.unwrap().report.into_result().unwrap();
        let one = BudgetLimit::MaxUnavailable(1);
        world.cloud().deploy(CLUSTER, Workload::new("web", 4).with_budget(one));
        world.pass_time().await;
        world
    }

    pub(crate) fn cloud(&self) -> &SimCloud<AwsResource> {
        self.kops.provider().simulated()
    }

    pub(crate) async fn pass_time(&self) {
        for _ in 0..20 {
            self.clock.advance(Duration::from_secs(10));
            self.cloud().groups(&self.scope).await.unwrap();
        }
    }

    pub(crate) async fn update(&self, options: &RunOptions) -> Result<Updated<AwsResource>, OperationError> {
        let cancel = CancellationToken::new();
        let run = Run { observer: &Quiet, cancel: &cancel };
        self.kops.update(CLUSTER, options, run, |_| {}).await
    }
}

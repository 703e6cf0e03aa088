//! Every call of create, update and delete of a whole cluster on the simulated cloud: it fails, its answer is lost, what
//! it made stays out of sight, or it is the last one. Run again: the same end, nothing doubled, nothing left.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::sync::Arc;

use kops_aws::provider::SimProvider;
use kops_aws::resource::AwsResource;
use kops_core::clock::{ManualClock, Timestamp};
use kops_core::create::{self, Options};
use kops_core::error::ErrorClass;
use kops_core::observer::Quiet;
use kops_core::operation::{Kops, Run, RunOptions};
use kops_core::sim::{Fault, Faults, SimCloud, SimOptions};
use kops_core::state::{MemoryStore, Replace};
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "every.k8s.local";
const PHASES: [Phase; 3] = [Phase::Create, Phase::Change, Phase::Delete];
const FAULTS: [Fault; 4] =
    [Fault::Fail(ErrorClass::Denied), Fault::LoseResponse, Fault::DelayVisibility(3), Fault::Crash];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Create,
    Change,
    Delete,
}

fn options(node_size: &str) -> Options {
    Options {
        name: CLUSTER.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: "memory".to_owned(),
        zones: vec!["us-east-1a".to_owned()],
        node_size: Some(node_size.to_owned()),
        admin_access: vec!["203.0.113.0/24".parse().unwrap()],
        ..Options::default()
    }
}

struct World {
    kops: Kops<SimProvider>,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::eager(Timestamp::UNIX_EPOCH));
        let cloud = SimCloud::new(SimOptions { clock: clock.clone(), ..SimOptions::default() });
        let kops = Kops::with_clock(SimProvider::new(cloud), Arc::new(MemoryStore::new()), clock);
        let created = create::manifests(&options("t3.medium")).unwrap();
        kops.registry().create(created.manifests()).await.unwrap();
        Self { kops }
    }

    fn cloud(&self) -> &SimCloud<AwsResource> {
        self.kops.provider().simulated()
    }

    async fn prepare(&self, phase: Phase) {
        if phase == Phase::Change {
            let changed = create::manifests(&options("m5.large")).unwrap();
            self.kops.registry().replace(changed.manifests(), Replace::ExistingOnly).await.unwrap();
        }
    }

    /// One run, as the command makes it. Says whether everything was done.
    async fn run(&self, phase: Phase) -> bool {
        let options = RunOptions::default();
        let run = Run { observer: &Quiet, cancel: &CancellationToken::new() };
        match phase {
            Phase::Create | Phase::Change => {
                let updated = self.kops.update(CLUSTER, &options, run, |_| {}).await;
                updated.is_ok_and(|updated| updated.report.is_complete())
            }
            Phase::Delete => match self.kops.plan_delete(CLUSTER).await {
                Ok(plan) => self.kops.delete(&plan, &options.apply, run).await.is_ok(),
                Err(_) => false,
            },
        }
    }

    async fn settle(&self, phase: Phase) {
        let mut runs = 0;
        while !self.run(phase).await {
            runs += 1;
            assert!(runs < 5, "{phase:?} does not come to an end");
        }
    }

    /// All there is, without the handles that depend on the order in which things were made.
    fn state(&self) -> (Vec<String>, usize) {
        let mut resources: Vec<String> = self
            .cloud()
            .everything()
            .values()
            .map(|resource| serde_json::to_string(resource).unwrap())
            .collect();
        resources.sort();
        let attached = self.cloud().members().into_iter().filter(|(member, _)| member.terminated.is_none());
        (resources, attached.count())
    }
}

#[tokio::test(flavor = "current_thread")]
async fn every_call_may_go_wrong_on_the_simulated_cloud() {
    let undisturbed = World::new().await;
    let mut ends = Vec::new();
    let mut calls = Vec::new();
    for phase in PHASES {
        undisturbed.prepare(phase).await;
        let before = undisturbed.cloud().calls();
        undisturbed.settle(phase).await;
        calls.push(undisturbed.cloud().calls() - before);
        ends.push(undisturbed.state());
    }
    assert_eq!(ends[2], (Vec::new(), 0));
    assert_eq!((ends[0].1, ends[1].1), (3, 3));
    assert_ne!(ends[0].0, ends[1].0);

    for (broken, of_phase) in PHASES.into_iter().zip(calls) {
        for fault in FAULTS {
            for nth in 1..=of_phase {
                let world = World::new().await;
                for (phase, end) in PHASES.into_iter().zip(&ends) {
                    world.prepare(phase).await;
                    if phase == broken {
                        world.cloud().set_faults(Faults::at(nth, fault));
                        world.run(phase).await;
                        world.cloud().set_faults(Faults::none());
                    }
                    world.settle(phase).await;
                    assert_eq!(world.state(), *end, "{fault:?} at call {nth} of {broken:?}, after {phase:?}");
                }
            }
        }
    }
}

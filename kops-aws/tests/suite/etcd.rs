//! Backups of etcd as people ask for them, with machines that are played by the test; and what a preview says of members
//! that have lost their disks.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test should say where")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kops_aws::provider::SimProvider;
use kops_aws::resource::AwsResource;
use kops_core::clock::{Clock, ManualClock};
use kops_core::cloud::{Cloud, CloudError, Scope};
use kops_core::cluster_api::ClusterApi;
use kops_core::create::{self, Options};
use kops_core::etcd::{Backups, Commands, Stamp, Task};
use kops_core::fleet::Fleet;
use kops_core::manifest::{CompletedCluster, Recommendations};
use kops_core::observer::Quiet;
use kops_core::operation::{Kops, OperationError, Run, RunOptions};
use kops_core::provider::{Desired, ModelInput, Provider, ProviderError};
use kops_core::sim::{Fault, Faults, SimCloud, SimOptions};
use kops_core::state::MemoryStore;
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "demo.k8s.local";
const WAIT: Duration = Duration::from_mins(5);

/// The simulated cloud, but for its machines: those are the test's.
#[derive(Debug)]
struct OwnMachines(SimProvider);

#[async_trait]
impl Provider for OwnMachines {
    type Resource = AwsResource;

    fn cloud(&self) -> &dyn Cloud<Resource = AwsResource> {
        self.0.cloud()
    }

    fn recommendations(&self) -> Recommendations {
        self.0.recommendations()
    }

    async fn desired(&self, input: ModelInput<'_>) -> Result<Desired<AwsResource>, ProviderError> {
        self.0.desired(input).await
    }

    async fn named(&self, cluster: &CompletedCluster) -> Result<Vec<AwsResource>, CloudError> {
        self.0.named(cluster).await
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        self.0.fleet()
    }

    async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError> {
        self.0.api_address(scope).await
    }

    fn own_cluster<'a>(&'a self, _scope: &'a Scope) -> Option<Box<dyn ClusterApi + 'a>> {
        None
    }
}

struct World<P> {
    kops: Kops<P>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    options: RunOptions,
    cancel: CancellationToken,
}

fn simulated(clock: &Arc<ManualClock>) -> SimCloud<AwsResource> {
    SimCloud::new(SimOptions { clock: clock.clone(), ..SimOptions::default() })
}

async fn world<P: Provider>(provider: impl FnOnce(SimProvider) -> P, masters: &[&str]) -> World<P> {
    let clock = Arc::new(ManualClock::eager("2026-01-15T12:00:00Z".parse().unwrap()));
    let cloud = simulated(&clock);
    let store = Arc::new(MemoryStore::new());
    let kops = Kops::with_clock(provider(SimProvider::new(cloud)), store.clone(), clock.clone());
    let zones: Vec<String> = masters.iter().map(|zone| (*zone).to_owned()).collect();
    let options = Options {
        name: CLUSTER.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: "memory".to_owned(),
        zones: zones.clone(),
        control_plane_zones: zones,
        admin_access: vec!["203.0.113.0/24".parse().unwrap()],
        ..Options::default()
    };
    kops.registry().create(create::manifests(&options).unwrap().manifests()).await.unwrap();
    World { kops, store, clock, options: RunOptions::default(), cancel: CancellationToken::new() }
}

async fn of_three() -> World<OwnMachines> {
    world(OwnMachines, &["us-east-1a", "us-east-1b", "us-east-1c"]).await
}

impl<P: Provider<Resource = AwsResource>> World<P> {
    fn commands(&self) -> Commands<'_> {
        Commands::new(self.store.as_ref(), CLUSTER, "main").unwrap()
    }

    fn run(&self) -> Run<'_> {
        Run { observer: &Quiet, cancel: &self.cancel }
    }

    async fn save(&self, version: &str) -> Stamp {
        let backups = Backups::new(self.store.as_ref(), CLUSTER, "main").unwrap();
        backups.save(b"packed", version, 3, self.clock.now()).await.unwrap()
    }

    /// What the machines are asked, as soon as they are.
    async fn asked(&self, task: Task) -> Stamp {
        for _ in 0..1000 {
            let found = self.commands().list().await.unwrap();
            if let Some(command) = found.into_iter().find(|command| command.task == task) {
                return command.id;
            }
            tokio::task::yield_now().await;
        }
        panic!("nobody asked");
    }

    async fn back_up(&self) -> Result<Option<Stamp>, OperationError> {
        self.kops.back_up_etcd(CLUSTER, "main", WAIT, &self.cancel).await
    }

    async fn restore(&self, backup: &Stamp) -> Result<(), OperationError> {
        let restore = self.kops.plan_etcd_restore(CLUSTER, "main", backup).await?;
        self.kops.restore_etcd(&restore, WAIT, self.run()).await
    }

    async fn update(&self) -> bool {
        let updated = self.kops.update(CLUSTER, &self.options, self.run(), |_| {}).await;
        updated.is_ok_and(|updated| updated.report.is_complete())
    }

    /// What the preview says of members.
    async fn preview(&self) -> String {
        let plan = self.kops.plan_update(CLUSTER).await.unwrap();
        let of_members = plan.warnings().iter().filter(|warning| warning.starts_with("etcd "));
        of_members.map(|warning| format!("{warning}\n")).collect()
    }
}

impl World<OwnMachines> {
    /// Everything in the cloud is lost, and the state is kept.
    fn lose_everything(&mut self) {
        let provider = OwnMachines(SimProvider::new(simulated(&self.clock)));
        self.kops = Kops::with_clock(provider, self.store.clone(), self.clock.clone());
    }
}

fn shown(error: &OperationError) -> String {
    let OperationError::Etcd(etcd) = error else { panic!("{error:?}") };
    format!("{etcd}\n{}", etcd.hint().unwrap_or_default())
}

#[tokio::test]
async fn a_backup_is_asked_for_and_waited_for() {
    let world = of_three().await;
    let machine = async {
        let id = world.asked(Task::Backup).await;
        let backup = world.save("3.6.12").await;
        world.commands().finish(&id, "b", &backup).await.unwrap();
        backup
    };
    let (taken, backup) = futures::join!(world.back_up(), machine);
    assert_eq!(taken.unwrap(), Some(backup.clone()));
    assert!(world.commands().list().await.unwrap().is_empty(), "nobody needs the command any more");
    let listed = world.kops.etcd_backups(CLUSTER, "main").await.unwrap();
    assert_eq!(listed.into_iter().map(|found| found.name).collect::<Vec<_>>(), [backup]);
    let asked = world.kops.back_up_etcd(CLUSTER, "main", Duration::ZERO, &world.cancel).await;
    assert_eq!(asked.unwrap(), None);
}

#[tokio::test]
async fn whoever_waits_in_vain_is_told_why() {
    let world = of_three().await;
    insta::assert_snapshot!(shown(&world.back_up().await.unwrap_err()), @r"
    etcd main: within 5m, the machine whose member leads did not take a backup
    it still counts: machines do it as soon as they can; `sudo kops-node status` on them says what they wait for
    ");
    let id = world.asked(Task::Backup).await;
    world.commands().forget(&id).await.unwrap();
    let machine = async {
        let id = world.asked(Task::Backup).await;
        world.commands().fail(&id, "b", "program etcdctl: it is not there").await.unwrap();
    };
    let (taken, ()) = futures::join!(world.back_up(), machine);
    insta::assert_snapshot!(shown(&taken.unwrap_err()), @r"
    etcd main: the machine of member b could not take a backup: program etcdctl: it is not there
    it goes on trying by itself; `sudo kops-node status` on the machine says what it waits for
    ");
    world.cancel.cancel();
    assert!(matches!(world.back_up().await, Err(OperationError::Cancelled)));
}

#[tokio::test]
async fn a_restore_is_waited_for_until_every_member_has_done_it() {
    let world = of_three().await;
    let backup = world.save("3.6.12").await;
    let machines = async {
        let id = world.asked(Task::Restore).await;
        assert_eq!(world.commands().backup_of(&id).await.unwrap(), backup);
        assert!(
            world.kops.leases().status(CLUSTER).await.unwrap().is_some_and(|lease| lease.expires.is_some())
        );
        for member in ["a", "b"] {
            world.commands().finish(&id, member, &backup).await.unwrap();
        }
        id
    };
    let (restored, id) = futures::join!(world.restore(&backup), machines);
    insta::assert_snapshot!(shown(&restored.unwrap_err()), @r"
    etcd main: within 5m, the machine of member c did not restore the backup
    it still counts: machines do it as soon as they can; `sudo kops-node status` on them says what they wait for
    ");
    world.commands().forget(&id).await.unwrap();
    let machines = async {
        let id = world.asked(Task::Restore).await;
        for member in ["a", "b", "c"] {
            world.commands().finish(&id, member, &backup).await.unwrap();
        }
    };
    futures::join!(world.restore(&backup), machines).0.unwrap();
}

#[tokio::test]
async fn what_cannot_be_restored_is_said_before_anybody_is_asked() {
    let world = of_three().await;
    let missing: Stamp = "2026-01-15T11:00:00Z-000000".parse().unwrap();
    insta::assert_snapshot!(shown(&world.restore(&missing).await.unwrap_err()), @r"
    there is no backup 2026-01-15T11:00:00Z-000000 in memory:/demo.k8s.local/backups/etcd/main
    `kops etcd list` shows those that there are
    ");
    let newer = world.save("3.7.1").await;
    insta::assert_snapshot!(shown(&world.restore(&newer).await.unwrap_err()), @"backup 2026-01-15T12:00:00Z-000000 is of etcd 3.7.1, which the members' etcd 3.6.12 cannot read");
    let error = world.kops.plan_etcd_restore(CLUSTER, "cilium", &newer).await.unwrap_err();
    insta::assert_snapshot!(shown(&error), @r"
    demo.k8s.local has no etcd cluster `cilium`
    the etcd clusters are main and events
    ");
    assert!(world.commands().list().await.unwrap().is_empty());
    let simulated = self::world(|provider| provider, &["us-east-1a"]).await;
    insta::assert_snapshot!(shown(&simulated.back_up().await.unwrap_err()), @"demo.k8s.local is simulated: its machines run no etcd");
}

#[tokio::test]
async fn a_preview_warns_of_a_member_whose_disk_is_lost() {
    let mut previews = Vec::new();
    for (masters, with_backup) in [(1, true), (1, false), (3, true)] {
        let mut world = world(OwnMachines, &["us-east-1a", "us-east-1b", "us-east-1c"][..masters]).await;
        assert_eq!(world.preview().await, "", "nothing is lost with a first creation");
        assert!(world.update().await);
        assert_eq!(world.preview().await, "");
        if with_backup {
            world.save("3.6.12").await;
        }
        world.lose_everything();
        previews.push(format!("{masters} of main, backup: {with_backup}\n{}", world.preview().await));
    }
    insta::assert_snapshot!(previews.join("\n"), @r"
    1 of main, backup: true
    etcd events: member a has lost the data with the disk; all that it held is lost: there is no backup of it
    etcd main: member a has lost the data with the disk; no quorum is left, and machines start no etcd empty that has lived: ask for its last backup with `kops etcd restore 2026-01-15T12:00:00Z-000000 --etcd main --yes --wait 0` (`kops etcd list` shows others), which they restore first

    1 of main, backup: false
    etcd events: member a has lost the data with the disk; all that it held is lost: there is no backup of it
    etcd main: member a has lost the data with the disk; all that it held is lost: there is no backup of it

    3 of main, backup: true
    etcd events: members a, b, c have lost the data with the disk; all that it held is lost: there is no backup of it
    etcd main: members a, b, c have lost the data with the disk; no quorum is left, and machines start no etcd empty that has lived: ask for its last backup with `kops etcd restore 2026-01-15T12:00:00Z-000000 --etcd main --yes --wait 0` (`kops etcd list` shows others), which they restore first
    ");
}

/// A creation that was cut short is no loss: no member has ever run.
#[tokio::test]
async fn no_preview_warns_before_the_first_update_has_made_the_disks() {
    let (mut warned, mut cut) = (0, 0);
    for call in 1.. {
        let world = world(OwnMachines, &["us-east-1a"]).await;
        world.kops.provider().0.simulated().set_faults(Faults::at(call, Fault::Crash));
        if world.update().await {
            break;
        }
        cut += 1;
        world.kops.provider().0.simulated().set_faults(Faults::none());
        warned += usize::from(!world.preview().await.is_empty());
    }
    assert!(cut > 20, "{cut}");
    assert_eq!(warned, 0);
}

//! Masters come and go on the simulated AWS, with machines that are played by the test: etcd's members are taken out
//! before their machines and disks go, wherever a run is cut off.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kops_aws::provider::SimProvider;
use kops_aws::resource::AwsResource;
use kops_core::apply::{PlanEvent, Report};
use kops_core::clock::{Clock, ManualClock};
use kops_core::cloud::{Cloud, CloudError, Reach, Scope};
use kops_core::cluster_api::ClusterApi;
use kops_core::create::{self, Options};
use kops_core::etcd::membership::{Listed, Membership, Upkeep, tend};
use kops_core::etcd::{Attendance, Life, Wanted};
use kops_core::fleet::Fleet;
use kops_core::manifest::{CompletedCluster, Recommendations, Role};
use kops_core::observer::Quiet;
use kops_core::operation::{Event, EventKind, Kops, OperationError, Run, RunOptions};
use kops_core::plan::Verb;
use kops_core::provider::{Desired, ModelInput, Provider, ProviderError};
use kops_core::sim::{Fault, Faults, SimCloud, SimOptions};
use kops_core::state::MemoryStore;
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "demo.k8s.local";
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const ETCD: [&str; 2] = ["main", "events"];

/// The simulated cloud, but for its machines: those are the test's. Nobody can look at them, and so nobody drains them.
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
        None
    }

    async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError> {
        self.0.api_address(scope).await
    }

    fn own_cluster<'a>(&'a self, _scope: &'a Scope) -> Option<Box<dyn ClusterApi + 'a>> {
        None
    }
}

struct World {
    kops: Kops<OwnMachines>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    /// The members that take part in each etcd cluster.
    members: Mutex<BTreeSet<String>>,
    options: RunOptions,
}

fn names(groups: &[&str]) -> Vec<String> {
    groups.iter().map(|group| (*group).to_owned()).collect()
}

impl World {
    /// A cluster with masters in as many zones, whose etcd runs.
    async fn new(masters: usize) -> Self {
        let clock = Arc::new(ManualClock::eager("2026-01-15T12:00:00Z".parse().unwrap()));
        let cloud = SimCloud::new(SimOptions { clock: clock.clone(), ..SimOptions::default() });
        let store = Arc::new(MemoryStore::new());
        let kops = Kops::with_clock(OwnMachines(SimProvider::new(cloud)), store.clone(), clock.clone());
        let options = Options {
            name: CLUSTER.to_owned(),
            cloud_provider: "aws".to_owned(),
            state_store: "memory".to_owned(),
            zones: names(&ZONES),
            control_plane_zones: names(&ZONES[..masters]),
            admin_access: vec!["203.0.113.0/24".parse().unwrap()],
            ..Options::default()
        };
        kops.registry().create(create::manifests(&options).unwrap().manifests()).await.unwrap();
        let members = ["a", "b", "c"][..masters].iter().map(|name| (*name).to_owned()).collect();
        let world = Self { kops, store, clock, members: Mutex::new(members), options: RunOptions::default() };
        world.update().await.unwrap().into_result().unwrap();
        for etcd in ETCD {
            let life = Life::new(world.store.as_ref(), CLUSTER, etcd).unwrap();
            life.begin(world.clock.now()).await.unwrap();
        }
        world
    }

    fn members(&self) -> String {
        self.members.lock().unwrap().iter().cloned().collect::<Vec<_>>().join(" ")
    }

    async fn update(&self) -> Result<Report, OperationError> {
        let cancel = CancellationToken::new();
        let run = Run { observer: &Quiet, cancel: &cancel };
        Ok(self.kops.update(CLUSTER, &self.options, run, |_| {}).await?.report)
    }

    async fn add(&self, name: &str, zone: &str) {
        let cluster = self.kops.registry().load(CLUSTER).await.unwrap().cluster;
        let recommended = self.kops.provider().recommendations();
        let group = create::group(&cluster, name, Role::ControlPlane, &names(&[zone]), &recommended);
        self.kops.registry().create_group(group).await.unwrap();
    }

    async fn delete(&self, groups: &[&str]) -> Result<Report, OperationError> {
        let groups = names(groups);
        let plan = self.kops.plan_delete_groups(CLUSTER, &groups).await?;
        let cancel = CancellationToken::new();
        let observer = |event: &Event| {
            let EventKind::Plan(PlanEvent::StepDone { id, verb: Verb::Delete, .. }) = &event.kind else {
                return;
            };
            let of_masters = id.name.contains("etcd-") || id.kind.to_string() == "AutoscalingGroup";
            assert!(!of_masters || self.members() == "a", "{id} goes while {} take part", self.members());
        };
        let run = Run { observer: &observer, cancel: &cancel };
        self.kops.delete_groups(&plan, &groups, &self.options, run).await
    }

    /// What the machine does whose member leads, again and again.
    async fn machines(&self) {
        loop {
            for etcd in ETCD {
                self.keep(etcd).await;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn keep(&self, etcd: &str) {
        let Some(wanted) = Wanted::read(self.store.as_ref(), CLUSTER).await.unwrap() else { return };
        let listed = |(id, name): (usize, String)| Listed {
            id: id.try_into().unwrap(),
            name: Some(name),
            url: String::new(),
            is_learner: false,
            has_started: true,
            answers: true,
        };
        let members: Vec<String> = self.members.lock().unwrap().iter().cloned().collect();
        let seen = Membership {
            members: members.iter().cloned().enumerate().map(listed).collect(),
            leader: Some(0),
        };
        let stay = wanted.of(etcd).unwrap().clone();
        let upkeep = tend(&stay, &seen);
        if let Upkeep::Remove(id) = upkeep {
            self.members.lock().unwrap().remove(&members[usize::try_from(id).unwrap()]);
            return;
        }
        assert!(matches!(upkeep, Upkeep::Settled | Upkeep::Wait(_)), "{upkeep:?}");
        let attendance = Attendance {
            record: wanted.record.clone(),
            members: members.into_iter().collect(),
            waiting: None,
        };
        let life = Life::new(self.store.as_ref(), CLUSTER, etcd).unwrap();
        life.attend(&attendance).await.unwrap();
    }

    async fn with_machines<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            () = self.machines() => panic!("machines run for ever"),
        }
    }

    /// What there is of masters in the cloud.
    async fn masters(&self) -> BTreeSet<String> {
        let scope = Scope { cluster: CLUSTER.to_owned(), incarnation: String::new(), zone: None };
        let inventory = self.kops.provider().cloud().observe(&scope, Reach::Managed).await.unwrap();
        let ids = inventory.iter().map(|(id, _)| id.to_string());
        ids.filter(|id| id.contains("etcd-") || id.starts_with("AutoscalingGroup/master")).collect()
    }
}

const BOTH: [&str; 2] = ["master-us-east-1b", "master-us-east-1c"];

#[tokio::test]
async fn one_master_becomes_three_and_one_again() {
    let world = World::new(1).await;
    world.add(BOTH[0], ZONES[1]).await;
    let refused = world.update().await.unwrap_err();
    assert!(refused.to_string().contains("`main` has 2 members, and needs an odd number"), "{refused}");
    world.add(BOTH[1], ZONES[2]).await;
    let plan = world.kops.plan_update(CLUSTER).await.unwrap();
    assert!(
        !plan.warnings().iter().any(|warning| warning.starts_with("etcd ")),
        "new members lose nothing: {:?}",
        plan.warnings()
    );
    world.update().await.unwrap().into_result().unwrap();
    assert_eq!(world.masters().await.len(), 9);
    let wanted = Wanted::read(world.store.as_ref(), CLUSTER).await.unwrap().unwrap();
    assert_eq!(wanted.of("main").unwrap().len(), 3, "machines are told who may join");
    *world.members.lock().unwrap() = ["a", "b", "c"].map(str::to_owned).into();

    let refused = world.delete(&BOTH[..1]).await.unwrap_err();
    assert!(refused.to_string().contains("`main` has 2 members, and needs an odd number"), "{refused}");
    world.with_machines(world.delete(&BOTH)).await.unwrap().into_result().unwrap();
    assert_eq!(world.members(), "a");
    let left = world.masters().await;
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        [
            "AutoscalingGroup/master-us-east-1a.masters.demo.k8s.local",
            "EBSVolume/a.etcd-events.demo.k8s.local",
            "EBSVolume/a.etcd-main.demo.k8s.local"
        ]
    );
    let loaded = world.kops.registry().load(CLUSTER).await.unwrap();
    assert!(loaded.cluster.spec.etcd_clusters.iter().all(|etcd| etcd.etcd_members.len() == 1));
    world.with_machines(world.update()).await.unwrap().into_result().unwrap();
}

#[tokio::test]
async fn nothing_goes_before_the_machines_have_taken_the_members_out() {
    let world = World::new(3).await;
    let before = world.masters().await;
    let report = world.delete(&BOTH).await.unwrap();
    let failed = &report.failed.first().unwrap().error;
    let cause = std::error::Error::source(failed).unwrap();
    insta::assert_snapshot!(
        format!("{failed}\n{cause}\n{}", failed.hint.as_ref().unwrap()).replace(&failed.resource.as_ref().unwrap().to_string(), "[RESOURCE]"),
        @r"
    cannot delete [RESOURCE]: members of etcd that are to go still take part
    etcd events: within 5m, members that are to go were not taken out: the machine whose member leads has not looked yet who is to go
    nothing of it was deleted: run the same again once the machines can do it. Machines that an older kops has made do not know how: replace them first (`kops rolling-update cluster --yes`). Where the control plane is out of order for good, --cloudonly takes them away as they are
    "
    );
    assert_eq!(world.masters().await, before);
    assert!(
        world.kops.registry().load(CLUSTER).await.unwrap().group(BOTH[0]).is_ok(),
        "the manifests are kept"
    );

    // The next run carries on; a cluster that is out of order for good can be told so.
    world.with_machines(world.delete(&BOTH)).await.unwrap().into_result().unwrap();
    assert_eq!(world.masters().await.len(), 3);
    let mut world = World::new(3).await;
    world.options.drain = None;
    *world.members.lock().unwrap() = ["a".to_owned()].into();
    world.delete(&BOTH).await.unwrap().into_result().unwrap();
    assert_eq!(world.masters().await.len(), 3);
}

#[tokio::test]
async fn wherever_a_deletion_of_masters_is_cut_off_the_next_run_carries_on() {
    let mut cuts = 0;
    for call in 1.. {
        let world = World::new(3).await;
        world.kops.provider().0.simulated().set_faults(Faults::at(call, Fault::Crash));
        let first = world.with_machines(world.delete(&BOTH)).await;
        let whole = first.is_ok_and(|report| report.is_complete());
        world.kops.provider().0.simulated().set_faults(Faults::none());
        if !whole {
            let loaded = world.kops.registry().load(CLUSTER).await.unwrap();
            let left: Vec<&str> = BOTH.into_iter().filter(|name| loaded.group(name).is_ok()).collect();
            world.with_machines(world.delete(&left)).await.unwrap().into_result().unwrap();
        }
        assert_eq!((world.members().as_str(), world.masters().await.len()), ("a", 3), "cut at {call}");
        let plan = world.kops.plan_update(CLUSTER).await.unwrap();
        assert!(plan.steps().iter().all(|step| step.action.verb() != Verb::Delete), "cut at {call}");
        if whole {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 4, "{cuts}");
}

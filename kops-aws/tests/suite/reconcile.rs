//! The version of Kubernetes goes up, on the simulated cloud: no kubelet is ever newer than an API server, whatever happens
//! when.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use crate::support::simulated;
use kops_core::cluster_api::ClusterApi;
use kops_core::create::Options;
use kops_core::fleet::{Fleet, InstanceState};
use kops_core::manifest::Role;
use kops_core::manifest::versions::KubernetesVersion;
use kops_core::observer::Quiet;
use kops_core::operation::{OperationError, Pass, ReconcileOptions, Run, RunOptions};
use kops_core::sim::{Fault, Faults};
use kops_core::state::layout;
use simulated::{CLUSTER, World};
use tokio_util::sync::CancellationToken;

const OLD: &str = "1.34.10";
const NEW: &str = "1.35.7";

/// A cluster whose version goes up.
struct Upgraded(World);

impl std::ops::Deref for Upgraded {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Upgraded {
    /// A cluster of the old version that runs.
    async fn new(zones: &[&str]) -> Self {
        let zones: Vec<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let options = Options {
            zones: zones.clone(),
            control_plane_zones: zones,
            kubernetes_version: Some(OLD.to_owned()),
            ..Options::default()
        };
        Self(World::running(options).await)
    }

    /// Says whether workers were held.
    async fn updated(&self) -> bool {
        let updated = self.update(&RunOptions::default()).await.unwrap();
        updated.report.into_result().unwrap();
        updated.plan.warnings().iter().any(|warning| warning.starts_with("workers stay at"))
    }

    async fn channel(&self) -> Vec<u8> {
        let key = layout::bootstrap_channel(CLUSTER).unwrap();
        self.kops.registry().store().get(&key).await.unwrap().unwrap().bytes
    }

    async fn upgrade(&self) {
        let (loaded, upgrade) = self.kops.plan_upgrade(CLUSTER, Some(NEW.parse().unwrap())).await.unwrap();
        self.kops.upgrade(&loaded, &upgrade).await.unwrap();
    }

    async fn reconcile(&self) -> Result<Vec<Pass>, OperationError> {
        let cancel = CancellationToken::new();
        let run = Run { observer: &Quiet, cancel: &cancel };
        let roll = self.kops.roll_options(CLUSTER).await?;
        let options = ReconcileOptions { run: RunOptions::default(), roll };
        self.kops.reconcile(CLUSTER, &options, run, |_| {}).await
    }

    /// The versions on machines of a role that are not gone; none while nobody answers.
    async fn versions(&self, role: Role) -> Vec<KubernetesVersion> {
        let nodes = self.cloud().cluster(&self.scope).nodes().await.unwrap_or_default();
        let groups = self.cloud().groups(&self.scope).await.unwrap();
        let is_control_plane =
            |group: &str| group.starts_with("master-") || group.starts_with("control-plane-");
        let of_role = groups
            .iter()
            .filter(|group| is_control_plane(&group.instance_group) == (role == Role::ControlPlane))
            .flat_map(|group| &group.instances);
        of_role
            .filter_map(|instance| {
                let node = nodes.iter().find(|node| node.instance.as_ref() == Some(&instance.id))?;
                Some(node.kubelet_version.trim_start_matches('v').parse().unwrap())
            })
            .collect()
    }

    /// Lets every group of workers launch a machine now, and holds the versions against each other.
    async fn assert_skew(&self, when: &str) {
        let mut control_plane = self.versions(Role::ControlPlane).await;
        for group in self.cloud().groups(&self.scope).await.unwrap() {
            if group.instance_group.starts_with("nodes") {
                let alive = group.instances.iter().find(|i| i.state != InstanceState::Terminating);
                self.cloud().kill(&alive.unwrap().id);
            }
        }
        self.pass_time().await;
        control_plane.extend(self.versions(Role::ControlPlane).await);
        let oldest = control_plane.into_iter().min();
        let newest = self.versions(Role::Node).await.into_iter().max();
        assert!(newest.is_some(), "{when}: no worker came up");
        assert!(newest <= oldest, "{when}: workers at {newest:?}, control plane at {oldest:?}");
    }

    async fn assert_all_at(&self, version: &str) {
        let version: KubernetesVersion = version.parse().unwrap();
        for role in [Role::ControlPlane, Role::Node] {
            let versions = self.versions(role).await;
            assert!(!versions.is_empty() && versions.iter().all(|found| *found == version), "{versions:?}");
        }
    }
}

#[tokio::test]
async fn the_control_plane_goes_first_and_then_the_workers() {
    let world = Upgraded::new(&["us-east-1a", "us-east-1b", "us-east-1c"]).await;
    world.assert_all_at(OLD).await;
    world.upgrade().await;
    let passes = world.reconcile().await.unwrap();
    let [first, second] = passes.as_slice() else { panic!("{passes:?}") };
    assert_eq!((first.held, second.held), (Some(OLD.parse().unwrap()), None));
    assert_eq!((first.rolled.terminated.len(), second.rolled.terminated.len()), (3, 2));
    world.pass_time().await;
    world.assert_all_at(NEW).await;
    // A second run has nothing to do.
    let passes = world.reconcile().await.unwrap();
    assert!(passes.len() == 1 && passes[0].updated.is_empty() && passes[0].rolled.terminated.is_empty());
}

#[tokio::test]
async fn an_update_alone_holds_workers_until_the_control_plane_is_new() {
    let world = Upgraded::new(&["us-east-1a"]).await;
    let addons = world.channel().await;
    world.upgrade().await;
    assert!(world.updated().await);
    world.assert_skew("after the update").await;
    assert!(world.updated().await, "held as long as it takes");
    assert_eq!(world.channel().await, addons, "add-ons are made for the version of the whole control plane");
    let cancel = CancellationToken::new();
    let options = world.kops.roll_options(CLUSTER).await.unwrap();
    let rolled = world.kops.rolling_update(
        CLUSTER,
        &options,
        kops_core::operation::Access::Kubernetes,
        Run { observer: &Quiet, cancel: &cancel },
    );
    assert_eq!(rolled.await.unwrap().terminated.len(), 1, "workers are as their template says");
    world.pass_time().await;
    assert!(!world.updated().await);
    world.assert_skew("after the control plane").await;
    assert_ne!(world.channel().await, addons);
}

#[tokio::test]
async fn an_api_that_does_not_answer_proves_nothing() {
    let world = Upgraded::new(&["us-east-1a"]).await;
    world.upgrade().await;
    assert!(world.updated().await);
    let cloud = world.cloud();
    for group in cloud.groups(&world.scope).await.unwrap() {
        group
            .instances
            .iter()
            .filter(|_| !group.instance_group.starts_with("nodes"))
            .for_each(|i| cloud.kill(&i.id));
    }
    // The only machine of the control plane is on its way, with the new version and without an API.
    assert!(world.updated().await);
    world.pass_time().await;
    assert!(!world.updated().await);
}

/// Killed at every single call, and at that moment every group of workers launches a machine.
#[tokio::test]
async fn no_kubelet_is_ever_newer_than_an_api_server() {
    let mut tried = 0;
    for nth in 1.. {
        let world = Upgraded::new(&["us-east-1a"]).await;
        world.upgrade().await;
        let before = world.cloud().calls();
        world.cloud().set_faults(Faults::at(nth, Fault::Crash));
        let ended = world.reconcile().await.is_ok();
        let reached = world.cloud().calls() - before >= nth;
        world.cloud().set_faults(Faults::none());
        if !reached {
            assert!(ended);
            break;
        }
        world.assert_skew(&format!("killed at call {nth}")).await;
        let _passes = world.reconcile().await.unwrap();
        world.pass_time().await;
        world.assert_all_at(NEW).await;
        tried += 1;
    }
    assert!(tried > 50, "only {tried} calls");
}

//! A kubelet must not be newer than any API server (<https://kubernetes.io/releases/version-skew-policy/#kubelet>), and a
//! scaling group may launch a machine at any moment. So workers are made from the version before as long as a machine
//! of the control plane may run it: until then they are *held*.
//!
//! The cluster's completed manifest in the state store says which version workers have. It follows the user's only when
//! every machine of the control plane does, so no machine of the control plane is ever older than it. Add-ons follow with
//! it: they are made for the version that the whole control plane runs.

use std::collections::BTreeSet;

use super::{Access, Kops, OperationError};
use crate::fleet::{Instance, ScalingGroup};
use crate::inventory::Inventory;
use crate::manifest::versions::KubernetesVersion;
use crate::manifest::{CompletedCluster, Role, complete};
use crate::observation::{ClusterView, Observation};
use crate::pki::PkiError;
use crate::provider::{Desired, Provider};
use crate::resource::{Resource, ResourceId};
use crate::state::{LoadedCluster, layout};
use crate::state_object::StateBacked;
use crate::yaml;

impl<P: Provider> Kops<P> {
    /// What the cluster should consist of now, and the version at which its workers are held, if they are.
    pub(super) async fn desired_now(
        &self,
        completed: &CompletedCluster,
        loaded: &LoadedCluster,
        inventory: &Inventory<P::Resource>,
    ) -> Result<(Desired<P::Resource>, Option<KubernetesVersion>), OperationError> {
        let desired = self.desired(completed, loaded).await?;
        let Some(version) = self.held_at(completed, inventory).await? else { return Ok((desired, None)) };
        let mut cluster = loaded.cluster.clone();
        cluster.spec.kubernetes_version = Some(version.to_string());
        let before = complete(&cluster, &loaded.groups, &self.provider.recommendations());
        let held = self.desired(&before, loaded).await?;
        let (ours, theirs) = (
            self.of_workers(completed, loaded, &desired).await?,
            self.of_workers(&before, loaded, &held).await?,
        );
        let is_held =
            |resource: &P::Resource| is_record(resource, completed.name()) || is_of_addons(resource);
        let resources = desired.resources.into_iter().filter(|r| !ours.contains(&r.id()) && !is_held(r));
        let held = held.resources.into_iter().filter(|r| theirs.contains(&r.id()) || is_held(r));
        let wanted = completed.cluster.spec.kubernetes_version.as_deref().unwrap_or_default();
        let warning = format!(
            "workers stay at Kubernetes {version} until every machine of the control plane runs {wanted}: \
             `reconcile cluster` does both in that order"
        );
        let warnings = desired.warnings.into_iter().chain([warning]).collect();
        Ok((Desired { resources: resources.chain(held).collect(), warnings }, Some(version)))
    }

    /// The version at which workers are held; none if they may have the one that the manifest wants.
    async fn held_at(
        &self,
        completed: &CompletedCluster,
        inventory: &Inventory<P::Resource>,
    ) -> Result<Option<KubernetesVersion>, OperationError> {
        let wanted = completed.kubernetes_version().ok();
        let applied = applied(inventory, completed.name());
        let Some((wanted, applied)) = wanted.zip(applied).filter(|(wanted, applied)| applied < wanted) else {
            return Ok(None);
        };
        let running = self.running(completed.name(), Access::Kubernetes).await?;
        match self.look(&running).await {
            Ok(seen) if all_run(&seen, completed, wanted) => Ok(None),
            // A provider that shows no machines rolls none either.
            Err(OperationError::NoFleet) => Ok(None),
            // Nothing proves that they do.
            Ok(_)
            | Err(
                OperationError::NoClusterApi { .. }
                | OperationError::NoApiAddress { .. }
                | OperationError::Pki(PkiError::NotFound(_)),
            ) => Ok(Some(applied)),
            Err(error) => Err(error),
        }
    }

    /// What there is for the sake of workers alone.
    async fn of_workers(
        &self,
        completed: &CompletedCluster,
        loaded: &LoadedCluster,
        desired: &Desired<P::Resource>,
    ) -> Result<BTreeSet<ResourceId>, OperationError> {
        let mut without = completed.clone();
        without.groups.retain(|group| group.role() != Role::Node);
        let without = self.desired(&without, loaded).await?;
        let others: BTreeSet<ResourceId> = without.resources.iter().map(Resource::id).collect();
        let ids = desired.resources.iter().map(Resource::id);
        let mut workers: BTreeSet<ResourceId> = ids.filter(|id| !others.contains(id)).collect();
        // The configuration of the control plane tells of the workers, so it is another one without them: what others
        // need is not the workers' alone.
        loop {
            let others = desired.resources.iter().filter(|resource| !workers.contains(&resource.id()));
            let needed: Vec<ResourceId> =
                others.flat_map(Resource::requires).filter(|id| workers.contains(id)).collect();
            if needed.is_empty() {
                return Ok(workers);
            }
            needed.iter().for_each(|id| {
                workers.remove(id);
            });
        }
    }
}

/// Whether a resource is the record of the version that workers have.
pub(super) fn is_record<R: StateBacked>(resource: &R, cluster: &str) -> bool {
    let location = |location: &str| layout::cluster(cluster).and_then(|prefix| prefix.key(location));
    resource.state_object().is_some_and(|file| {
        layout::completed(cluster).is_ok_and(|record| location(&file.location) == Ok(record))
    })
}

/// Whether a resource is an add-on, or says which there are.
fn is_of_addons<R: StateBacked>(resource: &R) -> bool {
    resource.state_object().is_some_and(|file| layout::is_of_addons(&file.location))
}

/// The version that workers have, as recorded.
fn applied<R: StateBacked>(inventory: &Inventory<R>, cluster: &str) -> Option<KubernetesVersion> {
    let (_, record) = inventory.iter().find(|(_, observed)| is_record(&observed.resource, cluster))?;
    let documents = yaml::read(&record.resource.state_object()?.contents).ok()?;
    documents.first()?.get("spec")?.get("kubernetesVersion")?.text()?.parse().ok()
}

/// Whether every machine of the control plane is known to run a version, or a newer one. One that is on its way out
/// still counts: it may answer to the last.
fn all_run(seen: &Observation, completed: &CompletedCluster, wanted: KubernetesVersion) -> bool {
    let ClusterView::Seen(cluster) = &seen.cluster else { return false };
    let is_control_plane = |group: &&ScalingGroup| {
        completed.group(&group.instance_group).is_some_and(|group| group.role() == Role::ControlPlane)
    };
    let runs = |instance: &Instance| {
        let node = cluster.nodes.iter().find(|node| node.instance.as_ref() == Some(&instance.id));
        let version = node.and_then(|node| node.kubelet_version.trim_start_matches('v').parse().ok());
        version.is_some_and(|version: KubernetesVersion| version >= wanted)
    };
    seen.groups.iter().filter(is_control_plane).flat_map(|group| &group.instances).all(runs)
}

use std::collections::BTreeSet;

use super::update::meant_for;
use super::{Kops, OperationError, Run, scope};
use crate::apply::{ApplyOptions, Done, apply};
use crate::cloud::{Reach, Scope};
use crate::error::{ErrorClass, Retry};
use crate::lease;
use crate::manifest::{Cluster, InstanceGroup, complete};
use crate::plan::{Plan, Purpose, plan_deleting};
use crate::provider::Provider;
use crate::resource::{Handle, Ownership, Resource, ResourceId};
use crate::state::RegistryError;

/// How often what is left is looked for and deleted: what a dying cluster still makes is caught by the next round.
const ROUNDS: usize = 5;

/// A cluster that is gone.
#[derive(Debug)]
pub struct Deleted {
    /// Everything that was deleted from the cloud.
    pub resources: Vec<Done>,
    /// How often the cloud was searched until nothing was found.
    pub rounds: usize,
    /// What carries the cluster's tags and was left, because the manifests name it by its handle or it may be needed by
    /// what they name.
    pub left: Vec<ResourceId>,
}

impl<P: Provider> Kops<P> {
    /// Everything that would go with the cluster: what was made for it, and what it made itself. Changes nothing.
    ///
    /// What the manifests name by its handle stays, whatever its tags say, and so does what it needs; the plan's warnings
    /// say so. [`plan_delete_with_shared`](Self::plan_delete_with_shared) takes that, too.
    ///
    /// Works without manifests, too: what belongs to a cluster is found by its name.
    ///
    /// # Errors
    /// The cloud cannot be read.
    pub async fn plan_delete(&self, cluster: &str) -> Result<Plan<P::Resource>, OperationError> {
        let (scope, named, warnings) = match self.registry.load(cluster).await {
            Ok(loaded) => {
                let unseen = loaded.maker().check(cluster).is_err();
                let unseen = unseen.then(|| self.provider.unseen_of_kops(cluster)).into_iter().flatten();
                let named = self.named(&loaded.cluster, &loaded.groups).await?;
                (scope(&loaded.cluster), named, unseen.collect())
            }
            // Manifests that cannot be read any more must not keep a cluster from being deleted.
            Err(
                error @ (RegistryError::NotFound(_)
                | RegistryError::Unreadable { .. }
                | RegistryError::Invalid(_)),
            ) => {
                let named = match self.registry.cluster(cluster).await {
                    Ok(cluster) => self.named(&cluster, &[]).await?,
                    Err(_) => BTreeSet::new(),
                };
                let warning = format!(
                    "the manifests cannot be read ({error}): what they name by its id goes, too, if it carries the cluster's tags"
                );
                (without_manifests(cluster), named, vec![warning])
            }
            Err(error) => return Err(error.into()),
        };
        Ok(self.plan_deleting(&scope, named).await?.with_warnings(warnings))
    }

    /// The same, with all that carries the cluster's tags, though the manifests name it by its handle.
    ///
    /// # Errors
    /// The cloud or the state store cannot be read.
    pub async fn plan_delete_with_shared(&self, cluster: &str) -> Result<Plan<P::Resource>, OperationError> {
        let scope = match self.registry.cluster(cluster).await {
            Ok(cluster) => scope(&cluster),
            Err(
                RegistryError::NotFound(_) | RegistryError::Unreadable { .. } | RegistryError::Invalid(_),
            ) => without_manifests(cluster),
            Err(error) => return Err(error.into()),
        };
        self.plan_deleting(&scope, BTreeSet::new()).await
    }

    async fn plan_deleting(
        &self,
        scope: &Scope,
        named: BTreeSet<ResourceId>,
    ) -> Result<Plan<P::Resource>, OperationError> {
        let inventory = self.provider.cloud().observe(scope, Reach::Everything).await?;
        Ok(plan_deleting(scope, named, &inventory)?)
    }

    /// What the manifests name by its handle.
    async fn named(
        &self,
        cluster: &Cluster,
        groups: &[InstanceGroup],
    ) -> Result<BTreeSet<ResourceId>, OperationError> {
        let completed = complete(cluster, groups, &self.provider.recommendations());
        let named = self.provider.named(&completed).await?;
        Ok(named.iter().map(Resource::id).collect())
    }

    /// Deletes the cluster: what `plan` shows and what the cluster has made itself since, searching and deleting until the
    /// cloud shows nothing of it. Then removes its state.
    ///
    /// # Errors
    /// [`OperationError::Purpose`] if `plan` is for an update; [`OperationError::Stale`] if more would be deleted than it
    /// shows, or the cluster of that name is another one by now. Something could not be deleted, or it cannot be told whether anything is left, or the run was cancelled. The
    /// cluster's state is kept then, and the same call goes on from there.
    pub async fn delete(
        &self,
        plan: &Plan<P::Resource>,
        options: &ApplyOptions,
        run: Run<'_>,
    ) -> Result<Deleted, OperationError> {
        meant_for(plan, Purpose::Delete)?;
        let cluster = &plan.scope().cluster;
        // Better to hear now than after the machines are gone.
        match self.registry.cluster_files(cluster).await {
            Ok(_) | Err(RegistryError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.deleting(cluster, run, async |run| self.delete_resources(plan, options, run).await).await
    }

    /// Does `work` under the cluster's lease, then removes the cluster's state, the lease included.
    async fn deleting<T>(
        &self,
        cluster: &str,
        run: Run<'_>,
        work: impl AsyncFnOnce(Run<'_>) -> Result<T, OperationError>,
    ) -> Result<T, OperationError> {
        let (mut lease, cancel) = self.acquire(cluster, lease::Purpose::Delete, run).await?;
        let done = lease.hold(&cancel, Box::pin(work(Run { cancel: &cancel, ..run }))).await;
        // Nothing renews the lease while it is being deleted itself: it would look like a loss.
        let deleted = match done.map_err(OperationError::from).flatten() {
            Ok(done) => self.registry.delete_cluster(cluster).await.map(|()| done).map_err(Into::into),
            Err(error) => Err(error),
        };
        if deleted.is_err() {
            lease.release().await;
        }
        deleted
    }

    async fn delete_resources(
        &self,
        plan: &Plan<P::Resource>,
        options: &ApplyOptions,
        run: Run<'_>,
    ) -> Result<Deleted, OperationError> {
        let scope = plan.scope().clone();
        let mut resources = Vec::new();
        let mut cause = None;
        let voice = self.voice(&scope.cluster, run);
        let mut plan = self.deletion_as_shown(plan).await?;
        for rounds in 1..=ROUNDS {
            let cloud = self.provider.cloud();
            let report = apply(cloud, &plan, options, &*self.clock, &voice, run.cancel).await;
            resources.extend(report.done);
            if report.cancelled {
                return Err(OperationError::Cancelled);
            }
            cause = report.failed.into_iter().next().map(|failed| Box::new(failed.error));
            // What was waited for until the limit would be waited for again.
            let hopeless = cause.as_ref().is_some_and(|error| match error.class {
                ErrorClass::Denied => true,
                ErrorClass::Conflict => error.retry == Retry::Never,
                _ => false,
            });
            let inventory = self.provider.cloud().observe(&scope, Reach::Everything).await?;
            plan = plan_deleting(&scope, plan.named.clone(), &inventory)?;
            if !inventory.gaps().is_empty() {
                return Err(OperationError::Unproven(inventory.gaps().to_vec()));
            }
            if plan.is_empty() {
                return Ok(Deleted { resources, rounds, left: plan.spared.into_iter().collect() });
            }
            if hopeless {
                break;
            }
        }
        Err(OperationError::Leftovers { left: plan.steps().iter().map(|s| s.id.clone()).collect(), cause })
    }

    /// Makes the plan of a deletion again, and makes sure that it takes nothing of the cluster's own that `shown` does not
    /// have (law L7). What a running cluster makes by itself comes and goes, and may be more.
    async fn deletion_as_shown(
        &self,
        shown: &Plan<P::Resource>,
    ) -> Result<Plan<P::Resource>, OperationError> {
        let cluster = &shown.scope().cluster;
        let now = match shown.named.is_empty() {
            true => self.plan_delete_with_shared(cluster).await?,
            false => self.plan_delete(cluster).await?,
        };
        if now.scope() != shown.scope() {
            let what = "it was made for an earlier cluster of that name".to_owned();
            return Err(OperationError::Stale { what });
        }
        let handles = |plan: &Plan<P::Resource>| -> BTreeSet<(ResourceId, Handle)> {
            let gone = plan.steps().iter().filter_map(|step| Some((step.id.clone(), step.action.current()?)));
            let owned = gone.filter(|(_, current)| current.resource.ownership() == Ownership::Managed);
            owned.map(|(id, current)| (id, current.handle.clone())).collect()
        };
        match handles(&now).difference(&handles(shown)).next() {
            Some((id, handle)) => {
                Err(OperationError::Stale { what: format!("it does not show that {id} ({handle}) would go") })
            }
            None => Ok(now),
        }
    }

    /// Removes the cluster's state, and leaves the cloud alone. A cluster without state is fine.
    ///
    /// # Errors
    /// Another run is changing the cluster; the state store fails, or holds something among the cluster's files that kops
    /// did not write.
    pub async fn unregister(&self, cluster: &str, run: Run<'_>) -> Result<(), OperationError> {
        self.deleting(cluster, run, async |_| Ok(())).await
    }
}

fn without_manifests(cluster: &str) -> Scope {
    Scope { cluster: cluster.to_owned(), incarnation: String::new(), zone: None }
}

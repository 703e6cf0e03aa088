use std::collections::BTreeSet;

use super::skew::is_record;
use super::update::{meant_for, same};
use super::{Kops, OperationError, Run, RunOptions};
use crate::apply::Report;
use crate::lease;
use crate::manifest::CompletedCluster;
use crate::plan::{Plan, Purpose, Step};
use crate::provider::Provider;
use crate::resource::{Resource, ResourceId};
use crate::state::LoadedCluster;

impl<P: Provider> Kops<P> {
    /// What would go with these instance groups, and nothing else. With groups of the control plane go the members of
    /// etcd clusters that they run. Changes nothing.
    ///
    /// # Errors
    /// One of the groups does not exist; the cluster would not be valid without them; the cloud cannot be read.
    pub async fn plan_delete_groups(
        &self,
        cluster: &str,
        groups: &[String],
    ) -> Result<Plan<P::Resource>, OperationError> {
        let loaded = self.registry.load(cluster).await?;
        for group in groups {
            loaded.group(group)?;
        }
        let after = loaded.without(groups);
        // The manifests may be wrong as they are: a deletion that was cut short leaves groups without members.
        let completed = self.shown(&loaded);
        let (with, without) =
            (self.ids(&completed, &loaded).await?, self.ids(&self.completed(&after)?, &after).await?);
        let plan = self.plan_for(&after).await?;
        // Machines of the control plane go by what the last update has recorded.
        let changes_members = after.cluster != loaded.cluster;
        let is_recorded = |step: &Step<P::Resource>| {
            step.action.desired().is_some_and(|desired| is_record(desired, cluster))
        };
        let record: BTreeSet<ResourceId> = plan
            .steps()
            .iter()
            .filter(|step| changes_members && is_recorded(step))
            .map(|step| step.id.clone())
            .collect();
        Ok(plan.only(|id| with.contains(id) && !without.contains(id) || record.contains(id)))
    }

    /// Deletes instance groups: carries out `plan`, if it is still what would be planned, then removes the manifests.
    ///
    /// # Errors
    /// Another run is changing the cluster; [`OperationError::Stale`]; the state store fails. What failed in the cloud is
    /// in the report, and the manifests are kept then.
    pub async fn delete_groups(
        &self,
        plan: &Plan<P::Resource>,
        groups: &[String],
        options: &RunOptions,
        run: Run<'_>,
    ) -> Result<Report, OperationError> {
        let cluster = &plan.scope().cluster;
        self.exclusively(cluster, lease::Purpose::DeleteInstanceGroup, run, async |run| {
            meant_for(plan, Purpose::Update)?;
            let now = self.plan_delete_groups(cluster, groups).await?;
            same(plan, &now)?;
            let report = self.carry_out(&now, options, run).await?;
            if report.is_complete() {
                self.registry.delete_groups(cluster, groups).await?;
            }
            Ok(report)
        })
        .await
    }

    async fn ids(
        &self,
        completed: &CompletedCluster,
        loaded: &LoadedCluster,
    ) -> Result<BTreeSet<ResourceId>, OperationError> {
        let desired = self.desired(completed, loaded).await?;
        Ok(desired.resources.iter().map(Resource::id).collect())
    }
}

use std::collections::BTreeSet;

use super::update::{meant_for, same};
use super::{Kops, OperationError, Run};
use crate::apply::Report;
use crate::lease;
use crate::plan::{Plan, Purpose};
use crate::provider::Provider;
use crate::resource::{Resource, ResourceId};

impl<P: Provider> Kops<P> {
    /// What would go with one instance group, and nothing else. Changes nothing.
    ///
    /// # Errors
    /// There is no such group; the cluster would not be valid without it; the cloud cannot be read.
    pub async fn plan_delete_group(
        &self,
        cluster: &str,
        group: &str,
    ) -> Result<Plan<P::Resource>, OperationError> {
        let mut loaded = self.registry.load(cluster).await?;
        loaded.group(group)?;
        let with = self.ids(&loaded).await?;
        loaded.groups.retain(|g| g.name() != group);
        let without = self.ids(&loaded).await?;
        let plan = self.plan_for(&loaded).await?;
        Ok(plan.only(|id| with.contains(id) && !without.contains(id)))
    }

    /// Deletes an instance group: carries out `plan`, if it is still what would be planned, then removes the manifest.
    ///
    /// # Errors
    /// Another run is changing the cluster; [`OperationError::Stale`]; the state store fails. What failed in the cloud is in the report, and the manifest is kept then.
    pub async fn delete_group(
        &self,
        plan: &Plan<P::Resource>,
        group: &str,
        run: Run<'_>,
    ) -> Result<Report, OperationError> {
        let cluster = &plan.scope().cluster;
        self.exclusively(cluster, lease::Purpose::DeleteInstanceGroup, run, async |run| {
            meant_for(plan, Purpose::Update)?;
            let now = self.plan_delete_group(cluster, group).await?;
            same(plan, &now)?;
            let report = self.carry_out(&now, run).await?;
            if report.is_complete() {
                self.registry.delete_group(cluster, group).await?;
            }
            Ok(report)
        })
        .await
    }

    async fn ids(
        &self,
        loaded: &crate::state::LoadedCluster,
    ) -> Result<BTreeSet<ResourceId>, OperationError> {
        let completed = self.completed(loaded)?;
        let desired = self.desired(&completed, loaded).await?;
        Ok(desired.resources.iter().map(Resource::id).collect())
    }
}

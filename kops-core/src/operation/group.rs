use std::collections::BTreeSet;

use super::{Kops, OperationError, Run};
use crate::apply::Report;
use crate::plan::Plan;
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

    /// Deletes an instance group: carries out `plan`, then removes the manifest.
    ///
    /// # Errors
    /// The state store fails. What failed in the cloud is in the report, and the manifest is kept then.
    pub async fn delete_group(
        &self,
        plan: &Plan<P::Resource>,
        group: &str,
        run: Run<'_>,
    ) -> Result<Report, OperationError> {
        let report = self.apply(plan, run).await;
        if report.is_complete() {
            self.registry.delete_group(&plan.scope().cluster, group).await?;
        }
        Ok(report)
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

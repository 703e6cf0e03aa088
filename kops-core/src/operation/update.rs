use std::collections::BTreeMap;

use super::leaving::takes_members;
use super::skew::is_record;
use super::{BreakingChanges, Kops, OperationError, Run, RunOptions, applied, made_by_kops, scope};
use crate::apply::Report;
use crate::cloud::{Cloud, Reach};
use crate::lease;
use crate::manifest::versions::KubernetesVersion;
use crate::manifest::{
    CompletedCluster, complete, contradicted_topology, open_to_the_world, unheeded_settings, unsupported,
    validate, weakened,
};
use crate::node::Programs;
use crate::plan::{Plan, Purpose, Step, Verb, plan};
use crate::provider::{Desired, ModelInput, Provider};
use crate::resource::{Resource, ResourceId};
use crate::state::LoadedCluster;

impl<P: Provider> Kops<P> {
    /// What has to be done so that the cloud is as the cluster's manifests say. Changes nothing.
    ///
    /// # Errors
    /// The manifests are missing or wrong, ask for what is not supported, or the cloud cannot be read.
    pub async fn plan_update(&self, cluster: &str) -> Result<Plan<P::Resource>, OperationError> {
        let loaded = self.registry.load(cluster).await?;
        self.plan_for(&loaded).await
    }

    pub(super) async fn plan_for(&self, loaded: &LoadedCluster) -> Result<Plan<P::Resource>, OperationError> {
        Ok(self.plan_holding(loaded).await?.0)
    }

    /// The plan, and the version at which it [holds](super::skew) workers, if it does.
    pub(super) async fn plan_holding(
        &self,
        loaded: &LoadedCluster,
    ) -> Result<(Plan<P::Resource>, Option<KubernetesVersion>), OperationError> {
        let completed = self.completed(loaded)?;
        let scope = scope(&completed.cluster);
        let inventory = self.cloud().observe(&scope, Reach::Managed).await?;
        let made = made_by_kops::sign(loaded, &inventory);
        let breaking = match (made.is_some(), self.breaking) {
            (false, BreakingChanges::Refuse) => applied::refuse_breaking(&completed, &inventory)?,
            // Nothing of it is carried out, or somebody knows what comes of it.
            _ => applied::breaking(&completed, &inventory).iter().map(ToString::to_string).collect(),
        };
        let (desired, held) = self.desired_now(&completed, loaded, &inventory).await?;
        let Desired { resources, warnings } = desired;
        let plan = plan(&scope, Purpose::Update, &resources, &inventory)?;
        let manifest = loaded.warnings.iter().map(ToString::to_string);
        let exposed = [
            open_to_the_world(&completed.cluster.spec),
            weakened(&completed),
            unheeded_settings(&completed),
            contradicted_topology(&completed),
        ];
        let exposed = exposed.into_iter().flatten().map(|warning| warning.to_string());
        let (changes, addons, losses, empty) = futures::join!(
            self.node_changes(&plan, &resources),
            self.addon_changes(&plan, &resources),
            self.losses(&plan),
            self.empty_etcd(&plan, &inventory),
        );
        let plan = plan.with_details(changes).with_details(addons).with_details(losses?);
        // Machines go by what is recorded: members of etcd are taken out before their machines go.
        let records = |step: &Step<P::Resource>| {
            step.action.desired().is_some_and(|new| is_record(new, &scope.cluster))
        };
        let plan = plan.ordered(records, takes_members);
        let made = made.as_ref().map(made_by_kops::warning);
        let warnings = manifest.chain(exposed).chain(warnings).chain(empty?);
        Ok((plan.with_warnings(made.into_iter().chain(breaking).chain(warnings)), held))
    }

    /// The manifests with every default filled in, checked: a cluster can be made of them.
    pub(super) fn completed(&self, loaded: &LoadedCluster) -> Result<CompletedCluster, OperationError> {
        let completed = self.shown(loaded);
        let mut violations = loaded.left_out.clone();
        violations.extend(validate(&completed));
        violations.extend(unsupported(&completed));
        if violations.is_empty() {
            return Ok(completed);
        }
        if let Err(made) = loaded.maker().check(completed.name()) {
            violations.insert(0, made_by_kops::violation(&made));
        }
        Err(OperationError::Invalid(violations))
    }

    /// The manifests with every default filled in, as they are: a caller that looks at a running cluster need not be able to
    /// make it.
    pub(super) fn shown(&self, loaded: &LoadedCluster) -> CompletedCluster {
        complete(&loaded.cluster, &loaded.groups, &self.provider.recommendations())
    }

    pub(super) async fn desired(
        &self,
        completed: &CompletedCluster,
        loaded: &LoadedCluster,
    ) -> Result<Desired<P::Resource>, OperationError> {
        let store = self.registry.store();
        let input = ModelInput {
            cluster: completed,
            ssh_keys: &loaded.ssh_keys,
            state_store: &store.to_string(),
            programs: &Programs::load(store.as_ref(), completed, self.web.as_deref()).await?,
            addons: &self.user_addons(&completed.cluster).await?,
        };
        Ok(self.provider.desired(input).await?)
    }

    /// Makes the cloud as the cluster's manifests say: plans, shows the plan to `review`, and carries it out, all of it
    /// under the cluster's lease.
    ///
    /// # Errors
    /// Another run is changing the cluster; whatever [`plan_update`](Self::plan_update) can fail with.
    pub async fn update(
        &self,
        cluster: &str,
        options: &RunOptions,
        run: Run<'_>,
        review: impl FnOnce(&Plan<P::Resource>),
    ) -> Result<Updated<P::Resource>, OperationError> {
        self.exclusively(cluster, lease::Purpose::Update, run, async |run| {
            let plan = self.plan_update(cluster).await?;
            review(&plan);
            let report = self.carry_out(&plan, options, run).await?;
            Ok(Updated { plan, report })
        })
        .await
    }

    /// Carries out a plan that was made earlier, under the cluster's lease and only if it is still what would be planned.
    /// What is carried out is the plan made now: the earlier one is compared with it, and nothing in it is believed (law
    /// L7).
    ///
    /// # Errors
    /// Another run is changing the cluster; [`OperationError::Purpose`]; [`OperationError::Stale`]; whatever planning can
    /// fail with. What failed in the cloud or was cancelled is in the report; planning again shows what is left.
    pub async fn apply(
        &self,
        plan: &Plan<P::Resource>,
        options: &RunOptions,
        run: Run<'_>,
    ) -> Result<Report, OperationError> {
        self.exclusively(&plan.scope().cluster, lease::Purpose::Update, run, async |run| {
            let now = self.check_saved(plan).await?;
            self.carry_out(&now, options, run).await
        })
        .await
    }

    /// Makes sure that a plan for an update is exactly what would be planned now, and returns the plan made now.
    ///
    /// # Errors
    /// [`OperationError::Purpose`] if it is a plan for a deletion; [`OperationError::Stale`] if the manifests or the cloud
    /// have changed since, or somebody has changed the plan; whatever planning can fail with.
    pub async fn check_saved(&self, saved: &Plan<P::Resource>) -> Result<Plan<P::Resource>, OperationError> {
        meant_for(saved, Purpose::Update)?;
        let now = self.plan_update(&saved.scope().cluster).await?;
        same(saved, &now)?;
        Ok(now)
    }

    /// Remembers the manifests in one object, so that reading them the next time takes two calls however many
    /// groups there are. Worth calling after an update; nothing depends on it.
    ///
    /// # Errors
    /// The state store cannot be read or written.
    pub async fn remember(&self, cluster: &str) -> Result<(), OperationError> {
        let loaded = self.registry.load(cluster).await?;
        Ok(self.registry.write_snapshot(&loaded).await?)
    }
}

/// An update, and what became of it.
#[derive(Debug)]
pub struct Updated<R> {
    /// What was to be done.
    pub plan: Plan<R>,
    /// What was done. What failed or was cancelled is in here; planning again shows what is left.
    pub report: Report,
}

/// Refuses a plan that was made for something else.
pub(super) fn meant_for<R: Resource>(plan: &Plan<R>, purpose: Purpose) -> Result<(), OperationError> {
    if plan.purpose() == purpose { Ok(()) } else { Err(OperationError::Purpose { made_for: plan.purpose() }) }
}

/// Makes sure that two plans for the same thing do the same.
pub(super) fn same<R: Resource>(saved: &Plan<R>, now: &Plan<R>) -> Result<(), OperationError> {
    if saved.does_the_same_as(now) {
        Ok(())
    } else {
        Err(OperationError::Stale { what: difference(saved, now) })
    }
}

/// The first thing that two plans differ in, in words.
fn difference<R: Resource>(saved: &Plan<R>, now: &Plan<R>) -> String {
    let steps = |plan: &Plan<R>| -> BTreeMap<ResourceId, Verb> {
        plan.steps().iter().map(|step| (step.id.clone(), step.action.verb())).collect()
    };
    let (before, after) = (steps(saved), steps(now));
    let gone =
        before.keys().find(|id| !after.contains_key(*id)).map(|id| format!("{id} needs nothing any more"));
    let new = after.keys().find(|id| !before.contains_key(*id)).map(|id| format!("{id} needs a change now"));
    gone.or(new).unwrap_or_else(|| {
        if now.fingerprint() == saved.fingerprint() {
            "it does not do what would be planned now, from the same manifests and the same cloud".to_owned()
        } else {
            "the manifests or the cloud have changed since it was made".to_owned()
        }
    })
}

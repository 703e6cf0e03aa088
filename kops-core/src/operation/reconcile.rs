use super::{Access, Kops, OperationError, Run, RunOptions};
use crate::apply::Done;
use crate::clock::later;
use crate::lease::Purpose;
use crate::manifest::Role;
use crate::manifest::versions::KubernetesVersion;
use crate::plan::Plan;
use crate::provider::Provider;
use crate::rolling::{RollOptions, RollReport};

/// How a cluster is reconciled.
#[derive(Clone, Debug)]
pub struct ReconcileOptions {
    /// How the plans of its updates are carried out.
    pub run: RunOptions,
    /// How its machines are replaced.
    pub roll: RollOptions,
}

/// One pass of a reconciliation: an update, and the machines that it makes out of date replaced.
#[derive(Debug)]
pub struct Pass {
    /// The version of Kubernetes at which workers were held meanwhile, if they were: then only the control plane and
    /// bastions were replaced.
    pub held: Option<KubernetesVersion>,
    /// What was done to the cloud.
    pub updated: Vec<Done>,
    /// What was done to machines.
    pub rolled: RollReport,
}

impl<P: Provider> Kops<P> {
    /// Makes cluster and machines as the manifests say, in the order that Kubernetes wants: the control plane is updated
    /// and replaced; once every machine of it runs the new version, so are the workers. All of it under one lease;
    /// `review` is shown each plan. After an interruption of any kind the same call goes on from there.
    ///
    /// At no moment is a worker newer than any machine of the control plane, even if a scaling group launches one just
    /// then: its template changes last.
    ///
    /// # Errors
    /// Another run is changing the cluster; whatever [`update`](Self::update) and
    /// [`rolling_update`](Self::rolling_update) can fail with; [`OperationError::Held`].
    pub async fn reconcile(
        &self,
        cluster: &str,
        options: &ReconcileOptions,
        run: Run<'_>,
        review: impl Fn(&Plan<P::Resource>),
    ) -> Result<Vec<Pass>, OperationError> {
        self.exclusively(cluster, Purpose::Reconcile, run, async |run| {
            let mut passes = Vec::new();
            loop {
                let (plan, held) = self.plan_holding(&self.registry.load(cluster).await?).await?;
                review(&plan);
                let updated = self.carry_out(&plan, &options.run, run).await?.into_result()?;
                let mut roll = options.roll.clone();
                if held.is_some() {
                    roll.policy = roll.policy.only(|group| group.role != Role::Node);
                }
                let rolled = self.roll(cluster, &roll, Access::Kubernetes, run).await?;
                if rolled.cancelled {
                    return Err(OperationError::Cancelled);
                }
                passes.push(Pass { held, updated, rolled });
                match held {
                    None => return Ok(passes),
                    Some(version) => self.wait_until_free(cluster, version, &roll, run).await?,
                }
            }
        })
        .await
    }

    /// Waits until workers are held no longer: machines that were told to go may answer for a while.
    async fn wait_until_free(
        &self,
        cluster: &str,
        version: KubernetesVersion,
        options: &RollOptions,
        run: Run<'_>,
    ) -> Result<(), OperationError> {
        let until = later(self.clock.now(), options.policy.patience);
        while self.plan_holding(&self.registry.load(cluster).await?).await?.1.is_some() {
            if self.clock.now() >= until {
                return Err(OperationError::Held { version });
            }
            tokio::select! {
                () = self.clock.sleep(options.poll) => {}
                () = run.cancel.cancelled() => return Err(OperationError::Cancelled),
            }
        }
        Ok(())
    }
}

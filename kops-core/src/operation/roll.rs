use super::{Access, Kops, OperationError, Run};
use crate::lease::Purpose;
use crate::manifest::InstanceGroup;
use crate::provider::Provider;
use crate::rolling::{
    Assumptions, Policy, Preview, RollOptions, RollReport, RollTarget, Simulation, preview, roll, simulate,
};

impl<P: Provider> Kops<P> {
    /// The default options of a rolling update of all groups of a cluster; what it may touch is narrowed down with
    /// [`Policy::only`].
    ///
    /// # Errors
    /// The manifests are missing or wrong.
    pub async fn roll_options(&self, cluster: &str) -> Result<RollOptions, OperationError> {
        let running = self.running(cluster, Access::CloudOnly).await?;
        Ok(RollOptions::new(Policy::for_cluster(&running.completed)))
    }

    /// What a rolling update would do, and what is in its way. Changes nothing.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read, or the Kubernetes API refuses to be read.
    pub async fn preview_roll(
        &self,
        cluster: &str,
        policy: &Policy,
        access: Access,
    ) -> Result<Preview, OperationError> {
        let running = self.running(cluster, access).await?;
        let seen = self.look(&running).await?;
        Ok(preview(&seen, policy, self.clock.now()))
    }

    /// What a rolling update would do, tried on a copy of the cluster as it is: order, duration, and what would be short.
    /// Changes nothing.
    ///
    /// # Errors
    /// The manifests or the cloud cannot be read, or the Kubernetes API refuses to be read.
    pub async fn simulate_roll(
        &self,
        cluster: &str,
        options: &RollOptions,
        access: Access,
    ) -> Result<Simulation, OperationError> {
        let running = self.running(cluster, access).await?;
        let seen = self.look(&running).await?;
        let role = |group: &str| running.completed.group(group).map(InstanceGroup::role).unwrap_or_default();
        let assumptions = Assumptions::learned_from(&seen);
        Ok(simulate(&seen, role, options, assumptions, self.clock.now()).await?)
    }

    /// Replaces the machines that have to go, without hurting what runs on them, under the cluster's lease. After an
    /// interruption of any kind the same call goes on from there.
    ///
    /// # Errors
    /// Another run is changing the cluster, a node cannot be drained, nothing changes for too long, or a call fails for good.
    pub async fn rolling_update(
        &self,
        cluster: &str,
        options: &RollOptions,
        access: Access,
        run: Run<'_>,
    ) -> Result<RollReport, OperationError> {
        self.roll_as(Purpose::RollingUpdate, cluster, options, access, run).await
    }

    pub(super) async fn roll_as(
        &self,
        purpose: Purpose,
        cluster: &str,
        options: &RollOptions,
        access: Access,
        run: Run<'_>,
    ) -> Result<RollReport, OperationError> {
        self.exclusively(cluster, purpose, run, async |run| self.roll(cluster, options, access, run).await)
            .await
    }

    /// Replaces machines under a lease that is held already.
    pub(super) async fn roll(
        &self,
        cluster: &str,
        options: &RollOptions,
        access: Access,
        run: Run<'_>,
    ) -> Result<RollReport, OperationError> {
        self.completed(&self.registry.load(cluster).await?)?;
        let running = self.running(cluster, access).await?;
        let (clock, voice) = (&*self.clock, self.voice(cluster, run));
        let roll = async |target: RollTarget<'_>| roll(target, options, clock, &voice, run.cancel).await;
        Box::pin(self.with(&running, roll)).await
    }
}

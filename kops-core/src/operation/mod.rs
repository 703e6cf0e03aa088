//! What can be done with clusters: each is one call, cancellable, and reports to an observer.

mod addons;
mod applied;
#[cfg(feature = "kube")]
mod connect;
mod delete;
mod draining;
mod dump;
mod empty_etcd;
mod error;
mod etcd;
mod event;
mod group;
mod instances;
mod kubeconfig;
mod leaving;
mod made_by_kops;
mod node_changes;
mod options;
mod reconcile;
mod roll;
mod running;
mod skew;
mod update;
mod upgrade;
mod validate;

use std::sync::Arc;

pub use addons::UserAddonError;
pub use delete::Deleted;
use draining::Draining;
pub use dump::{Dump, DumpedNode, DumpedResource};
pub use error::OperationError;
pub use etcd::EtcdRestore;
use event::Voice;
pub use event::{Event, EventKind};
pub use instances::{ClusterInstance, InstanceStatus};
pub use options::{Drain, RunOptions};
pub use reconcile::{Pass, ReconcileOptions};
pub use running::Access;
use tokio_util::sync::CancellationToken;
pub use update::Updated;
pub use validate::Validation;

use crate::apply::{Report, apply};
use crate::clock::{Clock, SystemClock};
use crate::cloud::Scope;
use crate::lease::{self, Holder, Lease, LeaseRecord, Leases};
use crate::manifest::Cluster;
use crate::observer::Observer;
use crate::pki::Keystore;
use crate::plan::{Plan, Purpose};
use crate::provider::Provider;
use crate::state::{Registry, RegistryError, StateStore};
use crate::state_object::WithStateObjects;
use crate::web::Web;

/// The clusters of one state store on one cloud.
///
/// Cheap to make; many can live side by side in one process.
#[derive(Debug)]
pub struct Kops<P> {
    provider: P,
    registry: Registry,
    leases: Leases,
    clock: Arc<dyn Clock>,
    breaking: BreakingChanges,
    web: Option<Arc<dyn Web>>,
}

/// What is done about changes that break a running cluster (law L9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakingChanges {
    /// They are refused.
    #[default]
    Refuse,
    /// They are warned of: somebody knows what comes of them.
    Allow,
}

/// One run of an operation: who is told what happens, and what stops it.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Who is told what happens.
    pub observer: &'a dyn Observer<Event>,
    /// Triggered to stop: what is under way is finished, nothing new starts.
    pub cancel: &'a CancellationToken,
}

impl<P: Provider> Kops<P> {
    /// The clusters kept in `store` and running on `provider`.
    pub fn new(provider: P, store: Arc<dyn StateStore>) -> Self {
        Self::with_clock(provider, store, Arc::new(SystemClock))
    }

    /// The same on another clock.
    pub fn with_clock(provider: P, store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        let leases = Leases::new(store.clone(), clock.clone(), Holder::default());
        let registry = Registry::with_clock(store, clock.clone());
        Self { provider, registry, leases, clock, breaking: BreakingChanges::default(), web: None }
    }

    /// Says what is done about changes that break a running cluster, in every plan from now on.
    #[must_use]
    pub fn with_breaking_changes(mut self, breaking: BreakingChanges) -> Self {
        self.breaking = breaking;
        self
    }

    /// Says how checksums of programs are read that the library does not know: those of newer versions.
    #[must_use]
    pub fn with_web(mut self, web: Arc<dyn Web>) -> Self {
        self.web = Some(web);
        self
    }

    /// Tells others who it is that changes a cluster, for as long as it is being changed.
    #[must_use]
    pub fn with_holder(mut self, holder: Holder) -> Self {
        self.leases = Leases::new(self.registry.store().clone(), self.clock.clone(), holder);
        self
    }

    /// Who is changing which cluster.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The manifests: to create, read, replace and edit them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The clusters' certificate authorities and signing keys.
    pub fn keystore(&self) -> Keystore {
        Keystore::new(self.registry.store().clone(), self.clock.clone())
    }

    /// The cloud and its model.
    pub fn provider(&self) -> &P {
        &self.provider
    }

    fn cloud(&self) -> WithStateObjects<'_, dyn crate::cloud::Cloud<Resource = P::Resource> + '_> {
        WithStateObjects::new(self.provider.cloud(), self.registry.store().as_ref(), self.keystore())
    }

    /// Tells the run's observer of what happens to `cluster`.
    fn voice<'a>(&'a self, cluster: &'a str, run: Run<'a>) -> Voice<'a> {
        Voice { cluster, clock: &*self.clock, run }
    }

    /// Does `work` as the only run that changes the cluster: under its [lease], which is released at the
    /// end. `work` has to go by the [`Run`] it is given: that is cancelled, too, when the lease is lost.
    ///
    /// Dropping the future stops at once. The lease then expires by itself.
    ///
    /// # Errors
    /// Another run has the lease, it got lost, or `work` fails.
    pub async fn exclusively<T>(
        &self,
        cluster: &str,
        purpose: lease::Purpose,
        run: Run<'_>,
        work: impl AsyncFnOnce(Run<'_>) -> Result<T, OperationError>,
    ) -> Result<T, OperationError> {
        let (mut lease, cancel) = self.acquire(cluster, purpose, run).await?;
        // What a run does is large: on the heap it does not fill the stack of a thread.
        let done = lease.hold(&cancel, Box::pin(work(Run { cancel: &cancel, ..run }))).await;
        lease.release().await;
        done?
    }

    /// The cluster's lease, and what is cancelled with the run or when the lease is lost.
    async fn acquire(
        &self,
        cluster: &str,
        purpose: lease::Purpose,
        run: Run<'_>,
    ) -> Result<(Lease, CancellationToken), OperationError> {
        if purpose != lease::Purpose::Delete {
            // Before the lease, which is an object of its own in the cluster's state.
            self.registry.maker(cluster).await?.check(cluster).map_err(RegistryError::from)?;
        }
        let watching = |lease: &LeaseRecord| {
            let watched = EventKind::Lease { lease: lease.clone(), within: lease.expiry() };
            self.voice(cluster, run).say(watched);
        };
        let lease = self.leases.acquire(cluster, purpose, run.cancel, watching).await?;
        Ok((lease, run.cancel.child_token()))
    }

    /// Carries out a plan under a lease that is held already. What failed or was cancelled is in the report.
    pub(crate) async fn carry_out(
        &self,
        plan: &Plan<P::Resource>,
        options: &RunOptions,
        run: Run<'_>,
    ) -> Result<Report, OperationError> {
        let voice = self.voice(&plan.scope().cluster, run);
        let report = match plan.purpose() {
            Purpose::Update => {
                self.before_update(plan).await?;
                let cloud = Draining::new(self, self.cloud(), options, run);
                Box::pin(apply(&cloud, plan, &options.apply, &*self.clock, &voice, run.cancel)).await
            }
            // Pods of a cluster that goes as a whole have nowhere to go.
            Purpose::Delete => {
                Box::pin(apply(&self.cloud(), plan, &options.apply, &*self.clock, &voice, run.cancel)).await
            }
        };
        Ok(report)
    }
}

fn scope(cluster: &Cluster) -> Scope {
    let created = cluster.metadata.creation_timestamp;
    Scope {
        cluster: cluster.name().to_owned(),
        incarnation: created.map(|at| at.to_string()).unwrap_or_default(),
        zone: cluster.hosted_zone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles: a service can run each operation as a task of its own.
    #[expect(dead_code, reason = "it is enough that it compiles")]
    fn operations_can_be_spawned<P: Provider>(
        kops: &Kops<P>,
        plan: &Plan<P::Resource>,
        options: &RunOptions,
        run: Run<'_>,
    ) {
        fn is_send(_: impl Send) {}
        is_send(kops.update("demo", options, run, |_| {}));
        is_send(kops.apply(plan, options, run));
        is_send(kops.delete(plan, &options.apply, run));
        is_send(kops.delete_groups(plan, &["nodes".to_owned()], options, run));
        is_send(kops.unregister("demo", run));
        is_send(kops.validate("demo", Validation::default(), &|_, _| {}, run.cancel));
        is_send(kops.back_up_etcd("demo", "main", std::time::Duration::ZERO, run.cancel));
    }

    /// As above.
    #[expect(dead_code, reason = "it is enough that it compiles")]
    fn a_rolling_update_can_be_spawned<P: Provider>(
        kops: &Kops<P>,
        options: &ReconcileOptions,
        run: Run<'_>,
    ) {
        fn is_send(_: impl Send) {}
        is_send(kops.rolling_update("demo", &options.roll, Access::Kubernetes, run));
        is_send(kops.reconcile("demo", options, run, |_| {}));
    }
}

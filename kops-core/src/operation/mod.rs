//! What can be done with clusters: each is one call, cancellable, and reports to an observer.

mod delete;
mod error;
mod group;
mod update;

use std::sync::Arc;

pub use delete::Deleted;
pub use error::OperationError;
use tokio_util::sync::CancellationToken;

use crate::apply::{ApplyOptions, Observer, Report, apply};
use crate::clock::{Clock, SystemClock};
use crate::cloud::Scope;
use crate::manifest::Cluster;
use crate::plan::Plan;
use crate::provider::Provider;
use crate::state::{Registry, StateStore};
use crate::state_object::WithStateObjects;

/// The clusters of one state store on one cloud.
///
/// Cheap to make; many can live side by side in one process.
#[derive(Debug)]
pub struct Kops<P> {
    provider: P,
    registry: Registry,
    clock: Arc<dyn Clock>,
}

/// How a plan is carried out: under which limits, who is told, and what stops it.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Limits and retries.
    pub options: &'a ApplyOptions,
    /// Who is told what happens.
    pub observer: &'a dyn Observer,
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
        Self { provider, registry: Registry::with_clock(store, clock.clone()), clock }
    }

    /// The manifests: to create, read, replace and edit them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The cloud and its model.
    pub fn provider(&self) -> &P {
        &self.provider
    }

    fn cloud(&self) -> WithStateObjects<'_, dyn crate::cloud::Cloud<Resource = P::Resource> + '_> {
        WithStateObjects::new(self.provider.cloud(), self.registry.store().as_ref())
    }

    /// Carries out a plan for an update. What failed or was cancelled is in the report; planning again shows what
    /// is left.
    pub async fn apply(&self, plan: &Plan<P::Resource>, run: Run<'_>) -> Report {
        apply(&self.cloud(), plan, run.options, &*self.clock, run.observer, run.cancel).await
    }
}

fn scope(cluster: &Cluster) -> Scope {
    let created = cluster.metadata.creation_timestamp;
    Scope {
        cluster: cluster.name().to_owned(),
        incarnation: created.map(|at| at.to_string()).unwrap_or_default(),
    }
}

//! Clusters that kops made are looked at and deleted, and nothing else is done to them.

use super::{Kops, OperationError};
use crate::inventory::{Inventory, Observed};
use crate::manifest::Violation;
use crate::plan::Plan;
use crate::provider::Provider;
use crate::state::{LoadedCluster, MadeByKops, RegistryError, maker};
use crate::state_object::StateBacked;

impl<P: Provider> Kops<P> {
    /// Makes sure that a plan changes nothing that kops made, and records that the cluster is this project's.
    pub(super) async fn before_update(&self, plan: &Plan<P::Resource>) -> Result<(), OperationError> {
        let cluster = &plan.scope().cluster;
        let changed = plan.steps().iter().filter_map(|step| step.action.current());
        if let Some(made) = control_plane(cluster, changed) {
            return Err(RegistryError::from(made).into());
        }
        if !plan.is_empty() {
            let store = self.registry.store().as_ref();
            maker::put_record(store, cluster).await.map_err(RegistryError::from)?;
        }
        Ok(())
    }
}

/// What shows that kops made a cluster: its state, or what machines of its control plane are made from.
pub(super) fn sign<R: StateBacked>(loaded: &LoadedCluster, inventory: &Inventory<R>) -> Option<MadeByKops> {
    let cluster = loaded.cluster.name();
    let by_state = loaded.maker().check(cluster).err();
    by_state.or_else(|| control_plane(cluster, inventory.iter().map(|(_, observed)| observed)))
}

/// The first of some resources that makes machines of a control plane as kops sets it up.
fn control_plane<'a, R: StateBacked>(
    cluster: &str,
    mut resources: impl Iterator<Item = &'a Observed<R>>,
) -> Option<MadeByKops> {
    let found = resources.find(|observed| observed.resource.is_control_plane_of_kops())?;
    Some(MadeByKops { cluster: cluster.to_owned(), sign: found.resource.id().to_string() })
}

/// What a preview says first.
pub(super) fn warning(made: &MadeByKops) -> String {
    format!("{made}; {}", made.hint())
}

/// The same beside what else is wrong with the manifests.
pub(super) fn violation(made: &MadeByKops) -> Violation {
    Violation { path: "cluster".to_owned(), message: made.to_string(), hint: Some(made.hint().to_owned()) }
}

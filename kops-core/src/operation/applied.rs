//! What was last applied, as the state store remembers it, compared with what is to be applied (law L9).

use super::OperationError;
use super::skew::is_record;
use crate::fleet::Scaling;
use crate::inventory::Inventory;
use crate::manifest::{
    self, Cluster, CompletedCluster, Manifest, Role, Violation, breaking_roles, read_stored,
};
use crate::state_object::StateBacked;

/// Refuses what would break the cluster. Returns what the user should know where that cannot be told.
pub(super) fn refuse_breaking<R: StateBacked + Scaling>(
    completed: &CompletedCluster,
    inventory: &Inventory<R>,
) -> Result<Vec<String>, OperationError> {
    let found = breaking(completed, inventory);
    if !found.is_empty() {
        return Err(OperationError::Breaking(found));
    }
    let runs = groups(inventory).any(|(_, role)| role == Role::ControlPlane);
    Ok(match last_applied(completed.name(), inventory) {
        None if runs => vec![
            "what was applied last is not known, since cluster-completed.spec cannot be read in the state store: what \
             would break the cluster is not noticed this time"
                .to_owned(),
        ],
        _ => Vec::new(),
    })
}

/// Finds what would break the cluster, compared with what was last applied. A cluster of which nothing was applied yet
/// has nothing to break.
pub(super) fn breaking<R: StateBacked + Scaling>(
    completed: &CompletedCluster,
    inventory: &Inventory<R>,
) -> Vec<Violation> {
    let before = last_applied(completed.name(), inventory);
    let mut found = before.map(|before| manifest::breaking(&before, completed)).unwrap_or_default();
    let roles: Vec<(String, Role)> = groups(inventory).collect();
    found.extend(breaking_roles(roles.iter().map(|(name, role)| (name.as_str(), *role)), completed));
    found
}

/// The completed manifest of the last update; kops writes it too.
fn last_applied<R: StateBacked>(cluster: &str, inventory: &Inventory<R>) -> Option<Cluster> {
    let (_, record) = inventory.iter().find(|(_, observed)| is_record(&observed.resource, cluster))?;
    let contents = &record.resource.state_object()?.contents;
    match read_stored("cluster-completed.spec", contents, cluster).ok()?.manifests.into_iter().next()? {
        Manifest::Cluster(cluster) => Some(*cluster),
        Manifest::InstanceGroup(_) | Manifest::SshCredential(_) => None,
    }
}

/// The groups that run, with what their machines are for.
fn groups<R: Scaling>(inventory: &Inventory<R>) -> impl Iterator<Item = (String, Role)> {
    let groups = inventory.iter().filter_map(|(_, observed)| observed.resource.group());
    groups.map(|group| (group.instance_group, group.role))
}

use std::collections::BTreeMap;

use super::Kops;
use crate::node::NodeConfig;
use crate::plan::{Action, Plan};
use crate::provider::Provider;
use crate::resource::ResourceId;
use crate::state::layout;
use crate::state_object::StateBacked;

impl<P: Provider> Kops<P> {
    /// What new versions of templates change on the machines, whose configurations they name by hash alone. What
    /// cannot be read any more is left out: the plan does not depend on it.
    pub(super) async fn node_changes(
        &self,
        plan: &Plan<P::Resource>,
        desired: &[P::Resource],
    ) -> BTreeMap<ResourceId, Vec<String>> {
        let mut changes = BTreeMap::new();
        for step in plan.steps() {
            let Action::NewVersion { current, desired: new, .. } = &step.action else { continue };
            let (Some(old), Some(new)) = (current.resource.node_config(), new.node_config()) else {
                continue;
            };
            if old == new {
                continue;
            }
            let mut objects = desired.iter().filter_map(StateBacked::state_object);
            let new = objects.find(|object| object.location == new);
            let new = new.and_then(|object| NodeConfig::read(&object.contents).ok());
            let old = self.stored_node_config(&plan.scope().cluster, old).await;
            if let (Some(old), Some(new)) = (old, new) {
                changes.insert(step.id.clone(), old.changes(&new));
            }
        }
        changes
    }

    async fn stored_node_config(&self, cluster: &str, location: &str) -> Option<NodeConfig> {
        let key = layout::cluster(cluster).and_then(|cluster| cluster.key(location)).ok()?;
        let object = self.registry.store().get(&key).await.ok()??;
        NodeConfig::read(&String::from_utf8_lossy(&object.bytes)).ok()
    }
}

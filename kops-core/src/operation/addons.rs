//! The add-ons that users bring, and what a plan changes of a cluster's add-ons.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde_json::Value;

use super::Kops;
use crate::addon::{self, Addon, Channel, Entry};
use crate::manifest::{AddonSpec, Cluster, ManifestError};
use crate::plan::{Action, Plan};
use crate::provider::Provider;
use crate::resource::ResourceId;
use crate::state::{InvalidKey, Key, StateError, layout};
use crate::state_object::StateBacked;

/// Why the add-ons that a manifest names cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UserAddonError {
    /// It is not where add-ons of the cluster lie. Nothing else is read: the state store holds private keys, too.
    #[error("the add-on {location} is not in {place}: put it there, and name it there in `spec.addons`")]
    Elsewhere {
        /// Where it is.
        location: String,
        /// Where add-ons of the cluster's users lie.
        place: String,
    },
    /// There is nothing.
    #[error("there is no add-on {location}: put its manifest there, or remove it from `spec.addons`")]
    Missing {
        /// Where it was looked for.
        location: String,
    },
    /// It cannot be read.
    #[error("the add-on cannot be read")]
    Store(#[from] StateError),
    /// It does not hold Kubernetes objects.
    #[error("the add-on {location} cannot be applied")]
    Unreadable {
        /// Where it is.
        location: String,
        /// What is wrong with it.
        source: ManifestError,
    },
}

impl From<InvalidKey> for UserAddonError {
    fn from(error: InvalidKey) -> Self {
        Self::Store(error.into())
    }
}

impl<P: Provider> Kops<P> {
    /// The add-ons that the cluster's users bring, in the order of the manifest.
    pub(super) async fn user_addons(&self, cluster: &Cluster) -> Result<Vec<Addon>, UserAddonError> {
        let addons = cluster.spec.addons.iter();
        try_join_all(addons.map(|addon| self.user_addon(cluster.name(), addon))).await
    }

    async fn user_addon(&self, cluster: &str, spec: &AddonSpec) -> Result<Addon, UserAddonError> {
        let store = self.registry.store();
        let location = spec.manifest.clone();
        let base = store.to_string();
        let base = base.trim_end_matches('/');
        let ours = layout::user_addons(cluster)?;
        let rest = location.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
        let Some(key) = rest.and_then(|rest| Key::new(rest).ok()).filter(|key| ours.rest(key).is_some())
        else {
            return Err(UserAddonError::Elsewhere { location, place: format!("{base}/{ours}/") });
        };
        let Some(object) = store.get(&key).await? else { return Err(UserAddonError::Missing { location }) };
        let objects = addon::read(&location, &String::from_utf8_lossy(&object.bytes));
        let objects = objects.map_err(|source| UserAddonError::Unreadable { location, source })?;
        Ok(Addon::new(spec.name(), objects))
    }

    /// What another channel changes in the cluster. Of contents that cannot be read any more it is only told that they
    /// change: the plan does not depend on them.
    pub(super) async fn addon_changes(
        &self,
        plan: &Plan<P::Resource>,
        desired: &[P::Resource],
    ) -> BTreeMap<ResourceId, Vec<String>> {
        let cluster = &plan.scope().cluster;
        let mut changes = BTreeMap::new();
        for step in plan.steps() {
            let Action::Update { current, desired: new, .. } = &step.action else { continue };
            let (Some(old), Some(new)) = (channel(&current.resource), channel(new)) else { continue };
            let mut lines = Vec::new();
            for entry in new.entries() {
                match old.entry(&entry.name) {
                    None => lines.push(format!("{}: new", entry.name)),
                    Some(old) if old.manifest_hash == entry.manifest_hash => {}
                    Some(old) => {
                        let before = self.stored_objects(cluster, old).await;
                        let changed = before.zip(objects_in(desired, entry));
                        let changed = changed.map(|(old, new)| addon::changes(&old, &new));
                        let changed = changed.unwrap_or_else(|| vec!["changed".to_owned()]);
                        lines.extend(changed.into_iter().map(|line| format!("{}: {line}", entry.name)));
                    }
                }
            }
            let gone = old.entries().iter().filter(|entry| new.entry(&entry.name).is_none());
            lines.extend(gone.map(|entry| format!("{}: removed; its objects are deleted", entry.name)));
            changes.insert(step.id.clone(), lines);
        }
        changes
    }

    async fn stored_objects(&self, cluster: &str, entry: &Entry) -> Option<Vec<Value>> {
        let key = layout::addons(cluster).and_then(|addons| addons.key(&entry.manifest)).ok()?;
        let object = self.registry.store().get(&key).await.ok()??;
        addon::read(key.as_str(), &String::from_utf8_lossy(&object.bytes)).ok()
    }
}

fn objects_in<R: StateBacked>(desired: &[R], entry: &Entry) -> Option<Vec<Value>> {
    let mut files = desired.iter().filter_map(StateBacked::state_object);
    let file = files.find(|file| file.location.ends_with(&entry.manifest))?;
    addon::read(&file.location, &file.contents).ok()
}

fn channel<R: StateBacked>(resource: &R) -> Option<Channel> {
    let file = resource.state_object()?;
    let is_channel = layout::is_of_addons(&file.location) && !file.content_addressed;
    is_channel.then(|| Channel::read(&file.contents).ok()).flatten()
}

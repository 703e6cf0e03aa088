use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::manifest::Taint;
use crate::resource::Handle;

/// A node, as registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The instance that it runs on, from `spec.providerID`.
    pub instance: Option<Handle>,
    /// When it registered.
    pub created: Timestamp,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// What is known of its state, by type (`Ready`, `MemoryPressure`, `NetworkUnavailable`).
    pub conditions: BTreeMap<String, Condition>,
    /// The version of its kubelet, such as `v1.33.1`.
    pub kubelet_version: String,
    /// Its address inside the network.
    pub internal_ip: Option<String>,
}

/// One condition of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Since when (`lastTransitionTime`).
    pub since: Timestamp,
    /// One word from whoever set it, such as `KubeletNotReady`.
    pub reason: String,
    /// The same in words.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody has said so for a while: the kubelet is silent.
    Unknown,
}

impl Node {
    /// The condition `Ready`.
    pub fn readiness(&self) -> Option<&Condition> {
        self.conditions.get("Ready")
    }

    /// Since when pods can run on it: it is ready and has its network.
    pub fn ready_since(&self) -> Option<Timestamp> {
        let ready = self.readiness().filter(|ready| ready.status == ConditionStatus::True)?;
        match self.conditions.get("NetworkUnavailable") {
            Some(network) if network.status == ConditionStatus::True => None,
            Some(network) => Some(ready.since.max(network.since)),
            None => Some(ready.since),
        }
    }

    /// Whether pods can run on it.
    pub fn is_ready(&self) -> bool {
        self.ready_since().is_some()
    }
}

/// A change to a node, made in one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodePatch {
    /// Cordons (`true`) or uncordons (`false`); none leaves it.
    pub unschedulable: Option<bool>,
    /// Annotations to set, or to remove where there is no value.
    pub annotations: BTreeMap<String, Option<String>>,
    /// Taints to add. One of the same key and effect is replaced.
    pub add_taints: Vec<Taint>,
    /// Keys of taints to remove.
    pub remove_taints: Vec<String>,
}

/// The instance that a node's `spec.providerID` names: its last segment (`aws:///eu-west-1a/i-0123` → `i-0123`).
pub fn instance_of_provider_id(provider_id: &str) -> Option<Handle> {
    let (_, path) = provider_id.split_once("://")?;
    let last = path.rsplit('/').next().filter(|id| !id.is_empty())?;
    Some(Handle(last.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_ids_name_instances() {
        let id = |text| instance_of_provider_id(text).map(|handle| handle.0);
        assert_eq!(id("aws:///eu-west-1a/i-0123").as_deref(), Some("i-0123"));
        assert_eq!(id("sim://i-1").as_deref(), Some("i-1"));
        assert_eq!(id("aws:///eu-west-1a/"), None);
        assert_eq!(id("i-0123"), None);
    }
}

//! What has changed between two configurations of machines, in words.

use super::NodeConfig;
use crate::differences::differences;

impl NodeConfig {
    /// What `new` has otherwise, one line a setting, sorted (`kubelet.maxPods: 110 -> 200`).
    pub fn changes(&self, new: &Self) -> Vec<String> {
        // A configuration has string keys alone, and always serialises.
        let value = |config: &Self| serde_json::to_value(config).unwrap_or_default();
        differences(&value(self), &value(new), is_hidden)
    }
}

/// What users put on machines may be long, or say what is nobody else's business.
fn is_hidden(path: &str) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["fileAssets", .., "content"] | ["hooks", .., "manifest"] | ["containerd", "configOverride"] => true,
        ["hooks", rest @ ..] => rest.contains(&"environment"),
        _ => false,
    }
}

//! Names of handles, so that references read from AWS become ids again.

use std::collections::BTreeMap;

/// What handles are called in the cluster.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn learn(&mut self, handle: &str, name: &str) {
        self.0.insert(handle.to_owned(), name.to_owned());
    }

    /// The name of a handle; what is not the cluster's is named by its handle.
    pub(super) fn of(&self, handle: &str) -> String {
        self.0.get(handle).map_or_else(|| handle.to_owned(), Clone::clone)
    }

    /// Whether the handle is one of the cluster's.
    pub(super) fn knows(&self, handle: &str) -> bool {
        self.0.contains_key(handle)
    }
}

impl Names {
    /// A resource of the cluster goes by its `Name` tag.
    pub(super) fn learn_tagged(&mut self, handle: &str, tags: &[aws_sdk_ec2::types::Tag]) {
        self.learn(handle, name_tag(tags).unwrap_or(handle));
    }
}

/// The value of the `Name` tag.
pub(super) fn name_tag(tags: &[aws_sdk_ec2::types::Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key() == Some(crate::tags::NAME)).and_then(|tag| tag.value())
}

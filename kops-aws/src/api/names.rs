//! Names of handles, so that references read from AWS become ids again.

use std::collections::BTreeMap;

use kops_core::cloud::Scope;
use kops_core::resource::Ownership;

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

    /// Whether the handle is that of a part of the cluster that goes by a name.
    pub(super) fn is_named(&self, handle: &str) -> bool {
        self.0.get(handle).is_some_and(|name| name != handle)
    }

    /// Whose a resource of the cluster is: what goes by a name is kops's, the rest was made by what runs there.
    pub(super) fn ownership(&self, handle: &str) -> Ownership {
        if self.is_named(handle) { Ownership::Managed } else { Ownership::Dependent }
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

impl Names {
    /// A resource that is called `<part>.<cluster>` goes by that name, any other by its handle.
    pub(super) fn learn_own(&mut self, handle: &str, tags: &[aws_sdk_ec2::types::Tag], scope: &Scope) {
        let is_own = |name: &&str| {
            name.strip_suffix(scope.cluster.as_str())
                .is_some_and(|part| part.len() > 1 && part.ends_with('.'))
        };
        self.learn(handle, name_tag(tags).filter(is_own).unwrap_or(handle));
    }
}

/// The value of the `Name` tag.
pub(super) fn name_tag(tags: &[aws_sdk_ec2::types::Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key() == Some(crate::tags::NAME)).and_then(|tag| tag.value())
}

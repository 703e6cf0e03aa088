//! What must hold of a completed cluster.

mod addons;
mod cilium;
mod cluster;
mod etcd;
mod group;
mod machine;
mod mixed;
mod network;
mod settings;
mod syntax;
#[cfg(test)]
mod tests;
mod unsupported;
mod volume;

use std::collections::BTreeSet;
use std::fmt;

#[cfg(test)]
pub(crate) use machine::{is_own_file, is_own_unit};
pub use syntax::{Taint, TaintEffect, TaintError};
pub use unsupported::unsupported;

use super::{CompletedCluster, Violation};

/// Finds everything about a completed cluster that cannot be. Nothing found: it is valid.
pub fn validate(completed: &CompletedCluster) -> Vec<Violation> {
    let mut found = Violations::default();
    cluster::check(&mut found, completed);
    network::check(&mut found, completed);
    etcd::check(&mut found, completed);
    settings::check(&mut found, completed);
    addons::check(&mut found, completed);
    let mut names = BTreeSet::new();
    for group in &completed.groups {
        let mut found = found.below(format!("instanceGroup[{}]", group.name()));
        if !names.insert(group.name()) {
            found.add("metadata.name", "another group has the same name");
        }
        group::check(&mut found, completed, group);
    }
    found.list
}

/// Finds the etcd clusters with an even number of members. No update makes them, but they may be stored while groups are
/// added one by one.
pub(crate) fn even_etcd_clusters(completed: &CompletedCluster) -> Vec<Violation> {
    let mut found = Violations::default();
    etcd::check_counts(&mut found, completed);
    found.list
}

/// Violations, and the path under which more are added.
#[derive(Default)]
struct Violations {
    list: Vec<Violation>,
}

/// Violations of one object.
struct Below<'a> {
    violations: &'a mut Violations,
    prefix: String,
}

impl Violations {
    fn below(&mut self, prefix: impl Into<String>) -> Below<'_> {
        Below { violations: self, prefix: prefix.into() }
    }
}

impl Below<'_> {
    fn add(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        self.push(path, message.into(), None);
    }

    fn add_with_hint(
        &mut self,
        path: impl fmt::Display,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(path, message.into(), Some(hint.into()));
    }

    fn push(&mut self, path: impl fmt::Display, message: String, hint: Option<String>) {
        let path = format!("{}.{path}", self.prefix);
        self.violations.list.push(Violation { path, message, hint });
    }
}

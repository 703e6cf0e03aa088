//! What AWS would refuse, found before anything is made.
//!
//! [`check`] compares manifests with facts: whether the zones, machine types, images and address ranges are there.
//! [`limits`](check_limits) looks at the resources that the model makes: whether AWS takes their names, tags and sizes.
//! Both are pure. What an account may have been allowed more of is a [warning](warnings).

mod limits;
mod network;
mod offers;
mod quotas;
#[cfg(test)]
mod tests;
mod zones;

use kops_core::manifest::{CompletedCluster, Violation};

pub use limits::check_limits;
pub use quotas::warnings;

use crate::facts::Facts;

/// Finds what the manifests ask for and AWS does not have.
pub fn check(completed: &CompletedCluster, facts: &Facts) -> Vec<Violation> {
    let mut found = Vec::new();
    if offers::check(&mut found, completed, facts) {
        network::check(&mut found, completed, facts);
    }
    zones::check(&mut found, completed, facts);
    found.extend(facts.missing.iter().cloned());
    found
}

fn violation(
    path: impl Into<String>,
    message: impl Into<String>,
    hint: impl Into<Option<String>>,
) -> Violation {
    Violation { path: path.into(), message: message.into(), hint: hint.into() }
}

/// The path of a field of an instance group.
fn of_group(group: &str, field: &str) -> String {
    format!("instanceGroup[{group}].{field}")
}

/// Joins words with commas.
fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}

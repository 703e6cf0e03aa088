//! What another content of an add-on changes in the cluster, in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ObjectId;
use crate::differences::differences;

/// What `new` has otherwise than `old`, one line a field, sorted by object
/// (`Deployment kube-system/coredns: spec.replicas: 2 -> 3`).
pub fn changes(old: &[Value], new: &[Value]) -> Vec<String> {
    let (old, new) = (by_id(old), by_id(new));
    let ids: BTreeSet<&ObjectId> = old.keys().chain(new.keys()).collect();
    ids.into_iter()
        .flat_map(|id| match (old.get(id), new.get(id)) {
            (Some(old), Some(new)) => {
                differences(old, new, |_| false).into_iter().map(|line| format!("{id}: {line}")).collect()
            }
            (None, _) => vec![format!("{id}: new")],
            (_, None) if id.holds_more() => vec![format!("{id}: no longer kept, but left there")],
            (_, None) => vec![format!("{id}: deleted")],
        })
        .collect()
}

fn by_id(objects: &[Value]) -> BTreeMap<ObjectId, &Value> {
    objects.iter().filter_map(|object| Some((ObjectId::of(object)?, object))).collect()
}

//! The fields in which a resource differs from how it should be.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::resource::{Change, Compare, Resource};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's name.
    pub field: String,
    /// The value it has; null when it has none.
    pub old: Value,
    /// The value it will have; null when it will have none.
    pub new: Value,
    /// What the change needs.
    pub change: Change,
}

/// Compares what is desired with what was observed, field by field, in the order of the desired fields.
pub fn diff<R: Resource>(desired: &R, observed: &R) -> Vec<FieldChange> {
    let new = desired.fields();
    let old = observed.fields();
    let gone = old.keys().filter(|field| !new.contains_key(*field));
    new.keys()
        .chain(gone)
        .filter_map(|field| {
            let rule = desired.rule(field);
            let (old, new) = differing(rule.compare, value(&old, field), value(&new, field))?;
            Some(FieldChange { field: field.clone(), old, new, change: rule.change })
        })
        .collect()
}

fn value<'a>(fields: &'a Map<String, Value>, field: &str) -> &'a Value {
    fields.get(field).unwrap_or(&Value::Null)
}

fn differing(compare: Compare, old: &Value, new: &Value) -> Option<(Value, Value)> {
    if old == new {
        return None;
    }
    match (compare, old, new) {
        (Compare::Subset, Value::Object(old), Value::Object(new)) => {
            let changed: Vec<&String> = new.keys().filter(|key| old.get(*key) != new.get(*key)).collect();
            let pick = |map: &Map<String, Value>| {
                let entries = changed.iter().filter_map(|key| Some(((*key).clone(), map.get(*key)?.clone())));
                Value::Object(entries.collect())
            };
            (!changed.is_empty()).then(|| (pick(old), pick(new)))
        }
        (Compare::Given, _, Value::Null) => None,
        _ => Some((old.clone(), new.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_provider_chose_is_no_difference() {
        let chosen = json!("key-1");
        assert_eq!(differing(Compare::Given, &chosen, &Value::Null), None);
        assert!(differing(Compare::Given, &chosen, &json!("key-2")).is_some());
        assert!(differing(Compare::Exact, &chosen, &Value::Null).is_some());
    }
}

//! Resources as a map of leaves, so that each attribute is compared and counted by itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Every leaf of `resources` (address → attributes) by its path.
///
/// Lists whose order means nothing are turned into sets: tags by key, strings by value, policies by what they permit.
pub(crate) fn flatten(resources: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    for (address, attributes) in resources.as_object().unwrap() {
        for (name, value) in attributes.as_object().unwrap() {
            let path = format!("{address} {name}");
            match name.as_str() {
                "policy" | "assume_role_policy" => policy(&path, value, &mut leaves),
                "tag" => group_tags(&path, value, &mut leaves),
                _ => leaf(&path, value, &mut leaves),
            }
        }
    }
    leaves
}

fn leaf(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| leaf(&format!("{path}.{key}"), value, leaves))
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            for item in items.iter().filter_map(Value::as_str) {
                leaves.insert(format!("{path}[{item}]"), Value::Bool(true));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let by = ["resource_type", "device_name", "subnet_id"];
                let key = by.iter().find_map(|by| item.get(by).and_then(Value::as_str));
                let key = key.map_or_else(|| index.to_string(), str::to_owned);
                leaf(&format!("{path}[{key}]"), item, leaves);
            }
        }
        scalar => {
            leaves.insert(path.to_owned(), scalar.clone());
        }
    }
}

/// The tags of a scaling group, which are a list.
fn group_tags(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    for tag in value.as_array().unwrap() {
        let shown = format!("{} (propagated: {})", tag["value"], tag["propagate_at_launch"]);
        leaves.insert(format!("{path}.{}", tag["key"].as_str().unwrap()), Value::String(shown));
    }
}

/// One leaf for each action on each resource under each condition.
fn policy(path: &str, document: &Value, leaves: &mut BTreeMap<String, Value>) {
    leaves.insert(format!("{path}.Version"), document["Version"].clone());
    for statement in document["Statement"].as_array().unwrap() {
        let mut rest: Map<String, Value> = statement.as_object().unwrap().clone();
        let actions = strings(rest.remove("Action"));
        let resources = strings(rest.remove("Resource"));
        let mut rest = Value::Object(rest);
        rest.sort_all_objects();
        for action in &actions {
            for resource in resources.iter().map(String::as_str).chain(resources.is_empty().then_some("-")) {
                leaves.insert(format!("{path} {action} on {resource} {rest}"), Value::Bool(true));
            }
        }
    }
}

fn strings(value: Option<Value>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(value) => serde_json::from_value(value).unwrap(),
    }
}

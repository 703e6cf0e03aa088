//! Where two values differ, in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::digest;

/// As much of a value as fits beside another one.
const SHOWN: usize = 100;

/// What `new` has otherwise, one line a field, sorted by path (`kubelet.maxPods: 110 -> 200`). Of fields whose path
/// `is_hidden`, only a hash is told, and how many lines have changed.
pub(crate) fn differences(old: &Value, new: &Value, is_hidden: fn(&str) -> bool) -> Vec<String> {
    let (old, new) = (fields(old), fields(new));
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = all.into_iter().filter(|path| old.get(*path) != new.get(*path));
    changed.map(|path| difference(path, old.get(path), new.get(path), is_hidden(path))).collect()
}

fn difference(path: &str, old: Option<&String>, new: Option<&String>, is_hidden: bool) -> String {
    let show = |value: &String| if is_hidden { digest::in_place_of(value) } else { shorten(value) };
    let text = |value: Option<&String>| value.map_or_else(|| "<none>".to_owned(), show);
    let lines = old.zip(new).filter(|_| is_hidden).map(|(old, new)| changed_lines(old, new));
    format!("{path}: {} -> {}{}", text(old), text(new), lines.unwrap_or_default())
}

fn changed_lines(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    format!(", -{} +{} lines", count(ChangeTag::Delete), count(ChangeTag::Insert))
}

fn shorten(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < value.trim_end().len() => format!("{line}…"),
        None => line.to_owned(),
    }
}

/// All fields by their paths.
fn fields(value: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    collect(String::new(), value, &mut all);
    all
}

fn collect(path: String, value: &Value, all: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| collect(below(key), value, all)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                // What has a name goes by it, wherever it stands in the list.
                let key = item["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                collect(below(&key), item, all);
            }
        }
        Value::String(text) => drop(all.insert(path, text.clone())),
        Value::Null => {}
        other => drop(all.insert(path, other.to_string())),
    }
}

//! Add-ons, object by object, beside what kops installs in its own cases.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::addon::{Addon, essential};
use serde_json::{Map, Value, json};

use super::stored::completed_case;
use super::{cases, text};

/// What differs, and why.
const CILIUM: &str = "\
Deployment/kube-system/cilium-operator: only in kops: /containers/cilium-operator/args/2 \"--eni-tags=KubernetesCluster=privatecilium.example.com\"";

#[test]
fn cilium_is_installed_as_kops_does() {
    let cases = cases("fixtures/update");
    let Some((_, folder)) = cases.iter().find(|(name, _)| name == "privatecilium") else { return };
    let theirs: Value = serde_json::from_str(&text(folder, "addons.json")).unwrap();
    let theirs = theirs["networking.cilium.io-k8s-1.16"].as_object().unwrap().clone();
    let addons = essential(&completed_case("privatecilium")).unwrap();
    let ours = facts(addons.iter().find(|addon| addon.name == "networking.cilium.io").unwrap());
    let names = |facts: &Map<String, Value>| facts.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&ours), names(&theirs));
    let mut differences = Vec::new();
    for (name, theirs) in &theirs {
        let (ours, theirs) = (leaves(&ours[name]), leaves(theirs));
        let only = |who: &str, of: &BTreeSet<String>, other: &BTreeSet<String>| {
            let lines = of.difference(other);
            lines.map(|leaf| format!("{name}: only {who}: {leaf}")).collect::<Vec<_>>()
        };
        differences.extend(only("in kops", &theirs, &ours));
        differences.extend(only("ours", &ours, &theirs));
    }
    assert_eq!(differences.join("\n"), CILIUM);
}

/// The objects as `fixtures/README.md` has them.
fn facts(addon: &Addon) -> Map<String, Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let facts = addon.objects.iter().map(|object| {
        let metadata = &object["metadata"];
        let name =
            format!("{}/{}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]));
        let mut facts = Map::new();
        for field in ["data", "roleRef", "rules", "subjects"] {
            if !object[field].is_null() {
                facts.insert(field.to_owned(), object[field].clone());
            }
        }
        let pod = &object["spec"]["template"]["spec"];
        for field in ["containers", "initContainers"] {
            if let Some(containers) = pod[field].as_array() {
                let containers = containers.iter().map(|each| (text(&each["name"]), container(each)));
                facts.insert(field.to_owned(), Value::Object(containers.collect()));
            }
        }
        for field in ["hostNetwork", "nodeSelector", "priorityClassName", "serviceAccountName", "tolerations"]
        {
            if !pod[field].is_null() {
                facts.insert(field.to_owned(), pod[field].clone());
            }
        }
        if let Some(volumes) = pod["volumes"].as_array() {
            let kind =
                |volume: &Value| volume.as_object().unwrap().keys().find(|key| *key != "name").cloned();
            let volumes = volumes.iter().map(|volume| (text(&volume["name"]), json!(kind(volume))));
            facts.insert("volumes".to_owned(), Value::Object(volumes.collect()));
        }
        if !object["spec"]["replicas"].is_null() {
            facts.insert("replicas".to_owned(), object["spec"]["replicas"].clone());
        }
        (name, Value::Object(facts))
    });
    facts.collect()
}

fn container(container: &Value) -> Value {
    let named = |list: &str, key: &str, value: &dyn Fn(&Value) -> Value| -> Value {
        let entries = container[list].as_array().into_iter().flatten();
        entries
            .map(|each| (each[key].as_str().unwrap().to_owned(), value(each)))
            .collect::<Map<_, _>>()
            .into()
    };
    let mut facts = json!({
        "env": named("env", "name", &|each| match &each["value"] {
            Value::Null => json!("(from elsewhere)"),
            value => value.clone(),
        }),
        "mounts": named("volumeMounts", "mountPath", &|each| each["name"].clone()),
    });
    if !container["securityContext"]["privileged"].is_null() {
        facts["privileged"] = container["securityContext"]["privileged"].clone();
    }
    for field in ["args", "command", "image"] {
        if !container[field].is_null() {
            facts[field] = container[field].clone();
        }
    }
    facts
}

/// Every value with its path. Rules are taken apart into permissions, and scripts into words.
fn leaves(facts: &Value) -> BTreeSet<String> {
    let mut found = BTreeMap::new();
    let mut facts = facts.clone();
    let rules = facts.as_object_mut().and_then(|facts| facts.remove("rules"));
    walk("", &facts, &mut found);
    let mut leaves: BTreeSet<_> = found.into_iter().map(|(path, value)| format!("{path} {value}")).collect();
    let list = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    for rule in rules.iter().flat_map(|rules| rules.as_array().unwrap()) {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                for verb in list(&rule["verbs"]) {
                    let mut names = list(&rule["resourceNames"]);
                    names.sort_unstable();
                    leaves.insert(format!("may {verb} {group}/{resource} {names:?}"));
                }
            }
        }
    }
    leaves
}

fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| walk(&format!("{path}/{key}"), value, found));
        }
        Value::Array(entries) => {
            entries
                .iter()
                .enumerate()
                .for_each(|(index, value)| walk(&format!("{path}/{index}"), value, found));
        }
        Value::String(text) => {
            let words: Vec<_> = text.split([' ', '\n', ';']).filter(|word| !word.is_empty()).collect();
            found.insert(path.to_owned(), format!("{:?}", words.join(" ")));
        }
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

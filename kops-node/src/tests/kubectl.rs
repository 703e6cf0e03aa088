//! A stand-in for kubectl and the API behind it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Output;

#[derive(Debug)]
pub(super) struct Kubectl {
    /// What it says instead of doing anything.
    pub(super) refusal: Option<String>,
    /// A kind that it does not take.
    pub(super) refused_kind: Option<&'static str>,
    /// Changes when etcd starts empty.
    pub(super) uid: &'static str,
    pub(super) nodes: Vec<Value>,
    /// By kind and name.
    pub(super) objects: BTreeMap<String, Value>,
}

impl Default for Kubectl {
    fn default() -> Self {
        Self { refusal: None, refused_kind: None, uid: "uid-1", nodes: Vec::new(), objects: BTreeMap::new() }
    }
}

impl Kubectl {
    pub(super) fn run(&mut self, arguments: &[&str], input: &str) -> Output {
        if let Some(refusal) = &self.refusal {
            return Output { code: Some(1), stdout: String::new(), stderr: format!("{refusal}: {input}") };
        }
        if let Some(kind) = self.refused_kind
            && input.contains(kind)
        {
            return Output { code: Some(1), stdout: String::new(), stderr: format!("{kind} is refused") };
        }
        let answer = match arguments {
            ["get", .., "namespace", "kube-system"] => Some(json!({ "metadata": { "uid": self.uid } })),
            ["get", .., "nodes"] => Some(json!({ "items": self.nodes })),
            ["get", .., "secret", name] => self.objects.get(&format!("Secret {name}")).map(stored),
            ["apply", "-f", "-"] => {
                self.apply(input);
                None
            }
            ["label", "--overwrite", "node", name, labels @ ..] => {
                for label in labels {
                    let (key, value) = label.split_once('=').unwrap();
                    self.node(name)["metadata"]["labels"][key] = json!(value);
                }
                None
            }
            ["delete", .., "node", name] => {
                self.nodes.retain(|node| node["metadata"]["name"] != *name);
                None
            }
            _ => panic!("{arguments:?}"),
        };
        let stdout = answer.map(|answer| answer.to_string()).unwrap_or_default();
        Output { code: Some(0), stdout, stderr: String::new() }
    }

    fn apply(&mut self, input: &str) {
        let list: Value = serde_json::from_str(input).unwrap();
        for object in list["items"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let name = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
            self.objects.insert(name, object.clone());
        }
    }

    fn node(&mut self, name: &str) -> &mut Value {
        self.nodes.iter_mut().find(|node| node["metadata"]["name"] == name).unwrap()
    }
}

/// A secret as the API gives it back.
fn stored(secret: &Value) -> Value {
    let data = secret["stringData"].as_object().unwrap().iter();
    let data = data.map(|(key, value)| (key.clone(), json!(STANDARD.encode(value.as_str().unwrap()))));
    json!({ "data": data.collect::<serde_json::Map<_, _>>() })
}

/// A node as the API gives it back.
pub(super) fn node(name: &str, pods: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "Unknown" };
    json!({
        "metadata": { "name": name, "labels": {} },
        "spec": { "podCIDR": pods, "providerID": format!("aws:///z/{name}") },
        "status": { "conditions": [{ "type": "Ready", "status": status }] },
    })
}

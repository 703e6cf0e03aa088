//! A stand-in for kubectl and the API behind it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_core::yaml::{self, Reading};
use serde_json::{Value, json};

use crate::Output;

#[derive(Debug, Default)]
pub(super) struct Kubectl {
    /// What it says instead of doing anything.
    pub(super) refusal: Option<String>,
    /// It takes nothing that contains this.
    pub(super) refused: Option<&'static str>,
    /// Of the namespace kube-system; none when etcd starts empty.
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) nodes: Vec<Value>,
    /// By kind and name.
    pub(super) objects: BTreeMap<String, Value>,
}

impl Kubectl {
    pub(super) fn run(&mut self, arguments: &[&str], input: &str) -> Output {
        if let Some(refusal) = &self.refusal {
            return Output { code: Some(1), stdout: String::new(), stderr: format!("{refusal}: {input}") };
        }
        if self.refused.is_some_and(|refused| input.contains(refused)) {
            return Output { code: Some(1), stdout: String::new(), stderr: "it is refused".to_owned() };
        }
        let answer = match arguments {
            ["get", .., "namespace", "kube-system"] => {
                Some(json!({ "metadata": { "annotations": self.annotations } }))
            }
            ["get", .., "nodes"] => Some(json!({ "items": self.nodes })),
            ["get", .., "secret", name] => self.objects.get(&format!("Secret {name}")).map(stored),
            ["get", .., "secrets", "--field-selector", "type=bootstrap.kubernetes.io/token"] => {
                let secrets = self.objects.iter().filter(|(name, _)| name.starts_with("Secret "));
                Some(json!({ "items": secrets.map(|(_, secret)| stored(secret)).collect::<Vec<_>>() }))
            }
            ["delete", .., "secret", name] => {
                self.objects.remove(&format!("Secret {name}"));
                None
            }
            ["apply", "--server-side", .., "-f", "-"] => {
                self.apply(input);
                None
            }
            ["annotate", "--overwrite", "namespace", "kube-system", annotation] => {
                match annotation.split_once('=') {
                    Some((key, value)) => drop(self.annotations.insert(key.to_owned(), value.to_owned())),
                    None => drop(self.annotations.remove(annotation.strip_suffix('-').unwrap())),
                }
                None
            }
            ["delete", .., kind, "-l", label, "--field-selector", name] => self.delete(kind, label, name),
            ["delete", .., kind, "-l", label, "--field-selector", name, "-n", _] => {
                self.delete(kind, label, name)
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
        for document in yaml::read(input).unwrap() {
            let object = Reading::<Value>::of(&document, "").value.unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let name = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
            self.objects.insert(name, object);
        }
    }

    fn delete(&mut self, kind: &str, label: &str, name: &str) -> Option<Value> {
        let kind = kind.split('.').next().unwrap();
        let id = format!("{kind} {}", name.strip_prefix("metadata.name=").unwrap());
        let (key, value) = label.split_once('=').unwrap();
        let is_labelled = |object: &Value| object["metadata"]["labels"][key] == value;
        if self.objects.get(&id).is_some_and(is_labelled) {
            self.objects.remove(&id);
        }
        None
    }

    fn node(&mut self, name: &str) -> &mut Value {
        self.nodes.iter_mut().find(|node| node["metadata"]["name"] == name).unwrap()
    }
}

/// A secret as the API gives it back.
fn stored(secret: &Value) -> Value {
    let data = secret["stringData"].as_object().unwrap().iter();
    let data = data.map(|(key, value)| (key.clone(), json!(STANDARD.encode(value.as_str().unwrap()))));
    json!({ "metadata": secret["metadata"], "data": data.collect::<serde_json::Map<_, _>>() })
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

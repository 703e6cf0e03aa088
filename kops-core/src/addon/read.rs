use serde_json::Value;

use super::ObjectId;
use crate::manifest::{ManifestError, Place, Problem};
use crate::yaml::{self, Content, Fault, Node, Position, Reading};

/// Reads the Kubernetes objects of a text: one or several documents, YAML or JSON; a list stands for its elements.
///
/// `source` is what problems call the text, such as the name of a file.
///
/// # Errors
/// Everything that is wrong, each with its place: text that is not YAML, keys that are there twice, objects without
/// version, kind or name, and secrets.
pub fn read(source: &str, text: &str) -> Result<Vec<Value>, ManifestError> {
    let mut reader = Reader { source, objects: Vec::new(), problems: Vec::new() };
    match yaml::read(text) {
        Ok(documents) => documents.iter().for_each(|document| reader.document(document)),
        Err(error) => reader.problem(error.position, "", error.message, None),
    }
    if reader.problems.is_empty() {
        Ok(reader.objects)
    } else {
        Err(ManifestError { problems: reader.problems })
    }
}

struct Reader<'a> {
    source: &'a str,
    objects: Vec<Value>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, position: Position, path: &str, message: impl Into<String>, hint: Option<&str>) {
        let place = Place { source: self.source.to_owned(), position };
        let (path, hint) = (path.to_owned(), hint.map(str::to_owned));
        self.problems.push(Problem { place, path, message: message.into(), hint });
    }

    fn document(&mut self, node: &Node) {
        let kind = node.get("kind").and_then(Node::text);
        match &node.content {
            Content::Sequence(items) => items.iter().for_each(|item| self.document(item)),
            Content::Mapping(_) if kind == Some("List") => {
                match node.get("items").map(|items| &items.content) {
                    Some(Content::Sequence(items)) => items.iter().for_each(|item| self.document(item)),
                    _ => self.problem(node.position, "items", "the list has no items", None),
                }
            }
            Content::Mapping(_) if kind == Some("Addons") && node.get("apiVersion").is_none() => {
                let hint = "name the manifests themselves";
                self.problem(node.position, "", "this is an index of add-ons, not their objects", Some(hint));
            }
            Content::Mapping(_) => self.object(node),
            Content::Scalar(_) => {
                self.problem(node.position, "", "this is not an object but a single value", None);
            }
        }
    }

    fn object(&mut self, node: &Node) {
        let before = self.problems.len();
        let metadata = node.get("metadata");
        for (path, found) in [
            ("apiVersion", node.get("apiVersion")),
            ("kind", node.get("kind")),
            ("metadata.name", metadata.and_then(|metadata| metadata.get("name"))),
        ] {
            if found.and_then(Node::text).is_none_or(str::is_empty) {
                self.problem(node.position, path, "every object needs this field", None);
            }
        }
        if let Some(labels) = metadata.and_then(|metadata| metadata.get("labels"))
            && !matches!(labels.content, Content::Mapping(_))
            && !labels.is_null()
        {
            self.problem(labels.position, "metadata.labels", "labels are a mapping", None);
        }
        let reading = Reading::<Value>::of(node, "");
        for finding in reading.findings {
            let message = match finding.fault {
                Fault::Duplicate { .. } => "the field is there twice".to_owned(),
                Fault::Invalid { message, .. } => message,
                // Any field is one of an object's.
                Fault::Unknown { .. } => continue,
            };
            self.problem(finding.position, &finding.path, message, None);
        }
        let Some(object) = reading.value.filter(|_| self.problems.len() == before) else { return };
        if ObjectId::of(&object).is_some_and(|id| id.group == "kops.k8s.io" || id.group == "kops") {
            let hint = "`kops create -f` stores manifests of clusters, instance groups and keys";
            self.problem(
                node.position,
                "apiVersion",
                "this is for kops, and not for a cluster's API",
                Some(hint),
            );
            return;
        }
        if is_secret(&object) {
            let hint = "make it with kubectl: previews show what add-ons hold";
            self.problem(node.position, "", "an add-on cannot hold a secret", Some(hint));
            return;
        }
        self.objects.push(object);
    }
}

fn is_secret(object: &Value) -> bool {
    let is_kind = |id: ObjectId| id.kind == "Secret" && id.group.is_empty();
    let holds = |field: &str| object[field].as_object().is_some_and(|entries| !entries.is_empty());
    ObjectId::of(object).is_some_and(is_kind) && (holds("data") || holds("stringData"))
}

use std::fmt;

use serde_json::Value;

/// Kinds that hold what others have made. Deleting them would take that along.
const HOLDERS: [&str; 4] =
    ["CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim"];

/// Which object it is, whatever the version of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// The kind.
    pub kind: String,
    /// The group of the kind; empty for the first kinds of Kubernetes.
    pub group: String,
    /// The namespace, where one is written.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectId {
    /// The id of an object; none if it lacks kind, version or name.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let version = text(&object["apiVersion"])?;
        let group = version.split_once('/').map(|(group, _)| group).unwrap_or_default();
        Some(Self {
            kind: text(&object["kind"])?,
            group: group.to_owned(),
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"])?,
        })
    }

    /// The kind as kubectl takes it (`Deployment.apps`).
    pub fn resource_type(&self) -> String {
        match self.group.as_str() {
            "" => self.kind.clone(),
            group => format!("{}.{group}", self.kind),
        }
    }

    /// Whether the object holds what others have made: namespaces, definitions of kinds, volumes. Such an object stays
    /// when its add-on goes.
    pub fn holds_more(&self) -> bool {
        HOLDERS.contains(&self.kind.as_str())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = |namespace: &String| format!("{namespace}/");
        write!(f, "{} {}{}", self.kind, self.namespace.as_ref().map(slash).unwrap_or_default(), self.name)
    }
}

//! The simplest resource there is: for trying the planner, the engine and the simulated cloud without a model.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fleet::{GroupSpec, Scaling};
use crate::resource::{FieldRule, Kind, NewIds, Ownership, Relation, Resource, ResourceId, Tie};
use crate::sim::{Member, Simulated};

/// A resource that is whatever a test says. A field whose name starts with `fixed` needs a replacement to
/// change, one that starts with `version` a new version, one that starts with `kept` cannot be changed.
/// What refers to a toy whose name starts with `loose` is loosely tied to it. A toy with the field `shapes` or `within` is
/// related like that to all that it refers to, or, if it is a list, to those at these positions. The field `range` is the range
/// that it takes in the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toy {
    /// Its identity.
    pub id: ResourceId,
    /// What it refers to.
    pub requires: Vec<ResourceId>,
    /// What can differ.
    pub fields: BTreeMap<String, Value>,
    /// Whose it is.
    pub ownership: Ownership,
    /// What it launches, if it is a scaling group.
    pub group: Option<GroupSpec>,
    /// Whether deleting it loses data.
    pub holds_data: bool,
}

impl Toy {
    /// A managed resource of kind `Toy` without fields.
    pub fn new(name: impl Into<String>, requires: impl IntoIterator<Item = ResourceId>) -> Self {
        Self {
            id: Self::id_of(name),
            requires: requires.into_iter().collect(),
            fields: BTreeMap::new(),
            ownership: Ownership::Managed,
            group: None,
            holds_data: false,
        }
    }

    /// The id of a toy of that name.
    pub fn id_of(name: impl Into<String>) -> ResourceId {
        ResourceId::new(Kind::new("Toy"), name)
    }

    /// The same with a field set.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }
}

impl Resource for Toy {
    fn id(&self) -> ResourceId {
        self.id.clone()
    }

    fn requires(&self) -> Vec<ResourceId> {
        self.requires.clone()
    }

    fn tie(&self, to: &ResourceId) -> Tie {
        if to.name.starts_with("loose") { Tie::Loose } else { Tie::Firm }
    }

    fn relation(&self, to: &ResourceId) -> Relation {
        let has = |field| match self.fields.get(field) {
            Some(Value::Array(positions)) => {
                let position = self.requires.iter().position(|id| id == to);
                positions.iter().any(|it| it.as_u64().and_then(|it| usize::try_from(it).ok()) == position)
            }
            Some(_) => true,
            None => false,
        };
        match (has("shapes"), has("within")) {
            (true, _) => Relation::Shapes,
            (false, true) => Relation::LiesWithin,
            (false, false) => Relation::Uses,
        }
    }

    fn range(&self) -> Option<(ResourceId, Ipv4Net)> {
        let range = self.fields.get("range")?.as_str()?.parse().ok()?;
        Some((self.requires.first()?.clone(), range))
    }

    fn renamed(mut self, ids: &NewIds) -> Self {
        for id in self.requires.iter_mut().chain([&mut self.id]) {
            if let Some(new) = ids.get(id) {
                *id = new.clone();
            }
        }
        self
    }

    fn ownership(&self) -> Ownership {
        self.ownership
    }

    fn fields(&self) -> Map<String, Value> {
        let requires = self.requires.iter().map(|id| Value::String(id.to_string())).collect();
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), value.clone()));
        fields.chain([("Requires".to_owned(), Value::Array(requires))]).collect()
    }

    fn rule(&self, field: &str) -> FieldRule {
        match field {
            "tags" => FieldRule::TAGS,
            _ if field.starts_with("fixed") => FieldRule::REPLACE,
            _ if field.starts_with("version") => FieldRule::NEW_VERSION,
            _ if field.starts_with("kept") => FieldRule::REFUSE,
            _ => FieldRule::IN_PLACE,
        }
    }

    fn holds_data(&self) -> Option<&'static str> {
        self.holds_data.then_some("all it holds")
    }
}

impl Scaling for Toy {
    fn group(&self) -> Option<GroupSpec> {
        self.group.clone()
    }
}

impl Simulated for Toy {
    fn kubernetes_version(&self) -> Option<String> {
        self.fields.get("versionOfKubernetes")?.as_str().map(str::to_owned)
    }

    fn with_zones_held(&self) -> Self {
        self.clone().with("zonesHeld", true)
    }

    fn member(group: &Self, _: Option<&Self>, member: &Member) -> Self {
        Self {
            id: ResourceId::new(Kind::new("Instance"), member.handle.as_str()),
            ownership: Ownership::Dependent,
            group: None,
            ..Self::new("", group.requires.clone())
        }
    }
}

//! What the planner needs to know of a resource: its identity, its references, and how it may change.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The kind of a resource, such as `Subnet`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// A kind known at compile time.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The kind's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource's identity, unique in its cluster: kind and name. Written `Kind/name`.
///
/// What the cluster uses but does not own is named by its physical handle (`VPC/vpc-0123`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    /// What it is.
    pub kind: Kind,
    /// Its name, unique among the cluster's resources of this kind.
    pub name: String,
}

impl ResourceId {
    /// The id of `name` of `kind`.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// A text that is not of the form `Kind/name`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a resource id: expected `Kind/name`")]
pub struct ParseResourceIdError(String);

impl FromStr for ResourceId {
    type Err = ParseResourceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
                Ok(Self { kind: Kind(Cow::Owned(kind.to_owned())), name: name.to_owned() })
            }
            _ => Err(ParseResourceIdError(text.to_owned())),
        }
    }
}

impl Serialize for ResourceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The provider's own name for a resource (`vpc-…`, an ARN, a role's name).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub String);

impl Handle {
    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose a resource is, and so what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Made by this library for the cluster: created, changed and deleted by plans.
    Managed,
    /// Made by the running cluster (a service's load balancer, a claim's volume, a scaling group's instance):
    /// left alone by an update, deleted with the cluster.
    Dependent,
    /// Somebody else's: used, never changed, never deleted. Its name is its handle.
    Shared,
}

/// How a changed field reaches the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The resource is changed where it stands.
    InPlace,
    /// The resource keeps its identity and gets a new version; what runs keeps the old one until replaced.
    NewVersion,
    /// The resource has to be deleted and made again.
    Replace,
    /// The change would destroy something; the user has to do it knowingly.
    Refuse,
}

/// How a desired field is compared with the observed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// Any difference counts.
    Exact,
    /// A map (such as tags) where entries that nobody desires are other people's and are left alone.
    Subset,
    /// Only where a value is desired: otherwise the provider chooses one, which is as good as any.
    Given,
}

/// How one field of a resource is compared and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldRule {
    /// When it counts as changed.
    pub compare: Compare,
    /// What a change needs.
    pub change: Change,
}

impl FieldRule {
    /// Compared exactly, changed in place.
    pub const IN_PLACE: Self = Self { compare: Compare::Exact, change: Change::InPlace };
    /// Compared exactly; a change needs a replacement.
    pub const REPLACE: Self = Self { compare: Compare::Exact, change: Change::Replace };
    /// Compared exactly; a change needs a new version.
    pub const NEW_VERSION: Self = Self { compare: Compare::Exact, change: Change::NewVersion };
    /// Compared exactly; a change is refused.
    pub const REFUSE: Self = Self { compare: Compare::Exact, change: Change::Refuse };
    /// A map that others may add to, changed in place.
    pub const TAGS: Self = Self { compare: Compare::Subset, change: Change::InPlace };
}

/// What ties a resource to one that it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// The other cannot go while this one refers to it: to make the other again, both have to be made again.
    Firm,
    /// The other may go and be made again under this one, which is then tied to the new one.
    Loose,
}

/// What becomes of a resource when another one that refers to it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Nothing: the other one only uses it.
    Uses,
    /// Nothing, but the other one lies within it: the owner of the outer one may have made both.
    LiesWithin,
    /// It works differently: the other one is a part of how it works.
    Shapes,
}

/// New ids of resources, by their old ones.
pub type NewIds = BTreeMap<ResourceId, ResourceId>;

/// A typed piece of the world that a cluster is made of.
///
/// The planner is generic over it: it sees ids, references and fields. Fields are what `Serialize` writes: a
/// resource serialises to a map, and each of its entries is one field that can differ.
pub trait Resource: Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Kind and name, unique in the cluster.
    fn id(&self) -> ResourceId;
    /// The ids this resource refers to, without repetition. They exist before it does and outlive it.
    fn requires(&self) -> Vec<ResourceId>;
    /// What ties it to `to`, one of [`requires`](Self::requires).
    fn tie(&self, to: &ResourceId) -> Tie;
    /// What becomes of `to`, one of [`requires`](Self::requires), when this one goes.
    fn relation(&self, to: &ResourceId) -> Relation;
    /// The range of addresses that it takes within another resource, if it takes one. Nothing else can take any part of
    /// it at the same time.
    fn range(&self) -> Option<(ResourceId, Ipv4Net)>;
    /// Returns the same with the new ids of itself and of what it refers to.
    #[must_use]
    fn renamed(self, ids: &NewIds) -> Self;
    /// Whose it is.
    fn ownership(&self) -> Ownership;
    /// The fields that matter, as a map from field name to value: without the name, and in the order in which
    /// people read them.
    fn fields(&self) -> serde_json::Map<String, serde_json::Value>;
    /// How the field is compared and changed.
    fn rule(&self, field: &str) -> FieldRule;
    /// Why deleting it would lose something that cannot be made again, if so ("etcd's data").
    fn holds_data(&self) -> Option<&'static str>;
}

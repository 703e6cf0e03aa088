//! What a backend saw of one cluster: resources, their handles, and what it could not see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ErrorClass;
use crate::resource::{Handle, Kind, Resource, ResourceId};

/// A resource as it is in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed<R> {
    /// The resource, references turned back into ids.
    pub resource: R,
    /// The provider's name for it.
    pub handle: Handle,
}

/// Something that could not be read, and why. A gap never causes a create or a delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The kinds of which nothing is known.
    pub kinds: Vec<Kind>,
    /// What kept the backend from reading them.
    pub class: ErrorClass,
    /// The reason, for people.
    pub reason: String,
}

/// The world of one cluster as observed: partial and already a little stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inventory<R> {
    items: BTreeMap<ResourceId, Observed<R>>,
    duplicates: Vec<Observed<R>>,
    gaps: Vec<Gap>,
}

impl<R> Default for Inventory<R> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), duplicates: Vec::new(), gaps: Vec::new() }
    }
}

impl<R: Resource> Inventory<R> {
    /// Adds a resource. A second one of the same id is kept apart as a duplicate: the one with the lower handle
    /// stays, so that the outcome does not depend on the order of observation.
    pub fn insert(&mut self, observed: Observed<R>) {
        let id = observed.resource.id();
        match self.items.entry(id) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(observed);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let loser =
                    if observed.handle < entry.get().handle { entry.insert(observed) } else { observed };
                self.duplicates.push(loser);
                self.duplicates.sort_by(|a, b| a.handle.cmp(&b.handle));
            }
        }
    }

    /// Records that some kinds could not be read.
    pub fn add_gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Takes in what another read of the same cluster saw.
    pub fn merge(&mut self, other: Self) {
        let Self { items, duplicates, gaps } = other;
        for observed in items.into_values().chain(duplicates) {
            self.insert(observed);
        }
        self.gaps.extend(gaps);
    }

    /// The resource of that id.
    pub fn get(&self, id: &ResourceId) -> Option<&Observed<R>> {
        self.items.get(id)
    }

    /// Everything seen, by id, duplicates left out.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceId, &Observed<R>)> {
        self.items.iter()
    }

    /// Second and further resources of an id that should be there once.
    pub fn duplicates(&self) -> &[Observed<R>] {
        &self.duplicates
    }

    /// What could not be read.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The gap that hides resources of this kind, if any.
    pub fn gap_for(&self, kind: &Kind) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.kinds.contains(kind))
    }

    /// The number of resources seen, duplicates included.
    pub fn len(&self) -> usize {
        self.items.len() + self.duplicates.len()
    }

    /// Whether nothing was seen. Says nothing about gaps.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

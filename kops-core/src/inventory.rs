//! What a backend saw of one cluster: resources, their handles, and what it could not see.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ErrorClass;
use crate::resource::{Handle, Kind, NewIds, Resource, ResourceId};

/// A resource as it is in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed<R> {
    /// The resource, references turned back into ids.
    pub resource: R,
    /// The provider's name for it.
    pub handle: Handle,
    /// The handles it refers to: what tells apart two resources of one id.
    pub uses: Vec<Handle>,
}

/// Something that could not be read, and why. A gap never causes a create or a delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The kinds of which not everything is known.
    pub kinds: Vec<Kind>,
    /// What kept the backend from reading them.
    pub class: ErrorClass,
    /// The reason, for people.
    pub reason: String,
}

/// The world of one cluster as observed: partial, and already a little stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inventory<R> {
    items: BTreeMap<ResourceId, Observed<R>>,
    duplicates: Vec<Observed<R>>,
    gaps: Vec<Gap>,
}

impl<R: Resource> Inventory<R> {
    /// Takes what was seen. Of several resources of one id the one in use by most others is the resource, the
    /// rest are duplicates; the order of `observed` does not matter.
    pub fn new(observed: Vec<Observed<R>>, gaps: Vec<Gap>) -> Self {
        let mut users: BTreeMap<&Handle, usize> = BTreeMap::new();
        for handle in observed.iter().flat_map(|o| &o.uses) {
            *users.entry(handle).or_default() += 1;
        }
        let mut ranked: Vec<(usize, usize)> = observed
            .iter()
            .enumerate()
            .map(|(index, o)| (users.get(&o.handle).copied().unwrap_or(0), index))
            .collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| observed[a.1].handle.cmp(&observed[b.1].handle)));
        let order: Vec<usize> = ranked.into_iter().map(|(_, index)| index).collect();

        let mut slots: Vec<Option<Observed<R>>> = observed.into_iter().map(Some).collect();
        let mut items = BTreeMap::new();
        let mut duplicates = Vec::new();
        for item in order.into_iter().filter_map(|index| slots[index].take()) {
            match items.entry(item.resource.id()) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(item);
                }
                std::collections::btree_map::Entry::Occupied(_) => duplicates.push(item),
            }
        }
        Self { items, duplicates, gaps }
    }

    /// Returns the same with new ids, given by handle, of some of what was seen, and of all references to it.
    pub(crate) fn renamed(&self, new: &BTreeMap<Handle, NewIds>) -> Cow<'_, Self> {
        if new.is_empty() {
            return Cow::Borrowed(self);
        }
        let renamed = self.all().map(|seen| {
            let known = seen.uses.iter().chain([&seen.handle]).filter_map(|handle| new.get(handle));
            let ids: NewIds = known.flatten().map(|(old, new)| (old.clone(), new.clone())).collect();
            Observed { resource: seen.resource.clone().renamed(&ids), ..seen.clone() }
        });
        Cow::Owned(Self::new(renamed.collect(), self.gaps.clone()))
    }

    /// Everything seen, duplicates included.
    pub fn all(&self) -> impl Iterator<Item = &Observed<R>> {
        self.items.values().chain(&self.duplicates)
    }

    /// What two reads of the same cluster saw together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut gaps = self.gaps;
        gaps.extend(other.gaps);
        let observed = self
            .items
            .into_values()
            .chain(self.duplicates)
            .chain(other.items.into_values())
            .chain(other.duplicates)
            .collect();
        Self::new(observed, gaps)
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

    /// Whether another observed resource refers to this handle.
    pub fn is_used(&self, handle: &Handle) -> bool {
        self.all().any(|o| o.uses.contains(handle))
    }

    /// What could not be read.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The gap that may hide resources of this kind, if any.
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

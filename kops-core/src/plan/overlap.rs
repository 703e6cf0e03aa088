//! Ranges of addresses that a plan would give to two resources at once. A resource with a new name is another one: it
//! cannot be made before the one with the old name is gone.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::Ipv4Net;

use super::{Action, Step, Verb};
use crate::inventory::{Inventory, Observed};
use crate::resource::{Handle, Resource, ResourceId};

/// A range that cannot be taken because another resource has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The resource that was to be made.
    pub id: ResourceId,
    /// Its range.
    pub range: Ipv4Net,
    /// The resource that has the range, or a part of it.
    pub holder: ResourceId,
    /// The handle of the holder.
    pub handle: Handle,
    /// What uses the holder, where the plan would delete the holder; nothing where the holder stays.
    pub users: Vec<ResourceId>,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, range, holder, handle, users } = self;
        write!(f, "{id} cannot have {range}: {holder} ({handle}) has it")?;
        if users.is_empty() {
            return f.write_str(" and stays; choose a free range");
        }
        let users = users.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(
            f,
            " and is used by {users}. To keep what is there, keep its name; to have a new one instead, add it with a free \
             range, move what uses the old one there, and remove the old one then"
        )
    }
}

/// Which creates have to wait for which deletes, by id.
pub(super) type Successors = BTreeMap<ResourceId, Vec<ResourceId>>;

/// Finds what takes a range that something else has.
///
/// # Errors
/// The overlaps that the plan cannot resolve: with what stays, and with what goes though it is used.
pub(super) fn successors<R: Resource>(
    steps: &[Step<R>],
    inventory: &Inventory<R>,
) -> Result<Successors, Vec<Overlap>> {
    let goes = |seen: &Observed<R>| {
        let deletes = steps.iter().filter(|step| step.action.verb() == Verb::Delete);
        deletes.filter_map(|step| step.action.current()).any(|current| current.handle == seen.handle)
    };
    let mut successors = Successors::new();
    let mut overlaps = Vec::new();
    let made = steps.iter().filter_map(|step| match &step.action {
        Action::Create { desired } | Action::Replace { desired, .. } => Some((&step.id, desired.range()?)),
        Action::Update { .. } | Action::NewVersion { .. } | Action::Delete { .. } => None,
    });
    for (id, (place, range)) in made {
        let holds = |seen: &&Observed<R>| {
            seen.resource.id() != *id
                && seen.resource.range().is_some_and(|(its_place, its_range)| {
                    its_place == place && (its_range.contains(&range) || range.contains(&its_range))
                })
        };
        for seen in inventory.all().filter(holds) {
            let holder = seen.resource.id();
            let uses = |other: &&Observed<R>| other.resource.requires().contains(&holder) && !goes(other);
            let users: Vec<ResourceId> = inventory.all().filter(uses).map(|o| o.resource.id()).collect();
            if goes(seen) && users.is_empty() {
                successors.entry(id.clone()).or_default().push(holder);
            } else {
                let users = if goes(seen) { users } else { Vec::new() };
                overlaps.push(Overlap { id: id.clone(), range, holder, handle: seen.handle.clone(), users });
            }
        }
    }
    if overlaps.is_empty() { Ok(successors) } else { Err(overlaps) }
}

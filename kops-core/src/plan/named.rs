//! What a manifest names by its handle is somebody else's, whatever its tags say (law C14 of
//! [`Cloud`](crate::cloud::Cloud)): it stays as it is, and so does what it needs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::Purpose;
use crate::inventory::{Inventory, Observed};
use crate::resource::{Handle, NewIds, Ownership, Relation, Resource, ResourceId};

/// What is desired and what was observed, each resource by one id on both sides.
pub(super) struct Matched<'a, R: Clone> {
    pub(super) desired: Cow<'a, [R]>,
    pub(super) inventory: Cow<'a, Inventory<R>>,
    /// What is named by its handle.
    pub(super) named: BTreeSet<ResourceId>,
    /// What is named by its handle and a part of the cluster all the same.
    pub(super) own: BTreeSet<ResourceId>,
}

/// Finds what goes by two ids: by the cluster's own one, which its tags say, and by its handle, which the manifest says.
/// The handle counts, unless the own id is desired as well.
pub(super) fn matched<'a, R: Resource>(
    desired: &'a [R],
    mut named: BTreeSet<ResourceId>,
    inventory: &'a Inventory<R>,
) -> Matched<'a, R> {
    let made = desired.iter().filter(|r| r.ownership() != Ownership::Shared);
    let made: BTreeSet<ResourceId> = made.map(Resource::id).collect();
    let mut own: BTreeSet<ResourceId> = named.intersection(&made).cloned().collect();
    let mut aliases = NewIds::new();
    let mut by_handle: BTreeMap<Handle, NewIds> = BTreeMap::new();
    for seen in inventory.all() {
        let id = seen.resource.id();
        let name = ResourceId::new(id.kind.clone(), seen.handle.as_str());
        if name == id || !named.contains(&name) {
            continue;
        }
        let is_duplicate = inventory.get(&id).is_none_or(|first| first.handle != seen.handle);
        if made.contains(&id) && !is_duplicate {
            own.insert(id.clone());
            aliases.insert(name, id);
        } else {
            by_handle.entry(seen.handle.clone()).or_default().insert(id, name);
        }
    }
    named.retain(|id| !own.contains(id) && !aliases.contains_key(id));
    let desired = if own.is_empty() {
        Cow::Borrowed(desired)
    } else {
        let kept = desired.iter().filter(|r| r.ownership() != Ownership::Shared || named.contains(&r.id()));
        kept.map(|resource| resource.clone().renamed(&aliases)).collect()
    };
    Matched { desired, inventory: inventory.renamed(&by_handle), named, own }
}

/// What a plan leaves alone because of what is named by its handle: by id, with that for which it stays.
pub(super) type Spared = BTreeMap<ResourceId, ResourceId>;

/// Finds what stays although it is surplus:
/// - what is a part of how something works that stays;
/// - what lies in something that stays, where nothing shows that the cluster made it;
/// - what something that stays refers to.
pub(super) fn spared<R: Resource>(
    purpose: Purpose,
    wanted: &BTreeMap<ResourceId, &R>,
    named: &BTreeSet<ResourceId>,
    inventory: &Inventory<R>,
) -> Spared {
    let surplus: Vec<(ResourceId, &Observed<R>)> = inventory
        .all()
        .map(|seen| (seen.resource.id(), seen))
        .filter(|(id, _)| !wanted.contains_key(id) && !named.contains(id))
        .collect();
    let ids: BTreeSet<&ResourceId> = surplus.iter().map(|(id, _)| id).collect();
    let stays_for = |resource: &R, spared: &Spared| {
        let dependent = resource.ownership() == Ownership::Dependent;
        resource.requires().into_iter().find_map(|to| {
            let kept = spared.get(&to).cloned();
            match (resource.relation(&to), purpose) {
                (Relation::Uses, _) => None,
                (Relation::Shapes, _) if named.contains(&to) => Some(to),
                // An update leaves it alone; and what it is a part of is not the cluster's.
                (Relation::Shapes, Purpose::Update)
                    if dependent && !ids.contains(&to) && !wanted.contains_key(&to) =>
                {
                    Some(to)
                }
                // Seen as the cluster's own and named all the same: its owner may have tagged more.
                (Relation::LiesWithin, Purpose::Update)
                    if named.contains(&to) && inventory.get(&to).is_some() =>
                {
                    Some(to)
                }
                // It has none of the names that are the cluster's.
                (Relation::LiesWithin, Purpose::Delete) if named.contains(&to) && dependent => Some(to),
                (Relation::Shapes | Relation::LiesWithin, _) => kept,
            }
        })
    };
    let mut spared = Spared::new();
    loop {
        let before = spared.len();
        for (id, seen) in &surplus {
            if let Some(root) = stays_for(&seen.resource, &spared) {
                spared.entry(id.clone()).or_insert(root);
            }
        }
        for seen in inventory.all() {
            let id = seen.resource.id();
            let Some(root) = named.get(&id).or_else(|| spared.get(&id)).cloned() else { continue };
            for needed in seen.resource.requires().into_iter().filter(|to| ids.contains(to)) {
                spared.entry(needed).or_insert_with(|| root.clone());
            }
        }
        if spared.len() == before {
            return spared;
        }
    }
}

/// What people should know of what is left alone: `left` holds what would have gone, with that for which it stays.
pub(super) fn warnings<R: Resource>(
    purpose: Purpose,
    named: &BTreeSet<ResourceId>,
    left: &[(&ResourceId, &Observed<R>)],
    inventory: &Inventory<R>,
) -> Vec<String> {
    let mut lists: BTreeMap<&ResourceId, Vec<String>> = BTreeMap::new();
    for (root, seen) in left {
        lists.entry(root).or_default().push(format!("{} ({})", seen.resource.id(), seen.handle));
    }
    if purpose == Purpose::Update {
        let told = lists.into_iter().map(|(root, list)| {
            let whose = match named.contains(root) {
                true => "which the manifest names by its id",
                false => "which is not a part of the cluster",
            };
            format!(
                "left alone, though no longer part of the cluster: {}. {root}, {whose}, may need them; delete by hand what \
                 nothing uses",
                list.join(", ")
            )
        });
        return told.collect();
    }
    let tagged = named.iter().filter(|id| inventory.get(id).is_some());
    let roots: BTreeSet<&ResourceId> = tagged.chain(lists.keys().copied()).collect();
    let told = roots.into_iter().map(|root| {
        let start = match inventory.get(root) {
            Some(_) => {
                format!("{root} carries the cluster's tags, but the manifest names it by its id: it stays")
            }
            None => format!("{root}, which the manifest names by its id, is not the cluster's"),
        };
        let with = lists.get(root).map(|list| format!(". What it may need stays, too: {}", list.join(", ")));
        format!(
            "{start}{}. To delete all that carries the cluster's tags, add --include-shared",
            with.unwrap_or_default()
        )
    });
    told.collect()
}

//! From what is desired and what was observed to a plan: pure, and the same bytes for the same inputs.

use std::collections::{BTreeMap, BTreeSet};

use super::named::{self, Matched, Spared, matched, spared};
use super::overlap::{Overlap, Successors, successors};
use super::{Action, Blocked, FieldChange, Format, Plan, Purpose, Step, Summary, Verb, diff};
use crate::cloud::Scope;
use crate::digest::sha256_hex;
use crate::inventory::{Inventory, Observed};
use crate::resource::{Change, Handle, Ownership, Resource, ResourceId, Tie};

/// Why no plan can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Two desired resources have one id.
    #[error("{0} is desired twice")]
    Twice(ResourceId),
    /// A desired resource refers to one that is not desired.
    #[error("{from} refers to {to}, which is not part of the cluster")]
    Dangling {
        /// Who refers.
        from: ResourceId,
        /// To what.
        to: ResourceId,
    },
    /// Resources wait for each other in a circle.
    #[error("these wait for each other: {}; make the changes one after the other", join(.0))]
    Cycle(Vec<ResourceId>),
    /// Changes that would destroy something.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Refusal>),
    /// Resources would take ranges that others have.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Overlaps(Vec<Overlap>),
    /// A part of the cluster that the manifest names by its handle, too, would have to be deleted and made again.
    #[error(
        "{0} would have to be deleted and made again, but the manifest names it by its id: take the change back, or the id out of the manifest"
    )]
    NamedAndReplaced(ResourceId),
    /// Something would have to be deleted and made again that is needed by what the manifest names by its handle.
    #[error(
        "{id} would have to be deleted and made again, but {by} needs it, which stays because of what the manifest names by its id: take the change back"
    )]
    NeededAndReplaced {
        /// What would go.
        id: ResourceId,
        /// What needs it.
        by: ResourceId,
    },
}

/// A change that is not made because it would destroy something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{id}: {field} cannot be changed from {old} to {new} without losing what the resource holds; delete it knowingly first, or take the change back"
)]
pub struct Refusal {
    /// The resource.
    pub id: ResourceId,
    /// The field.
    pub field: String,
    /// The value it has.
    pub old: serde_json::Value,
    /// The value it was to get.
    pub new: serde_json::Value,
}

fn join(ids: &[ResourceId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Decides what has to be done so that the cloud is as desired.
///
/// What is desired as shared stays as it is, whatever its tags say, and so does what it needs. For
/// [`Purpose::Delete`], only that of `desired` counts: all else that the cluster owns goes.
///
/// # Errors
/// When `desired` contradicts itself, or a change would destroy something.
pub fn plan<R: Resource>(
    scope: &Scope,
    purpose: Purpose,
    desired: &[R],
    inventory: &Inventory<R>,
) -> Result<Plan<R>, PlanError> {
    let named = desired.iter().filter(|r| r.ownership() == Ownership::Shared).map(Resource::id).collect();
    match purpose {
        Purpose::Update => build(scope, purpose, desired, named, inventory),
        Purpose::Delete => plan_deleting(scope, named, inventory),
    }
}

/// Decides what has to be done so that all is gone that the cluster owns, but for what is `named` by its handle and what
/// that needs.
///
/// # Errors
/// When resources refer to each other in a circle.
pub(crate) fn plan_deleting<R: Resource>(
    scope: &Scope,
    named: BTreeSet<ResourceId>,
    inventory: &Inventory<R>,
) -> Result<Plan<R>, PlanError> {
    build(scope, Purpose::Delete, &[], named, inventory)
}

fn build<R: Resource>(
    scope: &Scope,
    purpose: Purpose,
    desired: &[R],
    named: BTreeSet<ResourceId>,
    inventory: &Inventory<R>,
) -> Result<Plan<R>, PlanError> {
    let as_observed = inventory;
    let matched = matched(desired, named, inventory);
    let inventory = &*matched.inventory;
    let wanted = index(&matched.desired)?;
    check_references(&wanted)?;
    let spared = spared(purpose, &wanted, &matched.named, inventory);

    let mut draft = Draft::default();
    let mut refused = Vec::new();
    for id in creation_order(&wanted)? {
        draft.decide(id, wanted[id], inventory, &mut refused);
    }
    if !refused.is_empty() {
        return Err(PlanError::Refused(refused));
    }
    check_replaced(&draft.replaced, &matched, &spared)?;
    let left = draft.decide_deletes(purpose, &wanted, &matched.named, &spared, inventory);
    let mut warnings = warnings(&draft, &left, inventory);
    warnings.extend(named::warnings(purpose, &matched.named, &left, inventory));
    let left = left.iter().map(|(_, seen)| seen.resource.id());
    let tagged = matched.named.iter().filter(|id| purpose == Purpose::Delete && inventory.get(id).is_some());
    let left: BTreeSet<ResourceId> = left.chain(tagged.cloned()).collect();
    let successors = successors(&draft.steps, inventory).map_err(PlanError::Overlaps)?;
    let Draft { mut steps, blocked, handles, keep, replaced: _, unknown: _ } = draft;
    steps.sort_by(|a, b| (&a.id, handle_of(a), a.action.verb()).cmp(&(&b.id, handle_of(b), b.action.verb())));
    order(&mut steps, &successors)?;

    let observed: Vec<_> = as_observed.all().collect();
    let wanted: Vec<_> = wanted.values().collect();
    let made_from = (scope, purpose, wanted, &matched.named, observed, inventory.gaps());
    // Keys are strings and no value can fail to serialise.
    let fingerprint = sha256_hex(&serde_json::to_vec(&made_from).unwrap_or_default());
    let summary = Summary { keep, blocked: blocked.len(), ..count(&steps) };
    Ok(Plan {
        format: Format::CURRENT,
        purpose,
        scope: scope.clone(),
        fingerprint,
        spared: left,
        named: matched.named,
        summary,
        warnings,
        steps,
        blocked,
        handles,
    })
}

fn handle_of<R>(step: &Step<R>) -> Option<&Handle> {
    step.action.current().map(|current| &current.handle)
}

fn index<R: Resource>(desired: &[R]) -> Result<BTreeMap<ResourceId, &R>, PlanError> {
    let mut by_id = BTreeMap::new();
    for resource in desired {
        if by_id.insert(resource.id(), resource).is_some() {
            return Err(PlanError::Twice(resource.id()));
        }
    }
    Ok(by_id)
}

fn check_references<R: Resource>(wanted: &BTreeMap<ResourceId, &R>) -> Result<(), PlanError> {
    for (from, resource) in wanted {
        if let Some(to) = resource.requires().into_iter().find(|to| !wanted.contains_key(to)) {
            return Err(PlanError::Dangling { from: from.clone(), to });
        }
    }
    Ok(())
}

/// The ids in an order in which every resource comes after those it refers to.
fn creation_order<'a, R: Resource>(
    wanted: &'a BTreeMap<ResourceId, &R>,
) -> Result<Vec<&'a ResourceId>, PlanError> {
    let ids: Vec<&ResourceId> = wanted.keys().collect();
    let position: BTreeMap<&ResourceId, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    let after: Vec<Vec<usize>> = wanted
        .values()
        .map(|resource| resource.requires().iter().filter_map(|id| position.get(id).copied()).collect())
        .collect();
    match topological(&after) {
        Ok(sorted) => Ok(sorted.into_iter().map(|i| ids[i]).collect()),
        Err(cycle) => Err(PlanError::Cycle(cycle.into_iter().map(|i| ids[i].clone()).collect())),
    }
}

/// What stays must not lose what it needs, not even for a moment.
fn check_replaced<R: Resource>(
    replaced: &BTreeSet<ResourceId>,
    matched: &Matched<'_, R>,
    spared: &Spared,
) -> Result<(), PlanError> {
    if let Some(id) = replaced.intersection(&matched.own).next() {
        return Err(PlanError::NamedAndReplaced(id.clone()));
    }
    let stays = |id: &ResourceId| matched.named.contains(id) || spared.contains_key(id);
    for (by, seen) in matched.inventory.iter().filter(|(id, _)| stays(id)) {
        if let Some(id) = seen.resource.requires().into_iter().find(|to| replaced.contains(to)) {
            return Err(PlanError::NeededAndReplaced { id, by: by.clone() });
        }
    }
    Ok(())
}

struct Draft<R> {
    steps: Vec<Step<R>>,
    blocked: Vec<Blocked>,
    replaced: BTreeSet<ResourceId>,
    unknown: BTreeSet<ResourceId>,
    handles: BTreeMap<ResourceId, Handle>,
    keep: usize,
}

impl<R> Default for Draft<R> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            blocked: Vec::new(),
            replaced: BTreeSet::new(),
            unknown: BTreeSet::new(),
            handles: BTreeMap::new(),
            keep: 0,
        }
    }
}

impl<R: Resource> Draft<R> {
    /// Decides about one desired resource; those it refers to were decided before.
    fn decide(&mut self, id: &ResourceId, desired: &R, inventory: &Inventory<R>, refused: &mut Vec<Refusal>) {
        if desired.ownership() == Ownership::Shared {
            self.handles.insert(id.clone(), Handle(id.name.clone()));
            self.keep += 1;
            return;
        }
        let Some(current) = inventory.get(id) else {
            self.decide_missing(id, desired, inventory);
            return;
        };
        self.handles.insert(id.clone(), current.handle.clone());
        let changes = diff(desired, &current.resource);
        let mut renewed: Vec<_> = desired.requires();
        renewed.retain(|to| self.replaced.contains(to));
        let held = current.resource.requires();
        let firmly = renewed.iter().any(|to| held.contains(to) && current.resource.tie(to) == Tie::Firm);
        if changes.is_empty() && renewed.is_empty() {
            self.keep += 1;
            return;
        }
        refused.extend(changes.iter().filter(|c| c.change == Change::Refuse).map(|c| Refusal {
            id: id.clone(),
            field: c.field.clone(),
            old: c.old.clone(),
            new: c.new.clone(),
        }));
        let reason = match renewed.first() {
            Some(to) if changes.is_empty() => format!("{to}, which it refers to, is made again"),
            _ => format!("{} differs", names(&changes)),
        };
        let has = |change| changes.iter().any(|c: &FieldChange| c.change == change);
        let (desired, current) = (desired.clone(), current.clone());
        let action = if firmly || has(Change::Replace) {
            self.replaced.insert(id.clone());
            self.push(id, Action::Delete { current: current.clone() }, "it is made again".to_owned());
            Action::Replace { desired, current, changes }
        } else if has(Change::NewVersion) {
            Action::NewVersion { desired, current, changes }
        } else {
            Action::Update { desired, current, changes }
        };
        self.push(id, action, reason);
    }

    fn decide_missing(&mut self, id: &ResourceId, desired: &R, inventory: &Inventory<R>) {
        let unknown = inventory.gap_for(&id.kind).map(|gap| gap.reason.clone());
        let waits = || {
            let to = desired.requires().into_iter().find(|to| self.unknown.contains(to))?;
            Some(format!("{to}, which it refers to, is left alone"))
        };
        match unknown.or_else(waits) {
            Some(reason) => {
                self.unknown.insert(id.clone());
                self.blocked.push(Blocked { id: id.clone(), reason });
            }
            None => {
                self.push(id, Action::Create { desired: desired.clone() }, "it does not exist".to_owned());
            }
        }
    }

    /// Decides about what is not desired. Returns what would go if it were not spared, with that for which it stays.
    fn decide_deletes<'a>(
        &mut self,
        purpose: Purpose,
        wanted: &BTreeMap<ResourceId, &R>,
        named: &BTreeSet<ResourceId>,
        spared: &'a Spared,
        inventory: &'a Inventory<R>,
    ) -> Vec<(&'a ResourceId, &'a Observed<R>)> {
        let mut left = Vec::new();
        let goes = |resource: &R| match (purpose, resource.ownership()) {
            (_, Ownership::Shared) | (Purpose::Update, Ownership::Dependent) => false,
            (_, Ownership::Managed) | (Purpose::Delete, Ownership::Dependent) => true,
        };
        let is_surplus = |id: &ResourceId| !wanted.contains_key(id) && !named.contains(id);
        let surplus = inventory.iter().filter(|(id, o)| is_surplus(id) && goes(&o.resource));
        for (id, current) in surplus {
            self.handles.insert(id.clone(), current.handle.clone());
            if let Some(root) = spared.get(id) {
                self.keep += 1;
                left.push((root, current));
                continue;
            }
            match inventory.gap_for(&id.kind) {
                Some(gap) => self.blocked.push(Blocked { id: id.clone(), reason: gap.reason.clone() }),
                None => {
                    let reason = match purpose {
                        Purpose::Update => "it is no longer part of the cluster",
                        Purpose::Delete => "the cluster is deleted",
                    };
                    self.push(id, Action::Delete { current: current.clone() }, reason.to_owned());
                }
            }
        }
        // An update deletes a duplicate only while nothing uses it and nothing can be lost with it.
        let spare = |o: &&Observed<R>| {
            goes(&o.resource)
                && (purpose == Purpose::Delete
                    || !inventory.is_used(&o.handle) && o.resource.holds_data().is_none())
        };
        for current in inventory.duplicates().iter().filter(spare) {
            let id = current.resource.id();
            if let Some(root) = spared.get(&id) {
                left.push((root, current));
                continue;
            }
            self.push(&id, Action::Delete { current: current.clone() }, "it is there twice".to_owned());
        }
        left
    }

    fn push(&mut self, id: &ResourceId, action: Action<R>, reason: String) {
        self.steps.push(Step { id: id.clone(), action, reason, details: Vec::new(), after: Vec::new() });
    }
}

fn names(changes: &[FieldChange]) -> String {
    changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>().join(", ")
}

fn warnings<R: Resource>(
    draft: &Draft<R>,
    left: &[(&ResourceId, &Observed<R>)],
    inventory: &Inventory<R>,
) -> Vec<String> {
    let data = draft.steps.iter().filter_map(|step| {
        let current = step.action.current().filter(|_| step.action.verb() == Verb::Delete)?;
        let data = current.resource.holds_data()?;
        Some(format!("{} ({}) goes, and with it {data}", step.id, current.handle))
    });
    let spare: BTreeSet<&Handle> =
        draft.steps.iter().filter_map(handle_of).chain(left.iter().map(|(_, o)| &o.handle)).collect();
    let doubles = inventory.duplicates().iter().filter(|o| !spare.contains(&o.handle)).map(|o| {
        format!("{} is there twice; {} is left alone because something uses it", o.resource.id(), o.handle)
    });
    let gaps = inventory.gaps().iter().map(|gap| format!("not everything could be read: {}", gap.reason));
    data.chain(doubles).chain(gaps).collect()
}

/// Links the steps: what is made comes after what it refers to and after what it takes the place of, what is deleted
/// after what refers to it.
fn order<R: Resource>(steps: &mut [Step<R>], successors: &Successors) -> Result<(), PlanError> {
    let makes = positions(steps, |step| step.action.desired().map(|_| step.id.clone()).into_iter().collect());
    let ends = positions(steps, |step| match step.action.verb() {
        Verb::Delete => vec![step.id.clone()],
        _ => Vec::new(),
    });
    let holds = positions(steps, |step| match step.action.verb() {
        // The delete that goes before it has let go already.
        Verb::Replace => Vec::new(),
        _ => step.action.current().map_or_else(Vec::new, |o| o.resource.requires()),
    });
    let again = replaced(steps);
    let after: Vec<Vec<usize>> = steps
        .iter()
        .enumerate()
        .map(|(here, step)| {
            let requires = step.action.desired().map_or_else(Vec::new, Resource::requires);
            let made_first = requires.iter().flat_map(|id| makes.get(id).into_iter().flatten().copied());
            let holders = holds.get(&step.id).into_iter().flatten().copied();
            let gone_first: Vec<usize> = match step.action.verb() {
                // What goes on referring to something that is made again follows it.
                Verb::Delete if again.contains(&step.id) => holders
                    .filter(|&other| {
                        let desired = steps[other].action.desired();
                        desired.is_none_or(|desired| !desired.requires().contains(&step.id))
                    })
                    .collect(),
                Verb::Delete => holders.collect(),
                Verb::Replace => ends.get(&step.id).cloned().unwrap_or_default(),
                Verb::Create | Verb::Update | Verb::NewVersion => Vec::new(),
            };
            let displaced =
                step.action.desired().and_then(|_| successors.get(&step.id)).into_iter().flatten();
            let displaced = displaced.flat_map(|id| ends.get(id).into_iter().flatten().copied());
            let all = made_first.chain(gone_first).chain(displaced).filter(|&other| other != here);
            let all: BTreeSet<usize> = all.collect();
            all.into_iter().collect()
        })
        .collect();
    topological(&after)
        .map_err(|cycle| PlanError::Cycle(cycle.into_iter().map(|i| steps[i].id.clone()).collect()))?;
    for (step, after) in steps.iter_mut().zip(after) {
        step.after = after;
    }
    Ok(())
}

/// What is deleted and made again.
pub(super) fn replaced<R>(steps: &[Step<R>]) -> BTreeSet<ResourceId> {
    steps.iter().filter(|s| s.action.verb() == Verb::Replace).map(|s| s.id.clone()).collect()
}

fn positions<R>(
    steps: &[Step<R>],
    keys: impl Fn(&Step<R>) -> Vec<ResourceId>,
) -> BTreeMap<ResourceId, Vec<usize>> {
    let mut map: BTreeMap<ResourceId, Vec<usize>> = BTreeMap::new();
    for (position, step) in steps.iter().enumerate() {
        for key in keys(step) {
            map.entry(key).or_default().push(position);
        }
    }
    map
}

/// Positions in an order that respects `after`, lowest first; or those that wait for each other.
pub(super) fn topological(after: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = after.iter().map(Vec::len).collect();
    let mut followers = vec![Vec::new(); after.len()];
    for (position, before) in after.iter().enumerate() {
        for &other in before {
            followers[other].push(position);
        }
    }
    let mut ready: BTreeSet<usize> = (0..after.len()).filter(|&i| waiting[i] == 0).collect();
    let mut sorted = Vec::with_capacity(after.len());
    while let Some(next) = ready.pop_first() {
        sorted.push(next);
        for &follower in &followers[next] {
            waiting[follower] -= 1;
            if waiting[follower] == 0 {
                ready.insert(follower);
            }
        }
    }
    if sorted.len() == after.len() {
        Ok(sorted)
    } else {
        Err((0..after.len()).filter(|&i| waiting[i] > 0).collect())
    }
}

pub(super) fn count<R>(steps: &[Step<R>]) -> Summary {
    let number = |wanted: &[Verb]| steps.iter().filter(|s| wanted.contains(&s.action.verb())).count();
    let replace = number(&[Verb::Replace]);
    Summary {
        create: number(&[Verb::Create]),
        change: number(&[Verb::Update, Verb::NewVersion]),
        replace,
        delete: number(&[Verb::Delete]) - replace,
        keep: 0,
        blocked: 0,
    }
}

use std::fmt;

use serde::Serialize;

use super::census::{self, Fate, Group, Member};
use super::mark::NEEDS_UPDATE;
use super::{NeverMet, Policy, Replace, State, never_met};
use crate::clock::Timestamp;
use crate::manifest::Role;
use crate::observation::Observation;
use crate::resource::Handle;

/// What a rolling update would do: group by group, why, and what is in its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The groups, in the order in which they are updated.
    pub groups: Vec<GroupPreview>,
    /// Budgets that can never be met.
    pub blocked: Vec<NeverMet>,
}

/// What a rolling update would do to one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupPreview {
    /// The instance group.
    pub name: String,
    /// What its machines are for.
    pub role: Role,
    /// Its scaling group's smallest, current and largest size.
    pub sizes: [u32; 3],
    /// How many of its instances are as they should be.
    pub ready: usize,
    /// The instances that have to go, each with the reasons.
    pub needs_update: Vec<(Handle, Vec<Reason>)>,
    /// How many of them may be added and missing at a time.
    pub surge: u32,
    /// How many of the group may be unavailable at a time.
    pub unavailable: u32,
}

/// Why an instance has to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// These fields of the template have changed; none are named when the old version cannot be read any more.
    Template(Vec<String>),
    /// It was taken out of its group by an update that did not end.
    Detached,
    /// Its node is annotated with [`NEEDS_UPDATE`].
    Annotated,
    /// It was asked for.
    Requested,
    /// The group is to shrink.
    Surplus,
}

impl Preview {
    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.needs_update.is_empty())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(fields) if fields.is_empty() => f.write_str("made from an old template"),
            Self::Template(fields) => write!(f, "template changed: {}", fields.join(", ")),
            Self::Detached => f.write_str("detached from its group"),
            Self::Annotated => write!(f, "annotated {NEEDS_UPDATE}"),
            Self::Requested => f.write_str("requested"),
            Self::Surplus => f.write_str("the group shrinks"),
        }
    }
}

/// What a rolling update under `policy` would do. Pure, and the same reading of the world as
/// [`decide`](super::decide)'s.
pub fn preview(seen: &Observation, policy: &Policy, now: Timestamp) -> Preview {
    let census = census::take(&State::default(), seen, policy, now);
    let mut groups: Vec<GroupPreview> = census.groups.iter().map(|group| of_group(group, policy)).collect();
    groups.sort_by(|a, b| (place(a.role), &a.name).cmp(&(place(b.role), &b.name)));
    Preview { groups, blocked: never_met(seen, policy, now) }
}

fn place(role: Role) -> usize {
    super::decide::ORDER.iter().position(|&other| other == role).unwrap_or_default()
}

fn of_group(group: &Group<'_>, policy: &Policy) -> GroupPreview {
    let members = || group.members.iter().filter(|member| !member.going);
    let leaving = members().filter(|member| member.fate != Fate::Keep);
    GroupPreview {
        name: group.policy.name.clone(),
        role: group.policy.role,
        sizes: [group.scaling.min, group.scaling.desired, group.scaling.max],
        ready: members().filter(|member| member.fate == Fate::Keep).count(),
        needs_update: leaving
            .map(|member| (member.instance.id.clone(), reasons(member, &policy.replace)))
            .collect(),
        surge: group.limits.surge,
        unavailable: group.limits.unavailable,
    }
}

fn reasons(member: &Member<'_>, replace: &Replace) -> Vec<Reason> {
    let annotated = member.node.is_some_and(|node| node.annotations.contains_key(NEEDS_UPDATE));
    let template =
        member.instance.outdated.as_ref().map(|outdated| Reason::Template(outdated.fields.clone()));
    let found = [
        (member.fate == Fate::Remove).then_some(Reason::Surplus),
        template,
        (!member.attached).then_some(Reason::Detached),
        annotated.then_some(Reason::Annotated),
    ];
    let mut found: Vec<Reason> = found.into_iter().flatten().collect();
    if found.is_empty() || matches!(replace, Replace::Only(_)) {
        found.push(Reason::Requested);
    }
    found
}

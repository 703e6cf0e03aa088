//! Groups, instances, nodes and pods brought together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::mark::{Mark, NEEDS_UPDATE};
use super::{GroupPolicy, Limits, Policy, Replace, State};
use crate::clock::{Timestamp, later};
use crate::cluster_api::{Node, Pod};
use crate::fleet::{Instance, InstanceState, Membership, ScalingGroup};
use crate::manifest::Role;
use crate::observation::{ClusterView, Observation};
use crate::resource::Handle;

/// For how long the provider's lists may not show what this run has done. Lists of instances are usually right
/// within seconds.
const LAG: Duration = Duration::from_secs(60);

/// What is to become of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// It goes, and its group launches another.
    Replace,
    /// It goes, and its group shrinks.
    Remove,
}

#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) instance: &'a Instance,
    pub(super) node: Option<&'a Node>,
    /// The mark of a drain that was begun, by this run or an earlier one.
    pub(super) mark: Option<Mark>,
    pub(super) fate: Fate,
    pub(super) attached: bool,
    /// On its way out, as far as the provider or this run knows.
    pub(super) going: bool,
    pub(super) skipped: bool,
    /// It may serve: running, its node ready if only for a moment. Taking it down costs something.
    pub(super) serves: bool,
    /// It serves, and counts: ready for long enough, with all that belongs to it, not being drained.
    pub(super) available: bool,
}

impl Member<'_> {
    pub(super) fn is_draining(&self) -> bool {
        self.mark.is_some() && !self.going
    }

    /// Whether it still has to be dealt with.
    pub(super) fn is_left(&self) -> bool {
        self.fate != Fate::Keep && !self.skipped && !self.going
    }

    /// Whether it makes the group larger than it should be.
    pub(super) fn is_surge(&self) -> bool {
        !self.attached && !self.going && !self.skipped
    }

    /// Whether it is to stay but does not serve yet.
    pub(super) fn is_coming(&self) -> bool {
        self.fate == Fate::Keep && self.attached && !self.going && !self.available
    }
}

#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) policy: &'a GroupPolicy,
    pub(super) scaling: &'a ScalingGroup,
    pub(super) limits: Limits,
    /// How many are to be there in the end.
    pub(super) size: u32,
    /// Whether the update ends only when those that stay serve: not if it makes none of them.
    pub(super) has_to_serve: bool,
    pub(super) members: Vec<Member<'a>>,
}

impl Group<'_> {
    /// Members that are on their way in or out: drained, or to be there and not serving yet.
    pub(super) fn in_flight(&self) -> usize {
        let moving = self.members.iter().filter(|member| member.is_draining() || member.is_coming());
        moving.count() + self.missing()
    }

    /// How many its scaling group has yet to launch.
    pub(super) fn missing(&self) -> usize {
        let there = self.members.iter().filter(|member| member.attached && !member.going).count();
        to_usize(self.size).saturating_sub(there)
    }

    pub(super) fn available(&self) -> usize {
        self.members.iter().filter(|member| member.available).count()
    }

    /// How many have to be available at any time.
    pub(super) fn required(&self) -> usize {
        to_usize(self.size.saturating_sub(self.limits.unavailable))
    }

    /// Whether the current template is known to make instances that serve.
    pub(super) fn is_proven(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.available && member.attached && member.instance.outdated.is_none())
    }

    /// Whether nothing is left to do and all that should serve do.
    pub(super) fn is_settled(&self) -> bool {
        if !self.has_to_serve {
            return self.members.iter().all(|member| !member.is_left());
        }
        let kept = self.members.iter().filter(|member| member.fate == Fate::Keep || member.skipped);
        let serving = kept.filter(|member| member.attached && !member.going);
        let (mut all, mut available) = (0, 0);
        for member in serving {
            all += 1;
            available += usize::from(member.available || member.skipped);
        }
        self.members.iter().all(|member| !member.is_left()) && available == all && all >= to_usize(self.size)
    }
}

#[derive(Debug, Default)]
pub(super) struct Census<'a> {
    pub(super) groups: Vec<Group<'a>>,
    /// Pods on nodes that are being drained, that belong to no node, by node.
    pub(super) to_move: HashMap<&'a str, Vec<&'a Pod>>,
    /// Pods that the cluster itself depends on and that are not ready, without those that belong to a node.
    pub(super) critical: Vec<&'a Pod>,
    /// Nodes with a mark of ours whose instance is gone.
    pub(super) orphans: Vec<&'a Node>,
}

/// Brings together what was seen of the policy's groups.
pub(super) fn take<'a>(
    state: &State,
    seen: &'a Observation,
    policy: &'a Policy,
    now: Timestamp,
) -> Census<'a> {
    let mut census = Census::default();
    let cluster = match &seen.cluster {
        ClusterView::Seen(cluster) => cluster,
        ClusterView::CloudOnly | ClusterView::Unreachable(_) => {
            census.groups = groups(state, seen, policy, now, |_, _| (None, true));
            return census;
        }
    };
    let mut unready_on: HashSet<&str> = HashSet::new();
    for pod in cluster.pods.iter().filter(|pod| !pod.ready && pod.is_system_critical()) {
        match &pod.node {
            Some(node) if !pod.is_drained() && !pod.is_finished() => {
                unready_on.insert(node);
            }
            _ if pod.is_drained() && !pod.deleting => census.critical.push(pod),
            _ => {}
        }
    }
    let nodes: HashMap<&Handle, &Node> =
        cluster.nodes.iter().filter_map(|node| Some((node.instance.as_ref()?, node))).collect();
    let serves = |node: &Node| {
        let whole = !policy.require_healthy || !unready_on.contains(node.name.as_str());
        whole && node.ready_since().is_some_and(|since| later(since, policy.min_ready) <= now)
    };
    census.groups = groups(state, seen, policy, now, |role, instance| match role {
        Role::Bastion => (None, true),
        Role::ControlPlane | Role::Node => {
            let node = nodes.get(&instance.id).copied();
            (node, node.is_some_and(serves))
        }
    });
    let members = census.groups.iter().flat_map(|group| &group.members);
    let marked = members.filter(|member| member.mark.is_some());
    census.to_move = marked.filter_map(|member| Some((member.node?.name.as_str(), Vec::new()))).collect();
    for pod in cluster.pods.iter().filter(|pod| pod.is_drained()) {
        if let Some(pods) = pod.node.as_deref().and_then(|node| census.to_move.get_mut(node)) {
            pods.push(pod);
        }
    }
    let known: HashSet<&Handle> =
        seen.groups.iter().flat_map(|group| &group.instances).map(|instance| &instance.id).collect();
    let gone = |node: &&Node| node.instance.as_ref().is_some_and(|id| !known.contains(id));
    census.orphans = cluster.nodes.iter().filter(|node| Mark::of(node).is_some()).filter(gone).collect();
    census
}

fn groups<'a>(
    state: &State,
    seen: &'a Observation,
    policy: &'a Policy,
    now: Timestamp,
    look: impl Fn(Role, &Instance) -> (Option<&'a Node>, bool),
) -> Vec<Group<'a>> {
    let groups = policy.groups.iter().filter_map(|group| {
        let scaling = seen.groups.iter().find(|scaling| scaling.instance_group == group.name)?;
        let recently = |when: Option<&Timestamp>| when.is_some_and(|&when| now < later(when, LAG));
        let members = scaling.instances.iter().map(|instance| {
            let (node, counts) = look(group.role, instance);
            let mark = node.and_then(Mark::of);
            let attached =
                instance.membership == Membership::Attached && !recently(state.detached.get(&instance.id));
            let going =
                instance.state == InstanceState::Terminating || recently(state.terminated.get(&instance.id));
            let running = instance.state == InstanceState::Running && !going;
            let skipped = state.skipped.contains_key(&instance.id);
            let replace = group.is_enabled() && is_replaced(&policy.replace, instance, attached, node);
            Member {
                instance,
                node,
                mark,
                fate: if replace { Fate::Replace } else { Fate::Keep },
                attached,
                going,
                skipped,
                serves: running && node.map_or(counts, Node::is_ready) && mark.is_none(),
                available: running && counts && mark.is_none(),
            }
        });
        let mut members: Vec<Member<'_>> = members.collect();
        if policy.replace == Replace::Misplaced {
            choose_misplaced(&mut members, scaling);
        }
        let mut size = scaling.desired;
        if let Some(to) = group.shrink_to.filter(|&to| to < size && group.role != Role::ControlPlane) {
            size = to;
            choose_surplus(&mut members, to_usize(to));
        }
        let has_to_serve = policy.replace != Replace::Nothing;
        Some(Group { policy: group, scaling, limits: group.limits(size), size, has_to_serve, members })
    });
    groups.collect()
}

fn is_replaced(replace: &Replace, instance: &Instance, attached: bool, node: Option<&Node>) -> bool {
    let outdated = || {
        instance.outdated.is_some()
            || !attached
            || node.is_some_and(|node| node.annotations.contains_key(NEEDS_UPDATE))
    };
    match replace {
        Replace::Outdated => outdated(),
        Replace::LaunchedBefore(moment) => instance.launched < *moment || outdated(),
        Replace::Only(these) => these.contains(&instance.id),
        // Which of them stand where too many are depends on the others.
        Replace::Misplaced => !attached,
        Replace::Nothing => false,
    }
}

/// Marks for removal what a group has too many. Drains that were begun are ended first, and what is protected goes
/// last. Otherwise the fullest zone gives: what were left unevenly, the scaling group would move by itself, undrained.
/// Of one zone what is of least use goes before what serves.
fn choose_surplus(members: &mut [Member<'_>], size: usize) {
    let mut counted: Vec<usize> = counted(members);
    while counted.len() > size {
        let in_zone = |i: usize| {
            counted.iter().filter(|&&j| members[j].instance.zone == members[i].instance.zone).count()
        };
        let chosen = (0..counted.len()).min_by_key(|&position| {
            let member = &members[counted[position]];
            let of_little_use = (member.available, member.fate == Fate::Keep);
            let newest_first = Reverse(member.instance.launched);
            let first =
                (member.mark.is_none(), member.instance.protected, Reverse(in_zone(counted[position])));
            (first, of_little_use, newest_first, &member.instance.id)
        });
        let Some(chosen) = chosen else { return };
        members[counted.swap_remove(chosen)].fate = Fate::Remove;
    }
}

/// Marks for replacement what a group's scaling group would move between zones.
fn choose_misplaced(members: &mut [Member<'_>], scaling: &ScalingGroup) {
    let mut counted = counted(members);
    let mut count: BTreeMap<Option<&str>, usize> =
        scaling.zones.iter().map(|zone| (Some(zone.as_str()), 0)).collect();
    let zones: BTreeSet<Option<&str>> = count.keys().copied().collect();
    if zones.is_empty() {
        return;
    }
    for &i in &counted {
        *count.entry(members[i].instance.zone.as_deref()).or_default() += 1;
    }
    let emptiest = |count: &BTreeMap<Option<&str>, usize>| {
        zones
            .iter()
            .map(|zone| (count.get(zone).copied().unwrap_or_default(), *zone))
            .min()
            .unwrap_or_default()
    };
    // What the scaling group has yet to launch goes where there are fewest.
    for _ in counted.len()..to_usize(scaling.desired) {
        *count.entry(emptiest(&count).1).or_default() += 1;
    }
    loop {
        let (least, zone) = emptiest(&count);
        let chosen = (0..counted.len())
            .filter(|&position| {
                let zone = members[counted[position]].instance.zone.as_deref();
                !zones.contains(&zone) || count.get(&zone).is_some_and(|&count| count > least + 1)
            })
            .min_by_key(|&position| {
                let member = &members[counted[position]];
                let zone = member.instance.zone.as_deref();
                let fullest_first = Reverse(count.get(&zone).copied().unwrap_or_default());
                let first = (member.mark.is_none(), zones.contains(&zone), fullest_first);
                (first, member.available, Reverse(member.instance.launched), &member.instance.id)
            });
        let Some(chosen) = chosen else { return };
        let chosen = counted.swap_remove(chosen);
        members[chosen].fate = Fate::Replace;
        let from = members[chosen].instance.zone.as_deref();
        if let Some(count) = count.get_mut(&from) {
            *count -= 1;
        }
        *count.entry(zone).or_default() += 1;
    }
}

/// The members that a group counts, by their position.
fn counted(members: &[Member<'_>]) -> Vec<usize> {
    (0..members.len()).filter(|&i| members[i].attached && !members[i].going).collect()
}

pub(super) fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

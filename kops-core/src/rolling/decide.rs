//! The next step of a rolling update, worked out from nothing but what was seen.

use std::time::Duration;

use super::census::{self, Census, Fate, Group, Member, to_usize};
use super::drain::Evictions;
use super::mark::{Mark, is_tainted};
use super::state::Reached;
use super::{Action, Decision, Failure, Outcome, Policy, State, StuckDrain, WhyWaiting};
use crate::clock::{Timestamp, later};
use crate::cluster_api::Node;
use crate::fleet::{Balancing, Capacity, ScalingGroup};
use crate::manifest::Role;
use crate::observation::{ClusterView, Observation};

/// In this order roles are updated: each only when all before it are done and serve. Nodes must not run newer
/// software than the control plane, and bastions are the way in when something goes wrong.
pub(super) const ORDER: [Role; 3] = [Role::Bastion, Role::ControlPlane, Role::Node];

/// Decides what to do next. Pure: the same arguments give the same decision.
///
/// In every decision, and so in every interleaving of what happens between them:
/// - no instance is terminated while pods that can move are on its node, unless `policy.stuck` says so;
/// - of each group no more are taken down than leaves all but `maxUnavailable` of its size serving;
/// - a control-plane instance is taken down only when all others serve;
/// - what an earlier run has begun is carried on, and what it should not have left is taken back.
pub fn decide(state: &State, seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    let mut round = Round { policy, now, actions: Vec::new(), waiting: Vec::new(), state: state.clone() };
    if let ClusterView::Unreachable(reason) = &seen.cluster {
        round.waiting.push(WhyWaiting::Unreachable { reason: reason.clone() });
        let last = state.reached.as_ref().map(|(reached, _)| reached.clone()).unwrap_or_default();
        return round.go_on(last, false, Vec::new());
    }
    let census = census::take(state, seen, policy, now);
    round.tidy(&census);
    if let Err(failure) = round.drain(&census, seen) {
        let taking_back = release(&census, &round.state);
        return round.fail(failure, taking_back);
    }
    round.phases(&census);
    let settled = census.groups.iter().all(Group::is_settled);
    let marked = |member: &Member<'_>| member.mark.is_some();
    let clean =
        !census.groups.iter().flat_map(|group| &group.members).any(marked) && census.orphans.is_empty();
    if settled {
        let free = free_zones(&census, &round.state, |_| true);
        round.actions.extend(free);
    }
    if settled && clean && round.actions.is_empty() {
        return Decision {
            actions: Vec::new(),
            waiting: Vec::new(),
            outcome: Outcome::Done,
            state: round.state,
        };
    }
    // A drained machine that cannot be terminated is no drain: that wait ends, too.
    let is_draining =
        |member: &Member<'_>| member.is_draining() && !round.state.drained.contains_key(&member.instance.id);
    let draining = census.groups.iter().flat_map(|group| &group.members).any(is_draining);
    let taking_back = release(&census, &round.state);
    round.go_on(Reached::of(&census), draining, taking_back)
}

/// Takes back every drain that is under way, and lets groups balance again that would move nothing now: for a run that
/// stops. The next run lets go of the others, once they are even.
pub(super) fn release(census: &Census<'_>, state: &State) -> Vec<Action> {
    let members = census.groups.iter().flat_map(|group| &group.members);
    let draining = members.filter(|member| member.is_draining());
    draining
        .filter_map(|member| Some(Action::Release { node: member.node?.name.clone(), mark: member.mark }))
        .chain(free_zones(census, state, ScalingGroup::is_even))
        .collect()
}

/// Lets groups balance again that this run or an earlier one has kept from it.
fn free_zones(census: &Census<'_>, state: &State, may: impl Fn(&ScalingGroup) -> bool) -> Vec<Action> {
    let is_held = |group: &&Group<'_>| {
        let handle = &group.scaling.handle;
        let held = group.scaling.balancing == Balancing::Held || state.held.contains(handle);
        held && !state.freed.contains(handle) && may(group.scaling)
    };
    let free = |group: &Group<'_>| Action::FreeZones {
        group: group.policy.name.clone(),
        scaling_group: group.scaling.handle.clone(),
    };
    census.groups.iter().filter(is_held).map(free).collect()
}

struct Round<'a> {
    policy: &'a Policy,
    now: Timestamp,
    actions: Vec<Action>,
    waiting: Vec<WhyWaiting>,
    state: State,
}

impl Round<'_> {
    /// Takes back what is left of earlier runs: what is to stay must be open to pods, what is gone be forgotten.
    fn tidy(&mut self, census: &Census<'_>) {
        for member in census.groups.iter().flat_map(|group| &group.members) {
            let Some(node) = member.node.filter(|_| !member.is_left() && !member.going) else { continue };
            if member.mark.is_some() || (is_tainted(node) && !member.skipped) {
                self.actions.push(Action::Release { node: node.name.clone(), mark: member.mark });
            }
        }
        for node in &census.orphans {
            // A node that still reports may belong to an instance that a list has left out.
            if node.is_ready() {
                self.waiting.push(WhyWaiting::Draining { node: node.name.clone(), pods: 0 });
            } else {
                self.actions.push(Action::DeleteNode { node: node.name.clone() });
            }
        }
    }

    /// Carries on every drain that was begun, whoever began it.
    fn drain(&mut self, census: &Census<'_>, seen: &Observation) -> Result<(), Failure> {
        let mut evictions = Evictions::new(seen);
        for group in &census.groups {
            for member in group.members.iter().filter(|member| member.is_left()) {
                let (Some(mark), Some(node)) = (member.mark, member.node) else { continue };
                let pods = census.to_move.get(node.name.as_str()).map_or(&[][..], Vec::as_slice);
                // On a silent node nobody ends what is to go: being told is all there can be.
                let there: Vec<_> =
                    pods.iter().copied().filter(|pod| !pod.deleting || node.is_ready()).collect();
                if there.is_empty() {
                    let drained = *self.state.drained.entry(member.instance.id.clone()).or_insert(self.now);
                    if !self.rests(drained, self.policy.pauses.after_drain) {
                        self.terminate(group, member);
                    }
                    continue;
                }
                let evictable: Vec<_> = there.iter().copied().filter(|pod| !pod.deleting).collect();
                let late = self.policy.stuck.deadline().filter(|&after| later(mark.since, after) <= self.now);
                match (late, self.policy.stuck) {
                    (Some(after), StuckDrain::Fail(_)) => {
                        let why = evictions.why_not(&there);
                        return Err(Failure::Drain { node: node.name.clone(), after, why });
                    }
                    (Some(_), StuckDrain::Skip(_)) => {
                        let why = evictions.why_not(&there);
                        self.state.skipped.insert(member.instance.id.clone(), why);
                        self.actions.push(Action::Release { node: node.name.clone(), mark: Some(mark) });
                        continue;
                    }
                    (Some(_), StuckDrain::ForceAfter(_)) => {
                        let delete = evictable
                            .iter()
                            .map(|pod| Action::DeletePod { pod: pod.id.clone(), node: node.name.clone() });
                        self.actions.extend(delete);
                    }
                    (Some(_), StuckDrain::Wait) | (None, _) => {
                        for pod in &evictable {
                            match evictions.ask(pod) {
                                Ok(()) => self
                                    .actions
                                    .push(Action::Evict { pod: pod.id.clone(), node: node.name.clone() }),
                                Err(budgets) => self.waiting.push(WhyWaiting::Budget {
                                    budgets,
                                    pod: pod.id.to_string(),
                                    node: node.name.clone(),
                                }),
                            }
                        }
                    }
                }
                self.waiting.push(WhyWaiting::Draining { node: node.name.clone(), pods: there.len() });
            }
        }
        Ok(())
    }

    /// Begins with new instances, of the first role that is not done.
    fn phases(&mut self, census: &Census<'_>) {
        let mut first = None;
        for role in ORDER {
            let groups: Vec<&Group<'_>> =
                census.groups.iter().filter(|group| group.policy.role == role).collect();
            if let Some(role) = first {
                let later = groups.iter().filter(|group| group.members.iter().any(Member::is_left));
                let waiting =
                    later.map(|group| WhyWaiting::Earlier { group: group.policy.name.clone(), role });
                self.waiting.extend(waiting);
                continue;
            }
            if groups.iter().all(|group| group.is_settled()) {
                continue;
            }
            first = Some(role);
            for group in &groups {
                self.report_coming(group);
                self.taint(group);
            }
            let last = self.state.terminated.values().max().copied();
            if last.is_some_and(|last| self.rests(last, self.policy.pauses.between(role))) {
                continue;
            }
            match role {
                Role::ControlPlane => self.control_plane(&groups, census),
                Role::Bastion | Role::Node => {
                    let mut room = Room::of(&groups);
                    groups.iter().for_each(|group| self.group(group, census, &mut room));
                }
            }
        }
    }

    fn report_coming(&mut self, group: &Group<'_>) {
        let name = &group.policy.name;
        let count = group.missing();
        if count > 0 {
            let trouble = group.scaling.trouble.clone();
            self.waiting.push(WhyWaiting::Launching { group: name.clone(), count, trouble });
        }
        for member in &group.members {
            if member.is_coming() {
                self.waiting.push(WhyWaiting::Coming {
                    group: name.clone(),
                    instance: member.instance.id.clone(),
                    launched: member.instance.launched,
                    node: member.node.map(|node| node.name.clone()),
                });
            } else if member.going {
                self.waiting.push(WhyWaiting::Terminating { instance: member.instance.id.clone() });
            }
        }
    }

    fn taint(&mut self, group: &Group<'_>) {
        let left = group.members.iter().filter(|member| member.is_left() && member.mark.is_none());
        let nodes = left.filter_map(|member| member.node).filter(|node| !is_tainted(node));
        self.actions.extend(nodes.map(|node| Action::Taint { node: node.name.clone() }));
    }

    /// One at a time, and only when all others serve: etcd keeps its quorum even if another is lost meanwhile.
    fn control_plane(&mut self, groups: &[&Group<'_>], census: &Census<'_>) {
        if groups.iter().any(|group| group.in_flight() > 0) {
            return;
        }
        let members: usize = groups.iter().map(|group| to_usize(group.size)).sum();
        let available: usize = groups.iter().map(|group| group.available()).sum();
        let all = groups.iter().flat_map(|group| group.members.iter().map(move |member| (*group, member)));
        let mut left: Vec<_> = all.filter(|(_, member)| member.is_left()).collect();
        left.sort_by_key(|(group, member)| (member.serves, &group.policy.name, &member.instance.id));
        let Some((group, member)) = left.first() else { return };
        if member.serves && self.is_unhealthy(census) {
            return;
        }
        // One or two members have no quorum that could survive a loss: there is nothing to keep.
        let required = match (members, member.serves) {
            (0..3, _) => 0,
            (_, true) => members - 1,
            (_, false) => members / 2 + 1,
        };
        if available - usize::from(member.available) < required {
            self.waiting.push(WhyWaiting::Quorum { available, members });
            return;
        }
        self.begin(group, member);
    }

    /// As many at a time as the limits of the group allow, whatever the other groups do.
    fn group(&mut self, group: &Group<'_>, census: &Census<'_>, room: &mut Room) {
        let proven = group.is_proven();
        // The first of a new template goes alone: should it never serve, no more than one was spent on it.
        let (surge, bound) = if proven {
            (
                to_usize(group.limits.surge),
                to_usize(group.limits.surge.saturating_add(group.limits.unavailable)),
            )
        } else {
            (to_usize(group.limits.surge.min(1)), 1)
        };
        let mut left: Vec<&Member<'_>> =
            group.members.iter().filter(|member| member.is_left() && member.mark.is_none()).collect();
        // What does not serve costs nothing; then what is surplus anyway.
        left.sort_by_key(|member| {
            (member.serves, member.fate != Fate::Remove, member.attached, &member.instance.id)
        });
        let mut begun = group.in_flight();
        let mut available = group.available();
        let required = group.required();
        let mut unhealthy = None;
        let mut detachable = Vec::new();
        let (mut refused, mut no_room) = (false, false);
        for member in left {
            let cost = usize::from(member.serves);
            let allowed = cost == 0 || available >= required + cost;
            let closes = member.node.is_some_and(is_open) && member.available;
            let cornered = closes && room.is_last();
            // What is too many may all go at once: nothing has to come for it.
            let begins = (begun < bound || member.fate == Fate::Remove)
                && allowed
                && !cornered
                && (cost == 0 || !*unhealthy.get_or_insert_with(|| self.is_unhealthy(census)));
            if begins {
                self.begin(group, member);
                begun += 1;
                available -= cost;
                room.take(closes);
            } else {
                if begun < bound && allowed && cornered {
                    no_room = true;
                }
                refused = true;
                if member.attached && member.fate == Fate::Replace {
                    detachable.push(member);
                }
            }
        }
        let surging = group.members.iter().filter(|member| member.is_surge()).count();
        let detachable = detachable.into_iter().take(surge.saturating_sub(surging));
        for member in detachable {
            if !self.holds_zones(group) {
                break;
            }
            self.actions.push(Action::Detach {
                group: group.policy.name.clone(),
                scaling_group: group.scaling.handle.clone(),
                instance: member.instance.id.clone(),
            });
        }
        if no_room {
            self.waiting.push(WhyWaiting::NoRoom { group: group.policy.name.clone() });
        }
        if refused && available < required + 1 {
            self.waiting.push(WhyWaiting::Available {
                group: group.policy.name.clone(),
                available,
                required,
            });
        }
    }

    /// Whether a pause that was asked for has not ended yet.
    fn rests(&mut self, since: Timestamp, pause: Duration) -> bool {
        let until = later(since, pause);
        let rests = self.now < until;
        if rests && !self.waiting.contains(&WhyWaiting::Pause { until }) {
            self.waiting.push(WhyWaiting::Pause { until });
        }
        rests
    }

    /// Whether the cluster is too unwell for anything that serves to be taken down.
    fn is_unhealthy(&mut self, census: &Census<'_>) -> bool {
        if !self.policy.require_healthy || census.critical.is_empty() {
            return false;
        }
        let waiting =
            WhyWaiting::Unhealthy { pods: census.critical.iter().map(|pod| pod.id.to_string()).collect() };
        if !self.waiting.contains(&waiting) {
            self.waiting.push(waiting);
        }
        true
    }

    /// Whether machines may be taken away: not as long as the scaling group would move others between its zones.
    fn holds_zones(&mut self, group: &Group<'_>) -> bool {
        let scaling = group.scaling;
        let held = scaling.balancing != Balancing::Free || self.state.held.contains(&scaling.handle);
        if scaling.zones.len() < 2 || held {
            return true;
        }
        let hold =
            Action::HoldZones { group: group.policy.name.clone(), scaling_group: scaling.handle.clone() };
        if !self.actions.contains(&hold) {
            self.actions.push(hold);
        }
        false
    }

    fn begin(&mut self, group: &Group<'_>, member: &Member<'_>) {
        match member.node {
            Some(node) => {
                self.holds_zones(group);
                let mark = Mark { since: self.now, was_cordoned: node.unschedulable };
                self.actions.push(Action::Cordon { node: node.name.clone(), mark });
            }
            None => self.terminate(group, member),
        }
    }

    fn terminate(&mut self, group: &Group<'_>, member: &Member<'_>) {
        if !self.holds_zones(group) {
            return;
        }
        self.actions.push(Action::Terminate {
            group: group.policy.name.clone(),
            scaling_group: group.scaling.handle.clone(),
            instance: member.instance.id.clone(),
            capacity: if member.fate == Fate::Remove { Capacity::Shrink } else { Capacity::Keep },
        });
    }

    /// Goes on, unless nothing has changed for too long. A drain has a patience of its own, and a pause is no standstill.
    fn go_on(mut self, reached: Reached, draining: bool, taking_back: Vec<Action>) -> Decision {
        let since = match &self.state.reached {
            Some((last, since)) if *last == reached && !draining && !self.is_resting() => *since,
            _ => self.now,
        };
        self.state.reached = Some((reached, since));
        if later(since, self.policy.patience) <= self.now {
            let why = self.waiting.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let failure = Failure::Stalled { after: self.policy.patience, why };
            return self.fail(failure, taking_back);
        }
        let Self { actions, waiting, state, .. } = self;
        Decision { actions, waiting, outcome: Outcome::Going, state }
    }

    fn is_resting(&self) -> bool {
        self.waiting.iter().any(|why| matches!(why, WhyWaiting::Pause { .. }))
    }

    fn fail(self, failure: Failure, actions: Vec<Action>) -> Decision {
        let Self { waiting, state, .. } = self;
        Decision { actions, waiting, outcome: Outcome::Failed(failure), state }
    }
}

/// Where pods can go. Groups are updated side by side: were every node closed at once, the pods of each would wait
/// for another, and budgets would hold them where they are.
struct Room {
    /// Nodes that are open to pods.
    open: usize,
    /// Machines on their way in or out.
    in_flight: usize,
}

impl Room {
    fn of(groups: &[&Group<'_>]) -> Self {
        let members = groups.iter().flat_map(|group| &group.members);
        let open = members.filter(|member| member.available && member.node.is_some_and(is_open)).count();
        Self { open, in_flight: groups.iter().map(|group| group.in_flight()).sum() }
    }

    /// Whether no node may be closed before another is open. The only node of a cluster may, if nothing else moves.
    fn is_last(&self) -> bool {
        self.open < 2 && self.in_flight > 0
    }

    fn take(&mut self, closes: bool) {
        self.open -= usize::from(closes);
        self.in_flight += 1;
    }
}

fn is_open(node: &Node) -> bool {
    !node.unschedulable
}

impl Reached {
    fn of(census: &Census<'_>) -> Self {
        let members = || census.groups.iter().flat_map(|group| &group.members);
        Self {
            left: members().filter(|member| member.is_left()).count(),
            available: members().filter(|member| member.available).count(),
            alive: members().filter(|member| !member.going).count(),
            pods: census.to_move.values().map(Vec::len).sum(),
        }
    }
}

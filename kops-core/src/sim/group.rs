//! Scaling groups and the instances they launch.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, later};
use crate::fleet::GroupSpec;
use crate::resource::Handle;

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// Launched, not up yet.
    Booting,
    /// Up.
    Running,
    /// On its way out; still holds on to its network.
    Terminating,
}

/// One instance of a scaling group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The provider's name for it.
    pub handle: Handle,
    /// The name of its group.
    pub group: String,
    /// The version of the template it was made from, counted from 1.
    pub template_version: u64,
    /// When it was launched.
    pub launched: Timestamp,
    /// When it was told to go, if it was.
    pub terminated: Option<Timestamp>,
    /// Whether it was taken out of its group, and does not count.
    #[serde(default)]
    pub detached: bool,
    /// The zone it runs in, if its group says where instances run.
    #[serde(default)]
    pub zone: Option<String>,
    /// Its address there.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// What it holds on to while it exists.
    pub uses: Vec<Handle>,
}

impl Member {
    /// What it is doing at `now`.
    pub fn state(&self, now: Timestamp, boot_time: Duration) -> MemberState {
        if self.terminated.is_some() {
            MemberState::Terminating
        } else if now < later(self.launched, boot_time) {
            MemberState::Booting
        } else {
            MemberState::Running
        }
    }

    pub(super) fn gone_at(&self, terminate_time: Duration) -> Option<Timestamp> {
        self.terminated.map(|at| later(at, terminate_time))
    }
}

/// How many instances a group is to have now, and the bounds by which that was last set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Size {
    pub(super) desired: u32,
    bounds: (u32, u32),
}

impl Size {
    /// The size of a new group.
    pub(super) fn of(spec: &GroupSpec) -> Self {
        Self { desired: spec.min, bounds: (spec.min, spec.max) }
    }

    /// Follows a change of the bounds.
    pub(super) fn follow(&mut self, spec: &GroupSpec) {
        if self.bounds != (spec.min, spec.max) {
            self.bounds = (spec.min, spec.max);
            self.desired = self.desired.min(spec.max).max(spec.min);
        }
    }
}

/// How many instances of a group each zone has. Also of zones that the group has no more.
pub(super) struct Spread(BTreeMap<Option<String>, usize>);

impl Spread {
    pub(super) fn new<'a>(zones: &BTreeSet<String>, members: impl Iterator<Item = &'a Member>) -> Self {
        let mut counts: BTreeMap<_, _> = zones.iter().map(|zone| (Some(zone.clone()), 0)).collect();
        for member in members {
            *counts.entry(member.zone.clone()).or_default() += 1;
        }
        Self(counts)
    }

    /// Returns the emptiest zone: the next instance goes there.
    pub(super) fn emptiest(&self, zones: &BTreeSet<String>) -> Option<String> {
        let counts = zones.iter().map(|zone| (self.0.get(&Some(zone.clone())).copied().unwrap_or(0), zone));
        counts.min().map(|(_, zone)| zone.clone())
    }

    pub(super) fn count(&self, zone: &Option<String>) -> usize {
        self.0.get(zone).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, zone: Option<String>) {
        *self.0.entry(zone).or_default() += 1;
    }

    pub(super) fn take(&mut self, zone: &Option<String>) {
        if let Some(count) = self.0.get_mut(zone) {
            *count = count.saturating_sub(1);
        }
    }
}

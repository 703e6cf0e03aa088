//! Scaling groups and the instances they launch.

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

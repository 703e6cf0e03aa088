use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::manifest::{CompletedCluster, CountOrPercent, Role, RollingUpdate};
use crate::resource::Handle;

/// How many workers of a group may be added at a time when neither group nor cluster says: what Kubernetes itself
/// takes for the pods of a deployment. Surging costs an instance for some minutes and takes nothing away.
const MAX_SURGE: CountOrPercent = CountOrPercent::Percent(25);

/// What a rolling update does, and what it may not do. The defaults are those of the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The groups it may touch; all others are only looked at.
    pub groups: Vec<GroupPolicy>,
    /// Which instances it replaces.
    pub replace: Replace,
    /// What happens when a node cannot be drained.
    pub stuck: StuckDrain,
    /// For how long a new node has to be ready before it counts (as `minReadySeconds` of a deployment).
    pub min_ready: Duration,
    /// After how long without any progress the update gives up.
    pub patience: Duration,
    /// How long it rests at least, on top of all that it waits for.
    pub pauses: Pauses,
    /// Whether nothing more is taken down while pods that the cluster itself depends on are not ready.
    pub require_healthy: bool,
}

/// Rests that are no condition of anything: for those who want to watch. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Between the last machine of the control plane that was terminated and the next.
    pub control_plane: Duration,
    /// The same between workers.
    pub node: Duration,
    /// The same between bastions.
    pub bastion: Duration,
    /// Between the last pod that has left a node and the node's termination.
    pub after_drain: Duration,
}

/// One group of a rolling update.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPolicy {
    /// The instance group.
    pub name: String,
    /// What its machines are for.
    pub role: Role,
    /// The group's own limits, over those of the cluster.
    pub rolling_update: RollingUpdate,
    /// The size it is to shrink to, if it is to shrink.
    pub shrink_to: Option<u32>,
}

/// Which instances are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Replace {
    /// Those that are not as their group's template says, are detached, or whose node is annotated with
    /// [`NEEDS_UPDATE`](super::NEEDS_UPDATE).
    #[default]
    Outdated,
    /// All that were launched before a moment, the outdated ones included. To force an update, the moment at which
    /// it began; to go on after an interruption, the same moment again.
    LaunchedBefore(Timestamp),
    /// These alone.
    Only(BTreeSet<Handle>),
    /// Those that are where their group has no zone any more, or where there are two more than in another of its zones:
    /// what its scaling group would take away undrained.
    Misplaced,
    /// None: groups that are too large shrink, and nothing else is waited for.
    Nothing,
}

/// What happens when a node cannot be drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StuckDrain {
    /// It is tried for as long as it takes.
    Wait,
    /// After this time the update stops; the node is uncordoned.
    Fail(Duration),
    /// After this time the node is uncordoned and left as it is; the update goes on with the others.
    Skip(Duration),
    /// After this time its pods are deleted without asking any budget. The only policy that can break one.
    ForceAfter(Duration),
}

impl Default for StuckDrain {
    fn default() -> Self {
        Self::Fail(Duration::from_secs(15 * 60))
    }
}

/// How many machines of a group may be added and missing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many may run beside those that count.
    pub surge: u32,
    /// How many of those that should be available may not be.
    pub unavailable: u32,
}

impl Policy {
    /// The defaults for these groups.
    pub fn new(groups: Vec<GroupPolicy>) -> Self {
        Self {
            groups,
            replace: Replace::Outdated,
            stuck: StuckDrain::default(),
            min_ready: Duration::from_secs(10),
            patience: Duration::from_secs(15 * 60),
            pauses: Pauses::default(),
            require_healthy: true,
        }
    }

    /// The defaults for all groups of a cluster.
    pub fn for_cluster(cluster: &CompletedCluster) -> Self {
        let default = cluster.cluster.spec.rolling_update.unwrap_or_default();
        let groups = cluster.groups.iter().map(|group| GroupPolicy {
            name: group.name().to_owned(),
            role: group.role(),
            rolling_update: over(group.spec.rolling_update.unwrap_or_default(), default),
            shrink_to: None,
        });
        Self::new(groups.collect())
    }

    /// Leaves out the groups for which `keep` says no.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&GroupPolicy) -> bool) -> Self {
        self.groups.retain(keep);
        self
    }
}

fn over(group: RollingUpdate, cluster: RollingUpdate) -> RollingUpdate {
    RollingUpdate {
        drain_and_terminate: group.drain_and_terminate.or(cluster.drain_and_terminate),
        max_surge: group.max_surge.or(cluster.max_surge),
        max_unavailable: group.max_unavailable.or(cluster.max_unavailable),
    }
}

impl GroupPolicy {
    /// A group with the default limits.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, rolling_update: RollingUpdate::default(), shrink_to: None }
    }

    /// Its limits at a size. As in kops: shares are rounded up for the surge and down for the unavailable, of whom
    /// a share is at least one; without a surge one may be unavailable unless a number says otherwise. The control
    /// plane never surges, since an etcd member's volume cannot be at two machines.
    pub fn limits(&self, size: u32) -> Limits {
        let surge = match self.role {
            Role::ControlPlane => 0,
            Role::Node | Role::Bastion => {
                self.rolling_update.max_surge.unwrap_or(MAX_SURGE).of_rounded_up(size)
            }
        };
        let unavailable = match self.rolling_update.max_unavailable {
            Some(share @ CountOrPercent::Percent(_)) => share.of_rounded_down(size).max(1),
            Some(CountOrPercent::Count(count)) if count > 0 || surge > 0 => count,
            Some(CountOrPercent::Count(_)) | None => u32::from(surge == 0),
        };
        Limits { surge, unavailable }
    }

    /// Whether its machines are replaced at all (`drainAndTerminate`).
    pub fn is_enabled(&self) -> bool {
        self.rolling_update.drain_and_terminate != Some(false)
    }
}

impl Pauses {
    pub(super) fn between(&self, role: Role) -> Duration {
        match role {
            Role::ControlPlane => self.control_plane,
            Role::Node => self.node,
            Role::Bastion => self.bastion,
        }
    }
}

impl StuckDrain {
    pub(super) fn deadline(self) -> Option<Duration> {
        match self {
            Self::Wait => None,
            Self::Fail(after) | Self::Skip(after) | Self::ForceAfter(after) => Some(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(role: Role, surge: Option<CountOrPercent>, unavailable: Option<CountOrPercent>) -> (u32, u32) {
        let mut group = GroupPolicy::new("nodes", role);
        group.rolling_update.max_surge = surge;
        group.rolling_update.max_unavailable = unavailable;
        let Limits { surge, unavailable } = group.limits(10);
        (surge, unavailable)
    }

    #[test]
    fn limits_follow_the_manifest_and_leave_room_to_move() {
        use CountOrPercent::{Count, Percent};
        assert_eq!(limits(Role::Node, None, None), (3, 0));
        assert_eq!(limits(Role::Node, Some(Count(0)), None), (0, 1));
        assert_eq!(limits(Role::Node, Some(Count(0)), Some(Count(0))), (0, 1));
        assert_eq!(limits(Role::Node, Some(Percent(15)), Some(Percent(25))), (2, 2));
        assert_eq!(limits(Role::Node, Some(Count(1)), Some(Percent(1))), (1, 1));
        assert_eq!(limits(Role::ControlPlane, Some(Count(3)), None), (0, 1));
    }

    #[test]
    fn a_group_overrides_its_cluster() {
        let cluster = RollingUpdate { max_surge: Some(CountOrPercent::Count(2)), ..RollingUpdate::default() };
        let group = RollingUpdate { drain_and_terminate: Some(false), ..RollingUpdate::default() };
        let both = over(group, cluster);
        assert_eq!((both.max_surge, both.drain_and_terminate), (cluster.max_surge, Some(false)));
    }
}

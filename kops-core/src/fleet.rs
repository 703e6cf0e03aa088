//! Scaling groups and their instances: what a rolling update sees of the cloud, and the little it may do to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::cloud::{CloudError, Scope};
use crate::manifest::Role;
use crate::resource::{Handle, Resource, ResourceId};

/// A version of the template that a group's instances are made from, as the provider writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateVersion(pub String);

impl fmt::Display for TemplateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a scaling group keeps running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// The instance group that it is made for.
    pub instance_group: String,
    /// What its instances are for.
    pub role: Role,
    /// The fewest instances.
    pub min: u32,
    /// The most instances.
    pub max: u32,
    /// What instances are made from.
    pub template: ResourceId,
    /// The zones over which its instances are spread, by any names that tell them apart.
    #[serde(default)]
    pub zones: BTreeSet<String>,
    /// Whether it moves instances between zones by itself, as [`Balancing::Free`].
    #[serde(default)]
    pub balances: bool,
}

/// A resource type of which some are scaling groups.
pub trait Scaling: Resource {
    /// What a scaling group keeps running; nothing for any other resource.
    fn group(&self) -> Option<GroupSpec>;
}

/// A scaling group with its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalingGroup {
    /// The name of the instance group that it is made for.
    pub instance_group: String,
    /// The provider's name for it.
    pub handle: Handle,
    /// The fewest instances it keeps.
    pub min: u32,
    /// The number of instances that it is to keep now.
    pub desired: u32,
    /// The most instances it may have.
    pub max: u32,
    /// The version that new instances are made from.
    pub template: TemplateVersion,
    /// Its instances, detached ones included, those that are gone left out.
    pub instances: Vec<Instance>,
    /// The zones over which it spreads new instances.
    pub zones: BTreeSet<String>,
    /// Whether it moves instances between zones by itself.
    pub balancing: Balancing,
    /// Why it could not launch what it should, when its last attempt failed (no capacity, a limit).
    pub trouble: Option<String>,
}

/// Whether a scaling group moves instances between zones by itself: it launches one where there are fewest, and
/// terminates one where there are most, undrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balancing {
    /// It does.
    Free,
    /// A run has kept it from doing so, and has to let it do so again.
    Held,
    /// It does not, because somebody wants it so.
    Off,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// The provider's name for it.
    pub id: Handle,
    /// What it is doing.
    pub state: InstanceState,
    /// Whether its group counts it.
    pub membership: Membership,
    /// When it was launched.
    pub launched: Timestamp,
    /// The version it was made from, if the provider still knows.
    pub template: Option<TemplateVersion>,
    /// How the template has changed since; none for an instance made from the group's current version.
    pub outdated: Option<Outdated>,
    /// Whether it is protected from being chosen when the group shrinks.
    pub protected: bool,
    /// The zone it runs in.
    pub zone: Option<String>,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Launched, not running yet.
    Pending,
    /// Running, as far as the provider can tell.
    Running,
    /// On its way out.
    Terminating,
}

/// Whether a group counts an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    /// It counts towards the group's size.
    Attached,
    /// It was made by the group and was taken out of it: it runs on beside its replacement.
    Detached,
}

/// How a template has changed since an instance was made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outdated {
    /// The fields that differ, in the order in which people read them. Empty when the old version can no longer be
    /// read.
    pub fields: Vec<String>,
}

/// What becomes of a group's desired size when one of its instances is terminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// It stays, so that the group launches a replacement.
    Keep,
    /// It goes down by one in the same step, so that nothing is launched. A minimum in the way goes down with it.
    Shrink,
}

/// Something that runs scaling groups.
///
/// The laws (numbers as in the contract battery):
/// - **F1** A terminated member is replaced, from the group's current template version; unless its termination
///   shrinks the group.
/// - **F2** A detached member keeps running, no longer counts, is replaced, and is still listed with its group.
/// - **F3** A member tells which template version it was made from, and what has changed since.
/// - **F4** Nothing here drains: whoever terminates has drained before, also when a group is to shrink. Shrinking
///   is done instance by instance with [`Capacity::Shrink`] for that reason, never by lowering a size and letting
///   the provider choose. Updates keep it too: they drain what a smaller or deleted group is to lose. While machines
///   are taken away, the provider is kept from moving others between zones.
/// - **F5** Holding a group's zones twice is as once, and letting go what is not held is fine. Who else keeps a group
///   from balancing is left alone: that is told as [`Balancing::Off`], before and after.
///
/// Every verb may be repeated: detaching what is detached and terminating what is gone are fine.
#[async_trait]
pub trait Fleet: Send + Sync + fmt::Debug + fmt::Display {
    /// The cluster's scaling groups, sorted by instance group, in a bounded number of calls but for page turns.
    ///
    /// # Errors
    /// When any part cannot be read: half a fleet is no ground for decisions.
    async fn groups(&self, scope: &Scope) -> Result<Vec<ScalingGroup>, CloudError>;

    /// Takes an instance out of its group without stopping it; the group launches a replacement.
    ///
    /// # Errors
    /// `NotFound` when there is no such instance in the group.
    async fn detach(&self, scope: &Scope, group: &Handle, instance: &Handle) -> Result<(), CloudError>;

    /// Terminates an instance, attached or detached. Returns as soon as it is on its way out.
    ///
    /// # Errors
    /// Says what failed and whether repeating can help.
    async fn terminate(
        &self,
        scope: &Scope,
        group: &Handle,
        instance: &Handle,
        capacity: Capacity,
    ) -> Result<(), CloudError>;

    /// Returns the end of what an instance has written to its console, or `None` if it has written nothing, or has no
    /// console.
    ///
    /// # Errors
    /// It cannot be read.
    async fn console(&self, scope: &Scope, instance: &Handle) -> Result<Option<String>, CloudError>;

    /// Keeps a group from moving instances between zones by itself, until [`free_zones`](Self::free_zones). What holds
    /// it is written on the group, so that a later run can let it go.
    ///
    /// # Errors
    /// Says what failed and whether repeating can help.
    async fn hold_zones(&self, scope: &Scope, group: &Handle) -> Result<(), CloudError>;

    /// Lets a group move instances between zones again, if a run held it.
    ///
    /// # Errors
    /// Says what failed and whether repeating can help.
    async fn free_zones(&self, scope: &Scope, group: &Handle) -> Result<(), CloudError>;
}

impl ScalingGroup {
    /// Returns whether it would leave its instances where they are: every zone has as many as any other, or one less. What it has
    /// yet to launch goes where there are fewest.
    pub fn is_even(&self) -> bool {
        let mut counts: BTreeMap<&str, usize> = self.zones.iter().map(|zone| (zone.as_str(), 0)).collect();
        let mut there: u32 = 0;
        for instance in self.instances.iter().filter(|instance| instance.is_attached()) {
            there += 1;
            match instance.zone.as_deref().and_then(|zone| counts.get_mut(zone)) {
                Some(count) => *count += 1,
                None => return self.zones.is_empty(),
            }
        }
        for _ in there..self.desired {
            if let Some(count) = counts.values_mut().min() {
                *count += 1;
            }
        }
        let (least, most) = (counts.values().min(), counts.values().max());
        least.zip(most).is_none_or(|(least, most)| most - least < 2)
    }
}

impl Instance {
    /// Whether it counts for its group and is not on its way out.
    pub fn is_attached(&self) -> bool {
        self.membership == Membership::Attached && self.state != InstanceState::Terminating
    }
}

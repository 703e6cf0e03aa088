//! What would be done, decided before anything is.
//!
//! [`plan`] is a pure function of what is desired and what was observed. A [`Plan`] leaves no choice to those who
//! apply it; a preview is a plan that nobody applies.

mod build;
mod diff;
mod display;
mod named;
mod overlap;
mod saved;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use build::plan_deleting;
pub use build::{PlanError, plan};
pub use diff::{FieldChange, diff};
pub use display::PlanDisplay;
pub use overlap::Overlap;
pub use saved::ReadPlanError;
use serde::{Deserialize, Serialize};

use crate::cloud::Scope;
use crate::inventory::Observed;
use crate::resource::{Handle, Resource, ResourceId};

/// The version of the saved form of a plan. A reader refuses any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Format(u32);

impl Format {
    /// The form that this version writes and reads.
    pub const CURRENT: Self = Self(1);
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Bring the cloud to what the manifests say.
    Update,
    /// Leave nothing of the cluster behind.
    Delete,
}

/// What one step does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action<R> {
    /// Make it.
    Create {
        /// How it will be.
        desired: R,
    },
    /// Change it where it stands.
    Update {
        /// How it will be.
        desired: R,
        /// How it is.
        current: Observed<R>,
        /// What differs; empty when only something it refers to is made anew.
        changes: Vec<FieldChange>,
    },
    /// Give it a new version; what runs keeps the old one.
    NewVersion {
        /// How it will be.
        desired: R,
        /// How it is.
        current: Observed<R>,
        /// What differs.
        changes: Vec<FieldChange>,
    },
    /// Make it again; a step before has deleted it.
    Replace {
        /// How it will be.
        desired: R,
        /// How it is before it goes.
        current: Observed<R>,
        /// What differs; empty when only something it refers to is made again.
        changes: Vec<FieldChange>,
    },
    /// Delete it.
    Delete {
        /// How it is.
        current: Observed<R>,
    },
}

impl<R> Action<R> {
    /// The action's name without its details.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Create { .. } => Verb::Create,
            Self::Update { .. } => Verb::Update,
            Self::NewVersion { .. } => Verb::NewVersion,
            Self::Replace { .. } => Verb::Replace,
            Self::Delete { .. } => Verb::Delete,
        }
    }

    /// How the resource will be, unless it will be gone.
    pub fn desired(&self) -> Option<&R> {
        match self {
            Self::Create { desired }
            | Self::Update { desired, .. }
            | Self::NewVersion { desired, .. }
            | Self::Replace { desired, .. } => Some(desired),
            Self::Delete { .. } => None,
        }
    }

    /// How the resource is, unless it is not there.
    pub fn current(&self) -> Option<&Observed<R>> {
        match self {
            Self::Create { .. } => None,
            Self::Update { current, .. }
            | Self::NewVersion { current, .. }
            | Self::Replace { current, .. }
            | Self::Delete { current } => Some(current),
        }
    }

    /// What differs between the two.
    pub fn changes(&self) -> &[FieldChange] {
        match self {
            Self::Create { .. } | Self::Delete { .. } => &[],
            Self::Update { changes, .. }
            | Self::NewVersion { changes, .. }
            | Self::Replace { changes, .. } => changes,
        }
    }
}

/// The kinds of action, in the order in which a preview shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make it.
    Create,
    /// Change it where it stands.
    Update,
    /// Give it a new version.
    NewVersion,
    /// Make it again; a step before has deleted it.
    Replace,
    /// Delete it.
    Delete,
}

/// One thing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step<R> {
    /// The resource it is done to.
    pub id: ResourceId,
    /// What is done.
    #[serde(flatten)]
    pub action: Action<R>,
    /// Why, for people.
    pub reason: String,
    /// What the change comes to where its fields do not show it, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The positions of the steps that have to be done before.
    pub after: Vec<usize>,
}

/// Something that is left alone because too little is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The resource.
    pub id: ResourceId,
    /// Why, for people.
    pub reason: String,
}

/// How many resources meet which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Made.
    pub create: usize,
    /// Changed in place or by a new version.
    pub change: usize,
    /// Deleted and made again, by two steps.
    pub replace: usize,
    /// Deleted for good.
    pub delete: usize,
    /// Left as they are.
    pub keep: usize,
    /// Left alone because too little is known of them.
    pub blocked: usize,
}

/// Everything that will be done, and in which order. Immutable: applied exactly, or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    try_from = "saved::SavedPlan<R>",
    bound(deserialize = "R: serde::de::DeserializeOwned")
)]
pub struct Plan<R> {
    pub(crate) format: Format,
    pub(crate) purpose: Purpose,
    pub(crate) scope: Scope,
    pub(crate) fingerprint: String,
    /// What is named by its handle, and so not the cluster's to change.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) named: BTreeSet<ResourceId>,
    /// What carries the cluster's tags and would go if nothing were named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) spared: BTreeSet<ResourceId>,
    pub(crate) summary: Summary,
    pub(crate) warnings: Vec<String>,
    pub(crate) steps: Vec<Step<R>>,
    pub(crate) blocked: Vec<Blocked>,
    pub(crate) handles: BTreeMap<ResourceId, Handle>,
}

impl<R: Resource> Plan<R> {
    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The cluster it concerns.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A hash of everything the plan was made from: the desired resources and the observed ones.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How many resources meet which fate.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What the user should know before applying.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What will be done, by resource id.
    pub fn steps(&self) -> &[Step<R>] {
        &self.steps
    }

    /// What is left alone because too little is known of it.
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// What carries the cluster's tags and is left alone all the same: in an update, what may be needed by something that
    /// the manifests name by its handle; in a deletion, also that itself.
    pub fn spared(&self) -> &BTreeSet<ResourceId> {
        &self.spared
    }

    /// The handles that were known when the plan was made.
    pub fn handles(&self) -> &BTreeMap<ResourceId, Handle> {
        &self.handles
    }

    /// Whether a step deletes only to make the same again.
    pub(crate) fn makes_again(&self, step: &Step<R>) -> bool {
        step.action.verb() == Verb::Delete && build::replaced(&self.steps).contains(&step.id)
    }

    /// Whether there is nothing to do. A plan with blocked resources is empty and yet not finished.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds what the user should know, such as that the API is open to the world.
    #[must_use]
    pub fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Lets the steps that `late` chooses wait for those that `early` chooses, unless these wait for them.
    #[must_use]
    pub(crate) fn ordered(
        mut self,
        early: impl Fn(&Step<R>) -> bool,
        late: impl Fn(&Step<R>) -> bool,
    ) -> Self {
        let positions = |chooses: &dyn Fn(&Step<R>) -> bool| -> Vec<usize> {
            (0..self.steps.len()).filter(|&at| chooses(&self.steps[at])).collect()
        };
        let (early, late) = (positions(&early), positions(&late));
        for here in late {
            for &first in &early {
                if first != here && !self.steps[here].after.contains(&first) && !self.waits_for(first, here) {
                    self.steps[here].after.push(first);
                }
            }
        }
        self
    }

    /// Whether a step waits for another, however many lie between.
    fn waits_for(&self, step: usize, other: usize) -> bool {
        let mut seen = vec![false; self.steps.len()];
        let mut open = vec![step];
        while let Some(at) = open.pop() {
            if at == other {
                return true;
            }
            if !std::mem::replace(&mut seen[at], true) {
                open.extend(&self.steps[at].after);
            }
        }
        false
    }

    /// Adds what changes come to where their fields do not show it.
    #[must_use]
    pub fn with_details(mut self, mut details: BTreeMap<ResourceId, Vec<String>>) -> Self {
        for step in &mut self.steps {
            step.details.extend(details.remove(&step.id).unwrap_or_default());
        }
        self
    }

    /// The part of the plan that concerns the resources chosen by `keep`: steps that others wait for have to be
    /// chosen with them.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&ResourceId) -> bool) -> Self {
        let mut position = vec![None; self.steps.len()];
        let mut kept = Vec::new();
        for (old, step) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            if keep(&step.id) {
                position[old] = Some(kept.len());
                kept.push(step);
            }
        }
        for step in &mut kept {
            step.after = step.after.iter().filter_map(|&old| position[old]).collect();
        }
        self.steps = kept;
        self.summary =
            Summary { keep: self.summary.keep, blocked: self.summary.blocked, ..build::count(&self.steps) };
        self
    }

    /// A plan as people read it.
    pub fn display(&self) -> PlanDisplay<'_, R> {
        PlanDisplay::new(self)
    }
}

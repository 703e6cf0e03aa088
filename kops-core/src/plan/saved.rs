//! The saved form of a plan: read strictly, because anybody can have written it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::build::topological;
use super::{Blocked, Format, Plan, Purpose, Step, Summary};
use crate::cloud::Scope;
use crate::resource::{Handle, Resource, ResourceId};

/// What stands in a file, before anything of it is believed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedPlan<R> {
    format: Format,
    purpose: Purpose,
    scope: Scope,
    fingerprint: String,
    #[serde(default)]
    named: BTreeSet<ResourceId>,
    #[serde(default)]
    spared: BTreeSet<ResourceId>,
    summary: Summary,
    warnings: Vec<String>,
    steps: Vec<Step<R>>,
    blocked: Vec<Blocked>,
    handles: BTreeMap<ResourceId, Handle>,
}

/// Steps that nobody could carry out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damaged {
    #[error("step {step} waits for step {before}, and there are {steps} steps")]
    Position { step: usize, before: usize, steps: usize },
    #[error("steps wait for each other in a circle: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Circle(Vec<ResourceId>),
}

impl<R> TryFrom<SavedPlan<R>> for Plan<R> {
    type Error = Damaged;

    fn try_from(saved: SavedPlan<R>) -> Result<Self, Damaged> {
        let SavedPlan {
            format,
            purpose,
            scope,
            fingerprint,
            named,
            spared,
            summary,
            warnings,
            steps,
            blocked,
            handles,
        } = saved;
        let after: Vec<Vec<usize>> = steps.iter().map(|step| step.after.clone()).collect();
        for (step, before) in after.iter().enumerate().flat_map(|(i, all)| all.iter().map(move |b| (i, *b))) {
            if before >= steps.len() {
                return Err(Damaged::Position { step, before, steps: steps.len() });
            }
        }
        topological(&after)
            .map_err(|circle| Damaged::Circle(circle.into_iter().map(|i| steps[i].id.clone()).collect()))?;
        Ok(Self {
            format,
            purpose,
            scope,
            fingerprint,
            named,
            spared,
            summary,
            warnings,
            steps,
            blocked,
            handles,
        })
    }
}

/// A saved plan that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadPlanError {
    /// The text is something else, or was damaged.
    #[error("this is not a saved plan; make one with `update cluster --out FILE`")]
    NotAPlan(#[source] serde_json::Error),
    /// Another version wrote it.
    #[error("the plan is saved in form {found}, this version reads form {known}; make the plan again")]
    Format {
        /// The form of the file.
        found: u32,
        /// The form that can be read.
        known: u32,
    },
}

impl<R: Resource> Plan<R> {
    /// Reads the form that serialising a plan writes.
    ///
    /// # Errors
    /// Fails if the text is not a plan, if its steps cannot be carried out in any order, or if another version wrote it.
    pub fn from_json(text: &str) -> Result<Self, ReadPlanError> {
        #[derive(Deserialize)]
        struct Head {
            format: Format,
        }
        let head: Head = serde_json::from_str(text).map_err(ReadPlanError::NotAPlan)?;
        if head.format != Format::CURRENT {
            return Err(ReadPlanError::Format { found: head.format.0, known: Format::CURRENT.0 });
        }
        serde_json::from_str(text).map_err(ReadPlanError::NotAPlan)
    }

    /// Returns the saved form: one JSON document, the same bytes for the same plan.
    pub fn to_json(&self) -> String {
        // Keys are strings and no value can fail to serialise, so there is always a document.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Compares everything that two plans do. Warnings tell of the world at the time, so they may differ.
    pub(crate) fn does_the_same_as(&self, other: &Self) -> bool {
        #[derive(Serialize)]
        struct Deed<'a, R> {
            purpose: Purpose,
            scope: &'a Scope,
            fingerprint: &'a str,
            named: &'a BTreeSet<ResourceId>,
            spared: &'a BTreeSet<ResourceId>,
            summary: Summary,
            steps: &'a [Step<R>],
            blocked: &'a [Blocked],
            handles: &'a BTreeMap<ResourceId, Handle>,
        }
        fn deed<R: Resource>(plan: &Plan<R>) -> Option<Vec<u8>> {
            let Plan {
                format: _,
                purpose,
                scope,
                fingerprint,
                named,
                spared,
                summary,
                warnings: _,
                steps,
                blocked,
                handles,
            } = plan;
            let (purpose, summary) = (*purpose, *summary);
            let deed = Deed { purpose, scope, fingerprint, named, spared, summary, steps, blocked, handles };
            serde_json::to_vec(&deed).ok()
        }
        deed(self).is_some_and(|mine| deed(other) == Some(mine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Toy;
    use crate::inventory::Inventory;
    use crate::plan::plan;

    fn saved() -> serde_json::Value {
        let scope = Scope { cluster: "demo".into(), incarnation: "1".into(), zone: None };
        let toys = [Toy::new("a", []), Toy::new("b", [Toy::id_of("a")])];
        let plan = plan(&scope, Purpose::Update, &toys, &Inventory::new(Vec::new(), Vec::new())).unwrap();
        serde_json::from_str(&plan.to_json()).unwrap()
    }

    fn refused(edit: impl Fn(&mut serde_json::Value)) -> String {
        let mut saved = saved();
        edit(&mut saved);
        match Plan::<Toy>::from_json(&saved.to_string()) {
            Ok(_) => "read".to_owned(),
            Err(ReadPlanError::NotAPlan(error)) => error.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn l7_a_step_that_waits_for_one_that_is_not_there_is_no_plan() {
        assert_eq!(refused(|_| ()), "read");
        insta::assert_snapshot!(
            refused(|saved| saved["steps"][1]["after"] = serde_json::json!([999])),
            @"step 1 waits for step 999, and there are 2 steps"
        );
    }

    #[test]
    fn l7_steps_that_wait_for_each_other_are_no_plan() {
        let circle = refused(|saved| saved["steps"][0]["after"] = serde_json::json!([1]));
        insta::assert_snapshot!(circle, @"steps wait for each other in a circle: Toy/a, Toy/b");
    }

    #[test]
    fn a_plan_of_another_form_is_told_apart() {
        let other = refused(|saved| saved["format"] = serde_json::json!(9));
        insta::assert_snapshot!(other, @"the plan is saved in form 9, this version reads form 1; make the plan again");
    }

    #[test]
    fn l7_an_edit_that_keeps_the_fingerprint_shows() {
        let plan = Plan::<Toy>::from_json(&saved().to_string()).unwrap();
        let mut edited = saved();
        edited["steps"][1]["desired"]["fields"]["free"] = serde_json::json!(7);
        let edited = Plan::<Toy>::from_json(&edited.to_string()).unwrap();
        assert_eq!(edited.fingerprint(), plan.fingerprint());
        assert!(!edited.does_the_same_as(&plan));
        let told = plan.clone().with_warnings(["the API is open to the world".to_owned()]);
        assert!(told.does_the_same_as(&plan));
    }
}

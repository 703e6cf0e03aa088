//! A plan in the words of `kops update cluster`.

use std::fmt;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::{Action, FieldChange, Plan, Step, Verb};
use crate::resource::Resource;

/// Shows a plan to people. Ends in a one-line summary and a line feed.
#[derive(Debug)]
pub struct PlanDisplay<'a, R> {
    plan: &'a Plan<R>,
}

impl<'a, R> PlanDisplay<'a, R> {
    pub(super) fn new(plan: &'a Plan<R>) -> Self {
        Self { plan }
    }
}

const SECTIONS: [(&str, &[Verb]); 4] = [
    ("Will create resources:", &[Verb::Create]),
    ("Will modify resources:", &[Verb::Update, Verb::NewVersion]),
    ("Will replace resources (deleted, then made again):", &[Verb::Replace]),
    ("Will delete resources:", &[Verb::Delete]),
];

impl<R: Resource> fmt::Display for PlanDisplay<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, verbs) in SECTIONS {
            let steps: Vec<_> = self
                .plan
                .steps
                .iter()
                .filter(|s| verbs.contains(&s.action.verb()) && !self.plan.makes_again(s))
                .collect();
            if !steps.is_empty() {
                writeln!(f, "{title}")?;
                steps.into_iter().try_for_each(|step| show_step(f, step))?;
                if verbs == [Verb::Delete] {
                    writeln!(f)?;
                }
            }
        }
        if !self.plan.blocked.is_empty() {
            writeln!(f, "Left alone, because too little is known of them:")?;
            for blocked in &self.plan.blocked {
                writeln!(f, "  {:<40} {}", blocked.id.to_string(), blocked.reason)?;
            }
            writeln!(f)?;
        }
        let s = self.plan.summary;
        write!(f, "{} to create, {} to change", s.create, s.change)?;
        if s.replace > 0 {
            write!(f, ", {} to replace", s.replace)?;
        }
        write!(f, ", {} to delete, {} unchanged", s.delete, s.keep)?;
        if s.blocked > 0 {
            write!(f, ", {} unknown", s.blocked)?;
        }
        writeln!(f, ".")
    }
}

fn show_step<R: Resource>(f: &mut fmt::Formatter<'_>, step: &Step<R>) -> fmt::Result {
    match &step.action {
        Action::Delete { current } => {
            writeln!(f, "  {:<40} {:<24} {}", step.id.to_string(), current.handle.as_str(), step.reason)?;
            return step.details.iter().try_for_each(|line| writeln!(f, "  {:<40} {line}", ""));
        }
        Action::NewVersion { .. } => writeln!(f, "  {}  (new version)", step.id)?,
        Action::Create { .. } | Action::Update { .. } | Action::Replace { .. } => {
            writeln!(f, "  {}", step.id)?
        }
    }
    if let Action::Create { desired } = &step.action {
        for (field, value) in desired.fields() {
            if let Some(text) = inline(&value) {
                writeln!(f, "  \t{field:<20}\t{text}")?;
            }
        }
    }
    if matches!(step.action.verb(), Verb::Update | Verb::Replace) && step.action.changes().is_empty() {
        writeln!(f, "  \t{}", step.reason)?;
    }
    step.action.changes().iter().try_for_each(|change| show_change(f, change))?;
    step.details.iter().try_for_each(|line| writeln!(f, "  \t{:<20}\t {line}", ""))?;
    writeln!(f)
}

fn show_change(f: &mut fmt::Formatter<'_>, change: &FieldChange) -> fmt::Result {
    let FieldChange { field, old, new, change: _ } = change;
    if !is_document(old) && !is_document(new) {
        let text = |value| inline(value).unwrap_or_else(|| "<none>".to_owned());
        return writeln!(f, "  \t{field:<20}\t {} -> {}", text(old), text(new));
    }
    writeln!(f, "  \t{field:<20}")?;
    let (old, new) = (document(old), document(new));
    let diff = TextDiff::from_lines(&old, &new);
    for (position, group) in diff.grouped_ops(2).iter().enumerate() {
        if position > 0 || group.first().is_some_and(|op| op.old_range().start > 0) {
            writeln!(f, "  \t{:<20}\t...", "")?;
        }
        for line in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match line.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            writeln!(f, "  \t{:<20}\t{sign} {}", "", line.value().trim_end_matches('\n'))?;
        }
    }
    Ok(())
}

/// Texts of several lines and nested structures are compared line by line.
fn is_document(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\n'),
        Value::Object(map) => map.values().any(|v| v.is_object() || v.is_array()),
        Value::Array(items) => items.iter().any(|v| v.is_object() || v.is_array()),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn document(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => format!("{other:#}\n"),
    }
}

/// One line for a value; nothing for what has no value.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.contains('\n') => Some(format!("({} lines)", text.lines().count())),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => {
            Some(format!("[{}]", items.iter().filter_map(inline).collect::<Vec<_>>().join(", ")))
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(k, v)| format!("{k}: {}", inline(v).unwrap_or_default()));
            Some(format!("{{{}}}", entries.collect::<Vec<_>>().join(", ")))
        }
    }
}

//! Tells people how far a run has come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kops_core::apply::PlanEvent;
use kops_core::cloud::Outcome;
use kops_core::lease::LeaseRecord;
use kops_core::observer::Observer;
use kops_core::operation::{Event, EventKind};
use kops_core::plan::Verb;

use crate::roll_progress::RollProgress;
use crate::terminal::Terminal;

/// Writes one line for each step that ends, fails or has to wait.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    terminal: &'a Terminal,
    done: AtomicUsize,
    all: AtomicUsize,
    rolling: RollProgress<'a>,
}

impl<'a> Progress<'a> {
    /// Writes to the terminal's status stream.
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        let rolling = RollProgress::new(terminal);
        Self { terminal, done: AtomicUsize::new(0), all: AtomicUsize::new(0), rolling }
    }
}

impl Observer<Event> for Progress<'_> {
    fn on_event(&self, event: &Event) {
        match &event.kind {
            EventKind::Lease { lease, within } => self.terminal.status(lease_watched(lease, *within)),
            EventKind::Plan(event) => self.on_event(event),
            EventKind::Draining { roll, .. } | EventKind::Roll(roll) => self.rolling.on_event(roll),
        }
    }
}

impl Observer<PlanEvent> for Progress<'_> {
    fn on_event(&self, event: &PlanEvent) {
        match event {
            PlanEvent::Started { summary } => {
                let all = summary.create + summary.change + 2 * summary.replace + summary.delete;
                self.all.store(all, Ordering::Relaxed);
                self.done.store(0, Ordering::Relaxed);
            }
            PlanEvent::StepDone { id, verb, outcome, handle } => {
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                let all = self.all.load(Ordering::Relaxed);
                let word = word(*verb, *outcome);
                let handle = if handle.as_str() == id.name { String::new() } else { format!("  {handle}") };
                self.terminal.status(format_args!("[{done:>3}/{all}] {word} {id}{handle}"));
            }
            PlanEvent::StepRetrying { id, attempt, pause, class, reason } if *attempt > 1 => {
                let pause = pause.as_secs_f64();
                self.terminal.status(format_args!(
                    "          waiting for {id}: {reason} ({class}, again in {pause:.1} s)"
                ));
            }
            PlanEvent::StepWaiting { id, within, reason } => {
                let minutes = within.as_secs() / 60;
                self.terminal.status(format_args!(
                    "          waiting until {id} is gone: {reason} (for at most {minutes} minutes)"
                ));
            }
            PlanEvent::StepFailed { id, verb, reason, .. } => {
                self.terminal
                    .status(format_args!("          could not {} {id}: {reason}", infinitive(*verb)));
            }
            PlanEvent::Cancelling => {
                self.terminal.status(
                    "stopping: what is under way is finished, nothing new starts (again to stop at once)",
                );
            }
            PlanEvent::StepStarted { .. } | PlanEvent::StepRetrying { .. } | PlanEvent::Finished { .. } => {}
        }
    }
}

/// Why a run does not begin at once.
fn lease_watched(lease: &LeaseRecord, within: Duration) -> String {
    format!(
        "waiting: the cluster is being changed by {lease}; unless that run gives a sign of life within {} s, this one \
         goes on in its place",
        within.as_secs()
    )
}

fn word(verb: Verb, outcome: Option<Outcome>) -> &'static str {
    match (verb, outcome) {
        (_, Some(Outcome::Unchanged)) => "found  ",
        (Verb::Create | Verb::Replace, _) => "created",
        (Verb::Update | Verb::NewVersion, _) => "changed",
        (Verb::Delete, _) => "deleted",
    }
}

fn infinitive(verb: Verb) -> &'static str {
    match verb {
        Verb::Create | Verb::Replace => "create",
        Verb::Update | Verb::NewVersion => "change",
        Verb::Delete => "delete",
    }
}

//! Tells people how a rolling update gets on.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use kops_core::observer::Observer;
use kops_core::rolling::{Action, RollEvent};

use crate::terminal::Terminal;

/// Writes one line for everything that is done, cannot be done, or is newly waited for.
#[derive(Debug)]
pub(crate) struct RollProgress<'a> {
    terminal: &'a Terminal,
    /// What has been said to be waited for.
    waiting: Mutex<BTreeSet<String>>,
}

impl<'a> RollProgress<'a> {
    /// Writes to the terminal's status stream.
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, waiting: Mutex::default() }
    }
}

impl Observer<RollEvent> for RollProgress<'_> {
    fn on_event(&self, event: &RollEvent) {
        match event {
            RollEvent::Started { preview } => {
                for budget in &preview.blocked {
                    self.terminal.warning(budget);
                }
            }
            RollEvent::Done {
                action: Action::Taint { .. } | Action::HoldZones { .. } | Action::FreeZones { .. },
            }
            | RollEvent::Finished { .. } => {}
            RollEvent::Done { action } => self.terminal.status(action),
            RollEvent::NotDone { action, reason } => {
                self.terminal.status(format_args!("could not {action}: {reason}"));
            }
            RollEvent::NotSeen { reason } => {
                self.terminal.status(format_args!("cannot look at the cluster: {reason}"));
            }
            RollEvent::Waiting { why } => {
                let now: BTreeSet<String> = why.iter().map(ToString::to_string).collect();
                let mut said = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                for line in now.difference(&said) {
                    self.terminal.status(format_args!("  waiting: {line}"));
                }
                *said = now;
            }
            RollEvent::Cancelling => self.terminal.status(
                "stopping: no more machines are taken down, nodes that were being drained are opened again (again to stop at once)",
            ),
        }
    }
}

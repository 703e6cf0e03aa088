//! Whether the units stay up once they are started, and what those that do not say themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kops_core::node::render::{Start, Unit};

use crate::error::NodeError;
use crate::files::Root;
use crate::system::System;
use crate::unit::{self, step};

/// How often a unit may end before that is a fault: at the start, units end until what they need is there.
const RESTARTS: u32 = 5;
/// How long a unit that has ended so often must run before it counts as up again.
const STEADY: Duration = Duration::from_secs(60);
/// How many of its last lines are told, and how long a line may be.
const LINES: &str = "3";
const LENGTH: usize = 300;
/// What systemd is asked.
const PROPERTIES: &str =
    "--property=Id,LoadState,ActiveState,SubState,NRestarts,ExecMainStartTimestampMonotonic,Job";

/// Returns a fault for every unit that does not stay up.
pub(crate) async fn faults(units: &[Unit], system: &dyn System, root: &Root) -> Vec<NodeError> {
    let started = units.iter().filter(|unit| unit.start != Start::Never && unit::was_started(unit, root));
    let started: Vec<&Unit> = started.collect();
    if started.is_empty() {
        return Vec::new();
    }
    let mut arguments = vec!["show", PROPERTIES];
    arguments.extend(started.iter().map(|unit| unit.name.as_str()));
    let states = match system.run("systemctl", &arguments, "").await {
        Ok(output) if output.is_ok() => output.stdout,
        // Without systemd nothing could be started either, and that is told.
        _ => return Vec::new(),
    };
    let since_boot = uptime(root);
    let states: BTreeMap<&str, State<'_>> = states.split("\n\n").filter_map(State::read).collect();
    let faults = started.into_iter().filter_map(|unit| {
        let reason = states.get(unit.name.as_str())?.fault(unit.start, since_boot)?;
        Some((unit, reason))
    });
    join_all(faults.map(|(unit, reason)| tell(unit, reason, system))).await
}

async fn tell(unit: &Unit, reason: &'static str, system: &dyn System) -> NodeError {
    let hint = format!("`journalctl -u {}` has all that it says", unit.name);
    let error = NodeError::lasting(step(unit), reason).with_hint(hint);
    // What users run may say anything, secrets too; what is told here is read in other places than the journal.
    match unit.start {
        Start::Once | Start::Never => error,
        Start::AtBoot | Start::WhenReady => error.with_said(last_words(&unit.name, system).await),
    }
}

/// Returns the unit's own last lines or, if it has never said anything, what systemd says of it.
async fn last_words(unit: &str, system: &dyn System) -> Vec<String> {
    let own = format!("_SYSTEMD_UNIT={unit}");
    for of_unit in [&[own.as_str()][..], &["-u", unit]] {
        let arguments = [&["--no-pager", "-o", "cat", "-n", LINES][..], of_unit].concat();
        let Ok(output) = system.run("journalctl", &arguments, "").await else { continue };
        let lines = output.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(|line| line.chars().take(LENGTH).collect()).collect();
        if !lines.is_empty() {
            return lines;
        }
    }
    Vec::new()
}

/// How long the machine has been running, by the clock that systemd goes by.
fn uptime(root: &Root) -> Option<Duration> {
    let text = String::from_utf8(root.read("/proc/uptime")?).ok()?;
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

/// A unit as systemd sees it.
struct State<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> State<'a> {
    /// Reads one unit's paragraph of `systemctl show`: the unit's name, and the rest.
    fn read(paragraph: &'a str) -> Option<(&'a str, Self)> {
        let fields: BTreeMap<_, _> = paragraph.lines().filter_map(|line| line.split_once('=')).collect();
        Some((*fields.get("Id")?, Self(fields)))
    }

    fn text(&self, field: &str) -> &'a str {
        self.0.get(field).copied().unwrap_or_default()
    }

    /// Returns what is wrong with the unit, or `None` if nothing is.
    fn fault(&self, start: Start, since_boot: Option<Duration>) -> Option<&'static str> {
        const ENDS: &str = "it does not stay up: it ends, and systemd starts it again and again";
        let ended_often = self.text("NRestarts").parse().unwrap_or(0) >= RESTARTS;
        match (self.text("ActiveState"), self.text("SubState")) {
            ("failed", _) => Some("it has failed"),
            (_, "auto-restart") | ("activating", _) if ended_often => Some(ENDS),
            ("active", "running") if ended_often && !self.is_steady(since_boot) => Some(ENDS),
            ("inactive", _) if start == Start::AtBoot && self.is_at_rest() => Some("it is not running"),
            _ => None,
        }
    }

    /// Whether it has been running for long enough. If that cannot be told, it has.
    fn is_steady(&self, since_boot: Option<Duration>) -> bool {
        let started = self.text("ExecMainStartTimestampMonotonic").parse().map(Duration::from_micros);
        match (started, since_boot) {
            (Ok(started), Some(now)) => now.saturating_sub(started) >= STEADY,
            _ => true,
        }
    }

    /// Whether systemd knows it and is not about to start it.
    fn is_at_rest(&self) -> bool {
        self.text("LoadState") == "loaded" && matches!(self.text("Job"), "" | "0")
    }
}

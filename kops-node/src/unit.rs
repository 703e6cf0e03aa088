//! Units of systemd: written, and restarted only if what they are made from has changed.

use kops_core::digest::sha256_hex;
use kops_core::node::render::{Start, Unit};

use crate::error::Done;
use crate::files::Root;
use crate::system::{System, must};

/// Where units are.
const UNITS: &str = "/etc/systemd/system";
/// Where it is remembered what each unit was last started with.
const STARTED: &str = "/var/lib/kops/started";

pub(crate) async fn ensure(units: &[Unit], system: &dyn System, root: &Root) -> Done {
    let mut changed = false;
    for unit in units {
        if let Some(contents) = &unit.contents {
            let path = format!("{UNITS}/{}", unit.name);
            changed |= root.write(&step(unit), &path, contents.as_bytes(), 0o644)?;
        }
    }
    let started: Vec<bool> = units.iter().map(|unit| is_as_started(unit, root)).collect();
    if changed || started.contains(&false) {
        must(system, "units", "systemctl", &["daemon-reload"], "").await?;
    }
    for (unit, as_started) in units.iter().zip(started) {
        match unit.start {
            Start::Once | Start::Never if as_started => continue,
            Start::Never => switch_off(unit, system).await?,
            Start::AtBoot | Start::WhenReady | Start::Once => start(unit, as_started, system).await?,
        }
        root.write(&step(unit), &record(unit), fingerprint(unit, root).as_bytes(), 0o644)?;
    }
    Ok(())
}

async fn start(unit: &Unit, as_started: bool, system: &dyn System) -> Done {
    let verb = if as_started { "start" } else { "restart" };
    if unit.start == Start::AtBoot {
        must(system, &step(unit), "systemctl", &["enable", "--quiet", &unit.name], "").await?;
    }
    // Nobody waits for the others: each tries again by itself until what it needs is there.
    must(system, &step(unit), "systemctl", &[verb, "--no-block", &unit.name], "").await.map(drop)
}

/// A unit that the image does not have is off.
async fn switch_off(unit: &Unit, system: &dyn System) -> Done {
    let found = system.run("systemctl", &["cat", &unit.name], "").await;
    if !found.is_ok_and(|output| output.is_ok()) {
        return Ok(());
    }
    must(system, &step(unit), "systemctl", &["disable", "--quiet", "--now", &unit.name], "").await.map(drop)
}

/// Makes sure that these units are started anew the next time, whether or not anything has changed.
pub(crate) fn forget(step: &str, units: &[&str], root: &Root) -> Done {
    units.iter().try_for_each(|unit| root.remove(step, &format!("{STARTED}/{unit}")))
}

/// Ends the units that there are, and returns once they have ended.
pub(crate) async fn stop(step: &str, units: &[&str], system: &dyn System, root: &Root) -> Done {
    let there = units.iter().copied().filter(|unit| root.path(&format!("{UNITS}/{unit}")).exists());
    let there: Vec<&str> = there.collect();
    if there.is_empty() {
        return Ok(());
    }
    must(system, step, "systemctl", &[&["stop"][..], &there].concat(), "").await.map(drop)
}

pub(crate) fn step(unit: &Unit) -> String {
    format!("unit {}", unit.name)
}

fn record(unit: &Unit) -> String {
    format!("{STARTED}/{}", unit.name)
}

/// Whether it was ever started on this machine.
pub(crate) fn was_started(unit: &Unit, root: &Root) -> bool {
    root.path(&record(unit)).exists()
}

fn is_as_started(unit: &Unit, root: &Root) -> bool {
    root.read(&record(unit)).is_some_and(|found| found == fingerprint(unit, root).as_bytes())
}

/// Changes when the unit or any of its inputs does.
fn fingerprint(unit: &Unit, root: &Root) -> String {
    let own = unit.contents.clone().unwrap_or_default().into_bytes();
    let inputs = unit.inputs.iter().map(|path| root.read(path).unwrap_or_default());
    let all: Vec<String> = std::iter::once(own).chain(inputs).map(|bytes| sha256_hex(&bytes)).collect();
    sha256_hex(all.concat().as_bytes())
}

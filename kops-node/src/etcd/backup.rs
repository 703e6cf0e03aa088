//! Of all machines that run a member, the one whose member leads takes backups, and deletes those that are too old.

use std::time::Duration;

use kops_core::clock::{Timestamp, later};
use kops_core::etcd::{Backups, Command, Commands, EtcdError, Listing, Stamp, Task, outdated};
use kops_core::node::render::Etcd;

use super::ctl::{CONTROL, Ctl, Standing, snapshot_program};
use super::{gzip, member, program};
use crate::error::{Done, NodeError};
use crate::node::Node;

/// How old what is left of a torn backup must be before it goes: another machine may still be writing it.
const TORN: Duration = Duration::from_hours(24);

/// Looks once whether it is time for a backup, and takes one if so.
pub(super) async fn ensure(etcd: &Etcd, node: &Node) -> Done {
    let step = format!("backup of etcd {}", etcd.cluster);
    let ctl = Ctl { step: &step, etcd, system: node.system.as_ref() };
    let none = || NodeError::waiting(&step, "the disk of the member is not there yet");
    let member = member(etcd, &node.root).ok_or_else(none)?;
    for name in [CONTROL, snapshot_program(etcd)] {
        program(&step, name, node).await?;
    }
    let standing = ctl.standing().await?;
    if !standing.leads() {
        return Ok(());
    }
    let failed = |error| NodeError::of_etcd(&step, error);
    let (store, cluster) = (node.store.as_ref(), &node.config.cluster);
    let backups = Backups::new(store, cluster, &etcd.cluster).map_err(failed)?;
    let commands = Commands::new(store, cluster, &etcd.cluster).map_err(failed)?;
    let found = backups.list().await.map_err(failed)?;
    let asked = commands.list().await.map_err(failed)?;
    let wanted = asked.iter().filter(|command| command.task == Task::Backup && command.done.is_empty());
    let wanted: Vec<&Command> = wanted.collect();
    let now = node.clock.now();
    if wanted.is_empty() && !etcd.backups.is_due(found.backups.iter().map(|backup| &backup.name), now) {
        return Ok(());
    }
    let taken = take(&ctl, &standing, &backups, node).await;
    for command in wanted {
        match &taken {
            Ok(name) => commands.finish(&command.id, &member, name).await.map_err(failed)?,
            // Who asked hears of it if the store can be written to; the machine says it in any case.
            Err(error) => drop(commands.fail(&command.id, &member, &error.reason).await),
        }
    }
    let kept = Kept { etcd, backups: &backups, commands: &commands, now };
    kept.prune(&found, &taken?, &asked).await.map_err(failed)
}

async fn take(
    ctl: &Ctl<'_>,
    standing: &Standing,
    backups: &Backups<'_>,
    node: &Node,
) -> Result<Stamp, NodeError> {
    let file = format!("{}/backup.db", ctl.etcd.mount);
    let packed = snapshot(ctl, &file, node).await;
    node.root.remove(ctl.step, &file)?;
    let saved = backups.save(&packed?, &standing.version, ctl.etcd.peers.len(), node.clock.now()).await;
    saved.map_err(|error| NodeError::of_etcd(ctl.step, error))
}

async fn snapshot(ctl: &Ctl<'_>, file: &str, node: &Node) -> Result<Vec<u8>, NodeError> {
    node.root.remove(ctl.step, file)?;
    ctl.save(file).await?;
    ctl.check(file).await?;
    let path = node.root.path(file);
    gzip::pack(path.clone()).await.map_err(|error| NodeError::of_file(ctl.step, &path, error))
}

/// What is kept of backups and commands.
struct Kept<'a> {
    etcd: &'a Etcd,
    backups: &'a Backups<'a>,
    commands: &'a Commands<'a>,
    now: Timestamp,
}

impl Kept<'_> {
    /// Deletes what nobody needs any more. One that cannot be deleted keeps none of the others.
    async fn prune(&self, found: &Listing, taken: &Stamp, asked: &[Command]) -> Result<(), EtcdError> {
        let whole = found.backups.iter().map(|backup| &backup.name).chain([taken]);
        let whole: Vec<Stamp> = whole.cloned().collect();
        let torn = found.torn.iter().filter(|name| later(name.at(), TORN) <= self.now);
        let mut first = Ok(());
        for name in self.etcd.backups.expired(&whole, self.now).into_iter().chain(torn) {
            first = first.and(self.backups.delete(name).await);
        }
        for id in outdated(asked, self.now) {
            first = first.and(self.commands.forget(id).await);
        }
        first
    }
}

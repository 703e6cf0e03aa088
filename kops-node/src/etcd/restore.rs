//! Each member restores the same backup by itself, as etcd's manual has it
//! (<https://etcd.io/docs/v3.6/op-guide/recovery/>): together they are a new cluster, which those that still run the old
//! one cannot mix with.
//!
//! New data is made beside the old, with a file in it that names the command. Then both change places in one step. So
//! at any moment, the data that is there says itself whether it has been restored, and whoever is interrupted begins
//! again: what lies at the place of the old data is unfinished as long as the data is not restored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use kops_core::etcd::{Backups, Command, Commands, Stamp};
use kops_core::node::render::Etcd;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::ctl::{Ctl, snapshot_program};
use super::{gzip, member, program};
use crate::error::{Done, NodeError};
use crate::node::Node;
use crate::unit;

/// What must not write to etcd while its data changes, beside etcd.
const WRITER: &str = "kube-apiserver.service";
/// What remembers things of etcd that it will not know any more
/// (<https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/#restoring-an-etcd-cluster>).
const READERS: [&str; 3] = ["kube-controller-manager.service", "kube-scheduler.service", "kubelet.service"];

/// A restore that the machine has not done, or has not said to have done.
struct Asked<'a> {
    step: String,
    etcd: &'a Etcd,
    commands: Commands<'a>,
    command: Command,
    member: String,
    /// The members that restore it, with the places where others reach them.
    members: BTreeMap<String, String>,
}

/// Fails as long as a restore is to be done.
pub(super) async fn check(etcd: &Etcd, node: &Node) -> Done {
    match asked(etcd, node).await? {
        Some(Asked { step, command, .. }) => {
            Err(NodeError::waiting(step, format!("it was asked for at {:.0}", command.id.at())))
        }
        None => Ok(()),
    }
}

/// Does the restore that was asked for last, if the member has not done it.
pub(super) async fn ensure(etcd: &Etcd, node: &Node) -> Done {
    let Some(asked) = asked(etcd, node).await? else { return Ok(()) };
    let failed = |error| NodeError::of_etcd(&asked.step, error);
    let id = &asked.command.id;
    let backup = asked.commands.backup_of(id).await.map_err(failed)?;
    if restored(etcd, node).as_ref() != Some(id)
        && let Err(error) = asked.carry_out(&backup, node).await
    {
        // Who asked hears of it if the store can be written to; the machine says it in any case.
        drop(asked.commands.fail(id, &asked.member, &error.reason).await);
        return Err(error);
    }
    asked.commands.finish(id, &asked.member, &backup).await.map_err(failed)
}

/// The restore that counts, unless the member has done it: then this disk has it, or came later and must not take
/// part again. Its member would have forgotten what it has promised the others.
async fn asked<'a>(etcd: &'a Etcd, node: &'a Node) -> Result<Option<Asked<'a>>, NodeError> {
    let step = format!("restore of etcd {}", etcd.cluster);
    let Some(member) = member(etcd, &node.root) else { return Ok(None) };
    let failed = |error| NodeError::of_etcd(&step, error);
    let commands = Commands::new(node.store.as_ref(), &node.config.cluster, &etcd.cluster).map_err(failed)?;
    let command = commands.restore().await.map_err(failed)?;
    let Some(command) = command.filter(|command| !command.done.contains(&member)) else { return Ok(None) };
    let url = |member: &String| {
        let host = node.config.member_name(&etcd.cluster, member);
        (member.clone(), format!("https://{host}:{}", etcd.peer_port))
    };
    let members = match commands.members_of(&command.id).await.map_err(failed)? {
        // A member that was added since takes the data of the others.
        Some(members) if !members.contains(&member) => return Ok(None),
        Some(members) => members.iter().map(url).collect(),
        None => etcd.peers.clone(),
    };
    Ok(Some(Asked { step, etcd, commands, command, member, members }))
}

/// Where data says which command it was restored by: where etcd does not look, in the directory it makes.
fn mark(data: &str) -> String {
    format!("{data}/member/restored")
}

/// The command that the data was restored by, if it was.
fn restored(etcd: &Etcd, node: &Node) -> Option<Stamp> {
    String::from_utf8(node.root.read(&mark(&etcd.data()))?).ok()?.trim().parse().ok()
}

impl Asked<'_> {
    async fn carry_out(&self, backup: &Stamp, node: &Node) -> Done {
        let before = format!("{}/before-{}", self.etcd.mount, self.command.id);
        self.prepare(backup, &before, node).await?;
        let stopped = [WRITER, &self.etcd.unit];
        unit::forget(&self.step, &[&stopped[..], &READERS].concat(), &node.root)?;
        unit::stop(&self.step, &stopped, node.system.as_ref(), &node.root).await?;
        let (new, data) = (node.root.path(&before), node.root.path(&self.etcd.data()));
        exchange(&new, &data).map_err(|error| NodeError::of_file(&self.step, &data, error))
    }

    /// Makes the new data in `directory`.
    async fn prepare(&self, backup: &Stamp, directory: &str, node: &Node) -> Done {
        let Self { step, etcd, .. } = self;
        let failed = |error| NodeError::of_etcd(step, error);
        program(step, snapshot_program(etcd), node).await?;
        node.root.remove(step, directory)?;
        let backups =
            Backups::new(node.store.as_ref(), &node.config.cluster, &etcd.cluster).map_err(failed)?;
        let packed = backups.data(backup).await.map_err(failed)?;
        let file = format!("{}/restore.db", etcd.mount);
        let path = node.root.path(&file);
        let unpacked = gzip::unpack(packed, path.clone()).await;
        let unpacked = unpacked.map_err(|error| NodeError::of_file(step, &path, error));
        let made = match unpacked {
            Ok(()) => {
                let ctl = Ctl { step, etcd, system: node.system.as_ref() };
                let token = format!("restored-{}", self.command.id);
                ctl.restore(&file, directory, &self.member, &self.members, &token).await
            }
            Err(error) => Err(error),
        };
        node.root.remove(step, &file)?;
        made?;
        node.root.write(step, &mark(directory), format!("{}\n", self.command.id).as_bytes(), 0o600).map(drop)
    }
}

/// Lets the new data take the place of the old, and the old that of the new.
fn exchange(new: &Path, data: &Path) -> io::Result<()> {
    if data.exists() {
        renameat_with(CWD, new, CWD, data, RenameFlags::EXCHANGE)?;
    } else {
        std::fs::rename(new, data)?;
    }
    data.parent().map_or(Ok(()), |mount| File::open(mount)?.sync_all())
}

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::backups::{claim, int64};
use super::{ClusterSpec, EtcdError, Stamp};
use crate::clock::Timestamp;
use crate::state::{Prefix, Put, StateStore, layout};

/// The file that asks for a restore, in the form of etcd-manager.
const RESTORE: &str = "_command.json";
/// The file that asks for a backup. It has a name of its own since etcd-manager knows no such command.
const BACKUP: &str = "_backup.json";
/// The file that says whose restore it is: members that come later take the data of the others.
const MEMBERS: &str = "_members.json";
/// How long it is remembered what was asked.
const MEMORY: SignedDuration = SignedDuration::from_hours(24);

/// What machines are asked to do with one etcd cluster, and what they answer.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    store: &'a dyn StateStore,
    prefix: Prefix,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A backup, of the member that leads.
    Backup,
    /// The restore of a backup, of each member.
    Restore,
}

impl Task {
    /// The number from which names within one second are counted: what is asked at once never shares a name.
    /// etcd-manager's commands have 0.
    fn first(self) -> u32 {
        match self {
            Self::Restore => 0,
            Self::Backup => 500_000,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backup => "take a backup",
            Self::Restore => "restore the backup",
        })
    }
}

/// Something that machines are asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub id: Stamp,
    /// What is asked.
    pub task: Task,
    /// The members that have done it.
    pub done: BTreeSet<String>,
    /// The members that could not do it so far.
    pub failed: BTreeSet<String>,
}

/// A command to restore, as etcd-manager has it (`Command` of its `etcdapi.proto`, as JSON).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoreFile<'a> {
    /// In nanoseconds since 1970.
    #[serde(serialize_with = "int64")]
    timestamp: i64,
    restore_backup: RestoreBackup<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoreBackup<'a> {
    cluster_spec: &'a ClusterSpec,
    backup: &'a Stamp,
}

/// What matters of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restore {
    restore_backup: Wanted,
}

#[derive(Deserialize)]
struct Wanted {
    backup: Stamp,
}

impl<'a> Commands<'a> {
    /// The commands for the etcd cluster `etcd` (`main`, `events`) of `cluster`.
    ///
    /// # Errors
    /// The names give no keys.
    pub fn new(store: &'a dyn StateStore, cluster: &str, etcd: &str) -> Result<Self, EtcdError> {
        Ok(Self { store, prefix: layout::etcd_control(cluster, etcd)? })
    }

    /// All of them, oldest first: one listing.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn list(&self) -> Result<Vec<Command>, EtcdError> {
        let mut files: BTreeMap<Stamp, BTreeSet<String>> = BTreeMap::new();
        for entry in self.store.list(&self.prefix).await? {
            let Some((id, file)) = self.prefix.rest(&entry.key).and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            if let Ok(id) = id.parse() {
                files.entry(id).or_default().insert(file.to_owned());
            }
        }
        let with = |files: &BTreeSet<String>, start: &str| {
            files.iter().filter_map(|file| file.strip_prefix(start).map(str::to_owned)).collect()
        };
        let command = |(id, files): (Stamp, BTreeSet<String>)| {
            let task = match files {
                _ if files.contains(RESTORE) => Task::Restore,
                _ if files.contains(BACKUP) => Task::Backup,
                _ => return None,
            };
            Some(Command { id, task, done: with(&files, "done-"), failed: with(&files, "failed-") })
        };
        Ok(files.into_iter().filter_map(command).collect())
    }

    /// The restore that counts: the one asked for last.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn restore(&self) -> Result<Option<Command>, EtcdError> {
        Ok(self.list().await?.into_iter().rfind(|command| command.task == Task::Restore))
    }

    /// Asks for a backup.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn ask_backup(&self, now: Timestamp) -> Result<Stamp, EtcdError> {
        claim(self.store, &self.prefix, now, Task::Backup.first(), BACKUP, b"{}\n").await
    }

    /// Asks these members for the restore of a backup. What was asked before counts no longer.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn ask_restore(
        &self,
        backup: &Stamp,
        cluster_spec: &ClusterSpec,
        members: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Stamp, EtcdError> {
        let restore_backup = RestoreBackup { cluster_spec, backup };
        let timestamp = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        // Nothing in it can fail to serialise.
        let text = serde_json::to_vec_pretty(&RestoreFile { timestamp, restore_backup }).unwrap_or_default();
        let whose = serde_json::to_vec(members).unwrap_or_default();
        // Nobody acts before the command itself is there.
        let id = claim(self.store, &self.prefix, now, Task::Restore.first(), MEMBERS, &whose).await?;
        self.store.put(&self.prefix.join(id.as_str())?.leaf(RESTORE)?, &text, Put::IfAbsent).await?;
        Ok(id)
    }

    /// The members that a restore was asked of. Returns `None` if it does not say, as those of etcd-manager's tools.
    ///
    /// # Errors
    /// The command cannot be read.
    pub async fn members_of(&self, restore: &Stamp) -> Result<Option<BTreeSet<String>>, EtcdError> {
        let text = self.read(restore, MEMBERS).await?;
        Ok(serde_json::from_str(&text).ok())
    }

    /// The backup that a restore is about.
    ///
    /// # Errors
    /// The command cannot be read.
    pub async fn backup_of(&self, restore: &Stamp) -> Result<Stamp, EtcdError> {
        let text = self.read(restore, RESTORE).await?;
        let file: Restore = serde_json::from_str(&text).map_err(|source| EtcdError::Unreadable {
            location: format!("{}/{}/{restore}/{RESTORE}", self.store, self.prefix),
            source,
        })?;
        Ok(file.restore_backup.backup)
    }

    /// Says that a member has done what was asked, with the backup that it took or restored.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn finish(&self, id: &Stamp, member: &str, backup: &Stamp) -> Result<(), EtcdError> {
        let directory = self.prefix.join(id.as_str())?;
        let text = format!("{backup}\n");
        self.store.put(&directory.leaf(&format!("done-{member}"))?, text.as_bytes(), Put::Always).await?;
        Ok(self.store.delete(&directory.leaf(&format!("failed-{member}"))?).await?)
    }

    /// Says why a member could not do what was asked. It may still succeed.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn fail(&self, id: &Stamp, member: &str, reason: &str) -> Result<(), EtcdError> {
        let key = self.prefix.join(id.as_str())?.leaf(&format!("failed-{member}"))?;
        self.store.put(&key, reason.as_bytes(), Put::Always).await?;
        Ok(())
    }

    /// The backup that a member took or restored.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub async fn done(&self, id: &Stamp, member: &str) -> Result<Stamp, EtcdError> {
        Ok(self.read(id, &format!("done-{member}")).await?.trim().parse()?)
    }

    /// Why a member could not do what was asked.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub async fn reason(&self, id: &Stamp, member: &str) -> Result<String, EtcdError> {
        self.read(id, &format!("failed-{member}")).await
    }

    async fn read(&self, id: &Stamp, file: &str) -> Result<String, EtcdError> {
        let object = self.store.get(&self.prefix.join(id.as_str())?.leaf(file)?).await?;
        let bytes = object.map(|object| object.bytes).unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Deletes a command and what was answered.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn forget(&self, id: &Stamp) -> Result<(), EtcdError> {
        for entry in self.store.list(&self.prefix.join(id.as_str())?).await? {
            self.store.delete(&entry.key).await?;
        }
        Ok(())
    }
}

/// The commands that nobody needs any more. The last restore is always needed: a member that was switched off
/// meanwhile has to follow it before it fits the others again.
pub fn outdated(commands: &[Command], now: Timestamp) -> Vec<&Stamp> {
    let last =
        commands.iter().filter(|command| command.task == Task::Restore).map(|command| &command.id).max();
    let ids = commands.iter().map(|command| &command.id).filter(|id| Some(*id) != last);
    ids.filter(|id| now.duration_since(id.at()) >= MEMORY).collect()
}

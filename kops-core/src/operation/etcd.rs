use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Kops, OperationError, Run, scope};
use crate::clock::{Timestamp, later};
use crate::etcd::{Backup, BackupInfo, Backups, Commands, EtcdError, Stamp, Task, Wanted};
use crate::lease;
use crate::manifest::{EtcdCluster, EtcdVersion};
use crate::provider::Provider;
use crate::state::{LoadedCluster, RegistryError};

/// How often it is looked for an answer of the machines.
const LOOK: Duration = Duration::from_secs(2);

/// A restore that nobody has asked the machines for yet.
#[derive(Clone, Debug)]
pub struct EtcdRestore {
    /// The cluster.
    pub cluster: String,
    /// The etcd cluster (`main`, `events`).
    pub etcd: String,
    /// Its members as of the last update, each of which restores the same backup.
    pub members: BTreeSet<String>,
    /// The backup.
    pub backup: Stamp,
    /// What it was taken from.
    pub info: BackupInfo,
    /// For how long everything has been going on that is lost with the restore.
    pub age: Duration,
}

impl<P: Provider> Kops<P> {
    /// The backups of an etcd cluster (`main`, `events`), oldest first.
    ///
    /// # Errors
    /// There is no such cluster, or the state store cannot be read.
    pub async fn etcd_backups(&self, cluster: &str, etcd: &str) -> Result<Vec<Backup>, OperationError> {
        self.registry.find(cluster).await?;
        Ok(self.backups(cluster, etcd)?.list().await?.backups)
    }

    /// Asks the machines for a backup of an etcd cluster now, and waits for it; none if there is no time to wait.
    ///
    /// # Errors
    /// There is no such etcd cluster; no machine took it up in time, or one says why it could not; the state store fails.
    pub async fn back_up_etcd(
        &self,
        cluster: &str,
        etcd: &str,
        wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<Option<Stamp>, OperationError> {
        self.check_asked(cluster, etcd).await?;
        let commands = Commands::new(self.registry.store().as_ref(), cluster, etcd)?;
        let id = commands.ask_backup(self.clock.now()).await?;
        if wait.is_zero() {
            return Ok(None);
        }
        let until = later(self.clock.now(), wait);
        loop {
            let done = self.answered(&commands, etcd, &id, Task::Backup).await?;
            if let Some(member) = done.first() {
                let backup = commands.done(&id, member).await?;
                commands.forget(&id).await?;
                return Ok(Some(backup));
            }
            let silent = || EtcdError::Unanswered {
                etcd: etcd.to_owned(),
                task: Task::Backup,
                silent: Vec::new(),
                waited: wait,
            };
            self.pause(until, silent, cancel).await?;
        }
    }

    /// What restoring a backup would come to. Changes nothing.
    ///
    /// # Errors
    /// There is no such etcd cluster or backup, or its members could not read it.
    pub async fn plan_etcd_restore(
        &self,
        cluster: &str,
        etcd: &str,
        backup: &Stamp,
    ) -> Result<EtcdRestore, OperationError> {
        let found = self.etcd_cluster(&self.registry.load(cluster).await?, etcd)?;
        let info = self.backups(cluster, etcd)?.info(backup).await?;
        let members = found.version.unwrap_or_default();
        let versions = EtcdVersion::parse(&members).zip(EtcdVersion::parse(&info.etcd_version));
        if versions.is_some_and(|(ours, theirs)| !ours.reads(theirs)) {
            let (name, version) = (backup.clone(), info.etcd_version);
            return Err(EtcdError::TooNew { name, version, members }.into());
        }
        let age = self.clock.now().duration_since(backup.at());
        // What the manifests want is not there before the next update.
        let recorded = Wanted::read(self.registry.store().as_ref(), cluster).await?;
        let members_wanted = recorded.and_then(|wanted| wanted.of(etcd).cloned());
        let names = found.etcd_members.into_iter().map(|member| member.name);
        Ok(EtcdRestore {
            cluster: cluster.to_owned(),
            etcd: etcd.to_owned(),
            members: members_wanted.unwrap_or_else(|| names.collect()),
            backup: backup.clone(),
            info,
            age: Duration::try_from(age).unwrap_or_default(),
        })
    }

    /// Asks the machines for a restore under the cluster's lease, and waits until every member has done it. With no time
    /// to wait, it only asks.
    ///
    /// # Errors
    /// Another run is changing the cluster; not every member did it in time, or one says why it could not; the state
    /// store fails. The machines go on with what they were asked for.
    pub async fn restore_etcd(
        &self,
        restore: &EtcdRestore,
        wait: Duration,
        run: Run<'_>,
    ) -> Result<(), OperationError> {
        let EtcdRestore { cluster, etcd, members, backup, info, age: _ } = restore;
        self.exclusively(cluster, lease::Purpose::RestoreEtcd, run, async |run| {
            self.check_asked(cluster, etcd).await?;
            let commands = Commands::new(self.registry.store().as_ref(), cluster, etcd)?;
            let id = commands.ask_restore(backup, &info.cluster_spec, members, self.clock.now()).await?;
            if wait.is_zero() {
                return Ok(());
            }
            let until = later(self.clock.now(), wait);
            loop {
                let done = self.answered(&commands, etcd, &id, Task::Restore).await?;
                let silent = members.iter().filter(|member| !done.contains(*member));
                let silent: Vec<String> = silent.cloned().collect();
                if silent.is_empty() {
                    return Ok(());
                }
                let error = || EtcdError::Unanswered {
                    etcd: etcd.clone(),
                    task: Task::Restore,
                    silent: silent.clone(),
                    waited: wait,
                };
                self.pause(until, error, run.cancel).await?;
            }
        })
        .await
    }

    fn backups(&self, cluster: &str, etcd: &str) -> Result<Backups<'_>, OperationError> {
        Ok(Backups::new(self.registry.store().as_ref(), cluster, etcd)?)
    }

    fn etcd_cluster(&self, loaded: &LoadedCluster, etcd: &str) -> Result<EtcdCluster, OperationError> {
        let spec = self.shown(loaded).cluster.spec;
        let found = spec.etcd_clusters.into_iter().find(|one| one.name == etcd);
        let none = || EtcdError::NoEtcd { cluster: loaded.cluster.name().to_owned(), etcd: etcd.to_owned() };
        Ok(found.ok_or_else(none)?)
    }

    /// Makes sure that there is somebody who could do what is asked.
    async fn check_asked(&self, cluster: &str, etcd: &str) -> Result<(), OperationError> {
        let loaded = self.registry.load(cluster).await?;
        loaded.maker().check(cluster).map_err(RegistryError::from)?;
        self.etcd_cluster(&loaded, etcd)?;
        let scope = scope(&loaded.cluster);
        match self.provider.own_cluster(&scope) {
            Some(_) => Err(EtcdError::Simulated { cluster: cluster.to_owned() }.into()),
            None => Ok(()),
        }
    }

    /// The members that have done it, unless one could not.
    async fn answered(
        &self,
        commands: &Commands<'_>,
        etcd: &str,
        id: &Stamp,
        task: Task,
    ) -> Result<BTreeSet<String>, OperationError> {
        let found = commands.list().await?.into_iter().find(|command| command.id == *id);
        let (done, failed) = found.map(|command| (command.done, command.failed)).unwrap_or_default();
        if let Some(member) = failed.first() {
            let reason = commands.reason(id, member).await?;
            return Err(
                EtcdError::Failed { etcd: etcd.to_owned(), member: member.clone(), task, reason }.into()
            );
        }
        Ok(done)
    }

    /// Waits for the next look, if there is time for one.
    async fn pause(
        &self,
        until: Timestamp,
        late: impl FnOnce() -> EtcdError,
        cancel: &CancellationToken,
    ) -> Result<(), OperationError> {
        if self.clock.now() >= until {
            return Err(late().into());
        }
        tokio::select! {
            () = self.clock.sleep(LOOK) => Ok(()),
            () = cancel.cancelled() => Err(OperationError::Cancelled),
        }
    }
}

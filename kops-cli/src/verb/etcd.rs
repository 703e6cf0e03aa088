use std::time::Duration;

use clap::{Args, Subcommand};
use kops_core::clock::Timestamp;
use kops_core::etcd::Stamp;
use kops_core::operation::{EtcdRestore, Run};
use serde::Serialize;

use crate::cli::Output;
use crate::context::Context;
use crate::duration;
use crate::error::{CliError, ExitStatus};
use crate::run::{EventsArgs, carry_out};
use crate::signal::until_ended;
use crate::table::table;

/// The etcd clusters: `main` holds the Kubernetes objects, `events` the events.
const ETCD_CLUSTERS: [&str; 2] = ["main", "events"];

/// List, take and restore backups of etcd, which holds all that a cluster knows.
#[derive(Debug, Subcommand)]
pub(crate) enum EtcdVerb {
    /// Show the backups in the state store
    List(EtcdListArgs),
    /// Let the machines take a backup now, beside those they take by themselves
    Backup(EtcdBackupArgs),
    /// Preview and start the restore of a backup
    Restore(EtcdRestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EtcdListArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// The etcd cluster; without it, all
    #[arg(long, value_parser = ETCD_CLUSTERS)]
    etcd: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdBackupArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// The etcd cluster; without it, all
    #[arg(long, value_parser = ETCD_CLUSTERS)]
    etcd: Option<String>,
    /// How long to wait for it; 0 only asks
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5m")]
    wait: Duration,
}

/// Restore a backup of etcd on every member. Without --yes, only show what that means.
#[derive(Debug, Args)]
pub(crate) struct EtcdRestoreArgs {
    /// The backup, as `kops etcd list` shows it
    backup: Stamp,
    /// The etcd cluster
    #[arg(long, value_parser = ETCD_CLUSTERS, default_value = "main")]
    etcd: String,
    /// Restore it
    #[arg(short, long)]
    yes: bool,
    /// How long to wait until every member has done it; 0 only asks
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "15m")]
    wait: Duration,
    #[command(flatten)]
    events: EventsArgs,
}

pub(crate) async fn run(verb: EtcdVerb, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    match verb {
        EtcdVerb::List(args) => list(args, context).await,
        EtcdVerb::Backup(args) => backup(args, context).await,
        EtcdVerb::Restore(args) => restore(args, context).await,
    }
}

/// A backup as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    etcd: String,
    name: Stamp,
    taken: Timestamp,
    size: u64,
}

fn chosen(etcd: Option<&str>) -> Vec<&str> {
    etcd.map_or_else(|| ETCD_CLUSTERS.to_vec(), |etcd| vec![etcd])
}

async fn list(args: EtcdListArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    let mut backups = Vec::new();
    for etcd in chosen(args.etcd.as_deref()) {
        let found = kops.etcd_backups(&name, etcd).await?;
        backups.extend(found.into_iter().map(|backup| Listed {
            etcd: etcd.to_owned(),
            taken: backup.name.at(),
            name: backup.name,
            size: backup.size,
        }));
    }
    match args.output {
        Output::Table if backups.is_empty() => context.terminal.status(format_args!("No backups of {name}")),
        Output::Table => context.terminal.data(rows(&backups))?,
        Output::Json => context.terminal.data(format_args!("{:#}\n", serde_json::json!(backups)))?,
        Output::Yaml => context.terminal.data(kops_core::yaml::write(&backups)?)?,
    }
    Ok(ExitStatus::Done)
}

fn rows(backups: &[Listed]) -> String {
    let row = |backup: &Listed| {
        let size = format!("{:.1} KiB", backup.size as f64 / 1024.0);
        [backup.etcd.clone(), backup.name.to_string(), format!("{:.0}", backup.taken), size]
    };
    table(["ETCD", "BACKUP", "TAKEN", "SIZE"], backups.iter().map(row).collect())
}

async fn backup(args: EtcdBackupArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    for etcd in chosen(args.etcd.as_deref()) {
        let taken =
            until_ended(async |cancel| kops.back_up_etcd(&name, etcd, args.wait, cancel).await).await??;
        match taken {
            Some(backup) => context.terminal.status(format_args!("Backup of etcd {etcd}: {backup}")),
            None => context.terminal.status(format_args!("Asked for a backup of etcd {etcd}")),
        }
    }
    Ok(ExitStatus::Done)
}

async fn restore(args: EtcdRestoreArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let kops = context.kops(&name, None).await?;
    let restore = kops.plan_etcd_restore(&name, &args.etcd, &args.backup).await?;
    context.terminal.data(preview(&restore))?;
    if !args.yes {
        context.terminal.status("\nMust specify --yes to restore the backup");
        return Ok(ExitStatus::Done);
    }
    let work = async |run: Run<'_>| kops.restore_etcd(&restore, args.wait, run).await;
    carry_out(context, &args.events, work).await?;
    context.terminal.status(match args.wait.is_zero() {
        true => "\nAsked for the restore: machines do it as soon as they see it",
        false => "\nRestored; `kops validate cluster --wait 10m` says when the cluster is healthy again",
    });
    Ok(ExitStatus::Done)
}

fn preview(restore: &EtcdRestore) -> String {
    let EtcdRestore { cluster, etcd, members, backup, info, age } = restore;
    let age = duration::show(Duration::from_mins(age.as_secs() / 60));
    let what = match etcd.as_str() {
        "main" => "the whole cluster as Kubernetes knows it",
        _ => "its events",
    };
    format!(
        "Will restore etcd {etcd} of {cluster}, {what}, from the backup {backup}:\n\
         \x20 Backup              taken {age} ago, of etcd {}\n\
         \x20 Lost                everything that has changed there in these {age}\n\
         \x20 Members             {}; each restores the same backup\n\
         \x20 Meanwhile           the Kubernetes API does not answer, for a minute or two; pods go on running\n\
         \x20 Afterwards          pods that the backup does not know are ended; nodes that it does not know have to be \
         replaced\n\
         \x20 Kept                the present data, on each member's disk (/mnt/etcd-{etcd}/before-…)\n",
        info.etcd_version,
        members.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    )
}

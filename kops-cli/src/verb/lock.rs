use clap::{Args, Subcommand};
use kops_core::lease::{Ending, LeaseStatus, Standing};

use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::table;

/// Look at and end leases: whoever holds a cluster's lease is the only one to change the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum LockVerb {
    /// Who is changing a cluster, from where, since when, what for, and until when that is certain
    Status(LockStatusArgs),
    /// End the lease of a run that is dead
    Release(LockReleaseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LockStatusArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// End the lease of a run that is dead, and with --force of one that is alive, which stops that run.
#[derive(Debug, Args)]
pub(crate) struct LockReleaseArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Release it
    #[arg(short, long)]
    yes: bool,
    /// Even if its holder is alive, or it cannot be read
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(verb: LockVerb, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    match verb {
        LockVerb::Status(args) => status(args, context).await,
        LockVerb::Release(args) => release(args, context).await,
    }
}

async fn status(args: LockStatusArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let status = context.leases().await?.status(&name).await?;
    if status.is_none() {
        context.registry().await?.find(&name).await?;
    }
    match (args.output, &status) {
        (Output::Table, Some(status)) => context.terminal.data(row(status))?,
        (Output::Table, None) => context.terminal.status(nobody(&name)),
        (Output::Json, _) => context.terminal.data(format_args!("{:#}\n", serde_json::json!(status)))?,
        (Output::Yaml, _) => context.terminal.data(kops_core::yaml::write(&status)?)?,
    }
    Ok(ExitStatus::Done)
}

async fn release(args: LockReleaseArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let leases = context.leases().await?;
    if args.yes {
        let ending = if args.force { Ending::EvenAlive } else { Ending::OnlyExpired };
        match leases.release(&name, ending).await? {
            Some(ended) => context.terminal.status(format_args!("Released the lease of {name}: {ended}")),
            None => nothing_to_release(&name, context).await?,
        }
        return Ok(ExitStatus::Done);
    }
    match leases.status(&name).await? {
        Some(status) if status.standing != Standing::Free => {
            context.terminal.data(row(&status))?;
            if status.standing == Standing::Held {
                context.terminal.warning(
                    "its holder is alive: with --force, that run stops at its next renewal, in the middle of its work",
                );
            }
            context.terminal.status("\nMust specify --yes to release the lease");
        }
        _ => nothing_to_release(&name, context).await?,
    }
    Ok(ExitStatus::Done)
}

async fn nothing_to_release(name: &str, context: &Context<'_>) -> Result<(), CliError> {
    context.registry().await?.find(name).await?;
    context.terminal.status(nobody(name));
    Ok(())
}

fn nobody(name: &str) -> String {
    format!("Nobody is changing {name}")
}

fn row(status: &LeaseStatus) -> String {
    let standing = match status.standing {
        Standing::Free => "Free",
        Standing::Held => "Held",
        Standing::Expired => "Expired",
    };
    let row = [
        standing.to_owned(),
        status.holder.to_string(),
        status.purpose.to_string(),
        format!("{:.0}", status.since),
        format!("{:.0}", status.renewed),
        status.expires.map(|at| format!("{at:.0}")).unwrap_or_default(),
    ];
    table(["STATUS", "HOLDER", "PURPOSE", "SINCE", "RENEWED", "EXPIRES"], vec![row])
}

use clap::Args;
use kops_core::manifest::Manifest;
use kops_core::state::Replace;

use super::create::{FileArgs, read_manifests};
use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Replace manifests in the state store by those of a file.
#[derive(Debug, Args)]
pub(crate) struct ReplaceArgs {
    #[command(flatten)]
    files: FileArgs,
    /// Create what is not there yet
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(args: ReplaceArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let manifests = read_manifests(&args.files.filename, context)?;
    context.allow_only(manifests.iter().map(Manifest::cluster_name))?;
    let mode = if args.force { Replace::OrCreate } else { Replace::ExistingOnly };
    context.registry().await?.replace(manifests, mode).await?;
    Ok(ExitStatus::Done)
}

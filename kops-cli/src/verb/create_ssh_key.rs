use std::path::PathBuf;

use clap::Args;
use kops_core::manifest::{Manifest, Metadata, SshCredential, SshCredentialSpec};

use crate::context::{Context, read_file};
use crate::error::{CliError, ExitStatus};

/// Store an SSH public key that may log in to a cluster's machines.
#[derive(Debug, Args)]
pub(crate) struct CreateSshKeyArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// File with the public key, or - for standard input
    #[arg(short = 'i', long, value_name = "FILE")]
    ssh_public_key: PathBuf,
}

pub(crate) async fn run(args: CreateSshKeyArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let public_key = read_file(&args.ssh_public_key)?;
    let credential = SshCredential {
        metadata: Metadata::in_cluster("admin", name),
        spec: SshCredentialSpec { public_key },
    };
    context.registry().await?.create(vec![Manifest::from(credential)]).await?;
    context.terminal.status("Added ssh credential");
    Ok(ExitStatus::Done)
}

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kops_core::state::registry::Secret;

use super::create_ssh_key::{self, CreateSshKeyArgs};
use crate::context::{Context, read_bytes};
use crate::error::{CliError, ExitStatus};

/// Store a secret: dockerconfig, encryptionconfig, or one of another name.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct CreateSecretArgs {
    #[command(subcommand)]
    key: Option<KeyVerb>,
    /// Name of the secret
    #[arg(required = true)]
    secret: Option<String>,
    /// Name of the cluster
    cluster: Option<String>,
    /// File with its value, or - for standard input
    #[arg(short, long, required = true, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Replace the one that is there
    #[arg(long)]
    force: bool,
}

/// What was a secret to kops 1.10, and is none.
#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// As `create sshpublickey`, with a name that has to be admin
    #[command(name = "sshpublickey")]
    SshPublicKey(NamedKeyArgs),
}

#[derive(Debug, Args)]
struct NamedKeyArgs {
    /// Name of the key
    #[arg(value_parser = ["admin"])]
    _key: String,
    #[command(flatten)]
    args: CreateSshKeyArgs,
}

pub(crate) async fn run(args: CreateSecretArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    if let Some(KeyVerb::SshPublicKey(key)) = args.key {
        if args.force || args.filename.is_some() {
            return Err(CliError::new("what is asked of `create secret sshpublickey` has to come after it"));
        }
        return create_ssh_key::run(key.args, context).await;
    }
    let name = context.cluster_name(args.cluster.as_deref())?;
    let secret = args.secret.unwrap_or_default();
    let value = Secret::new(read_bytes(args.filename.as_deref().unwrap_or(Path::new("-")))?);
    let registry = context.registry().await?;
    if args.force {
        registry.replace_secret(&name, &secret, &value).await?;
    } else {
        registry.create_secret(&name, &secret, &value).await?;
    }
    context.terminal.status(format_args!("Stored secret {secret}"));
    Ok(ExitStatus::Done)
}

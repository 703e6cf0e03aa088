use clap::Args;

use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Delete a secret.
#[derive(Debug, Args)]
pub(crate) struct DeleteSecretArgs {
    /// Name of the secret
    secret: String,
    /// Name of the cluster
    cluster: Option<String>,
}

pub(crate) async fn run(args: DeleteSecretArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    context.registry().await?.delete_secret(&name, &args.secret).await?;
    context.terminal.status(format_args!("Deleted secret {}", args.secret));
    Ok(ExitStatus::Done)
}

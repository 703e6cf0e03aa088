use clap::Args;
use kops_core::ssh::PublicKey;

use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Delete an SSH public key. Machines that have it keep it until they are replaced.
#[derive(Debug, Args)]
pub(crate) struct DeleteSshKeyArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// MD5 fingerprint of the key, if there are several
    #[arg(long, value_name = "FINGERPRINT")]
    id: Option<String>,
}

pub(crate) async fn run(args: DeleteSshKeyArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let registry = context.registry().await?;
    let id = match args.id {
        Some(id) => id,
        None => match registry.load(&name).await?.ssh_keys.as_slice() {
            [] => return Err(CliError::new("No SSH public keys found")),
            [one] => PublicKey::parse(&one.spec.public_key)
                .map_err(|error| CliError::new("the stored key cannot be read").with_source(error))?
                .fingerprint(),
            _ => {
                return Err(CliError::new("there are several SSH public keys")
                    .with_hint("name one by --id; `kops get sshpublickeys` shows them"));
            }
        },
    };
    registry.delete_ssh_key(&name, &id).await?;
    context.terminal.status(format_args!("Deleted ssh credential {id}"));
    Ok(ExitStatus::Done)
}

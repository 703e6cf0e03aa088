use clap::Args;
use kops_core::pki::KeyId;

use super::create_keypair::named;
use super::promote_keypair::parse_id;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Stop trusting key pairs: those that are named, or else all that are older than the primary.
#[derive(Debug, Args)]
pub(crate) struct DistrustKeypairArgs {
    /// Name of the keyset, or all for every one whose keys are rotated
    keyset: String,
    /// Ids of key pairs
    #[arg(value_parser = parse_id)]
    ids: Vec<KeyId>,
}

pub(crate) async fn run(args: DistrustKeypairArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let keystore = context.keystore(&name).await?;
    for keyset in named(&args.keyset, !args.ids.is_empty(), context).await? {
        let distrusted = keystore.distrust(&name, &keyset, &args.ids).await?;
        for id in &distrusted {
            context.terminal.status(format_args!("Distrusted {keyset} {id}"));
        }
        if distrusted.is_empty() {
            context.terminal.status(format_args!("No {keyset} keypairs older than the primary"));
        }
    }
    Ok(ExitStatus::Done)
}

use clap::Args;
use kops_core::pki::KeyId;

use super::create_keypair::named;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Let a key pair sign: the one that is named, or else the newest.
#[derive(Debug, Args)]
pub(crate) struct PromoteKeypairArgs {
    /// Name of the keyset, or all for every one whose keys are rotated
    keyset: String,
    /// Id of the key pair
    #[arg(value_parser = parse_id)]
    id: Option<KeyId>,
}

pub(crate) async fn run(args: PromoteKeypairArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let keystore = context.keystore(&name).await?;
    for keyset in named(&args.keyset, args.id.is_some(), context).await? {
        match keystore.promote(&name, &keyset, args.id).await? {
            Some(id) => context.terminal.status(format_args!("Promoted {keyset} {id}")),
            None => context.terminal.status(format_args!("No {keyset} keypair newer than current primary")),
        }
    }
    Ok(ExitStatus::Done)
}

/// Reads the number of a key pair.
pub(super) fn parse_id(text: &str) -> Result<KeyId, &'static str> {
    KeyId::parse(text).ok_or("it is not a number")
}

use clap::{Args, Subcommand};
use kops_core::state::registry::GossipRotation;

use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Make anew what all machines of a cluster share, after an incident.
#[derive(Debug, Subcommand)]
pub(crate) enum RotateVerb {
    /// Take the next step to another key of the gossip: add a new one, later take the old one away
    GossipKey(RotateArgs),
    /// Withdraw the token that machines join with; the control plane makes another
    JoinToken(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Name of the cluster
    cluster: Option<String>,
}

pub(crate) async fn run(verb: RotateVerb, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let terminal = context.terminal;
    match verb {
        RotateVerb::GossipKey(args) => {
            let name = context.cluster_name(args.cluster.as_deref())?;
            match context.registry().await?.rotate_gossip_key(&name).await? {
                GossipRotation::Added { known } => terminal.status(format_args!(
                    "There is a new gossip key beside the old one. Run the same again after {known}, when all machines know it."
                )),
                GossipRotation::TooEarly { known } => terminal.status(format_args!(
                    "Nothing was done: machines may not know the new gossip key before {known}. Run the same again then."
                )),
                GossipRotation::Finished => terminal.status(format_args!(
                    "The new gossip key is the only one. Machines take the old one for up to 15 minutes."
                )),
            }
        }
        RotateVerb::JoinToken(args) => {
            let name = context.cluster_name(args.cluster.as_deref())?;
            match context.registry().await?.rotate_join_token(&name).await? {
                true => terminal.status(format_args!(
                    "The join token is withdrawn. The control plane makes another within 10 minutes; machines that join wait for it."
                )),
                false => terminal.status(format_args!(
                    "There is no join token; the control plane makes one within 10 minutes."
                )),
            }
        }
    }
    Ok(ExitStatus::Done)
}

use clap::Args;
use kops_core::manifest::CountOrPercent;
use kops_core::operation::{Access, Run};
use kops_core::rolling::RollOptions;

use super::rolling_update::{finish, options_of};
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::run::{EventsArgs, carry_out};

/// Replace one machine: cordon, drain, terminate. Its group launches another.
#[derive(Debug, Args)]
pub(crate) struct DeleteInstanceArgs {
    /// Id of the machine, or name of its node
    #[arg(value_name = "INSTANCE|NODE")]
    instance: String,
    /// Replace it
    #[arg(short, long)]
    yes: bool,
    /// Do not ask the Kubernetes API: nothing is drained
    #[arg(long)]
    cloudonly: bool,
    /// Let the replacement come up first, where the role allows it
    #[arg(long, default_value_t = true)]
    surge: bool,
    #[command(flatten)]
    events: EventsArgs,
}

pub(crate) async fn run(args: DeleteInstanceArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let kops = context.kops(&name, None).await?;
    let access = if args.cloudonly { Access::CloudOnly } else { Access::Kubernetes };
    let instances = kops.instances(&name, access).await?;
    let named = |id: &str, node: Option<&str>| id == args.instance || node == Some(&args.instance);
    let Some(found) = instances.iter().find(|i| named(i.id.as_str(), i.node.as_deref())) else {
        return Err(CliError::new(format!("could not find instance {}", args.instance))
            .with_hint("`kops get instances` shows those that there are"));
    };
    let node = found.node.as_deref().map(|node| format!(" ({node})")).unwrap_or_default();
    context.terminal.status(format_args!("Instance {}{node} found for deletion", found.id));
    if !args.yes {
        context.terminal.status("\nMust specify --yes to delete instance");
        return Ok(ExitStatus::Done);
    }
    let mut options: RollOptions = options_of(&kops, &name, context).await?;
    if !args.surge {
        for group in &mut options.policy.groups {
            group.rolling_update.max_surge = Some(CountOrPercent::Count(0));
        }
    }
    let work = async |run: Run<'_>| kops.delete_instance(&name, &found.id, options, access, run).await;
    finish(&carry_out(context, &args.events, work).await?, context)
}

use clap::Args;
use kops_core::operation::Run;

use super::delete_cluster::rows;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::question::ask;
use crate::run::{EventsArgs, carry_out};

/// Delete instance groups: their scaling groups, their machines, which are drained first, and their manifests. With groups
/// of the control plane go their members of etcd.
#[derive(Debug, Args)]
pub(crate) struct DeleteGroupArgs {
    /// Names of the instance groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
    /// Terminate its machines undrained, without asking the Kubernetes API
    #[arg(long)]
    cloudonly: bool,
    #[command(flatten)]
    events: EventsArgs,
}

pub(crate) async fn run(args: DeleteGroupArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let kops = context.kops(&name, None).await?;
    let groups = args.groups;
    let plan = kops.plan_delete_groups(&name, &groups).await?;
    for group in &groups {
        context.terminal.status(format_args!("InstanceGroup \"{group}\" found for deletion"));
    }
    context.terminal.data(rows(&plan))?;
    let mut options = context.run_options();
    if args.cloudonly {
        options.drain = None;
        context.terminal.warning("its machines are terminated at once: pods on them are killed");
    } else {
        plan.steps().iter().flat_map(|step| &step.details).for_each(|line| context.terminal.status(line));
    }
    if !args.yes {
        if !context.terminal.is_interactive() {
            context.terminal.status("\nMust specify --yes to delete instancegroup");
            return Ok(ExitStatus::Done);
        }
        let noun = if groups.len() == 1 { "instance group" } else { "instance groups" };
        let names = groups.iter().map(|group| format!("\"{group}\"")).collect::<Vec<_>>().join(", ");
        let question =
            format!("Do you really want to delete {noun} {names}? This action cannot be undone. (y/N)");
        if !matches!(ask(question).await?.as_str(), "y" | "Y" | "yes") {
            return Ok(ExitStatus::Declined);
        }
    }
    let work = async |run: Run<'_>| kops.delete_groups(&plan, &groups, &options, run).await;
    let report = carry_out(context, &args.events, work).await?;
    report.into_result()?;
    for group in &groups {
        context.terminal.status(format_args!("\nDeleted InstanceGroup: \"{group}\""));
    }
    Ok(ExitStatus::Done)
}

use std::sync::{Mutex, PoisonError};

use clap::Args;
use kops_aws::resource::AwsResource;
use kops_core::operation::{Access, Pass, ReconcileOptions, Run};
use kops_core::plan::Plan;

use super::rolling_update::options_of;
use super::update::{BreakingArgs, preview, warn};
use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::run::{EventsArgs, carry_out};

/// Update a cluster and replace its machines, in the order that Kubernetes wants. Without --yes, show what would change.
///
/// The control plane goes first. Workers get a new version of Kubernetes only when every machine of the control plane runs
/// it: no machine that a group launches meanwhile is ever too new. Interrupted at any point and started again, it carries on.
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Apply the changes and replace the machines
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    breaking: BreakingArgs,
    #[command(flatten)]
    events: EventsArgs,
}

pub(crate) async fn run(args: ReconcileArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = args.breaking.apply_to(context.kops(&name, None).await?);
    let options = options_of(&kops, &name, context).await?;
    if !args.yes {
        let plan = kops.plan_update(&name).await?;
        preview(&plan, Output::Table, context)?;
        let roll = kops.preview_roll(&name, &options.policy, Access::Kubernetes).await?;
        for group in roll.groups.iter().filter(|group| !group.needs_update.is_empty()) {
            let count = group.needs_update.len();
            context
                .terminal
                .status(format_args!("{count} machines of {} are out of date already", group.name));
        }
        return Ok(ExitStatus::Done);
    }
    let warnings: Mutex<Vec<String>> = Mutex::default();
    let review = |plan: &Plan<AwsResource>| {
        warn(plan.warnings(), context);
        *warnings.lock().unwrap_or_else(PoisonError::into_inner) = plan.warnings().to_vec();
    };
    let options = ReconcileOptions { run: context.run_options(), roll: options };
    let work = async |run: Run<'_>| kops.reconcile(&name, &options, run, review).await;
    let passes = carry_out(context, &args.events, work).await?;
    kops.remember(&name).await?;
    // The run's own lines have scrolled them away.
    warn(&warnings.into_inner().unwrap_or_else(PoisonError::into_inner), context);
    let replaced: usize = passes.iter().map(|pass| pass.rolled.terminated.len()).sum();
    let updated: usize = passes.iter().map(|pass| pass.updated.len()).sum();
    context.terminal.status(format_args!(
        "\nReconciled {name}: {updated} resources changed, {replaced} machines replaced"
    ));
    let skipped = |pass: &Pass| !pass.rolled.skipped.is_empty();
    if passes.iter().any(skipped) {
        return Err(CliError::new("some machines could not be replaced"));
    }
    Ok(ExitStatus::Done)
}

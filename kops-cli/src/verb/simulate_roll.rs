use std::time::Duration;

use clap::Args;
use kops_core::clock::{Clock, SystemClock};
use kops_core::operation::Access;
use kops_core::rolling::{Action, Replace, Simulation};

use super::rolling_update::options_of;
use crate::cli::Output;
use crate::context::Context;
use crate::duration;
use crate::error::{CliError, ExitStatus};

/// Show what a rolling update would do, in which order and in what time, tried on a copy of the cluster. Changes nothing.
///
/// Machines are assumed to take what those of this cluster took. What pods ask for, and where they may run, is not
/// considered.
#[derive(Debug, Args)]
pub(crate) struct SimulateRollArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// As if all machines were to be replaced, the current ones too
    #[arg(long)]
    force: bool,
    /// Form of the output
    #[arg(
        short,
        long,
        value_enum,
        default_value = "table",
        hide_possible_values = true,
        value_name = "table|json"
    )]
    output: Output,
}

pub(crate) async fn run(args: SimulateRollArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    if args.output == Output::Yaml {
        return Err(CliError::new("a simulation is printed as table or json"));
    }
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    let mut options = options_of(&kops, &name, context).await?;
    if args.force {
        options.policy.replace = Replace::LaunchedBefore(SystemClock.now());
    }
    let simulation = kops.simulate_roll(&name, &options, Access::Kubernetes).await?;
    if args.output == Output::Json {
        context.terminal.data(format_args!("{:#}\n", serde_json::json!(simulation)))?;
        return Ok(ExitStatus::Done);
    }
    context.terminal.data(steps(&simulation))?;
    simulation.blocked.iter().for_each(|budget| context.terminal.warning(budget));
    simulation.shortfalls.iter().for_each(|shortfall| context.terminal.warning(shortfall));
    match &simulation.stopped {
        Some(why) => context.terminal.warning(format_args!("it would stop: {why}")),
        None => context.terminal.status(summary(&simulation)),
    }
    Ok(ExitStatus::Done)
}

/// In their order, and not sorted by what they say.
fn steps(simulation: &Simulation) -> String {
    let line = |after: Duration, action: &Action| format!("{:<10}  {action}\n", show(after));
    let steps = simulation.steps.iter().map(|step| line(step.after, &step.action));
    std::iter::once(format!("{:<10}  STEP\n", "AFTER")).chain(steps).collect()
}

fn summary(simulation: &Simulation) -> String {
    let Simulation { took, evicted, assumptions, steps, .. } = simulation;
    let replaced = steps.iter().filter(|step| matches!(step.action, Action::Terminate { .. })).count();
    if replaced == 0 {
        return "\nNo rolling-update required.".to_owned();
    }
    format!(
        "\n{replaced} instances would be replaced and {evicted} pods moved, in {}, if machines take {} to boot and {} to join.",
        show(*took),
        show(assumptions.boot),
        show(assumptions.join)
    )
}

fn show(time: Duration) -> String {
    duration::show(Duration::from_secs(time.as_secs()))
}

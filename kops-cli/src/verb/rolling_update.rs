use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{Args, ValueEnum};
use kops_core::clock::{Clock, SystemClock};
use kops_core::manifest::Role;
use kops_core::operation::{Access, Kops, Run};
use kops_core::resource::Handle;
use kops_core::rolling::{
    GroupPreview, Pauses, Policy, Preview, Replace, RollOptions, RollReport, StuckDrain,
};

use crate::cli::Output;
use crate::context::{AnyProvider, Context, SIMULATED_POLL};
use crate::duration;
use crate::error::{CliError, ExitStatus};
use crate::question::ask;
use crate::role::RoleArg;
use crate::run::{EventsArgs, carry_out};
use crate::table::table;

/// Replace the machines that are not as their group's template says. Without --yes, show which and why.
///
/// Bastions go first, then the control plane one by one, then workers, the groups side by side. Each node is cordoned and
/// drained as disruption budgets allow. Interrupted at any point and started again, it carries on.
#[derive(Debug, Args)]
pub(crate) struct RollingUpdateArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Replace the machines
    #[arg(short, long)]
    yes: bool,
    /// Only these instance groups
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    instance_group: Vec<String>,
    /// Only the instance groups of these roles
    #[arg(long, value_delimiter = ',', value_enum, ignore_case = true, value_name = "ROLE")]
    instance_group_roles: Vec<RoleArg>,
    /// Replace all machines, the current ones too
    #[arg(long)]
    force: bool,
    /// Do not ask the Kubernetes API: nothing is drained, and machines count as soon as they run
    #[arg(long)]
    cloudonly: bool,
    /// Ask before each machine
    #[arg(short, long)]
    interactive: bool,
    /// What to do with a node that cannot be drained in time
    #[arg(long, value_enum, default_value = "fail")]
    stuck_drain: StuckDrainArg,
    #[arg(
        long,
        help = format!("How long a drain may take [default: {}]", duration::show(drain_timeout())),
        value_parser = duration::parse,
        value_name = "DURATION"
    )]
    drain_timeout: Option<Duration>,
    /// Stop when a node cannot be drained in time; false skips it, as --stuck-drain skip
    #[arg(long, default_value_t = true)]
    fail_on_drain_error: bool,
    /// Take nothing down while pods that the cluster depends on are not ready
    #[arg(long, default_value_t = true)]
    fail_on_validate_error: bool,
    /// How long nothing may change before the update gives up
    #[arg(long, value_parser = duration::parse, default_value = duration::show(Policy::new(Vec::new()).patience), value_name = "DURATION")]
    validation_timeout: Duration,
    /// For how long a new node has to be ready before it counts
    #[arg(long, value_parser = duration::parse, default_value = duration::show(Policy::new(Vec::new()).min_ready), value_name = "DURATION")]
    min_ready: Duration,
    /// Pause between machines of the control plane, on top of what is waited for
    #[arg(long, visible_alias = "master-interval", value_parser = duration::parse, default_value = "0s", value_name = "DURATION")]
    control_plane_interval: Duration,
    /// Pause between workers, on top of what is waited for
    #[arg(long, value_parser = duration::parse, default_value = "0s", value_name = "DURATION")]
    node_interval: Duration,
    /// Pause between bastions
    #[arg(long, value_parser = duration::parse, default_value = "0s", value_name = "DURATION")]
    bastion_interval: Duration,
    /// Pause between the last pod that has left a node and the node's termination
    #[arg(long, value_parser = duration::parse, default_value = "0s", value_name = "DURATION")]
    post_drain_delay: Duration,
    /// Form of the preview
    #[arg(
        short,
        long,
        value_enum,
        default_value = "table",
        hide_possible_values = true,
        value_name = "table|json"
    )]
    output: Output,
    #[command(flatten)]
    events: EventsArgs,
}

/// What to do with a node that cannot be drained in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StuckDrainArg {
    /// Go on trying
    Wait,
    /// Stop the update
    Fail,
    /// Leave the node as it is and go on with the others
    Skip,
    /// Delete its pods whatever their disruption budgets say
    ForceAfter,
}

fn drain_timeout() -> Duration {
    match Policy::new(Vec::new()).stuck {
        StuckDrain::Wait => Duration::ZERO,
        StuckDrain::Fail(after) | StuckDrain::Skip(after) | StuckDrain::ForceAfter(after) => after,
    }
}

impl RollingUpdateArgs {
    fn access(&self) -> Access {
        if self.cloudonly { Access::CloudOnly } else { Access::Kubernetes }
    }

    /// The defaults of the library, with what the user says over them.
    fn apply_to(&self, policy: Policy) -> Result<Policy, CliError> {
        for name in &self.instance_group {
            if !policy.groups.iter().any(|group| group.name == *name) {
                let known =
                    policy.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(CliError::new(format!("InstanceGroup {name:?} not found"))
                    .with_hint(format!("the cluster has {known}")));
            }
        }
        if !self.fail_on_drain_error && !matches!(self.stuck_drain, StuckDrainArg::Fail | StuckDrainArg::Skip)
        {
            return Err(CliError::new("--fail-on-drain-error=false and --stuck-drain contradict each other"));
        }
        if self.stuck_drain == StuckDrainArg::Wait && self.drain_timeout.is_some() {
            return Err(CliError::new(
                "--stuck-drain wait goes on trying: it has no use for --drain-timeout",
            ));
        }
        let timeout = self.drain_timeout.unwrap_or_else(drain_timeout);
        let stuck = match self.stuck_drain {
            StuckDrainArg::Fail if !self.fail_on_drain_error => StuckDrain::Skip(timeout),
            StuckDrainArg::Wait => StuckDrain::Wait,
            StuckDrainArg::Fail => StuckDrain::Fail(timeout),
            StuckDrainArg::Skip => StuckDrain::Skip(timeout),
            StuckDrainArg::ForceAfter => StuckDrain::ForceAfter(timeout),
        };
        let roles: Vec<Role> = self.instance_group_roles.iter().map(|role| role.role()).collect();
        let policy = policy.only(|group| {
            (self.instance_group.is_empty() || self.instance_group.contains(&group.name))
                && (roles.is_empty() || roles.contains(&group.role))
        });
        Ok(Policy {
            replace: if self.force { Replace::LaunchedBefore(SystemClock.now()) } else { Replace::Outdated },
            stuck,
            min_ready: self.min_ready,
            patience: self.validation_timeout,
            pauses: Pauses {
                control_plane: self.control_plane_interval,
                node: self.node_interval,
                bastion: self.bastion_interval,
                after_drain: self.post_drain_delay,
            },
            require_healthy: self.fail_on_validate_error,
            ..policy
        })
    }
}

pub(crate) async fn run(args: RollingUpdateArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    if args.output == Output::Yaml {
        return Err(CliError::new("a rolling update is printed as table or json"));
    }
    if args.interactive && !args.yes {
        return Err(CliError::new("--interactive asks before each machine is replaced: it needs --yes"));
    }
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    let options = options_of(&kops, &name, context).await?;
    let options = RollOptions { policy: args.apply_to(options.policy)?, ..options };
    let preview = kops.preview_roll(&name, &options.policy, args.access()).await?;
    show(&preview, args.output, context)?;
    if preview.is_empty() {
        context.terminal.status("\nNo rolling-update required.");
        return Ok(ExitStatus::Done);
    }
    if !args.yes {
        context.terminal.status("\nMust specify --yes to rolling-update.");
        return Ok(ExitStatus::Done);
    }
    if args.cloudonly {
        context.terminal.warning("nothing is drained: pods on the machines are killed");
    }
    if args.interactive {
        return one_by_one(&kops, &name, options, &args, &preview, context).await;
    }
    let report = roll(&kops, &name, &options, &args, context).await?;
    finish(&report, context)
}

/// The library's defaults for a cluster. What is simulated is quick, and looked at more often.
pub(super) async fn options_of(
    kops: &Kops<AnyProvider>,
    name: &str,
    context: &Context<'_>,
) -> Result<RollOptions, CliError> {
    let mut options = kops.roll_options(name).await?;
    if context.is_simulated() {
        options.poll = SIMULATED_POLL;
    }
    Ok(options)
}

async fn roll(
    kops: &Kops<AnyProvider>,
    name: &str,
    options: &RollOptions,
    args: &RollingUpdateArgs,
    context: &Context<'_>,
) -> Result<RollReport, CliError> {
    let work = async |run: Run<'_>| kops.rolling_update(name, options, args.access(), run).await;
    carry_out(context, &args.events, work).await
}

/// Says what became of it.
pub(super) fn finish(report: &RollReport, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    for (instance, why) in &report.skipped {
        context.terminal.warning(format_args!("{instance} was left as it is: {why}"));
    }
    for pod in &report.forced {
        context.terminal.warning(format_args!("pod {pod} was deleted against its disruption budget"));
    }
    if report.cancelled {
        return Err(CliError::new("cancelled").with_hint("run the same again to go on from there"));
    }
    let took = duration::show(Duration::from_secs(report.took.as_secs()));
    let (count, evicted) = (report.terminated.len(), report.evicted);
    context.terminal.status(format_args!(
        "\nRolling update completed: {count} instances replaced, {evicted} pods moved, in {took}."
    ));
    if report.skipped.is_empty() {
        Ok(ExitStatus::Done)
    } else {
        Err(CliError::new("some machines could not be replaced"))
    }
}

/// Replaces one machine after the other, each only when the user says so.
async fn one_by_one(
    kops: &Kops<AnyProvider>,
    name: &str,
    options: RollOptions,
    args: &RollingUpdateArgs,
    preview: &Preview,
    context: &Context<'_>,
) -> Result<ExitStatus, CliError> {
    for (instance, _) in preview.groups.iter().flat_map(|group| &group.needs_update) {
        match ask_about(instance, context).await? {
            Answer::Yes => {
                let policy = Policy {
                    replace: Replace::Only(BTreeSet::from([instance.clone()])),
                    ..options.policy.clone()
                };
                let one = RollOptions { policy, ..options.clone() };
                finish(&roll(kops, name, &one, args, context).await?, context)?;
            }
            Answer::No => return Ok(ExitStatus::Declined),
            Answer::Always => {
                return finish(&roll(kops, name, &options, args, context).await?, context);
            }
        }
    }
    Ok(ExitStatus::Done)
}

enum Answer {
    Yes,
    No,
    Always,
}

async fn ask_about(instance: &Handle, context: &Context<'_>) -> Result<Answer, CliError> {
    if !context.terminal.is_interactive() {
        return Err(CliError::new("nobody is there to answer").with_hint("leave out --interactive"));
    }
    let answer = ask(format_args!("Replace {instance}? (Y)es, (N)o, (A)lwaysYes: [Y]")).await?;
    Ok(match answer.to_ascii_lowercase().as_str() {
        "" | "y" | "yes" => Answer::Yes,
        "a" | "always" | "alwaysyes" => Answer::Always,
        _ => Answer::No,
    })
}

fn show(preview: &Preview, form: Output, context: &Context<'_>) -> Result<(), CliError> {
    if form == Output::Json {
        return context.terminal.data(format_args!("{:#}\n", serde_json::json!(preview)));
    }
    let rows = preview.groups.iter().map(|group| {
        let status = if group.needs_update.is_empty() { "Ready" } else { "NeedsUpdate" };
        let [min, target, max] = group.sizes;
        [
            group.name.clone(),
            group.role.to_string(),
            status.to_owned(),
            group.needs_update.len().to_string(),
            group.ready.to_string(),
            min.to_string(),
            target.to_string(),
            max.to_string(),
        ]
    });
    let header = ["NAME", "ROLE", "STATUS", "NEEDUPDATE", "READY", "MIN", "TARGET", "MAX"];
    context.terminal.data(table(header, rows.collect()))?;
    for group in preview.groups.iter().filter(|group| !group.needs_update.is_empty()) {
        context.terminal.data(format_args!("\n{}", reasons(group)))?;
    }
    for budget in &preview.blocked {
        context.terminal.warning(budget);
    }
    Ok(())
}

/// The machines that have to go, those with the same reasons together.
fn reasons(group: &GroupPreview) -> String {
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (instance, why) in &group.needs_update {
        let why = why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        by_reason.entry(why).or_default().push(instance.as_str());
    }
    let lines = by_reason.iter().map(|(why, instances)| format!("  {why}\n    {}\n", instances.join(" ")));
    format!(
        "{}: {} to replace; at most {} at a time run beside the group's size, at most {} are missing from it\n{}",
        group.name,
        group.needs_update.len(),
        group.surge,
        group.unavailable,
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;
    use crate::boolean;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: RollingUpdateArgs,
    }

    fn parse<const N: usize>(arguments: [&str; N]) -> Line {
        let matches = boolean::with_values(Line::command()).try_get_matches_from(arguments);
        matches.and_then(|matches| Line::from_arg_matches(&matches)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let line = parse(["kops"]);
        let policy = Policy::new(Vec::new());
        assert_eq!(line.args.apply_to(policy.clone()).unwrap_or_else(|error| panic!("{error}")), policy);
    }

    #[test]
    fn what_is_said_goes_over_them() {
        let line = parse([
            "kops",
            "--master-interval=5m0s",
            "--node-interval=4m",
            "--fail-on-drain-error=false",
            "--drain-timeout=1m",
            "--validation-timeout=30m",
        ]);
        let policy = line.args.apply_to(Policy::new(Vec::new())).unwrap_or_else(|error| panic!("{error}"));
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(policy.stuck, StuckDrain::Skip(minutes(1)));
        assert_eq!(policy.patience, minutes(30));
        let pauses = Pauses { control_plane: minutes(5), node: minutes(4), ..Pauses::default() };
        assert_eq!(policy.pauses, pauses);
    }
}

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use kops_aws::resource::AwsResource;
use kops_core::apply::Report;
use kops_core::operation::{BreakingChanges, Kops, RunOptions, Updated};
use kops_core::plan::{Plan, Purpose, Verb};

use crate::cli::Output;
use crate::context::{AnyProvider, Context, read_file};
use crate::error::{CliError, ExitStatus};
use crate::run::{EventsArgs, carry_out};

/// How many lines people see at once.
const SCREEN: usize = 20;

/// Preview what a cluster's manifests say, and apply it with --yes.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Apply the changes
    #[arg(short, long)]
    yes: bool,
    /// Form of the output: the plan as one JSON document with json
    #[arg(
        short,
        long,
        value_enum,
        default_value = "table",
        hide_possible_values = true,
        value_name = "table|json"
    )]
    output: Output,
    /// Take machines away undrained where a group gets smaller or goes, without asking the Kubernetes API
    #[arg(long)]
    cloudonly: bool,
    #[command(flatten)]
    breaking: BreakingArgs,
    /// Save the plan to a file
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    out: Option<PathBuf>,
    /// Apply exactly the plan saved in a file, or refuse because something has changed since
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Exit with status 2 when the preview shows changes
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    events: EventsArgs,
}

/// What is done about changes that break a running cluster.
#[derive(Debug, Args)]
pub(crate) struct BreakingArgs {
    /// Make changes that break a cluster that runs, such as other address ranges or a skipped version of Kubernetes
    #[arg(long)]
    allow_breaking_changes: bool,
}

impl BreakingArgs {
    /// The calls on a cluster, with what was said here.
    pub(crate) fn apply_to(&self, kops: Kops<AnyProvider>) -> Kops<AnyProvider> {
        kops.with_breaking_changes(match self.allow_breaking_changes {
            true => BreakingChanges::Allow,
            false => BreakingChanges::Refuse,
        })
    }
}

pub(crate) async fn run(args: UpdateArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    if args.output == Output::Yaml {
        return Err(CliError::new("a plan is printed as table or json"));
    }
    if args.yes && args.out.is_some() {
        return Err(CliError::new("--out saves a plan for later, --yes applies it now: give one of them"));
    }
    if args.yes && args.detailed_exitcode {
        return Err(CliError::new("--detailed-exitcode is for previews: leave it out with --yes"));
    }
    let saved = args.plan.as_deref().map(|path| read_plan(path, Purpose::Update)).transpose()?;
    let name = match &saved {
        Some(plan) => {
            let planned = plan.scope().cluster.clone();
            match context.given(args.cluster.as_deref())? {
                Some(given) if given != planned => {
                    return Err(CliError::new(format!(
                        "the plan is for cluster {planned:?}, not for {given:?}"
                    )));
                }
                _ => planned,
            }
        }
        None => context.cluster_name(args.cluster.as_deref())?,
    };
    let kops = args.breaking.apply_to(context.kops(&name, None).await?);
    if args.cloudonly {
        context.terminal.warning("machines that go are terminated at once: pods on them are killed");
    }
    if args.yes {
        let mut options = context.run_options();
        if args.cloudonly {
            options.drain = None;
        }
        return apply(&kops, &name, saved, &options, &args.events, args.output, context).await;
    }
    let plan = match saved {
        // Shown is what was planned now: the file says what it was to be, and may have been changed.
        Some(saved) => kops.check_saved(&saved).await?,
        None => kops.plan_update(&name).await?,
    };
    if let Some(path) = &args.out {
        save_plan(path, &plan)?;
    }
    preview(&plan, args.output, context)?;
    Ok(match plan.is_empty() {
        false if args.detailed_exitcode => ExitStatus::Pending,
        _ => ExitStatus::Done,
    })
}

/// Shows a plan that is not applied. Warnings come last, where a long plan does not scroll them away.
pub(crate) fn preview(plan: &Plan<AwsResource>, form: Output, context: &Context<'_>) -> Result<(), CliError> {
    if form == Output::Json {
        context.terminal.data(format_args!("{}\n", plan.to_json()))?;
        warn(plan.warnings(), context);
        return Ok(());
    }
    context.terminal.data(plan.display())?;
    warn(plan.warnings(), context);
    context.terminal.status(if plan.is_empty() {
        "No changes need to be applied"
    } else {
        "Must specify --yes to apply changes"
    });
    Ok(())
}

/// Shows warnings.
pub(super) fn warn(warnings: &[String], context: &Context<'_>) {
    warnings.iter().for_each(|warning| context.terminal.warning(warning));
}

/// Applies what the manifests say, or exactly the plan that was saved, and says what became of it.
pub(crate) async fn apply(
    kops: &Kops<AnyProvider>,
    cluster: &str,
    saved: Option<Plan<AwsResource>>,
    options: &RunOptions,
    events: &EventsArgs,
    form: Output,
    context: &Context<'_>,
) -> Result<ExitStatus, CliError> {
    let review = |plan: &Plan<AwsResource>| {
        warn(plan.warnings(), context);
        if plan.is_empty() {
            context.terminal.status("No changes need to be applied");
        }
    };
    let Updated { plan, report } = carry_out(context, events, async |run| match saved {
        None => kops.update(cluster, options, run, review).await,
        Some(saved) => {
            let plan = kops.check_saved(&saved).await?;
            review(&plan);
            let report = kops.apply(&plan, options, run).await?;
            Ok(Updated { plan, report })
        }
    })
    .await?;
    if form == Output::Json {
        context.terminal.data(format_args!("{}\n", as_json(&plan, &report)))?;
    }
    report.into_result()?;
    kops.remember(cluster).await?;
    if !plan.is_empty() {
        if plan.steps().len() > SCREEN {
            // The run's own lines have scrolled them away.
            warn(plan.warnings(), context);
        }
        context.terminal.status(what_next(&plan));
    }
    if !plan.blocked().is_empty() {
        return Err(CliError::new("not everything could be read, so not everything could be done")
            .with_hint("the warnings above name what is missing; run the same again when it can be read"));
    }
    Ok(ExitStatus::Done)
}

/// Says what has come of a plan, and what to do next.
fn what_next(plan: &Plan<AwsResource>) -> String {
    let cluster = &plan.scope().cluster;
    let mut verbs = plan.steps().iter().map(|step| step.action.verb());
    if verbs.clone().all(|verb| verb == Verb::Create) {
        return format!(
            "\nCluster is starting. It should be ready in a few minutes.\n\n\
             Suggestions:\n \
             * wait until it is healthy: kops validate cluster {cluster} --wait 10m\n \
             * let kubectl use it: kops export kubeconfig {cluster} --admin"
        );
    }
    let applied = "\nCluster changes have been applied to the cloud.";
    if verbs.any(|verb| verb == Verb::NewVersion) {
        return format!(
            "{applied}\nMachines that run already stay as they are until: kops rolling-update cluster {cluster} --yes"
        );
    }
    applied.to_owned()
}

fn as_json(plan: &Plan<AwsResource>, report: &Report) -> String {
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|f| serde_json::json!({"id": f.id, "class": f.error.class, "reason": f.error.to_string()}))
        .collect();
    let json = serde_json::json!({
        "cluster": plan.scope().cluster,
        "fingerprint": plan.fingerprint(),
        "cancelled": report.cancelled,
        "done": report.done,
        "failed": failed,
        "skipped": report.skipped,
    });
    format!("{json:#}")
}

/// Reads a plan that was saved for `purpose`.
fn read_plan(path: &Path, purpose: Purpose) -> Result<Plan<AwsResource>, CliError> {
    let plan = Plan::from_json(&read_file(path)?)?;
    if plan.purpose() == purpose {
        Ok(plan)
    } else {
        Err(CliError::new(format!("{} is a plan for something else", path.display())))
    }
}

/// Writes a plan into a new private file, which takes the place of what was there. A file that somebody else has open, or
/// has linked there, stays as it is.
fn save_plan(path: &Path, plan: &Plan<AwsResource>) -> Result<(), CliError> {
    let write = || {
        // A device or a pipe is written to: a file must not take its place.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return std::fs::OpenOptions::new().write(true).open(path)?.write_all(plan.to_json().as_bytes());
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(plan.to_json().as_bytes())?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| CliError::new(format!("cannot write {}", path.display())).with_source(error))
}

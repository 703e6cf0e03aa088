use std::time::Duration;

use clap::Args;
use kops_core::operation::Validation;
use kops_core::state::LoadedCluster;
use kops_core::validation::{Health, ValidateOptions, Verdict};
use tokio_util::sync::CancellationToken;

use super::get::group_table;
use crate::cli::Output;
use crate::context::Context;
use crate::duration;
use crate::error::{CliError, ExitStatus};
use crate::signal::until_ended;
use crate::table::table;

/// Hold a cluster's instance groups against its machines, nodes and system pods.
///
/// Exit status: 0 healthy, 2 not healthy, 1 it could not be told.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// For how long it may take to become healthy
    #[arg(long, value_parser = duration::parse, default_value = duration::show(Validation::default().wait), value_name = "DURATION")]
    wait: Duration,
    /// How many looks in a row have to find it healthy, with --wait
    #[arg(long, default_value_t = Validation::default().count, requires = "wait")]
    count: u32,
    /// Time between two looks, with --wait
    #[arg(long, value_parser = duration::parse, default_value = duration::show(Validation::default().interval), requires = "wait", value_name = "DURATION")]
    interval: Duration,
    /// How many workers may be missing or not ready
    #[arg(long, default_value_t = Validation::default().options.max_unready_nodes, value_name = "N")]
    max_unready_nodes: u32,
    /// Let pods count that the cluster itself does not depend on
    #[arg(long)]
    all_pods: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

impl ValidateArgs {
    fn validation(&self) -> Validation {
        Validation {
            options: ValidateOptions { max_unready_nodes: self.max_unready_nodes, all_pods: self.all_pods },
            wait: self.wait,
            count: self.count,
            interval: self.interval,
        }
    }
}

pub(crate) async fn run(args: ValidateArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    let loaded = kops.registry().load(&name).await?;
    let is_table = args.output == Output::Table;
    if is_table {
        context.terminal.data(format_args!("Validating cluster {name}\n\n"))?;
    }
    let validation = args.validation();
    let on_look = |health: &Health, verdict: Verdict| {
        if !validation.wait.is_zero() {
            context.terminal.status(progress(health, verdict));
        }
    };
    let look = async |cancel: &CancellationToken| kops.validate(&name, validation, &on_look, cancel).await;
    let (health, verdict) = until_ended(look).await??;
    match args.output {
        Output::Table => context.terminal.data(report(&loaded, &health))?,
        Output::Json => context.terminal.data(format_args!("{:#}\n", serde_json::json!(health)))?,
        Output::Yaml => context.terminal.data(kops_core::yaml::write(&health)?)?,
    }
    match (&health.unreachable, verdict) {
        (Some(reason), _) => Err(CliError::new(format!("the Kubernetes API of {name} does not answer: {reason}"))
            .with_hint("whether the cluster is healthy cannot be told; a new one needs some minutes: give it time with --wait 10m")),
        (None, Verdict::Healthy) => Ok(ExitStatus::Done),
        (None, _) => Ok(ExitStatus::Unhealthy),
    }
}

fn progress(health: &Health, verdict: Verdict) -> String {
    match verdict {
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Settling => "healthy; looking again, to be sure".to_owned(),
        Verdict::Unknown => {
            format!(
                "waiting: the Kubernetes API does not answer ({})",
                health.unreachable.as_deref().unwrap_or_default()
            )
        }
        Verdict::Unhealthy => match health.failures.as_slice() {
            [first, rest @ ..] if !rest.is_empty() => format!("waiting: {first}; and {} more", rest.len()),
            [first, ..] => format!("waiting: {first}"),
            [] => "waiting".to_owned(),
        },
    }
}

fn report(loaded: &LoadedCluster, health: &Health) -> String {
    let name = loaded.cluster.name();
    let mut text = format!("INSTANCE GROUPS\n{}\n", group_table(&loaded.cluster, &loaded.groups));
    if health.unreachable.is_some() {
        return if health.failures.is_empty() { text } else { text + &failures(health) };
    }
    let nodes = health.nodes.iter().map(|n| [n.name.clone(), n.role.to_string(), n.status.clone()]);
    text += &format!("NODE STATUS\n{}\n", table(["NAME", "ROLE", "READY"], nodes.collect()));
    if health.is_healthy() {
        return text + &format!("Your cluster {name} is ready\n");
    }
    text + &failures(health) + "Validation Failed\n"
}

fn failures(health: &Health) -> String {
    let rows = health
        .failures
        .iter()
        .map(|failure| [failure.kind.to_string(), failure.name.clone(), failure.to_string()]);
    format!("VALIDATION ERRORS\n{}\n", table(["KIND", "NAME", "MESSAGE"], rows.collect()))
}

use clap::Args;
use kops_aws::resource::AwsResource;
use kops_core::kubeconfig::{Kubeconfig, Removal};
use kops_core::plan::{Plan, Verb};
use kops_core::state::RegistryError;

use super::update::warn;
use crate::cli::Output;
use crate::context::Context;
use crate::environment::kubeconfig_paths;
use crate::error::{CliError, ExitStatus};
use crate::run::{EventsArgs, carry_out};
use crate::table::table;

/// Preview everything that would go with a cluster, and delete it with --yes.
#[derive(Debug, Args)]
pub(crate) struct DeleteClusterArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Delete
    #[arg(short, long)]
    yes: bool,
    /// Only remove the manifests and keys from the state store
    #[arg(long)]
    unregister: bool,
    /// Also delete what the manifests name by its id, if it carries the cluster's tags
    #[arg(long)]
    include_shared: bool,
    /// Delete the resources of a cluster that has no manifests, by its name
    #[arg(long)]
    external: bool,
    /// Region of a cluster that has no manifests
    #[arg(long)]
    region: Option<String>,
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
    #[command(flatten)]
    events: EventsArgs,
}

pub(crate) async fn run(args: DeleteClusterArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    check(&args)?;
    let name = context.said_cluster_name(args.cluster.as_deref())?;
    let registry = context.registry().await?;
    match (registry.load(&name).await, args.external) {
        (Err(RegistryError::NotFound(_)), true) | (Ok(_), false) => {}
        (Ok(_), true) => {
            return Err(CliError::new(format!("cluster {name:?} has manifests in {}", registry.store()))
                .with_hint("--external is for clusters without: leave it out"));
        }
        // A manifest that cannot be read must not keep its cluster from going.
        (Err(RegistryError::Unreadable { .. } | RegistryError::Invalid(_)), _) => {}
        (Err(error), _) => return Err(error.into()),
    }
    let kops = context.kops(&name, args.region.as_deref()).await?;
    // Once the cluster is gone, nobody knows any more which entries of kubectl's configuration were its own.
    let authorities = kops.authorities(&name).await.ok();
    if args.unregister {
        if !args.yes {
            context.terminal.status("Must specify --yes to unregister the cluster");
            return Ok(ExitStatus::Done);
        }
        carry_out(context, &args.events, async |run| kops.unregister(&name, run).await).await?;
        forget_access(&name, authorities.as_deref(), context);
        context.terminal.status(format_args!("Unregistered cluster: \"{name}\""));
        return Ok(ExitStatus::Done);
    }
    let plan = match args.include_shared {
        true => kops.plan_delete_with_shared(&name).await?,
        false => kops.plan_delete(&name).await?,
    };
    if args.output == Output::Json {
        context.terminal.data(format_args!("{}\n", plan.to_json()))?;
    } else if plan.is_empty() {
        context.terminal.data("No cloud resources to delete\n")?;
    } else {
        context.terminal.data(rows(&plan))?;
    }
    warn(plan.warnings(), context);
    if !args.yes {
        context.terminal.status("\nMust specify --yes to delete cluster");
        return Ok(ExitStatus::Done);
    }
    let deleted = carry_out(context, &args.events, async |run| {
        kops.delete(&plan, &context.run_options().apply, run).await
    })
    .await?;
    forget_access(&name, authorities.as_deref(), context);
    let left = deleted.left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let left =
        if left.is_empty() { "nothing left".to_owned() } else { format!("only what is shared: {left}") };
    context.terminal.status(format_args!(
        "\nDeleted cluster: \"{name}\" ({} resources; a search of the cloud finds {left})",
        deleted.resources.len()
    ));
    Ok(ExitStatus::Done)
}

/// Refuses options that would not be acted on.
fn check(args: &DeleteClusterArgs) -> Result<(), CliError> {
    let wrong = if args.output == Output::Yaml {
        "a plan is printed as table or json"
    } else if args.unregister && args.external {
        "--unregister is for clusters that have manifests, --external for those that have none"
    } else if args.unregister && args.output != Output::Table {
        "--unregister deletes nothing in the cloud: there is no plan to print"
    } else if args.include_shared && (args.unregister || args.external) {
        "--include-shared is about what manifests name by its id: leave out --unregister and --external"
    } else if args.region.is_some() && !args.external {
        "--region is for --external: the manifests name the region of their cluster"
    } else {
        return Ok(());
    };
    Err(CliError::new(wrong))
}

/// Takes a cluster that is gone out of kubectl's configuration. When that does not work, the cluster is gone all the same.
fn forget_access(cluster: &str, authorities: Option<&str>, context: &Context<'_>) {
    for path in kubeconfig_paths() {
        match Kubeconfig::remove_from_file(&path, cluster, authorities) {
            Ok(Removal::Absent) => {}
            Ok(Removal::Removed) => {
                context.terminal.status(format_args!("Deleted kubectl config for {cluster}"));
            }
            Ok(Removal::Foreign) => context.terminal.warning(format_args!(
                "{} keeps its entries for {cluster}: they are those of another cluster of that name",
                path.display()
            )),
            Err(error) => {
                let error = CliError::from(error);
                context
                    .terminal
                    .warning(format_args!("{cluster} is still in kubectl's configuration: {error:#}"));
            }
        }
    }
}

/// What a plan deletes, as a table.
pub(crate) fn rows(plan: &Plan<AwsResource>) -> String {
    let deleted = plan.steps().iter().filter(|step| step.action.verb() == Verb::Delete);
    let rows = deleted.filter_map(|step| {
        let current = step.action.current()?;
        Some([step.id.kind.to_string(), step.id.name.clone(), current.handle.to_string()])
    });
    table(["TYPE", "NAME", "ID"], rows.collect())
}

use clap::Args;
use kops_aws::resource::AwsResource;
use kops_core::plan::Plan;
use kops_core::state::RegistryError;

use super::update::carry_out;
use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
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
}

pub(crate) async fn run(args: DeleteClusterArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.said_cluster_name(args.cluster.as_deref())?;
    if !args.external {
        match context.registry().await?.load(&name).await {
            // A manifest that cannot be read must not keep its cluster from going.
            Ok(_) | Err(RegistryError::Unreadable { .. } | RegistryError::Invalid(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let kops = context.kops(&name, args.region.as_deref()).await?;
    if args.unregister {
        if !args.yes {
            context.terminal.status("Must specify --yes to unregister the cluster");
            return Ok(ExitStatus::Done);
        }
        carry_out(context, &context.apply_options(), async |run| kops.unregister(&name, run).await).await?;
        context.terminal.status(format_args!("Unregistered cluster: \"{name}\""));
        return Ok(ExitStatus::Done);
    }
    let plan = kops.plan_delete(&name).await?;
    plan.warnings().iter().for_each(|warning| context.terminal.warning(warning));
    if args.output == Output::Json {
        context.terminal.data(format_args!("{}\n", plan.to_json()));
    } else if plan.is_empty() {
        context.terminal.data("No cloud resources to delete\n");
    } else {
        context.terminal.data(rows(&plan));
    }
    if !args.yes {
        context.terminal.status("\nMust specify --yes to delete cluster");
        return Ok(ExitStatus::Done);
    }
    let deleted =
        carry_out(context, &context.apply_options(), async |run| kops.delete(&plan, run).await).await?;
    context.terminal.status(format_args!(
        "\nDeleted cluster: \"{name}\" ({} resources; a search of the cloud finds nothing left)",
        deleted.resources.len()
    ));
    Ok(ExitStatus::Done)
}

/// What a plan deletes, as a table.
pub(crate) fn rows(plan: &Plan<AwsResource>) -> String {
    let rows = plan.steps().iter().filter_map(|step| {
        let current = step.action.current()?;
        Some([step.id.kind.to_string(), step.id.name.clone(), current.handle.to_string()])
    });
    table(["TYPE", "NAME", "ID"], rows.collect())
}

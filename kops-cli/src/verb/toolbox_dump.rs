use clap::Args;
use kops_core::operation::Access;

use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Show all that is known of a cluster as one document: manifests, resources, machines and nodes, without secrets.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Do not ask the Kubernetes API: no nodes are shown
    #[arg(long)]
    cloudonly: bool,
    /// Form of the output
    #[arg(
        short,
        long,
        value_enum,
        default_value = "yaml",
        hide_possible_values = true,
        value_name = "yaml|json"
    )]
    output: Output,
}

pub(crate) async fn run(args: DumpArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let access = if args.cloudonly { Access::CloudOnly } else { Access::Kubernetes };
    let dump = context.kops(&name, None).await?.dump(&name, access).await?;
    match args.output {
        Output::Yaml => context.terminal.data(kops_core::yaml::write(&dump)?)?,
        Output::Json => context.terminal.data(format_args!("{:#}\n", serde_json::json!(dump)))?,
        Output::Table => return Err(CliError::new("a dump is printed as yaml or json")),
    }
    Ok(ExitStatus::Done)
}

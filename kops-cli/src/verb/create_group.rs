use clap::Args;
use kops_core::create;
use kops_core::manifest::{Manifest, Recommendations, write};
use kops_core::state::RegistryError;

use super::edit::{Refused, Unchanged, edit};
use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::role::RoleArg;

/// Make the manifest of another instance group, in an editor unless told otherwise.
#[derive(Debug, Args)]
pub(crate) struct CreateGroupArgs {
    /// Name of the instance group
    group: String,
    /// What its machines are for
    #[arg(long, value_enum, ignore_case = true, default_value = "node")]
    role: RoleArg,
    /// Subnets of its machines [default: all of the cluster's]
    #[arg(long, value_delimiter = ',', value_name = "SUBNET")]
    subnet: Vec<String>,
    /// Open an editor on the manifest first
    #[arg(long, default_value_t = true)]
    edit: bool,
    /// Print the manifest and store nothing; needs --output
    #[arg(long)]
    dry_run: bool,
    /// Form of what --dry-run prints
    #[arg(short, long, value_enum, value_name = "yaml|json", hide_possible_values = true)]
    output: Option<Output>,
}

pub(crate) async fn run(args: CreateGroupArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    match (args.dry_run, args.output) {
        (true, None | Some(Output::Table)) => {
            return Err(CliError::new("must set output flag; yaml or json"));
        }
        (false, Some(_)) => return Err(CliError::new("--output is for what --dry-run prints")),
        _ => {}
    }
    let name = context.cluster_name(None)?;
    let registry = context.registry().await?;
    let loaded = registry.load(&name).await?;
    let role = args.role.role();
    let group = create::group(&loaded.cluster, &args.group, role, &args.subnet, &Recommendations::default());
    let manifest = Manifest::from(group);
    if args.dry_run {
        match args.output {
            Some(Output::Json) => {
                context.terminal.data(format_args!("{:#}\n", serde_json::json!(manifest)))?
            }
            _ => context.terminal.data(write([&manifest])?)?,
        }
        return Ok(ExitStatus::Done);
    }
    let created = async |manifest: Manifest| -> Result<(), RegistryError> {
        let line = format!("\nCreated instancegroup/{}", manifest.metadata().name);
        let missing = match manifest {
            Manifest::InstanceGroup(group) => registry.create_group(*group).await?,
            other => registry.create(vec![other]).await.map(|()| Vec::new())?,
        };
        context.terminal.status(line);
        match missing.as_slice() {
            [] => {
                context.terminal.status(format_args!("\nTo deploy it, run: kops update cluster {name} --yes"))
            }
            missing => missing
                .iter()
                .for_each(|what| context.terminal.warning(format_args!("no update yet: {what}"))),
        }
        Ok(())
    };
    if args.edit {
        let save = async |manifest| created(manifest).await.map_err(Refused::from);
        return edit(&manifest, Unchanged::Saves, context, save).await;
    }
    created(manifest).await?;
    Ok(ExitStatus::Done)
}

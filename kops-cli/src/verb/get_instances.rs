use clap::Args;
use kops_core::fleet::InstanceState;
use kops_core::operation::{Access, ClusterInstance, InstanceStatus};

use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::table;

/// Show the machines of a cluster, with their nodes.
#[derive(Debug, Args)]
pub(crate) struct GetInstancesArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Do not ask the Kubernetes API: no nodes are shown
    #[arg(long)]
    cloudonly: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) async fn run(args: GetInstancesArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    let access = if args.cloudonly { Access::CloudOnly } else { Access::Kubernetes };
    let instances = kops.instances(&name, access).await?;
    match args.output {
        Output::Table => context.terminal.data(rows(&instances))?,
        Output::Json => context.terminal.data(format_args!("{:#}\n", serde_json::json!(instances)))?,
        Output::Yaml => context.terminal.data(kops_core::yaml::write(&instances)?)?,
    }
    Ok(ExitStatus::Done)
}

fn rows(instances: &[ClusterInstance]) -> String {
    let header = [
        "ID",
        "NODE-NAME",
        "STATUS",
        "ROLES",
        "STATE",
        "INTERNAL-IP",
        "ZONE",
        "INSTANCE-GROUP",
        "MACHINE-TYPE",
    ];
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let row = |instance: &ClusterInstance| {
        let status = match instance.status {
            InstanceStatus::UpToDate => "UpToDate",
            InstanceStatus::NeedsUpdate => "NeedsUpdate",
            InstanceStatus::Detached => "Detached",
        };
        let state = match instance.state {
            InstanceState::Pending => "Pending",
            InstanceState::Running => "Running",
            InstanceState::Terminating => "Terminating",
        };
        [
            instance.id.to_string(),
            text(&instance.node),
            status.to_owned(),
            instance.role.to_string(),
            state.to_owned(),
            text(&instance.internal_ip),
            text(&instance.zone),
            instance.instance_group.clone(),
            text(&instance.machine_type),
        ]
    };
    table(header, instances.iter().map(row).collect())
}

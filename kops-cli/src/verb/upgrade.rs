use clap::Args;
use kops_core::manifest::versions::KubernetesVersion;

use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::table;

/// Change the manifests for another version of Kubernetes. Without --yes, show the changes.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// The version to go to [default: the one that the cluster should have next]
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<KubernetesVersion>,
    /// Store the changed manifests
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: UpgradeArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let kops = context.kops(&name, None).await?;
    let (loaded, upgrade) = kops.plan_upgrade(&name, args.kubernetes_version).await?;
    if upgrade.changes.is_empty() {
        context.terminal.status("\nNo upgrade required");
        return Ok(ExitStatus::Done);
    }
    let rows = upgrade
        .changes
        .iter()
        .map(|change| [change.item.clone(), change.property.clone(), change.old.clone(), change.new.clone()]);
    context.terminal.data(table(["ITEM", "PROPERTY", "OLD", "NEW"], rows.collect()))?;
    if !args.yes {
        context.terminal.status("\nMust specify --yes to perform upgrade");
        return Ok(ExitStatus::Done);
    }
    kops.upgrade(&loaded, &upgrade).await?;
    context.terminal.status(format_args!(
        "\nUpdates applied to configuration.\nYou can now apply these changes, using `kops reconcile cluster {name}`"
    ));
    Ok(ExitStatus::Done)
}

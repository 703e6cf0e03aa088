use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kops_core::kubeconfig::{ApiAddress, Kubeconfig, User};
use kops_core::pki::Leaf;

use crate::context::Context;
use crate::duration;
use crate::environment::{holder, kubeconfig_paths};
use crate::error::{CliError, ExitStatus};

/// Let kubectl use a cluster: put its address, its authority and a user into kubectl's configuration.
///
/// Entries of others stay as they are, and so does what is not known here. Without --admin and --user, the user that
/// the cluster had there before stays.
#[derive(Debug, Args)]
pub(crate) struct ExportKubeconfigArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Issue a certificate with every right in the cluster, for so long
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        value_parser = duration::parse,
        default_missing_value = duration::show(Leaf::ADMIN_LIFETIME),
        value_name = "DURATION",
        conflicts_with = "user"
    )]
    admin: Option<Duration>,
    /// Use a user that is in kubectl's configuration already
    #[arg(long)]
    user: Option<String>,
    /// File of kubectl's configuration [default: of $KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Use the API's name inside the cluster's network
    #[arg(long)]
    internal: bool,
    /// Use this address of the API
    #[arg(long, value_name = "URL")]
    api_server: Option<String>,
}

pub(crate) async fn run(args: ExportKubeconfigArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let address = match (args.api_server, args.internal) {
        (Some(_), true) => return Err(CliError::new("--internal and --api-server name two addresses")),
        (Some(address), false) => ApiAddress::Given(address),
        (None, true) => ApiAddress::Internal,
        (None, false) => ApiAddress::Public,
    };
    let kops = context.kops(&name, None).await?;
    let user = match (args.admin, args.user) {
        (Some(lifetime), _) => {
            User::Certificate(kops.keystore().admin(&name, &holder().name, lifetime).await?)
        }
        (None, Some(user)) => User::Named(user),
        (None, None) => User::Unchanged,
    };
    let access = kops.cluster_access(&name, address, user).await?;
    let path = args.kubeconfig.map_or_else(file_of_kubectl, Ok)?;
    let mut has_user = true;
    Kubeconfig::change_file(&path, |config| {
        config.merge(&access)?;
        has_user = !matches!(access.user, User::Unchanged) || config.has_user(&name);
        Ok(())
    })?;
    context.terminal.status(format_args!("kops has set your kubectl context to {name}"));
    if !has_user {
        context.terminal.warning("it has no credentials yet: --admin issues some, --user names some");
    }
    Ok(ExitStatus::Done)
}

/// The file that kubectl would change: of those in KUBECONFIG the first that exists, or the last.
fn file_of_kubectl() -> Result<PathBuf, CliError> {
    let mut paths = kubeconfig_paths();
    let last = paths.pop();
    paths.into_iter().find(|path| path.exists()).or(last).ok_or_else(|| {
        CliError::new("kubectl's configuration has no place").with_hint("name a file by --kubeconfig")
    })
}

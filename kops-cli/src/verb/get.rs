use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use kops_core::manifest::{Cluster, InstanceGroup, Manifest, Role, write};
use kops_core::state::LoadedCluster;

use super::get_instances::{self, GetInstancesArgs};
use super::get_keypairs::{self, GetKeypairsArgs};
use super::get_secrets::{self, GetSecretsArgs};
use super::get_ssh_keys::{self, GetSshKeysArgs};
use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::table;

/// Show clusters, instance groups, or all of a cluster.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(subcommand)]
    what: Option<GetVerb>,
    /// Name of the cluster
    cluster: Option<String>,
    /// Form of the output [default: table]
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

#[derive(Debug, Subcommand)]
enum GetVerb {
    /// Clusters, or some of them
    #[command(visible_alias = "cluster")]
    Clusters(ClustersArgs),
    /// The instance groups of a cluster, or some of them
    #[command(name = "instancegroups", visible_aliases = ["ig", "igs", "instancegroup"])]
    InstanceGroups(GroupArgs),
    /// The machines of a cluster
    #[command(visible_alias = "instance")]
    Instances(GetInstancesArgs),
    /// The key pairs of a cluster's keysets
    #[command(visible_alias = "keypair")]
    Keypairs(GetKeypairsArgs),
    /// The names of a cluster's secrets
    #[command(visible_alias = "secret")]
    Secrets(GetSecretsArgs),
    /// The SSH public keys that may log in to the machines
    #[command(name = "sshpublickeys", visible_alias = "sshpublickey")]
    SshPublicKeys(GetSshKeysArgs),
    /// A cluster and its instance groups
    All(ClusterArgs),
}

#[derive(Debug, Args)]
struct ClustersArgs {
    /// Names of clusters [default: the one of --name or KOPS_CLUSTER_NAME, else all]
    clusters: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct ClusterArgs {
    /// Name of the cluster
    cluster: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct GroupArgs {
    /// Names of instance groups
    groups: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) async fn run(args: GetArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    if args.what.is_some() && (args.cluster.is_some() || args.output.is_some()) {
        return Err(CliError::new("what is asked of `kops get WHAT` has to come after WHAT"));
    }
    match args.what {
        Some(GetVerb::Clusters(args)) => clusters(args, context).await,
        Some(GetVerb::InstanceGroups(args)) => groups(args, context).await,
        Some(GetVerb::Instances(args)) => return get_instances::run(args, context).await,
        Some(GetVerb::Keypairs(args)) => return get_keypairs::run(args, context).await,
        Some(GetVerb::Secrets(args)) => return get_secrets::run(args, context).await,
        Some(GetVerb::SshPublicKeys(args)) => return get_ssh_keys::run(args, context).await,
        Some(GetVerb::All(args)) => all(args, context).await,
        None => {
            let output = OutputArgs { output: args.output.unwrap_or(Output::Table) };
            all(ClusterArgs { cluster: args.cluster, output }, context).await
        }
    }?;
    Ok(ExitStatus::Done)
}

async fn clusters(args: ClustersArgs, context: &Context<'_>) -> Result<(), CliError> {
    context.allow_only(args.clusters.iter().map(String::as_str))?;
    let names = match args.clusters.as_slice() {
        [] => context.named(None)?.into_iter().collect(),
        _ => args.clusters,
    };
    let registry = context.registry().await?;
    let mut clusters = Vec::new();
    for name in &names {
        clusters.push(registry.load(name).await?.cluster);
    }
    if names.is_empty() {
        clusters = registry.clusters().await?;
    }
    if clusters.is_empty() {
        return Err(CliError::new("no clusters found"));
    }
    match args.output.output {
        Output::Table => context.terminal.data(cluster_table(&clusters))?,
        form => {
            let shape = Shape::of(&names);
            print(clusters.into_iter().map(Manifest::from).collect(), form, shape, context)?;
        }
    }
    Ok(())
}

async fn groups(args: GroupArgs, context: &Context<'_>) -> Result<(), CliError> {
    let loaded = load(None, context).await?;
    let chosen: Vec<InstanceGroup> = if args.groups.is_empty() {
        loaded.groups.clone()
    } else {
        args.groups.iter().map(|name| Ok(loaded.group(name)?.clone())).collect::<Result<_, CliError>>()?
    };
    if chosen.is_empty() {
        return Err(CliError::new("No InstanceGroup objects found"));
    }
    match args.output.output {
        Output::Table => context.terminal.data(group_table(&loaded.cluster, &chosen))?,
        form => {
            let shape = Shape::of(&args.groups);
            print(chosen.into_iter().map(Manifest::from).collect(), form, shape, context)?;
        }
    }
    Ok(())
}

async fn all(args: ClusterArgs, context: &Context<'_>) -> Result<(), CliError> {
    let loaded = load(args.cluster.as_deref(), context).await?;
    let LoadedCluster { cluster, groups, .. } = loaded;
    match args.output.output {
        Output::Table => {
            context
                .terminal
                .data(format_args!("Cluster\n{}\n", cluster_table(std::slice::from_ref(&cluster))))?;
            context.terminal.data(format_args!("Instance Groups\n{}", group_table(&cluster, &groups)))?;
        }
        form => {
            let groups = groups.into_iter().map(Manifest::from);
            let manifests = std::iter::once(Manifest::from(cluster)).chain(groups).collect();
            print(manifests, form, Shape::List, context)?;
        }
    }
    Ok(())
}

async fn load(argument: Option<&str>, context: &Context<'_>) -> Result<LoadedCluster, CliError> {
    let name = context.cluster_name(argument)?;
    let loaded = context.registry().await?.load(&name).await?;
    loaded.warnings.iter().for_each(|warning| context.terminal.warning(warning));
    for left_out in &loaded.left_out {
        context.terminal.warning(format_args!("{left_out}; the field is not shown"));
    }
    Ok(loaded)
}

/// What JSON holds. It goes by what was asked for, not by what was found: scripts rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The one object that was asked for by its name.
    Object,
    /// A list, however long.
    List,
}

impl Shape {
    fn of(names: &[String]) -> Self {
        if names.len() == 1 { Self::Object } else { Self::List }
    }
}

/// Prints manifests: as YAML documents, or as JSON.
pub(crate) fn print(
    manifests: Vec<Manifest>,
    form: Output,
    shape: Shape,
    context: &Context<'_>,
) -> Result<(), CliError> {
    match form {
        Output::Yaml | Output::Table => context.terminal.data(write(&manifests)?)?,
        Output::Json => {
            let json = match (manifests.as_slice(), shape) {
                ([one], Shape::Object) => serde_json::to_string_pretty(one),
                (several, _) => serde_json::to_string_pretty(several),
            };
            let json = json.map_err(|error| CliError::new("cannot write JSON").with_source(error))?;
            context.terminal.data(format_args!("{json}\n"))?;
        }
    }
    Ok(())
}

fn cluster_table(clusters: &[Cluster]) -> String {
    let row = |cluster: &Cluster| {
        let zones: BTreeSet<&str> = cluster.spec.subnets.iter().map(|subnet| subnet.zone()).collect();
        let zones = zones.into_iter().collect::<Vec<_>>().join(",");
        [cluster.name().to_owned(), cluster.spec.cloud_provider.clone().unwrap_or_default(), zones]
    };
    table(["NAME", "CLOUD", "ZONES"], clusters.iter().map(row).collect())
}

/// The groups of a cluster, for people.
pub(super) fn group_table(cluster: &Cluster, groups: &[InstanceGroup]) -> String {
    let row = |group: &InstanceGroup| {
        let role = match group.role() {
            Role::ControlPlane => "ControlPlane",
            Role::Node => "Node",
            Role::Bastion => "Bastion",
        };
        let spec = &group.spec;
        let zone = |name: &String| {
            let subnet = cluster.spec.subnets.iter().find(|subnet| subnet.name == *name);
            subnet.map_or(name.as_str(), |subnet| subnet.zone()).to_owned()
        };
        let zones: BTreeSet<String> = spec.subnets.iter().map(zone).collect();
        let number = |count: Option<u32>| count.map(|c| c.to_string()).unwrap_or_default();
        [
            group.name().to_owned(),
            role.to_owned(),
            spec.machine_type.clone().unwrap_or_default(),
            number(spec.min_size),
            number(spec.max_size),
            zones.into_iter().collect::<Vec<_>>().join(","),
        ]
    };
    table(["NAME", "ROLE", "MACHINETYPE", "MIN", "MAX", "ZONES"], groups.iter().map(row).collect())
}

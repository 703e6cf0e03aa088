//! What the command line may say.

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::global::Global;
use crate::verb::{
    completion, create, create_assets, create_cluster, create_group, create_keypair, create_secret,
    create_ssh_key, create_state_store, delete_cluster, delete_group, delete_instance, delete_secret,
    delete_ssh_key, distrust_keypair, edit, etcd, export_kubeconfig, get, lock, promote_keypair, reconcile,
    replace, rolling_update, rotate, simulate_roll, toolbox_dump, update, upgrade, validate,
};
use crate::{boolean, global};

/// A command line that was understood.
#[derive(Debug)]
pub struct Cli {
    pub(crate) global: Global,
    pub(crate) verb: Verb,
}

/// Create, change, check, update and delete Kubernetes clusters on AWS.
///
/// Exit status: 0 done, nothing to do or healthy; 1 error; 2 changes are pending (previews with --detailed-exitcode), or
/// the cluster is not healthy (validate); 3 the answer to a question was no.
#[derive(Debug, Parser)]
#[command(name = "kops", version, max_term_width = 110, propagate_version = false)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

impl Parser for Cli {}

impl CommandFactory for Cli {
    fn command() -> Command {
        boolean::with_values(global::attach(Line::command()))
    }

    fn command_for_update() -> Command {
        boolean::with_values(global::attach(Line::command_for_update()))
    }
}

impl FromArgMatches for Cli {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { global: Global::collect(matches)?, verb: Line::from_arg_matches(matches)?.verb })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create clusters, instance groups, secrets, keys and state stores
    Create(CreateArgs),
    /// Replace manifests in the state store
    Replace(replace::ReplaceArgs),
    /// Show what is in the state store, and machines
    Get(get::GetArgs),
    /// Change a manifest in an editor
    #[command(subcommand)]
    Edit(edit::EditVerb),
    /// Preview and apply what the manifests say
    #[command(subcommand)]
    Update(UpdateVerb),
    /// Delete clusters, instance groups, machines, secrets and keys
    #[command(subcommand)]
    Delete(DeleteVerb),
    /// Replace machines that are out of date, without hurting what runs on them
    #[command(subcommand)]
    RollingUpdate(RollingUpdateVerb),
    /// Show what would happen, tried on a copy of the cluster
    #[command(subcommand)]
    Simulate(SimulateVerb),
    /// Update a cluster and replace its machines, the control plane first
    #[command(subcommand)]
    Reconcile(ReconcileVerb),
    /// Change manifests for another version of Kubernetes
    #[command(subcommand)]
    Upgrade(UpgradeVerb),
    /// Tell whether a cluster is healthy
    #[command(subcommand)]
    Validate(ValidateVerb),
    /// Let kubectl use a cluster
    #[command(subcommand)]
    Export(ExportVerb),
    /// Let another key pair sign
    #[command(subcommand)]
    Promote(PromoteVerb),
    /// Stop trusting key pairs
    #[command(subcommand)]
    Distrust(DistrustVerb),
    /// Make anew what all machines share, after an incident
    #[command(subcommand)]
    Rotate(rotate::RotateVerb),
    /// Show and end leases: who is changing a cluster
    #[command(subcommand)]
    Lock(lock::LockVerb),
    /// List, take and restore backups of etcd
    #[command(subcommand)]
    Etcd(etcd::EtcdVerb),
    /// Gather what helps to find out what is wrong
    #[command(subcommand)]
    Toolbox(ToolboxVerb),
    /// Print the version
    Version,
    /// Print a script that completes commands in a shell
    Completion(completion::CompletionArgs),
}

/// Create clusters, secrets, keys and state stores, or whatever a file describes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct CreateArgs {
    #[command(subcommand)]
    pub what: Option<CreateVerb>,
    #[command(flatten)]
    pub files: create::FileArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CreateVerb {
    /// Make the manifests of a new cluster
    Cluster(Box<create_cluster::CreateClusterArgs>),
    /// Make the manifest of another instance group
    #[command(name = "instancegroup", visible_aliases = ["ig", "instancegroups"])]
    InstanceGroup(create_group::CreateGroupArgs),
    /// Publish the programs of machines
    Assets(create_assets::CreateAssetsArgs),
    /// Make a private, encrypted, versioned bucket to keep manifests in
    StateStore(create_state_store::CreateStateStoreArgs),
    /// Add a key pair to a keyset
    Keypair(create_keypair::CreateKeypairArgs),
    /// Store a secret
    Secret(create_secret::CreateSecretArgs),
    /// Store an SSH public key that may log in to the machines
    #[command(name = "sshpublickey")]
    SshPublicKey(create_ssh_key::CreateSshKeyArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UpdateVerb {
    /// Preview and apply what a cluster's manifests say
    Cluster(update::UpdateArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RollingUpdateVerb {
    /// Replace a cluster's machines that are out of date
    Cluster(Box<rolling_update::RollingUpdateArgs>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileVerb {
    /// Update a cluster and replace its machines, the control plane first
    Cluster(reconcile::ReconcileArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimulateVerb {
    /// Replace a copy of the machines that are out of date
    RollingUpdate(simulate_roll::SimulateRollArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UpgradeVerb {
    /// Go to another version of Kubernetes, or to the one that the cluster should have next
    Cluster(upgrade::UpgradeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ValidateVerb {
    /// Tell whether a cluster is healthy
    Cluster(validate::ValidateArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ToolboxVerb {
    /// Show all that is known of a cluster as one document
    Dump(toolbox_dump::DumpArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExportVerb {
    /// Put a cluster into kubectl's configuration
    #[command(visible_alias = "kubecfg")]
    Kubeconfig(export_kubeconfig::ExportKubeconfigArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PromoteVerb {
    /// Let a key pair sign
    Keypair(promote_keypair::PromoteKeypairArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DistrustVerb {
    /// Stop trusting key pairs of a keyset
    Keypair(distrust_keypair::DistrustKeypairArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeleteVerb {
    /// Delete a cluster and everything that belongs to it
    Cluster(delete_cluster::DeleteClusterArgs),
    /// Delete an instance group and its machines
    #[command(name = "instancegroup", visible_aliases = ["ig", "instancegroups"])]
    InstanceGroup(delete_group::DeleteGroupArgs),
    /// Drain and replace one machine
    Instance(delete_instance::DeleteInstanceArgs),
    /// Delete a secret
    Secret(delete_secret::DeleteSecretArgs),
    /// Delete an SSH public key
    #[command(name = "sshpublickey")]
    SshPublicKey(delete_ssh_key::DeleteSshKeyArgs),
}

/// A form in which data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// YAML
    Yaml,
    /// JSON
    Json,
}

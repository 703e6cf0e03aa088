//! One file per verb; here is only which is which.

pub(crate) mod completion;
pub(crate) mod create;
pub(crate) mod create_assets;
pub(crate) mod create_cluster;
pub(crate) mod create_group;
pub(crate) mod create_keypair;
pub(crate) mod create_secret;
pub(crate) mod create_ssh_key;
pub(crate) mod create_state_store;
pub(crate) mod delete_cluster;
pub(crate) mod delete_group;
pub(crate) mod delete_instance;
pub(crate) mod delete_secret;
pub(crate) mod delete_ssh_key;
pub(crate) mod distrust_keypair;
pub(crate) mod edit;
pub(crate) mod etcd;
pub(crate) mod export_kubeconfig;
pub(crate) mod get;
pub(crate) mod get_instances;
pub(crate) mod get_keypairs;
pub(crate) mod get_secrets;
pub(crate) mod get_ssh_keys;
pub(crate) mod lock;
pub(crate) mod promote_keypair;
pub(crate) mod reconcile;
pub(crate) mod replace;
pub(crate) mod rolling_update;
pub(crate) mod rotate;
pub(crate) mod simulate_roll;
pub(crate) mod toolbox_dump;
pub(crate) mod update;
pub(crate) mod upgrade;
pub(crate) mod validate;
mod version;

use crate::cli::{
    Cli, CreateArgs, CreateVerb, DeleteVerb, DistrustVerb, ExportVerb, PromoteVerb, ReconcileVerb,
    RollingUpdateVerb, SimulateVerb, ToolboxVerb, UpdateVerb, UpgradeVerb, ValidateVerb, Verb,
};
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::terminal::Terminal;

pub(crate) async fn run(cli: Cli, terminal: &Terminal) -> Result<ExitStatus, CliError> {
    // Verbs that have nothing to do with a cluster or its state get none of it.
    let context = || Context::new(cli.global, terminal);
    match cli.verb {
        Verb::Create(CreateArgs { what: Some(_), files }) if !files.filename.is_empty() => {
            Err(CliError::new("`kops create -f FILE` creates what the file describes and nothing else"))
        }
        Verb::Create(args) => match args.what {
            Some(CreateVerb::Cluster(args)) => create_cluster::run(*args, &context()?).await,
            Some(CreateVerb::InstanceGroup(args)) => create_group::run(args, &context()?).await,
            Some(CreateVerb::StateStore(args)) => create_state_store::run(args, terminal).await,
            Some(CreateVerb::Assets(args)) => create_assets::run(args, &context()?).await,
            Some(CreateVerb::Keypair(args)) => create_keypair::run(args, &context()?).await,
            Some(CreateVerb::Secret(args)) => create_secret::run(args, &context()?).await,
            Some(CreateVerb::SshPublicKey(args)) => create_ssh_key::run(args, &context()?).await,
            None => create::run(args.files, &context()?).await,
        },
        Verb::Replace(args) => replace::run(args, &context()?).await,
        Verb::Get(args) => get::run(args, &context()?).await,
        Verb::Edit(verb) => edit::run(verb, &context()?).await,
        Verb::Update(UpdateVerb::Cluster(args)) => update::run(args, &context()?).await,
        Verb::Delete(DeleteVerb::Cluster(args)) => delete_cluster::run(args, &context()?).await,
        Verb::Delete(DeleteVerb::InstanceGroup(args)) => delete_group::run(args, &context()?).await,
        Verb::Delete(DeleteVerb::Secret(args)) => delete_secret::run(args, &context()?).await,
        Verb::Delete(DeleteVerb::SshPublicKey(args)) => delete_ssh_key::run(args, &context()?).await,
        Verb::RollingUpdate(RollingUpdateVerb::Cluster(args)) => {
            rolling_update::run(*args, &context()?).await
        }
        Verb::Reconcile(ReconcileVerb::Cluster(args)) => reconcile::run(args, &context()?).await,
        Verb::Validate(ValidateVerb::Cluster(args)) => validate::run(args, &context()?).await,
        Verb::Delete(DeleteVerb::Instance(args)) => delete_instance::run(args, &context()?).await,
        Verb::Upgrade(UpgradeVerb::Cluster(args)) => upgrade::run(args, &context()?).await,
        Verb::Export(ExportVerb::Kubeconfig(args)) => export_kubeconfig::run(args, &context()?).await,
        Verb::Promote(PromoteVerb::Keypair(args)) => promote_keypair::run(args, &context()?).await,
        Verb::Distrust(DistrustVerb::Keypair(args)) => distrust_keypair::run(args, &context()?).await,
        Verb::Rotate(verb) => rotate::run(verb, &context()?).await,
        Verb::Lock(verb) => lock::run(verb, &context()?).await,
        Verb::Etcd(verb) => etcd::run(verb, &context()?).await,
        Verb::Simulate(SimulateVerb::RollingUpdate(args)) => simulate_roll::run(args, &context()?).await,
        Verb::Toolbox(ToolboxVerb::Dump(args)) => toolbox_dump::run(args, &context()?).await,
        Verb::Version => version::run(terminal),
        Verb::Completion(args) => completion::run(&args, terminal),
    }
}

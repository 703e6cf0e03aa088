use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ipnet::Ipv4Net;
use kops_aws::resource::AwsResource;
use kops_core::create::{self, Options, parse_labels};
use kops_core::manifest::{
    AccessSource, DnsType, LoadBalancerClass, LoadBalancerType, Manifest, Placement, parse_range,
};
use kops_core::operation::Kops;
use kops_core::plan::Plan;
use kops_core::state::{DraftStore, Registry, RegistryError, StateStore};

use super::get::{self, Shape};
use super::update;
use crate::cli::Output;
use crate::context::{AnyProvider, Context, read_file};
use crate::environment::{self, holder};
use crate::error::{CliError, ExitStatus};
use crate::run::EventsArgs;

/// Make the manifests of a new cluster, keep them, and preview what they would create.
#[derive(Debug, Args)]
pub(crate) struct CreateClusterArgs {
    /// Name of the cluster, a domain name (names ending in .k8s.local need no hosted zone)
    cluster: Option<String>,
    /// Zones in which to run the cluster
    #[arg(long, value_delimiter = ',', required = true)]
    zones: Vec<String>,
    /// Zones of the control plane, an odd number [default: the first zone]
    #[arg(long, value_delimiter = ',', alias = "control-plane-zones")]
    master_zones: Vec<String>,
    /// Number of control-plane machines [default: one a zone]
    #[arg(long, alias = "control-plane-count")]
    master_count: Option<u32>,
    /// Number of worker machines
    #[arg(long)]
    node_count: Option<u32>,
    /// Machine type of the control plane
    #[arg(long, alias = "control-plane-size")]
    master_size: Option<String>,
    /// Machine type of workers
    #[arg(long)]
    node_size: Option<String>,
    /// Size of the control plane's root volumes in GiB
    #[arg(long, alias = "control-plane-volume-size")]
    master_volume_size: Option<u32>,
    /// Size of the workers' root volumes in GiB
    #[arg(long)]
    node_volume_size: Option<u32>,
    /// Address ranges that may reach the API, and SSH unless --ssh-access is given [default: the whole world]
    #[arg(long, value_delimiter = ',', value_name = "CIDR")]
    admin_access: Vec<AccessSource>,
    /// Address ranges that may reach SSH
    #[arg(long, value_delimiter = ',', value_name = "CIDR")]
    ssh_access: Vec<AccessSource>,
    /// File with the public key that may log in [default: ~/.ssh/id_ed25519.pub or ~/.ssh/id_rsa.pub, if there is one]
    #[arg(long, value_name = "FILE")]
    ssh_public_key: Option<PathBuf>,
    /// Machine image of all groups: ami-…, or OWNER/NAME
    #[arg(long)]
    image: Option<String>,
    /// Version of Kubernetes
    #[arg(long)]
    kubernetes_version: Option<String>,
    /// Address range of the network
    #[arg(long, value_name = "CIDR", value_parser = parse_range)]
    network_cidr: Option<Ipv4Net>,
    /// Existing network to use
    #[arg(long, alias = "vpc", value_name = "VPC")]
    network_id: Option<String>,
    /// Tags for everything that the cluster owns: key=value,…
    #[arg(long, value_name = "LABELS", default_value = "", hide_default_value = true)]
    cloud_labels: String,
    /// Where the API is reached from
    #[arg(long, value_enum)]
    api_loadbalancer_type: Option<BalancerType>,
    /// Kind of load balancer of the API, by default a network load balancer
    #[arg(long, value_enum)]
    api_loadbalancer_class: Option<BalancerClass>,
    /// Whether machines are in public or private subnets
    #[arg(short, long, value_enum, default_value = "public")]
    topology: Topology,
    /// Add a host through which private machines are reached
    #[arg(long)]
    bastion: bool,
    /// Network plugin
    #[arg(long)]
    networking: Option<String>,
    /// Kind of hosted zone [default: none]
    #[arg(long, value_enum, ignore_case = true)]
    dns: Option<Dns>,
    /// Existing security groups for the control plane
    #[arg(long, value_delimiter = ',', alias = "control-plane-security-groups", value_name = "IDS")]
    master_security_groups: Vec<String>,
    /// Existing security groups for workers
    #[arg(long, value_delimiter = ',', value_name = "IDS")]
    node_security_groups: Vec<String>,
    /// Set a field: cluster.spec.FIELD=VALUE
    #[arg(long, alias = "override", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Cloud; there is only one
    #[arg(long, default_value = "aws", hide = true, value_parser = ["aws"])]
    cloud: String,
    /// Print the manifests and change nothing; needs --output
    #[arg(long)]
    dry_run: bool,
    /// Form of the output: of manifests yaml or json, of a plan table or json
    #[arg(short, long, value_enum, hide_possible_values = true, value_name = "yaml|json|table")]
    output: Option<Output>,
    /// Create the cluster at once
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    events: EventsArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BalancerType {
    Public,
    Internal,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BalancerClass {
    Classic,
    Network,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topology {
    Public,
    Private,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dns {
    Public,
    Private,
    None,
}

pub(crate) async fn run(mut args: CreateClusterArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.said_cluster_name(args.cluster.as_deref())?;
    let (dry_run, yes) = (args.dry_run, args.yes);
    let form = form(&args)?;
    let events = std::mem::take(&mut args.events);
    let created = create::manifests(&options(args, &name, context)?)?;
    if dry_run {
        get::print(created.manifests(), form, Shape::List, context)?;
        created.warnings.iter().for_each(|warning| context.terminal.warning(warning));
        return Ok(ExitStatus::Done);
    }
    let (kops, plan) = planned(&name, created.manifests(), context).await?;
    kops.registry().create(created.manifests()).await?;
    if yes {
        return update::apply(&kops, &name, None, &context.run_options(), &events, form, context).await;
    }
    context.terminal.status("Previewing changes that will be made:\n");
    update::preview(&plan, form, context)?;
    context.terminal.status(format_args!(
        "\nCluster configuration has been created.\n\n\
         Suggestions:\n \
         * list clusters with: kops get cluster\n \
         * edit this cluster with: kops edit cluster {name}",
    ));
    for group in &created.groups {
        let role = format!("{:?}", group.role()).to_lowercase();
        context.terminal.status(format_args!(
            " * edit your {role} instance group: kops edit ig --name={name} {}",
            group.name()
        ));
    }
    context
        .terminal
        .status(format_args!("\nFinally configure your cluster with: kops update cluster {name} --yes"));
    Ok(ExitStatus::Done)
}

/// Returns the form of the output, if it can be had and the options go together.
fn form(args: &CreateClusterArgs) -> Result<Output, CliError> {
    match (args.dry_run, args.output) {
        (true, _) if args.yes => {
            Err(CliError::new("--dry-run changes nothing, --yes creates the cluster: give one of them"))
        }
        (true, Some(form @ (Output::Yaml | Output::Json))) => Ok(form),
        (true, _) => Err(CliError::new("must set output flag; yaml or json")
            .with_hint("--dry-run prints manifests: give --output yaml")),
        (false, Some(Output::Yaml)) => Err(CliError::new("a plan is printed as table or json")
            .with_hint("--dry-run prints the manifests as YAML")),
        (false, form) => Ok(form.unwrap_or(Output::Table)),
    }
}

/// Plans what the manifests would create, before they are stored: what is refused leaves nothing behind.
async fn planned(
    name: &str,
    manifests: Vec<Manifest>,
    context: &Context<'_>,
) -> Result<(Kops<AnyProvider>, Plan<AwsResource>), CliError> {
    let store = context.store().await?;
    let draft: Arc<dyn StateStore> = Arc::new(DraftStore::new(store.clone()));
    Registry::new(draft.clone()).create(manifests).await.map_err(|error| match error {
        RegistryError::AlreadyExists { .. } => CliError::from(error)
            .with_hint(format!("use `kops update cluster {name}` to apply changes, or choose another name")),
        error => error.into(),
    })?;
    let provider = context.provider(context.region_of(&draft, name).await?).await?;
    let plan = Kops::new(provider.clone(), draft).with_web(context.web()?).plan_update(name).await.map_err(
        |error| CliError::from(error).and_hint("nothing was stored; --dry-run -o yaml prints the manifests"),
    )?;
    Ok((Kops::new(provider, store).with_holder(holder()).with_web(context.web()?), plan))
}

fn options(args: CreateClusterArgs, name: &str, context: &Context<'_>) -> Result<Options, CliError> {
    // A dry run needs no state store; what it would be is part of the manifest all the same.
    let state_store =
        if args.dry_run { context.state()?.unwrap_or_default() } else { context.state_url()? };
    Ok(Options {
        admin_access: args.admin_access,
        api_load_balancer_class: args.api_loadbalancer_class.map(|class| match class {
            BalancerClass::Classic => LoadBalancerClass::Classic,
            BalancerClass::Network => LoadBalancerClass::Network,
        }),
        api_load_balancer_type: args.api_loadbalancer_type.map(|kind| match kind {
            BalancerType::Public => LoadBalancerType::Public,
            BalancerType::Internal => LoadBalancerType::Internal,
        }),
        bastion: args.bastion,
        cloud_labels: parse_labels(&args.cloud_labels)?,
        cloud_provider: args.cloud,
        control_plane_count: args.master_count,
        control_plane_security_groups: args.master_security_groups,
        control_plane_size: args.master_size,
        control_plane_volume_size: args.master_volume_size,
        control_plane_zones: args.master_zones,
        dns: args.dns.map(|dns| match dns {
            Dns::Public => DnsType::Public,
            Dns::Private => DnsType::Private,
            Dns::None => DnsType::None,
        }),
        image: args.image,
        kubernetes_version: args.kubernetes_version,
        name: name.to_owned(),
        network_cidr: args.network_cidr,
        network_id: args.network_id,
        networking: args.networking,
        node_count: args.node_count,
        node_security_groups: args.node_security_groups,
        node_size: args.node_size,
        node_volume_size: args.node_volume_size,
        recommendations: kops_aws::provider::recommendations(),
        sets: args.set,
        ssh_access: args.ssh_access,
        ssh_public_key: ssh_public_key(args.ssh_public_key.as_deref())?,
        state_store,
        topology: match args.topology {
            Topology::Public => Placement::Public,
            Topology::Private => Placement::Private,
        },
        zones: args.zones,
    })
}

/// The key in the file that was named, or in the first usual one that exists.
fn ssh_public_key(named: Option<&Path>) -> Result<Option<String>, CliError> {
    let usual = || {
        let home = environment::home()?;
        let keys = ["id_ed25519.pub", "id_rsa.pub"].map(|name| home.join(".ssh").join(name));
        keys.into_iter().find(|path| path.is_file())
    };
    named.map(Path::to_owned).or_else(usual).map(|path| read_file(&path)).transpose()
}

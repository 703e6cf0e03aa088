//! From options and environment to a state store, a cloud and the calls over them.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kops_aws::provider::SimProvider;
use kops_aws::resource::AwsResource;
use kops_core::clock::SystemClock;
use kops_core::kubeconfig::{Kubeconfig, current_cluster};
use kops_core::lease::Leases;
use kops_core::manifest::{CompletedCluster, complete};
use kops_core::operation::{Kops, RunOptions};
use kops_core::pki::Keystore;
use kops_core::provider::Provider;
use kops_core::sim::{SimCloud, SimOptions, SimWeb};
use kops_core::state::{DirectoryStore, Registry, RegistryError, StateStore};
use kops_core::web::Web;

use crate::aws;
use crate::environment::{holder, kubeconfig_paths, variable};
use crate::error::CliError;
use crate::global::Global;
use crate::settings::Settings;
use crate::simulation::Simulation;
use crate::terminal::Terminal;

/// Any provider of AWS resources, real or simulated.
pub(crate) type AnyProvider = Arc<dyn Provider<Resource = AwsResource>>;

/// How often simulated machines are looked at.
pub(crate) const SIMULATED_POLL: Duration = Duration::from_millis(200);

/// The variable that names the state store.
const STATE_STORE: &str = "KOPS_STATE_STORE";

/// What a verb works with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Where words go.
    pub(crate) terminal: &'a Terminal,
    global: Global,
    simulation: Option<Simulation>,
    /// The state store's URL, once it was looked for.
    state: OnceLock<Option<String>>,
}

impl<'a> Context<'a> {
    /// Opens nothing yet. In a simulation, says so.
    pub(crate) fn new(global: Global, terminal: &'a Terminal) -> Result<Self, CliError> {
        let simulation = Simulation::asked_for(global.sim.as_deref())?;
        let context = Self { terminal, global, simulation, state: OnceLock::new() };
        if let Some(Simulation { directory, by }) = &context.simulation {
            terminal
                .status(format_args!("Simulated cloud in {} ({by}); AWS is not used", directory.display()));
        }
        // What is in the environment of a real store must not be taken for it.
        let unused = variable(STATE_STORE).filter(|url| !is_directory(url) && context.global.state.is_none());
        if let Some(url) = unused.filter(|_| context.is_simulated()) {
            terminal.warning(format_args!("{STATE_STORE} ({url}) is not used in the simulation"));
        }
        Ok(context)
    }

    /// Returns the cluster's name as [`said_cluster_name`](Self::said_cluster_name), or else that of kubectl's context.
    pub(crate) fn cluster_name(&self, argument: Option<&str>) -> Result<String, CliError> {
        if self.named(argument)?.is_none() {
            let files: Vec<Kubeconfig> =
                kubeconfig_paths().iter().filter_map(|path| Kubeconfig::load(path).ok()).collect();
            if let Some(name) = current_cluster(&files) {
                self.terminal.status(format_args!("Using cluster from kubectl context: {name}\n"));
                return Ok(name.to_owned());
            }
        }
        self.said_cluster_name(argument)
    }

    /// Returns the cluster's name as it was given with this command, or else by the environment.
    ///
    /// # Errors
    /// There are two different ones, or there is none.
    pub(crate) fn said_cluster_name(&self, argument: Option<&str>) -> Result<String, CliError> {
        self.named(argument)?.ok_or_else(|| {
            CliError::new("no cluster is named")
                .with_hint("give its name, or --name, or set KOPS_CLUSTER_NAME")
        })
    }

    /// Returns the cluster's name as it was given with this command, or else by the environment, if at all.
    pub(crate) fn named(&self, argument: Option<&str>) -> Result<Option<String>, CliError> {
        Ok(self.given(argument)?.or_else(|| variable("KOPS_CLUSTER_NAME")))
    }

    /// Returns the cluster's name as it was given with this command, if it was: the argument and `--name` have to agree.
    pub(crate) fn given(&self, argument: Option<&str>) -> Result<Option<String>, CliError> {
        if let Some(word @ ("true" | "false")) = argument {
            return Err(CliError::new(format!("{word} stands where the name of a cluster may stand"))
                .with_hint(format!("an option takes it after an equals sign: --yes={word}")));
        }
        if let (Some(argument), Some(name)) = (argument, self.global.name.as_deref())
            && argument != name
        {
            return Err(CliError::new(format!(
                "Cannot specify cluster via --name ({name:?}) and positional argument ({argument:?})"
            )));
        }
        Ok(argument.or(self.global.name.as_deref()).map(ToOwned::to_owned))
    }

    /// Makes sure that what names its clusters itself names no other than `--name` does.
    pub(crate) fn allow_only<'n>(&self, clusters: impl IntoIterator<Item = &'n str>) -> Result<(), CliError> {
        let Some(name) = &self.global.name else { return Ok(()) };
        match clusters.into_iter().find(|cluster| cluster != name) {
            Some(other) => {
                Err(CliError::new(format!("--name is {name:?}, but cluster {other:?} is meant, too"))
                    .with_hint("leave out --name, or name that cluster"))
            }
            None => Ok(()),
        }
    }

    /// Whether the cloud is a simulated one.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulation.is_some()
    }

    /// How plans are carried out: the library's defaults. What is simulated is quick, and looked at more often.
    pub(crate) fn run_options(&self) -> RunOptions {
        let mut options = RunOptions::default();
        if let Some(drain) = options.drain.as_mut().filter(|_| self.is_simulated()) {
            drain.poll = SIMULATED_POLL;
        }
        options
    }

    /// Returns the state store's URL.
    pub(crate) fn state_url(&self) -> Result<String, CliError> {
        self.state()?.ok_or_else(|| {
            CliError::new("no state store is named").with_hint(
                "give --state s3://BUCKET or set KOPS_STATE_STORE (`kops create state-store s3://BUCKET` makes one); \
                 to try without an account, give --sim",
            )
        })
    }

    /// Returns the state store's URL, if one is named anywhere.
    pub(crate) fn state(&self) -> Result<Option<String>, CliError> {
        if let Some(known) = self.state.get() {
            return Ok(known.clone());
        }
        let url = match &self.simulation {
            Some(simulation) => Some(self.simulated_state(simulation)?),
            None => match self.chosen_state()?.or_else(|| variable(STATE_STORE)) {
                Some(url) => Some(url),
                None => Settings::load(None, self.terminal)?.state,
            },
        };
        let url = url.map(|url| url.trim_end_matches('/').to_owned());
        // Files are read, and warned of, once.
        Ok(self.state.get_or_init(|| url).clone())
    }

    /// Returns the state store that this command names: by `--state`, or by the file that `--config` names.
    fn chosen_state(&self) -> Result<Option<String>, CliError> {
        // A file that is named is read, whatever else says where the state is: it may be missing, or wrong.
        let configured = match &self.global.config {
            Some(path) => Settings::load(Some(path), self.terminal)?.state,
            None => None,
        };
        Ok(self.global.state.clone().or(configured))
    }

    /// Returns where the simulation keeps its manifests. Another place has to be a directory, too.
    fn simulated_state(&self, simulation: &Simulation) -> Result<String, CliError> {
        match self.chosen_state()? {
            Some(url) if !is_directory(&url) => {
                return Err(CliError::new(format!(
                    "a simulated cloud keeps its manifests in a directory, not in {url}"
                ))
                .with_hint(format!(
                    "leave out {url}, or end the simulation: it is there by {}",
                    simulation.by
                )));
            }
            Some(url) => return Ok(url),
            None => {}
        }
        if let Some(url) = variable(STATE_STORE).filter(|url| is_directory(url)) {
            return Ok(url);
        }
        let directory = std::path::absolute(simulation.directory.join("state"))
            .map_err(|error| CliError::new("the current directory cannot be read").with_source(error))?;
        Ok(format!("file://{}", directory.display()))
    }

    /// Returns how checksums are read that the library does not know: a simulated maker has one of every file.
    pub(crate) fn web(&self) -> Result<Arc<dyn Web>, CliError> {
        if self.is_simulated() { Ok(Arc::new(SimWeb)) } else { aws::web() }
    }

    /// The state store.
    pub(crate) async fn store(&self) -> Result<Arc<dyn StateStore>, CliError> {
        let url = self.state_url()?;
        if let Some(path) = url.strip_prefix("file://") {
            return Ok(Arc::new(DirectoryStore::new(path)));
        }
        if url.starts_with("s3://") {
            return aws::state_store(&url).await;
        }
        Err(CliError::new(format!("{url} is not a state store"))
            .with_hint("a state store is s3://BUCKET[/PREFIX] or file:///DIRECTORY"))
    }

    /// The manifests in the state store.
    pub(crate) async fn registry(&self) -> Result<Registry, CliError> {
        Ok(Registry::new(self.store().await?))
    }

    /// The calls on one cluster, on the cloud and in the region that its manifests name.
    pub(crate) async fn kops(
        &self,
        cluster: &str,
        region: Option<&str>,
    ) -> Result<Kops<AnyProvider>, CliError> {
        let store = self.store().await?;
        let region = match region {
            Some(region) => Some(region.to_owned()),
            None => self.region_of(&store, cluster).await?,
        };
        Ok(Kops::new(self.provider(region).await?, store).with_holder(holder()).with_web(self.web()?))
    }

    /// The cloud, in that region.
    pub(crate) async fn provider(&self, region: Option<String>) -> Result<AnyProvider, CliError> {
        Ok(match &self.simulation {
            Some(simulation) => {
                Arc::new(SimProvider::new(SimCloud::open(&simulation.directory, simulated_machines())?))
            }
            None => aws::provider(region).await?,
        })
    }

    /// The keysets of a cluster that exists.
    pub(crate) async fn keystore(&self, cluster: &str) -> Result<Keystore, CliError> {
        let store = self.store().await?;
        Registry::new(store.clone()).find(cluster).await?;
        Ok(Keystore::new(store, Arc::new(SystemClock)))
    }

    /// Who is changing which cluster.
    pub(crate) async fn leases(&self) -> Result<Leases, CliError> {
        Ok(Leases::new(self.store().await?, Arc::new(SystemClock), holder()))
    }

    /// The region in which the cluster's subnets lie. None for a cluster without manifests: then the SDK's own.
    pub(crate) async fn region_of(
        &self,
        store: &Arc<dyn StateStore>,
        cluster: &str,
    ) -> Result<Option<String>, CliError> {
        match Registry::new(store.clone()).load(cluster).await {
            Ok(loaded) => {
                let completed: CompletedCluster =
                    complete(&loaded.cluster, &loaded.groups, &Default::default());
                Ok(completed.region().map(ToOwned::to_owned))
            }
            Err(RegistryError::NotFound(_) | RegistryError::Unreadable { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_directory(url: &str) -> bool {
    url.starts_with("file://")
}

/// Nobody wants to wait for machines that do not exist: they boot within seconds.
fn simulated_machines() -> SimOptions {
    SimOptions {
        boot_time: Duration::from_secs(2),
        join_time: Duration::from_secs(1),
        ..SimOptions::default()
    }
}

/// Reads a text file; `-` is standard input.
pub(crate) fn read_file(path: &Path) -> Result<String, CliError> {
    // What is not text may be a key: it is not shown.
    String::from_utf8(read_bytes(path)?)
        .map_err(|_| CliError::new(format!("cannot read {}: it is not text", path.display())))
}

/// Reads a file; `-` is standard input.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| CliError::new(format!("cannot read {}", path.display())).with_source(error))
}

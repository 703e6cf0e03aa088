//! From options and environment to a state store, a cloud and the calls over them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kops_aws::api::{AwsOptions, aws_config};
use kops_aws::provider::{AwsProvider, SimProvider};
use kops_aws::resource::AwsResource;
use kops_aws::s3::Credentials;
use kops_aws::{S3Options, S3StateStore};
use kops_core::apply::ApplyOptions;
use kops_core::clock::SystemClock;
use kops_core::kubeconfig::{Kubeconfig, current_cluster};
use kops_core::lease::{Holder, Leases};
use kops_core::manifest::{CompletedCluster, complete};
use kops_core::operation::Kops;
use kops_core::pki::Keystore;
use kops_core::provider::Provider;
use kops_core::sim::{SimCloud, SimOptions};
use kops_core::state::{DirectoryStore, Registry, RegistryError, StateStore};

use crate::cli::Global;
use crate::error::CliError;
use crate::terminal::Terminal;

/// Any provider of AWS resources, real or simulated.
pub(crate) type AnyProvider = Arc<dyn Provider<Resource = AwsResource>>;

/// How often simulated machines are looked at.
pub(crate) const SIMULATED_POLL: Duration = Duration::from_millis(200);

/// What a verb works with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Where words go.
    pub(crate) terminal: &'a Terminal,
    global: Global,
}

impl<'a> Context<'a> {
    /// Nothing is opened yet.
    pub(crate) fn new(global: Global, terminal: &'a Terminal) -> Self {
        Self { terminal, global }
    }

    /// The cluster's name: the argument, or `--name`, but not two different ones; else that of kubectl's context.
    pub(crate) fn cluster_name(&self, argument: Option<&str>) -> Result<String, CliError> {
        if argument.is_none() && self.global.name.is_none() {
            let files: Vec<Kubeconfig> =
                kubeconfig_paths().iter().filter_map(|path| Kubeconfig::load(path).ok()).collect();
            if let Some(name) = current_cluster(&files) {
                self.terminal.status(format_args!("Using cluster from kubectl context: {name}\n"));
                return Ok(name.to_owned());
            }
        }
        self.said_cluster_name(argument)
    }

    /// As [`cluster_name`](Self::cluster_name), but only if somebody has said it now.
    pub(crate) fn said_cluster_name(&self, argument: Option<&str>) -> Result<String, CliError> {
        match (argument, &self.global.name) {
            (Some(argument), Some(name))
                if argument != name && std::env::var_os("KOPS_CLUSTER_NAME").is_none() =>
            {
                Err(CliError::new("Cannot specify cluster via --name and positional argument"))
            }
            (Some(name), _) => Ok(name.to_owned()),
            (None, Some(name)) => Ok(name.clone()),
            (None, None) => Err(CliError::new("no cluster is named")
                .with_hint("give its name, or --name, or set KOPS_CLUSTER_NAME")),
        }
    }

    /// The directory of the simulated cloud, if it is to be used.
    fn simulation(&self) -> Option<PathBuf> {
        let text = self.global.sim.as_deref()?;
        match text {
            "0" | "false" => None,
            "" | "1" | "true" => Some(PathBuf::from(".kops-sim")),
            directory => Some(PathBuf::from(directory)),
        }
    }

    /// Whether the cloud is a simulated one.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulation().is_some()
    }

    /// How plans are carried out: the library's defaults. What is simulated is quick, and looked at more often.
    pub(crate) fn apply_options(&self) -> ApplyOptions {
        let mut options = ApplyOptions::default();
        if let Some(drain) = options.drain.as_mut().filter(|_| self.is_simulated()) {
            drain.poll = SIMULATED_POLL;
        }
        options
    }

    /// The state store's URL.
    pub(crate) fn state_url(&self) -> Result<String, CliError> {
        if let Some(directory) = self.simulation() {
            return match self.global.state.as_deref() {
                Some(url) if url.starts_with("file://") => Ok(url.to_owned()),
                _ => {
                    let directory = std::path::absolute(directory.join("state")).map_err(|error| {
                        CliError::new("the current directory cannot be read").with_source(error)
                    })?;
                    Ok(format!("file://{}", directory.display()))
                }
            };
        }
        let url = match &self.global.state {
            Some(url) => Some(url.clone()),
            None => self.configured_state()?,
        };
        url.map(|url| url.trim_end_matches('/').to_owned()).ok_or_else(|| {
            CliError::new("no state store is named").with_hint(
                "give --state s3://BUCKET or set KOPS_STATE_STORE (`kops create state-store s3://BUCKET` makes one); \
                 to try without an account, give --sim",
            )
        })
    }

    /// The state store of the settings file, if there is one.
    fn configured_state(&self) -> Result<Option<String>, CliError> {
        let home = std::env::home_dir();
        let default = || {
            let home = home?;
            [home.join(".kops.yaml"), home.join(".kops/config")].into_iter().find(|path| path.is_file())
        };
        let Some(path) = self.global.config.clone().or_else(default) else { return Ok(None) };
        let text = read_file(&path)?;
        let documents = kops_core::yaml::read(&text).map_err(|error| {
            CliError::new(format!("{} is not a file of settings", path.display())).with_source(error)
        })?;
        Ok(documents
            .first()
            .and_then(|d| d.get("KOPS_STATE_STORE"))
            .and_then(|n| n.text())
            .map(ToOwned::to_owned))
    }

    /// The state store.
    pub(crate) async fn store(&self) -> Result<Arc<dyn StateStore>, CliError> {
        let url = self.state_url()?;
        if let Some(path) = url.strip_prefix("file://") {
            return Ok(Arc::new(DirectoryStore::new(path)));
        }
        if url.starts_with("s3://") {
            return Ok(Arc::new(S3StateStore::open(&url, s3_options(None, None).await).await?));
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
        let provider: AnyProvider = match self.simulation() {
            Some(directory) => {
                let cloud = SimCloud::open(&directory, simulated_machines())?;
                Arc::new(SimProvider::new(cloud))
            }
            None => {
                let region = match region {
                    Some(region) => Some(region.to_owned()),
                    None => self.region_of(&store, cluster).await?,
                };
                Arc::new(AwsProvider::connect(&AwsOptions { region, endpoint: endpoint() }).await)
            }
        };
        Ok(Kops::new(provider, store).with_holder(holder()))
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
    async fn region_of(
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

/// Nobody wants to wait for machines that do not exist: they boot within seconds.
fn simulated_machines() -> SimOptions {
    SimOptions {
        boot_time: Duration::from_secs(2),
        join_time: Duration::from_secs(1),
        ..SimOptions::default()
    }
}

/// Another endpoint for AWS's API, as the SDKs name it; for tests and private clouds.
fn endpoint() -> Option<String> {
    variable("AWS_ENDPOINT_URL")
}

/// A variable of the environment that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The files in which kubectl looks for its configuration.
pub(crate) fn kubeconfig_paths() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()) {
        Some(paths) => std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
    }
}

/// Who runs this command, and where.
pub(crate) fn holder() -> Holder {
    // Not every shell exports the host's name.
    let host = variable("HOSTNAME").or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    Holder {
        name: variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_default(),
        host: host.map(|host| host.trim().to_owned()).unwrap_or_default(),
    }
}

/// How to reach S3, or what kops's variables name in its place.
pub(crate) async fn s3_options(region: Option<String>, kms_key: Option<String>) -> S3Options {
    let region = region.or_else(|| variable("S3_REGION"));
    let credentials = variable("S3_ACCESS_KEY_ID").zip(variable("S3_SECRET_ACCESS_KEY"));
    let Holder { name, host } = holder();
    let writer = [name, host].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("@");
    S3Options {
        config: Some(aws_config(&AwsOptions { region: region.clone(), endpoint: None }).await),
        credentials: credentials
            .map(|(id, secret)| Credentials::new(id, secret, None, None, "S3_ACCESS_KEY_ID")),
        region,
        endpoint: variable("S3_ENDPOINT").or_else(endpoint),
        kms_key,
        writer: Some(writer).filter(|writer| !writer.is_empty()),
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

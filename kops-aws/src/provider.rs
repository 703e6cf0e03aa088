//! AWS and the simulated AWS as [`Provider`]s: manifests go in, resources come out.

use async_trait::async_trait;
use kops_core::cloud::{Cloud, CloudError, Scope};
use kops_core::cluster_api::ClusterApi;
use kops_core::fleet::Fleet;
use kops_core::manifest::{CompletedCluster, Recommendations, SshCredential, Violation};
use kops_core::provider::{Desired, ModelInput, Provider, ProviderError};
use kops_core::resource::Handle;
use kops_core::sim::SimCloud;
use kops_core::ssh::{InvalidPublicKey, PublicKey};

use crate::check;
use crate::facts::{Facts, SharedSubnet, StateLocation};
use crate::machine_type::architecture;
use crate::model::{model, named, warnings};
use crate::resource::AwsResource;
use crate::simulated::in_world;

#[cfg(feature = "sdk")]
pub use aws::AwsProvider;

/// The machine types and images that clusters on AWS get unless their manifests say otherwise.
pub fn recommendations() -> Recommendations {
    Recommendations { architecture, ..Recommendations::default() }
}

/// The simulated AWS: facts are invented to fit the manifests.
#[derive(Debug)]
pub struct SimProvider {
    cloud: SimCloud<AwsResource>,
}

impl SimProvider {
    /// Resources are kept in `cloud`.
    pub fn new(cloud: SimCloud<AwsResource>) -> Self {
        Self { cloud }
    }

    /// The facts about the network and the subnets that the manifests name, if they exist in the simulated world.
    fn with_existing(&self, mut facts: Facts, completed: &CompletedCluster) -> Facts {
        let Some(vpc) = &mut facts.vpc else { return facts };
        let id = Handle(vpc.id.clone());
        let all = self.cloud.everything();
        if all.contains_key(&id) {
            let beside = self.cloud.referring_to(&id);
            let gateway = beside.iter().find(|(_, r)| matches!(r, AwsResource::InternetGateway(_)));
            vpc.internet_gateway = gateway.map(|(handle, _)| handle.to_string());
        }
        for named in &completed.cluster.spec.subnets {
            let Some(id) = &named.id else { continue };
            if let Some(AwsResource::Subnet(subnet)) = all.get(&Handle(id.clone())) {
                let (zone, cidr) = (subnet.availability_zone.clone(), subnet.cidr);
                let fact = SharedSubnet { id: id.clone(), vpc: vpc.id.clone(), zone, cidr };
                facts.subnets.insert(named.name.clone(), fact);
            }
        }
        facts
    }

    /// Where resources are kept: to move its clock, or to let calls go wrong.
    pub fn simulated(&self) -> &SimCloud<AwsResource> {
        &self.cloud
    }
}

#[async_trait]
impl Provider for SimProvider {
    type Resource = AwsResource;

    fn cloud(&self) -> &dyn Cloud<Resource = AwsResource> {
        &self.cloud
    }

    fn recommendations(&self) -> Recommendations {
        recommendations()
    }

    async fn desired(&self, input: ModelInput<'_>) -> Result<Desired<AwsResource>, ProviderError> {
        let region = input.cluster.region().unwrap_or_default();
        let state = simulated_location(input.state_store, region);
        let facts = Facts::simulated(input.cluster, state, public_key(input.ssh_keys)?);
        let facts = self.with_existing(facts, input.cluster);
        let facts = in_world(facts, self.cloud.everything().iter(), input.cluster.name());
        resources(input, &facts.with_addons(input.addons))
    }

    async fn named(&self, cluster: &CompletedCluster) -> Result<Vec<AwsResource>, CloudError> {
        Ok(named(cluster))
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(&self.cloud)
    }

    fn unseen_of_kops(&self, cluster: &str) -> Vec<String> {
        unseen_of_kops(cluster)
    }

    async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError> {
        Ok(Some(format!("{}.simulated", crate::names::load_balancer("api", &scope.cluster))))
    }

    fn own_cluster<'a>(&'a self, scope: &'a Scope) -> Option<Box<dyn ClusterApi + 'a>> {
        self.cloud.start_cluster(&scope.cluster);
        Some(Box::new(self.cloud.cluster(scope)))
    }
}

/// Simulated machines reach any store; what is no bucket is taken for one in the cluster's region.
fn simulated_location(state_store: &str, region: &str) -> StateLocation {
    let place = state_store.strip_prefix("s3://").unwrap_or("simulated-state");
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    StateLocation::S3 {
        bucket: bucket.to_owned(),
        region: region.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        kms_key: None,
    }
}

/// The queue of the node termination handler, and the rules that fill it (kops:
/// `pkg/model/awsmodel/nodeterminationhandler.go`).
fn unseen_of_kops(cluster: &str) -> Vec<String> {
    let queue = format!("{}-nth", cluster.replace('.', "-"));
    vec![format!(
        "kops makes a queue for its node termination handler, which is not looked for here: once the cluster is gone, delete \
         the SQS queue {queue} and the EventBridge rules {cluster}-*, if there are any"
    )]
}

fn resources(input: ModelInput<'_>, facts: &Facts) -> Result<Desired<AwsResource>, ProviderError> {
    let cluster = input.cluster;
    refuse(check::check(cluster, facts))?;
    for group in &cluster.groups {
        let architecture = facts.architecture(group);
        architecture.map_or(Ok(()), |one| facts.programs.check(cluster, group, one))?;
    }
    let resources = model(cluster, facts).map_err(|error| ProviderError::Model(error.into()))?;
    refuse(check::check_limits(cluster, &resources))?;
    let mut warnings = warnings(cluster, facts);
    warnings.extend(check::warnings(cluster, facts, &resources));
    Ok(Desired { resources, warnings })
}

fn refuse(violations: Vec<Violation>) -> Result<(), ProviderError> {
    if violations.is_empty() { Ok(()) } else { Err(ProviderError::Invalid(violations)) }
}

/// Machines take one key pair: of the first key.
fn public_key(keys: &[SshCredential]) -> Result<Option<PublicKey>, ProviderError> {
    let parsed = keys.first().map(|key| PublicKey::parse(&key.spec.public_key)).transpose();
    parsed.map_err(|error: InvalidPublicKey| ProviderError::Model(error.into()))
}

#[cfg(feature = "sdk")]
mod aws {
    use kops_core::state::StateError;
    use tokio::sync::OnceCell;

    use super::*;
    use crate::api::{AwsCloud, AwsOptions, aws_config};
    use crate::s3::{S3Options, S3StateStore};

    /// AWS itself: facts are looked up.
    #[derive(Debug)]
    pub struct AwsProvider {
        cloud: AwsCloud,
        s3: S3Options,
        /// The place of the last state store that was asked for.
        state: OnceCell<(String, StateLocation)>,
    }

    impl AwsProvider {
        /// Connects with the credentials that the SDKs find. Makes no call yet.
        pub async fn connect(options: &AwsOptions) -> Self {
            let config = aws_config(options).await;
            let s3 = S3Options {
                endpoint: config.endpoint_url().map(str::to_owned),
                config: Some(config.clone()),
                ..S3Options::default()
            };
            Self::new(AwsCloud::new(&config), s3)
        }

        /// Uses a connection of the caller's. `s3` says how buckets with state are reached.
        pub fn new(cloud: AwsCloud, s3: S3Options) -> Self {
            Self { cloud, s3, state: OnceCell::new() }
        }

        /// The connection.
        pub fn aws(&self) -> &AwsCloud {
            &self.cloud
        }

        /// Where state is: machines must know the bucket's region.
        async fn location(&self, state_store: &str) -> Result<StateLocation, CloudError> {
            if !state_store.starts_with("s3://") {
                return Ok(StateLocation::Unreachable(state_store.to_owned()));
            }
            let open = || async {
                let failed = |what: &'static str| {
                    move |error: StateError| {
                        let message = format!("{what} state store {state_store}");
                        CloudError::general(error.class(), "plan", message).with_source(error)
                    }
                };
                let store = S3StateStore::open(state_store, self.s3.clone()).await;
                let store = store.map_err(failed("cannot open the"))?;
                let kms_key = store.kms_key().await.map_err(failed("cannot read the encryption of the"))?;
                let url = store.url();
                let location = StateLocation::S3 {
                    bucket: url.bucket.clone(),
                    region: store.region().to_owned(),
                    prefix: url.prefix.as_str().to_owned(),
                    kms_key,
                };
                Ok((state_store.to_owned(), location))
            };
            let (known, location) = self.state.get_or_try_init(open).await?;
            if known == state_store {
                Ok(location.clone())
            } else {
                open().await.map(|(_, location)| location)
            }
        }
    }

    #[async_trait]
    impl Provider for AwsProvider {
        type Resource = AwsResource;

        fn cloud(&self) -> &dyn Cloud<Resource = AwsResource> {
            &self.cloud
        }

        fn recommendations(&self) -> Recommendations {
            recommendations()
        }

        async fn desired(&self, input: ModelInput<'_>) -> Result<Desired<AwsResource>, ProviderError> {
            let key = public_key(input.ssh_keys)?;
            let state = self.location(input.state_store).await?;
            let facts = self.cloud.facts(input.cluster, state, key).await?;
            let facts = facts.with_programs(input.programs).with_addons(input.addons);
            resources(input, &facts)
        }

        async fn named(&self, cluster: &CompletedCluster) -> Result<Vec<AwsResource>, CloudError> {
            self.cloud.named(cluster).await
        }

        fn fleet(&self) -> Option<&dyn Fleet> {
            Some(&self.cloud)
        }

        fn unseen_of_kops(&self, cluster: &str) -> Vec<String> {
            unseen_of_kops(cluster)
        }

        async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError> {
            self.cloud.api_address(scope).await
        }

        fn own_cluster<'a>(&'a self, _: &'a Scope) -> Option<Box<dyn ClusterApi + 'a>> {
            None
        }
    }
}

//! A cloud together with what turns manifests into its resources.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::addon::Addon;
use crate::cloud::{Cloud, CloudError, Scope};
use crate::cluster_api::ClusterApi;
use crate::error::{Cause, ErrorClass};
use crate::etcd::EtcdBacked;
use crate::fleet::{Fleet, Scaling};
use crate::manifest::{CompletedCluster, Recommendations, SshCredential, Violation};
use crate::node::{CatalogError, Programs};
use crate::state_object::StateBacked;

/// Everything that a cluster's resources are made from.
#[derive(Clone, Copy, Debug)]
pub struct ModelInput<'a> {
    /// The manifests, every default filled in.
    pub cluster: &'a CompletedCluster,
    /// The public keys that may log in.
    pub ssh_keys: &'a [SshCredential],
    /// The state store, as its users write it (`s3://bucket`).
    pub state_store: &'a str,
    /// What machines can fetch.
    pub programs: &'a Programs,
    /// The add-ons that the cluster's users bring.
    pub addons: &'a [Addon],
}

/// What a cluster should consist of.
#[derive(Clone, Debug)]
pub struct Desired<R> {
    /// The resources.
    pub resources: Vec<R>,
    /// What the user should know before they are made.
    pub warnings: Vec<String>,
}

/// A cloud with a model: manifests go in, resources come out.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// What the cloud holds.
    type Resource: StateBacked + Scaling + EtcdBacked;

    /// Where resources are observed, made and deleted.
    fn cloud(&self) -> &dyn Cloud<Resource = Self::Resource>;

    /// The machine types and images that this provider recommends.
    fn recommendations(&self) -> Recommendations;

    /// What the cluster should consist of: looks up what the model has to know of the cloud (images, existing
    /// networks), then asks the model, which is pure.
    ///
    /// # Errors
    /// When a look-up fails, or the manifests ask for something that cannot be made.
    async fn desired(&self, input: ModelInput<'_>) -> Result<Desired<Self::Resource>, ProviderError>;

    /// What the manifests name by its handle, as shared resources, with what belongs to it and can be looked up by it. What
    /// does not exist any more is no error.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn named(&self, cluster: &CompletedCluster) -> Result<Vec<Self::Resource>, CloudError>;

    /// The scaling groups of its clusters; none when this provider cannot look at them.
    fn fleet(&self) -> Option<&dyn Fleet>;

    /// What kops (the program that is written in Go) may have made for a cluster and no search finds, a line each: whoever
    /// deletes such a cluster is told.
    fn unseen_of_kops(&self, cluster: &str) -> Vec<String> {
        let _ = cluster;
        Vec::new()
    }

    /// The host name or address at which clients reach a cluster's Kubernetes API, if there is any yet.
    ///
    /// # Errors
    /// The cloud cannot be asked.
    async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError>;

    /// The Kubernetes API of a cluster that the provider runs itself, as a simulated one; none when it is reached over
    /// the network.
    fn own_cluster<'a>(&'a self, scope: &'a Scope) -> Option<Box<dyn ClusterApi + 'a>>;
}

/// Why manifests cannot be turned into resources.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The cloud could not be asked, or does not have what the manifests name.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The manifests ask for what the cloud does not have or does not take.
    #[error("the manifests are not valid:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Violation>),
    /// It cannot be told what machines are to fetch.
    #[error(transparent)]
    Programs(#[from] CatalogError),
    /// The manifests ask for something that cannot be made.
    #[error("the manifests cannot be turned into resources")]
    Model(#[source] Cause),
}

impl ProviderError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Cloud(error) => error.class,
            Self::Programs(error) => error.class(),
            Self::Invalid(_) | Self::Model(_) => ErrorClass::Invalid,
        }
    }
}

#[async_trait]
impl<P: Provider + ?Sized> Provider for Arc<P> {
    type Resource = P::Resource;

    fn cloud(&self) -> &dyn Cloud<Resource = Self::Resource> {
        (**self).cloud()
    }

    fn recommendations(&self) -> Recommendations {
        (**self).recommendations()
    }

    async fn desired(&self, input: ModelInput<'_>) -> Result<Desired<Self::Resource>, ProviderError> {
        (**self).desired(input).await
    }

    async fn named(&self, cluster: &CompletedCluster) -> Result<Vec<Self::Resource>, CloudError> {
        (**self).named(cluster).await
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        (**self).fleet()
    }

    fn unseen_of_kops(&self, cluster: &str) -> Vec<String> {
        (**self).unseen_of_kops(cluster)
    }

    async fn api_address(&self, scope: &Scope) -> Result<Option<String>, CloudError> {
        (**self).api_address(scope).await
    }

    fn own_cluster<'a>(&'a self, scope: &'a Scope) -> Option<Box<dyn ClusterApi + 'a>> {
        (**self).own_cluster(scope)
    }
}

use super::UserAddonError;
use crate::apply::Incomplete;
use crate::cloud::CloudError;
use crate::error::{ErrorClass, Retry};
use crate::etcd::EtcdError;
use crate::inventory::Gap;
use crate::lease::LeaseError;
use crate::manifest::Violation;
use crate::manifest::versions::KubernetesVersion;
use crate::node::CatalogError;
use crate::pki::PkiError;
use crate::plan::{PlanError, Purpose};
use crate::provider::ProviderError;
use crate::resource::ResourceId;
use crate::rolling::RollError;
use crate::state::RegistryError;
use crate::upgrade::UpgradeError;

/// What could not be done with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The manifests could not be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The manifests are wrong; nothing was changed.
    #[error("the manifests are not valid:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Violation>),
    /// The manifests would break the cluster that runs; nothing was changed.
    #[error("this would break the running cluster, and nothing was changed:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Breaking(Vec<Violation>),
    /// The manifests could not be turned into resources.
    #[error(transparent)]
    Provider(ProviderError),
    /// Another run is changing the cluster, or has stopped this one from doing so.
    #[error(transparent)]
    Lease(LeaseError),
    /// It cannot be told which programs machines can fetch.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The add-ons that the manifest names cannot be had.
    #[error(transparent)]
    Addon(#[from] UserAddonError),
    /// No plan could be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The cloud could not be read at all.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A plan was made for something else; nothing was changed.
    #[error("this is a plan to {} the cluster, and cannot be carried out as anything else", match made_for {
        Purpose::Update => "update",
        Purpose::Delete => "delete",
    })]
    Purpose {
        /// What it was made for.
        made_for: Purpose,
    },
    /// A plan made earlier is not what would be planned now; nothing was changed.
    #[error("the plan is out of date: {what}")]
    Stale {
        /// What differs.
        what: String,
    },
    /// A deletion ended with something left; the cluster's state is kept.
    #[error("still there after deleting: {}; run the same again", .left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Leftovers {
        /// What is left.
        left: Vec<ResourceId>,
        /// Why the first of it could not be deleted, if that is known.
        #[source]
        cause: Option<Box<CloudError>>,
    },
    /// It cannot be told whether anything is left; the cluster's state is kept.
    #[error("cannot tell whether anything is left: {}", .0.iter().map(|gap| gap.reason.as_str()).collect::<Vec<_>>().join("; "))]
    Unproven(Vec<Gap>),
    /// A rolling update stopped, or its cluster could not be looked at.
    #[error(transparent)]
    Roll(#[from] RollError),
    /// A plan was carried out only in part.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    /// The control plane was replaced, and still not every machine of it is known to run the new version.
    #[error(
        "workers stay at Kubernetes {version}: not every machine of the control plane is known to run a newer version"
    )]
    Held {
        /// The version of the workers.
        version: KubernetesVersion,
    },
    /// The cluster cannot be upgraded like that.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// The provider cannot look at scaling groups.
    #[error("the machines of running clusters cannot be looked at on this cloud yet")]
    NoFleet,
    /// The cluster's keys are missing or cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// There is neither a load balancer nor a machine of the control plane.
    #[error(
        "the Kubernetes API of {cluster} has no address yet: `update cluster --yes` makes what it runs on"
    )]
    NoApiAddress {
        /// The cluster.
        cluster: String,
    },
    /// This program was built without a client for Kubernetes (feature `kube`).
    #[error("the Kubernetes API of {cluster} cannot be reached: this was built without a client for it")]
    NoClusterApi {
        /// The cluster.
        cluster: String,
    },
    /// Nothing could be done about etcd's backups.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// The run was cancelled; the cluster's state is kept.
    #[error("cancelled; run the same again to go on from there")]
    Cancelled,
}

impl OperationError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Registry(error) => error.class(),
            Self::Lease(error) => error.class(),
            Self::Provider(error) => error.class(),
            Self::Cloud(error) => error.class,
            Self::Pki(error) => error.class(),
            Self::Catalog(error) => error.class(),
            Self::Addon(UserAddonError::Store(error)) => error.class(),
            Self::Roll(error) => error.class(),
            Self::Etcd(error) => error.class(),
            Self::Invalid(_)
            | Self::Purpose { .. }
            | Self::Breaking(_)
            | Self::Addon(_)
            | Self::Plan(_)
            | Self::Upgrade(_)
            | Self::NoFleet
            | Self::NoApiAddress { .. }
            | Self::NoClusterApi { .. } => ErrorClass::Invalid,
            Self::Incomplete(Incomplete { first: Some(error), .. }) => error.class,
            Self::Stale { .. } | Self::Held { .. } | Self::Leftovers { .. } => ErrorClass::Conflict,
            Self::Unproven(_) | Self::Incomplete(_) | Self::Cancelled => ErrorClass::Unavailable,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Cloud(error) | Self::Provider(ProviderError::Cloud(error)) => error.retry,
            Self::Incomplete(Incomplete { first: Some(error), .. }) => error.retry,
            Self::Leftovers { cause, .. } => cause.as_ref().map_or(Retry::Never, |error| error.retry),
            Self::Roll(error) => error.retry(),
            Self::Registry(RegistryError::Store(error) | RegistryError::Partial { source: error, .. })
            | Self::Catalog(CatalogError::Store(error))
            | Self::Addon(UserAddonError::Store(error))
            | Self::Pki(PkiError::Store(error))
            | Self::Etcd(EtcdError::Store(error))
            | Self::Lease(LeaseError::Store(error)) => error.retry(),
            Self::Lease(LeaseError::Held { .. }) | Self::Held { .. } => Retry::WhenFree,
            Self::Catalog(CatalogError::Checksum { source, .. }) => source.class.retry(),
            Self::Etcd(EtcdError::Failed { .. } | EtcdError::Unanswered { .. })
            | Self::NoApiAddress { .. } => Retry::Backoff,
            Self::Unproven(gaps) => match gaps.iter().all(|gap| gap.class.retry() != Retry::Never) {
                true => Retry::Backoff,
                false => Retry::Never,
            },
            Self::Registry(_)
            | Self::Invalid(_)
            | Self::Breaking(_)
            | Self::Provider(_)
            | Self::Lease(_)
            | Self::Catalog(_)
            | Self::Addon(_)
            | Self::Plan(_)
            | Self::Purpose { .. }
            | Self::Stale { .. }
            | Self::Incomplete(_)
            | Self::Upgrade(_)
            | Self::NoFleet
            | Self::Pki(_)
            | Self::NoClusterApi { .. }
            | Self::Etcd(_)
            | Self::Cancelled => Retry::Never,
        }
    }
}

impl From<ProviderError> for OperationError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Invalid(violations) => Self::Invalid(violations),
            ProviderError::Programs(error) => Self::Catalog(error),
            error => Self::Provider(error),
        }
    }
}

impl From<LeaseError> for OperationError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Cancelled => Self::Cancelled,
            error => Self::Lease(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Failure, StateError};

    fn throttled() -> StateError {
        Failure::new(ErrorClass::Throttled, "read", "s3://bucket/config", "too many requests").into()
    }

    #[test]
    fn what_passes_by_itself_may_be_tried_again_wherever_it_was_met() {
        let cloud = CloudError::general(ErrorClass::Throttled, "observe", "too many requests");
        let errors: [OperationError; 9] = [
            RegistryError::from(throttled()).into(),
            CatalogError::from(throttled()).into(),
            UserAddonError::Store(throttled()).into(),
            PkiError::from(throttled()).into(),
            EtcdError::from(throttled()).into(),
            LeaseError::from(throttled()).into(),
            ProviderError::from(cloud).into(),
            OperationError::Unproven(vec![Gap {
                kinds: Vec::new(),
                class: ErrorClass::Unavailable,
                reason: String::new(),
            }]),
            OperationError::NoApiAddress { cluster: "demo".to_owned() },
        ];
        for error in errors {
            assert_eq!(error.retry(), Retry::Backoff, "{error:?}");
        }
    }

    #[test]
    fn what_somebody_has_to_change_first_is_not_tried_again() {
        let refused = Failure::new(ErrorClass::Denied, "read", "s3://bucket/config", "access denied").into();
        let errors: [OperationError; 3] = [
            RegistryError::Store(refused).into(),
            OperationError::Stale { what: String::new() },
            OperationError::Purpose { made_for: Purpose::Delete },
        ];
        for error in errors {
            assert_eq!(error.retry(), Retry::Never, "{error:?}");
        }
    }
}

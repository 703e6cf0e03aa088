//! The connection to a cluster's Kubernetes API over the network.

use std::time::Duration;

use super::running::Running;
use super::{Kops, OperationError};
use crate::cluster_api::{ClusterApi, KubeClient};
use crate::pki::{KUBERNETES_CA, Leaf};
use crate::provider::Provider;
use crate::rolling::RollError;

/// How long the certificate of a run holds: no rolling update should take longer.
const RUN_LIFETIME: Duration = Duration::from_hours(24);

impl<P: Provider> Kops<P> {
    /// Issues a certificate for this run, which nobody but its memory ever has.
    pub(super) async fn connect(&self, running: &Running) -> Result<Box<dyn ClusterApi>, OperationError> {
        let server = self.server(&running.scope).await?;
        let authority = self.keystore().keyset(&running.scope.cluster, KUBERNETES_CA).await?;
        let leaf = Leaf::admin("kops", RUN_LIFETIME);
        let credential = authority.authority()?.issue(&leaf, self.clock.now())?;
        let trusted = authority.trusted().map(|pair| &pair.certificate);
        Ok(Box::new(KubeClient::new(&server, trusted, &credential).map_err(RollError::from)?))
    }
}

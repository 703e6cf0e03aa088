//! The hosted zone of the cluster's names.

use kops_core::cloud::CloudError;
use kops_core::manifest::CompletedCluster;

use super::PLAN;
use crate::api::cloud::Api;
use crate::api::{hosted_zone, record};
use crate::facts::HostedZone;

/// The zones that the manifest may mean. One call if it means any, and one more if the account also has the zone above.
pub(super) async fn zones(api: &Api, completed: &CompletedCluster) -> Result<Vec<HostedZone>, CloudError> {
    let Some(reference) = completed.cluster.hosted_zone() else { return Ok(Vec::new()) };
    let (mut zones, above) = hosted_zone::with_parent(api, PLAN, completed.name(), &reference).await?;
    if let ([zone], Some(above)) = (zones.as_mut_slice(), above)
        && !zone.is_private
        && !record::delegates(api, PLAN, &above.id, &zone.name).await?
    {
        zone.undelegated_by = Some(above.name);
    }
    Ok(zones)
}

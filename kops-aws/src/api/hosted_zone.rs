//! Hosted zones: which one a cluster's names belong to. They are made by others, and never changed.

use aws_sdk_route53::types::HostedZone;
use kops_core::cloud::CloudError;
use kops_core::zone::{ZoneReference, is_within};

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use crate::facts;

/// The zones that a reference may mean: none if there is none, more than one if several have the same name. One call.
pub(super) async fn meant(
    api: &Api,
    purpose: Purpose<'_>,
    cluster: &str,
    reference: &ZoneReference,
) -> Result<Vec<facts::HostedZone>, CloudError> {
    Ok(among(api, purpose, cluster, reference).await?.0)
}

/// The same, and the next zone above, whose records have to lead there.
pub(super) async fn with_parent(
    api: &Api,
    purpose: Purpose<'_>,
    cluster: &str,
    reference: &ZoneReference,
) -> Result<(Vec<facts::HostedZone>, Option<facts::HostedZone>), CloudError> {
    let (chosen, all) = among(api, purpose, cluster, reference).await?;
    let above = |zone: &&facts::HostedZone| {
        chosen.iter().any(|own| own.name != zone.name && is_within(&own.name, &zone.name))
    };
    let parent = all.iter().filter(above).max_by_key(|zone| zone.name.len()).cloned();
    Ok((chosen, parent))
}

async fn among(
    api: &Api,
    purpose: Purpose<'_>,
    cluster: &str,
    reference: &ZoneReference,
) -> Result<(Vec<facts::HostedZone>, Vec<facts::HostedZone>), CloudError> {
    if let Some(id) = reference.id() {
        let call = api.route53.get_hosted_zone().id(id).send();
        let found = absent_is_fine(api.route53(purpose, "route53:GetHostedZone", call).await)?;
        let zone = found.and_then(|found| found.hosted_zone).as_ref().map(plain);
        return Ok((zone.into_iter().collect(), Vec::new()));
    }
    let pages = api.route53.list_hosted_zones().into_paginator().items().send();
    let pages = pages.collect::<Result<Vec<_>, _>>();
    let all = api.route53(purpose, "route53:ListHostedZones", pages).await?;
    let is_private = |zone: &HostedZone| zone.config().is_some_and(|config| config.private_zone());
    let all = all.iter().filter(|zone| is_private(zone) == reference.is_private);
    let all: Vec<facts::HostedZone> = all.map(plain).collect();
    let chosen = reference.choose(cluster, all.iter().map(|zone| zone.name.as_str()));
    let chosen = chosen.into_iter().filter_map(|index| all.get(index).cloned()).collect();
    Ok((chosen, all))
}

fn plain(zone: &HostedZone) -> facts::HostedZone {
    facts::HostedZone {
        id: zone.id().rsplit('/').next().unwrap_or_default().to_owned(),
        name: zone.name().trim_end_matches('.').to_ascii_lowercase(),
        is_private: zone.config().is_some_and(|config| config.private_zone()),
        undelegated_by: None,
    }
}

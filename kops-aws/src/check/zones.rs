//! The hosted zone of the cluster's names.

use kops_core::manifest::{CompletedCluster, Violation};
use kops_core::zone::is_within;

use super::{list, violation};
use crate::facts::Facts;

const PATH: &str = "cluster.spec.dnsZone";

pub(super) fn check(found: &mut Vec<Violation>, completed: &CompletedCluster, facts: &Facts) {
    let Some(reference) = completed.cluster.hosted_zone() else { return };
    let cluster = completed.name();
    let kind = if reference.is_private { "private" } else { "public" };
    match facts.hosted_zones.as_slice() {
        [] => {
            let message = match &reference.zone {
                Some(zone) => format!("the account has no {kind} hosted zone `{zone}`"),
                None => format!("the account has no {kind} hosted zone whose name `{cluster}` ends in"),
            };
            let hint =
                "make the zone in Route 53, or keep no names: `topology: {dns: {type: None}}`".to_owned();
            found.push(violation(PATH, message, hint));
        }
        [zone] => {
            if zone.is_private != reference.is_private {
                let is = if zone.is_private { "private" } else { "public" };
                let message = format!("the hosted zone {} is {is}, not {kind}", zone.id);
                found.push(violation(
                    PATH,
                    message,
                    "change `topology.dns.type`, or name another zone".to_owned(),
                ));
            }
            if !is_within(cluster, &zone.name) {
                let message =
                    format!("`{cluster}` is not within the hosted zone {} ({})", zone.name, zone.id);
                let hint = "name a zone that the cluster's name ends in".to_owned();
                found.push(violation(PATH, message, hint));
            }
        }
        several => {
            let ids = list(several.iter().map(|zone| &zone.id));
            let name = several.first().map(|zone| zone.name.as_str()).unwrap_or_default();
            let message = format!("there are several {kind} hosted zones {name}: {ids}");
            found.push(violation(PATH, message, "write the id of the one that is meant".to_owned()));
        }
    }
}

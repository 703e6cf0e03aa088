//! Batches of changes of hosted zones: carried out as a whole or not at all, each change as if those before it had been made.
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>

use std::collections::BTreeMap;

use xmltree::Element;

use crate::call::{AwsCall, route53_path};
use crate::envelope::ApiError;
use crate::upstream::Upstream;
use crate::xml;

/// The most records that one batch may have.
const LIMIT: usize = 1000;

/// A record's name, type and set.
type RecordKey = (String, String, String);

/// Refuses a batch that AWS would refuse.
pub(super) async fn check(upstream: &Upstream, call: &AwsCall, body: &[u8]) -> Result<(), ApiError> {
    if call.action != "ChangeResourceRecordSets" {
        return Ok(());
    }
    let id = route53_path(&call.resource).get(1).copied().unwrap_or_default().to_owned();
    let zone = upstream.get(call, &format!("/2013-04-01/hostedzone/{id}")).await?;
    // A zone that is not there is refused by moto, too.
    let Some(zone) = xml::parse(&zone.body).filter(|_| zone.status.is_success()) else { return Ok(()) };
    let zone = xml::find(&zone, "HostedZone").map(|zone| xml::text(zone, "Name")).unwrap_or_default();
    let records = upstream.get(call, &format!("/2013-04-01/hostedzone/{id}/rrset?maxitems=1000")).await?;
    let records = xml::parse(&records.body);
    let records = records.iter().flat_map(|root| xml::items(root, "ResourceRecordSets"));
    let mut world: BTreeMap<RecordKey, Vec<String>> = records.map(|set| (key(set), values(set))).collect();
    let body = xml::parse(body).ok_or_else(|| ApiError::new("InvalidInput", "the batch is not XML"))?;
    let changes = xml::items(&body, "Changes");
    let mut faults = Vec::new();
    if changes.len() > LIMIT {
        faults.push(format!("Number of records limit of {LIMIT} exceeded"));
    }
    for change in changes {
        let Some(set) = change.get_child("ResourceRecordSet") else { continue };
        faults.extend(apply(&mut world, &zone, &xml::text(change, "Action"), set));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(ApiError::new("InvalidChangeBatch", format!("[{}]", faults.join(", "))))
}

/// Names are told with a dot at the end, and in lower case.
fn full(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase()).replace('*', "\\052")
}

fn key(set: &Element) -> RecordKey {
    (full(&xml::text(set, "Name")), xml::text(set, "Type"), xml::text(set, "SetIdentifier"))
}

/// All that a deletion has to know.
fn values(set: &Element) -> Vec<String> {
    let alias = set
        .get_child("AliasTarget")
        .map(|alias| format!("{} {}", xml::text(alias, "HostedZoneId"), full(&xml::text(alias, "DNSName"))));
    let mut values: Vec<String> =
        xml::items(set, "ResourceRecords").into_iter().map(|record| xml::text(record, "Value")).collect();
    values.sort();
    values.extend(alias);
    values.push(xml::text(set, "TTL"));
    values
}

/// Makes one change, or says why it cannot be made.
fn apply(
    world: &mut BTreeMap<RecordKey, Vec<String>>,
    zone: &str,
    action: &str,
    set: &Element,
) -> Option<String> {
    let (key, values) = (key(set), values(set));
    let (name, type_, _) = &key;
    let what = format!("resource record set [name='{name}', type='{type_}']");
    if name != zone && !name.ends_with(&format!(".{zone}")) {
        return Some(format!("RRSet with DNS name {name} is not permitted in zone {zone}"));
    }
    let there = world.get(&key);
    match action {
        "DELETE" => match there {
            None => return Some(format!("Tried to delete {what} but it was not found")),
            Some(found) if *found != values => {
                return Some(format!(
                    "Tried to delete {what} but the values provided do not match the current values"
                ));
            }
            Some(_) => {
                world.remove(&key);
                return None;
            }
        },
        "CREATE" if there.is_some() => return Some(format!("Tried to create {what} but it already exists")),
        _ => {}
    }
    let conflicts =
        |other: &RecordKey| other.0 == *name && other.1 != *type_ && (other.1 == "CNAME" || type_ == "CNAME");
    if world.keys().any(conflicts) {
        return Some(format!("RRSet of type {type_} with DNS name {name} is not permitted beside a CNAME"));
    }
    world.insert(key, values);
    None
}

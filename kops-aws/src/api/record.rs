//! Records in hosted zones: the cluster's own names, and no other.
//!
//! Records carry no tags. What makes one the cluster's is its name.

use std::collections::BTreeMap;

use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};
use kops_core::zone::is_within;

use super::call::{Purpose, Turns, absent_is_fine, missing};
use super::cloud::Api;
use super::hosted_zone;
use crate::names;
use crate::resource::{AwsResource, DnsName, kind};

/// How many seconds others may remember an address: as in kops.
const TTL: i64 = 60;
/// What a name leads to until machines keep it, as in kops: an address for documentation (RFC 5737). Without it, who asks too
/// early would remember for a quarter of an hour that there is no such name.
const PLACEHOLDER: &str = "203.0.113.123";

/// A record of the cluster.
#[derive(Debug)]
pub(super) struct Read {
    zone: String,
    record: ResourceRecordSet,
    ownership: Ownership,
}

/// The names that load balancers have on AWS, with what they are called and their handles.
pub(super) type Addresses = BTreeMap<String, (ResourceId, Handle)>;

pub(super) async fn read(api: &Api, scope: &Scope, reach: Reach) -> Result<Vec<Read>, CloudError> {
    let Some(reference) = &scope.zone else { return Ok(Vec::new()) };
    let zones = hosted_zone::meant(api, Purpose::OBSERVE, &scope.cluster, reference).await?;
    let mut found = Vec::new();
    for zone in zones {
        // A name of the API that somebody has chosen may lie elsewhere in the zone.
        let elsewhere = Some(&reference.api_name).filter(|name| !is_within(name, &scope.cluster));
        for root in elsewhere.into_iter().chain([&scope.cluster]).filter(|root| is_within(root, &zone.name)) {
            let records = within(&api.route53, &api.route53_turns, Purpose::OBSERVE, &zone.id, root).await?;
            found.extend(records.into_iter().filter_map(|record| {
                let ownership = own(&record, &scope.cluster, &reference.api_name)?;
                let is_read = reach == Reach::Everything || ownership == Ownership::Managed;
                is_read.then(|| Read { zone: zone.id.clone(), record, ownership })
            }));
        }
    }
    Ok(found)
}

/// Whose a record is that the cluster may have; none if it is somebody else's.
fn own(record: &ResourceRecordSet, cluster: &str, api_name: &str) -> Option<Ownership> {
    // Nothing here makes several records of one name and type.
    if !matches!(record.r#type(), RrType::A | RrType::Aaaa) || record.set_identifier().is_some() {
        return None;
    }
    let name = plain(record.name());
    let first = name.strip_suffix(cluster).and_then(|rest| rest.strip_suffix('.'));
    let is_v4 = *record.r#type() == RrType::A;
    match first {
        _ if is_v4 && name == api_name => Some(Ownership::Managed),
        Some(names::API_INTERNAL | names::BASTION) if is_v4 => Some(Ownership::Managed),
        // What machines of kops's clusters, and of earlier releases of it, write.
        Some(first) if names::is_of_machines(first) => Some(Ownership::Dependent),
        _ => None,
    }
}

/// A name as manifests have it.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

pub(super) fn resources(read: &[Read], addresses: &Addresses) -> Vec<Observed<AwsResource>> {
    read.iter().map(|one| of_record(one, addresses)).collect()
}

fn of_record(read: &Read, addresses: &Addresses) -> Observed<AwsResource> {
    let (name, type_) = (plain(read.record.name()), read.record.r#type().as_str());
    let alias = read.record.alias_target().map(|alias| of_alias(alias.dns_name()));
    let known = alias.as_ref().and_then(|alias| addresses.get(alias));
    let of_kind = |kind| known.filter(|(id, _)| id.kind == kind).map(|(id, _)| id.name.clone());
    let resource = AwsResource::DnsName(DnsName {
        name: if type_ == "A" { name.clone() } else { format!("{name}-{type_}") },
        ownership: read.ownership,
        zone: read.zone.clone(),
        resource_type: type_.to_owned(),
        classic_load_balancer: of_kind(kind::CLASSIC_LOAD_BALANCER),
        network_load_balancer: of_kind(kind::NETWORK_LOAD_BALANCER),
        elsewhere: alias.clone().filter(|_| known.is_none()),
    });
    let uses = known.map(|(_, handle)| handle.clone()).into_iter().collect();
    Observed { resource, handle: handle(&read.zone, &name, type_), uses }
}

/// The name that an alias leads to, as load balancers tell theirs.
pub(super) fn of_alias(name: &str) -> String {
    let name = plain(name);
    name.strip_prefix("dualstack.").map_or(name.clone(), str::to_owned)
}

fn handle(zone: &str, name: &str, type_: &str) -> Handle {
    Handle(format!("{zone}/{name}/{type_}"))
}

/// All records of a name and of names below it. One call, and one for each further page.
async fn within(
    client: &aws_sdk_route53::Client,
    turns: &Turns,
    purpose: Purpose<'_>,
    zone: &str,
    root: &str,
) -> Result<Vec<ResourceRecordSet>, CloudError> {
    let mut found = Vec::new();
    let mut next = (root.to_owned(), None, None);
    loop {
        let call = client.list_resource_record_sets().hosted_zone_id(zone).start_record_name(&next.0);
        let call = call.set_start_record_type(next.1).set_start_record_identifier(next.2).send();
        let page = absent_is_fine(turns.send(purpose, "route53:ListResourceRecordSets", call).await)?;
        let Some(page) = page else { return Ok(found) };
        // Zones are sorted by the labels of their names from the end: all that follows is somebody else's.
        let (is_truncated, after) = (page.is_truncated(), page.next_record_name().map(plain));
        found.extend(page.resource_record_sets.into_iter().filter(|set| is_within(&plain(set.name()), root)));
        match after.filter(|name| is_truncated && is_within(name, root)) {
            Some(name) => next = (name, page.next_record_type, page.next_record_identifier),
            None => return Ok(found),
        }
    }
}

/// The record of a name and type.
async fn one(
    client: &aws_sdk_route53::Client,
    turns: &Turns,
    purpose: Purpose<'_>,
    zone: &str,
    name: &str,
    type_: RrType,
) -> Result<Option<ResourceRecordSet>, CloudError> {
    let call = client.list_resource_record_sets().hosted_zone_id(zone).start_record_name(name);
    let call = call.start_record_type(type_.clone()).max_items(1).send();
    let page = absent_is_fine(turns.send(purpose, "route53:ListResourceRecordSets", call).await)?;
    let sets = page.map(|page| page.resource_record_sets).unwrap_or_default();
    let same = |set: &ResourceRecordSet| plain(set.name()) == plain(name) && *set.r#type() == type_;
    Ok(sets.into_iter().find(same))
}

/// Whether a zone leads to the name servers of another.
pub(super) async fn delegates(
    api: &Api,
    purpose: Purpose<'_>,
    zone: &str,
    to: &str,
) -> Result<bool, CloudError> {
    Ok(one(&api.route53, &api.route53_turns, purpose, zone, to, RrType::Ns).await?.is_some())
}

/// Sends a batch, which AWS carries out as a whole or not at all.
async fn change(
    client: &aws_sdk_route53::Client,
    turns: &Turns,
    purpose: Purpose<'_>,
    zone: &str,
    changes: impl IntoIterator<Item = (ChangeAction, ResourceRecordSet)>,
) -> Result<(), CloudError> {
    let changes = changes
        .into_iter()
        .filter_map(|(action, set)| Change::builder().action(action).resource_record_set(set).build().ok());
    // A batch with changes, and a change with its record, are complete.
    let batch = ChangeBatch::builder().set_changes(Some(changes.collect())).build().ok();
    let call = client.change_resource_record_sets().hosted_zone_id(zone).set_change_batch(batch).send();
    turns.send(purpose, "route53:ChangeResourceRecordSets", call).await.map(drop)
}

/// What a name is to lead to.
enum Target {
    Alias { name: String, zone: String },
    Machines,
}

impl Target {
    /// Whether a record leads there.
    fn is_of(&self, set: &ResourceRecordSet) -> bool {
        match (self, set.alias_target()) {
            (Self::Alias { name, .. }, Some(alias)) => of_alias(alias.dns_name()) == of_alias(name),
            (Self::Machines, None) => true,
            _ => false,
        }
    }

    fn record(&self, name: &str) -> Option<ResourceRecordSet> {
        match self {
            Self::Alias { name: to, zone } => {
                let alias = AliasTarget::builder().dns_name(to).hosted_zone_id(zone);
                let alias = alias.evaluate_target_health(false).build().ok()?;
                ResourceRecordSet::builder().name(name).r#type(RrType::A).alias_target(alias).build().ok()
            }
            Self::Machines => addresses(name, [PLACEHOLDER.to_owned()]),
        }
    }
}

fn addresses(name: &str, addresses: impl IntoIterator<Item = String>) -> Option<ResourceRecordSet> {
    let values = addresses.into_iter().filter_map(|one| ResourceRecord::builder().value(one).build().ok());
    let set = ResourceRecordSet::builder().name(name).r#type(RrType::A).ttl(TTL);
    set.set_resource_records(Some(values.collect())).build().ok()
}

/// Looks first: an earlier run may have made it, and machines may keep it already.
pub(super) async fn ensure(
    api: &Api,
    desired: &DnsName,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let (id, zone) = (request.desired.id(), desired.zone.as_str());
    let purpose = Purpose::change(&id);
    let target = match desired.load_balancer() {
        Some(to) => alias(api, &id, &to, &request.bindings.resolve(&id, &to)?).await?,
        None => Target::Machines,
    };
    let handle = handle(zone, &desired.name, "A");
    let (client, turns) = (&api.route53, &api.route53_turns);
    let found = one(client, turns, purpose, zone, &desired.name, RrType::A).await?;
    if found.as_ref().is_some_and(|set| target.is_of(set)) {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    let record = target.record(&desired.name);
    let record = record.ok_or_else(|| purpose.error(ErrorClass::Invalid, "its record is incomplete"))?;
    let (action, outcome) = match (&target, &found) {
        // Machines may write it at this moment.
        (Target::Machines, None) => (ChangeAction::Create, Outcome::Created),
        (_, None) => (ChangeAction::Upsert, Outcome::Created),
        (_, Some(_)) => (ChangeAction::Upsert, Outcome::Updated),
    };
    change(client, turns, purpose, zone, [(action, record)]).await?;
    Ok(Ensured { handle, outcome })
}

/// Where a load balancer is, for a record.
async fn alias(api: &Api, id: &ResourceId, to: &ResourceId, handle: &Handle) -> Result<Target, CloudError> {
    const ACTION: &str = "elasticloadbalancing:DescribeLoadBalancers";
    let purpose = Purpose::change(id);
    let found = if to.kind == kind::CLASSIC_LOAD_BALANCER {
        let call = api.elb.describe_load_balancers().load_balancer_names(handle.as_str()).send();
        let found = api.elb(purpose, ACTION, call).await?.load_balancer_descriptions.unwrap_or_default();
        found.into_iter().find_map(|one| Some((one.dns_name?, one.canonical_hosted_zone_name_id?)))
    } else {
        let call = api.elbv2.describe_load_balancers().load_balancer_arns(handle.as_str()).send();
        let found = api.elb(purpose, ACTION, call).await?.load_balancers.unwrap_or_default();
        found.into_iter().find_map(|one| Some((one.dns_name?, one.canonical_hosted_zone_id?)))
    };
    let (name, zone) = found.ok_or_else(|| missing(purpose, "the name of the load balancer"))?;
    Ok(Target::Alias { name, zone })
}

/// Deletes a record with the values that it has now: AWS wants all of them.
pub(super) async fn delete(
    api: &Api,
    target: &Observed<AwsResource>,
    record: &DnsName,
) -> Result<(), CloudError> {
    let id = target.resource.id();
    let (purpose, zone) = (Purpose::delete(&id), record.zone.as_str());
    let (client, turns) = (&api.route53, &api.route53_turns);
    let mut parts = target.handle.as_str().split('/').skip(1);
    let (name, type_) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match one(client, turns, purpose, zone, name, RrType::from(type_)).await? {
        None => Ok(()),
        Some(set) => change(client, turns, purpose, zone, [(ChangeAction::Delete, set)]).await,
    }
}

/// Makes names lead to addresses, all in one batch. Reads each, and changes those that differ.
pub(super) async fn publish(
    client: &aws_sdk_route53::Client,
    turns: &Turns,
    zone: &str,
    names: &BTreeMap<String, std::collections::BTreeSet<std::net::Ipv4Addr>>,
) -> Result<(), CloudError> {
    const PUBLISH: Purpose<'static> = Purpose { operation: "publish the names of", resource: None };
    let mut changes = Vec::new();
    for (name, wanted) in names {
        let found = one(client, turns, PUBLISH, zone, name, RrType::A).await?;
        let mut values: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        values.sort();
        let is_there = found.as_ref().is_some_and(|set| {
            let mut there: Vec<&str> = set.resource_records().iter().map(|record| record.value()).collect();
            there.sort_unstable();
            set.alias_target().is_none() && set.ttl() == Some(TTL) && there == values
        });
        if !is_there {
            changes.extend(addresses(name, values).map(|set| (ChangeAction::Upsert, set)));
        }
    }
    if changes.is_empty() { Ok(()) } else { change(client, turns, PUBLISH, zone, changes).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, type_: RrType) -> ResourceRecordSet {
        ResourceRecordSet::builder().name(name).r#type(type_).build().unwrap()
    }

    #[test]
    fn only_names_that_the_cluster_makes_are_its_own() {
        let own = |name: &str, type_| own(&record(name, type_), "a.example.com", "api.a.example.com");
        assert_eq!(own("api.a.example.com.", RrType::A), Some(Ownership::Managed));
        assert_eq!(own("api.internal.a.example.com.", RrType::A), Some(Ownership::Managed));
        assert_eq!(own("etcd-events-b.internal.a.example.com.", RrType::A), Some(Ownership::Dependent));
        assert_eq!(own("bastion.a.example.com.", RrType::A), Some(Ownership::Managed));
        for (name, type_) in [
            ("api.a.example.com.", RrType::Cname),
            ("api.a.example.com.", RrType::Txt),
            ("a.example.com.", RrType::A),
            ("\\052.a.example.com.", RrType::A),
            ("api.aa.example.com.", RrType::A),
            ("my-api.a.example.com.", RrType::A),
            ("api.b.a.example.com.", RrType::A),
            ("api.example.com.", RrType::A),
        ] {
            assert_eq!(own(name, type_), None, "{name}");
        }
    }
}

//! Tags and tag filters.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use kops_core::cloud::{Reach, Scope};

use crate::resource::Tags;
use crate::tags;

/// Finds what belongs to a cluster. What is shared carries another value.
pub(super) fn owned(scope: &Scope) -> Filter {
    filter(&format!("tag:{}", tags::ownership(&scope.cluster)), tags::OWNED)
}

/// The filters of the reads that together find what belongs to a cluster. Plans need what carries the tag by which
/// kops says whose it is; what runs in the cluster may have used only the older tag with the cluster's name. A read
/// finds what matches all of its filters, so that looking for either takes two.
pub(super) fn searches(scope: &Scope, reach: Reach) -> Vec<Filter> {
    match reach {
        Reach::Managed => vec![owned(scope)],
        Reach::Everything => vec![owned(scope), filter(&format!("tag:{}", tags::CLUSTER), &scope.cluster)],
    }
}

/// What several reads found, each once; without what the cluster only shares.
pub(super) fn merge<T>(
    scope: &Scope,
    pages: Vec<Vec<T>>,
    handle: impl Fn(&T) -> Option<&str>,
    tags: impl Fn(&T) -> &[Tag],
) -> Vec<T> {
    let ownership = tags::ownership(&scope.cluster);
    let is_shared = |found: &T| {
        let value = tags(found).iter().find(|tag| tag.key() == Some(&ownership)).and_then(|tag| tag.value());
        value.is_some_and(|value| value != tags::OWNED)
    };
    let found = pages.into_iter().flatten().filter(|found| !is_shared(found));
    let found = found.filter_map(|found| Some((handle(&found)?.to_owned(), found)));
    found.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// How many values a filter may have (EC2 API reference, `FilterLimitExceeded`).
const FILTER_VALUES: usize = 200;

/// Finds what has one of many values in a field, in as many reads as it takes.
pub(super) fn filters_any<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Vec<Filter> {
    let values: Vec<String> = values.into_iter().map(ToOwned::to_owned).collect();
    let filter = |values: &[String]| Filter::builder().name(name).set_values(Some(values.to_vec())).build();
    values.chunks(FILTER_VALUES).map(filter).collect()
}

/// Finds what has a value in a field.
pub(super) fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// Tags that a create carries.
pub(super) fn specification(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(to_ec2(tags))).build()
}

pub(super) fn to_ec2(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags as read, without those of AWS itself.
pub(super) fn from_ec2(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    plain(pairs)
}

/// Tags without those of AWS itself.
pub(super) fn plain<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tags {
    let pairs = pairs.into_iter().filter(|(key, _)| !key.starts_with("aws:"));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
}

/// The desired tags that are not there as desired.
pub(super) fn wanting(desired: &Tags, found: &Tags) -> Tags {
    let differs = |(key, value): &(&String, &String)| found.get(*key) != Some(value);
    desired.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_twice_counts_once_and_what_is_shared_never() {
        let scope = Scope { cluster: "a.b".into(), incarnation: String::new(), zone: None };
        let tagged = |handle: &str, pairs: &[(&str, &str)]| {
            let tags = pairs.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
            (handle.to_owned(), tags.collect::<Vec<_>>())
        };
        let both =
            || tagged("vol-1", &[("KubernetesCluster", "a.b"), ("kubernetes.io/cluster/a.b", "owned")]);
        let legacy = tagged("vol-2", &[("KubernetesCluster", "a.b")]);
        let shared =
            tagged("vol-3", &[("KubernetesCluster", "a.b"), ("kubernetes.io/cluster/a.b", "shared")]);
        let merged = merge(
            &scope,
            vec![vec![both()], vec![both(), legacy, shared]],
            |(handle, _)| Some(handle.as_str()),
            |(_, tags)| tags,
        );
        assert_eq!(merged.iter().map(|(handle, _)| handle.as_str()).collect::<Vec<_>>(), ["vol-1", "vol-2"]);
    }
}

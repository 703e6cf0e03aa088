//! Tags and tag filters.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use kops_core::cloud::Scope;

use crate::resource::Tags;
use crate::tags;

/// Finds what belongs to a cluster. What is shared carries another value.
pub(super) fn owned(scope: &Scope) -> Filter {
    filter(&format!("tag:{}", tags::ownership(&scope.cluster)), tags::OWNED)
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

//! Machine images.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{DeviceType, Filter, Image as Ec2Image};
use futures::future::try_join_all;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::manifest::CompletedCluster;

use super::PLAN;
use crate::api::cloud::Api;
use crate::facts::{Image, other_architectures};
use crate::partition;

/// Who publishes images: by the names that kops knows, and with an account in each partition.
struct Publisher {
    names: &'static [&'static str],
    accounts: &'static [(&'static str, &'static str)],
}

/// Names and accounts are those of `resolveImage` in kops's `awsup`; accounts elsewhere are the publishers' own words
/// (<https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/>,
/// <https://access.redhat.com/solutions/15356>, <https://github.com/awslabs/amazon-eks-ami>,
/// <https://www.flatcar.org/docs/latest/installing/cloud/aws-ec2/>).
const PUBLISHERS: [Publisher; 6] = [
    Publisher {
        names: &["amazon", "amazon.com"],
        accounts: &[("aws", "137112412989"), ("aws-cn", "141808717104"), ("aws-us-gov", "045324592363")],
    },
    Publisher { names: &["centos"], accounts: &[("aws", "125523088429")] },
    Publisher { names: &["debian10", "debian11", "debian12"], accounts: &[("aws", "136693071363")] },
    Publisher { names: &["flatcar"], accounts: &[("aws", "075585003325"), ("aws-us-gov", "775307060209")] },
    Publisher {
        names: &["redhat", "redhat.com"],
        accounts: &[("aws", "309956199498"), ("aws-cn", "841258680906"), ("aws-us-gov", "219670896067")],
    },
    Publisher {
        names: &["ubuntu"],
        accounts: &[("aws", "099720109477"), ("aws-cn", "837727238323"), ("aws-us-gov", "513442679011")],
    },
];

/// One call for each image that the manifests name.
pub(super) async fn images(
    api: &Api,
    completed: &CompletedCluster,
) -> Result<BTreeMap<String, Vec<Image>>, CloudError> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in &completed.groups {
        if let Some(image) = &group.spec.image {
            groups.entry(image).or_default().push(group.name());
        }
    }
    let images = groups.iter().map(async |(name, groups)| {
        let found = image(api, name).await.map_err(|error| {
            let message = format!("instance group {}: spec.image: {}", groups.join(", "), error.message);
            CloudError { message: message.into(), ..error }
        })?;
        Ok(((*name).to_owned(), found))
    });
    try_join_all(images).await.map(BTreeMap::from_iter)
}

/// An image by its id; or the newest of an owner's by name, as kops writes it, `<owner>/<name>`, and those of the same name
/// for other architectures. Images that their owners have deprecated still run.
async fn image(api: &Api, name: &str) -> Result<Vec<Image>, CloudError> {
    if name.starts_with("ssm:") {
        let message = format!(
            "{name} is looked up in Systems Manager, which is not supported yet: give the image itself"
        );
        return Err(PLAN.error(ErrorClass::Unsupported, message));
    }
    let describe = api.ec2.describe_images().include_deprecated(true);
    let (describe, names) = match name.split_once('/') {
        _ if name.starts_with("ami-") => (describe.image_ids(name), Vec::new()),
        Some((owner, name)) => {
            (describe.owners(account(owner, partition::of_region(api.region()))), with_others(name))
        }
        None => (describe.owners("self"), with_others(name)),
    };
    let by_name = Filter::builder().name("name").set_values(Some(names.clone())).build();
    let describe = if names.is_empty() { describe } else { describe.filters(by_name) };
    let available = Filter::builder().name("state").values("available").build();
    let call = describe.filters(available).send();
    let found = api.ec2(PLAN, "ec2:DescribeImages", call).await?.images.unwrap_or_default();
    let images = newest_of_each(found, &names);
    if images.is_empty() {
        let message = format!("there is no available image {name} in {}", api.region());
        return Err(PLAN.error(ErrorClass::NotFound, message));
    }
    Ok(images)
}

fn with_others(name: &str) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(other_architectures(name)).collect()
}

/// The newest image of each name in the order of the names, which may be patterns; without names, every image.
fn newest_of_each(mut found: Vec<Ec2Image>, names: &[String]) -> Vec<Image> {
    found.sort_by(|a, b| b.creation_date().cmp(&a.creation_date()));
    if names.is_empty() {
        return found.iter().filter_map(to_image).collect();
    }
    let rank = |image: &Ec2Image| {
        let name = image.name().unwrap_or_default();
        names.iter().position(|wanted| matches(wanted, name)).unwrap_or(names.len())
    };
    found.sort_by_key(rank);
    let mut images: Vec<Image> = Vec::new();
    for image in found.iter().filter_map(to_image) {
        if !images.iter().any(|known| known.architecture == image.architecture) {
            images.push(image);
        }
    }
    images
}

/// Whether a name is what a filter of EC2 stands for, in which `*` is any text and `?` any letter.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern_letters = pattern.chars();
    match pattern_letters.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern_letters.as_str();
            matches(rest, name)
                || name.chars().next().is_some_and(|c| matches(pattern, &name[c.len_utf8()..]))
        }
        Some(letter) => {
            let mut letters = name.chars();
            letters.next().is_some_and(|c| {
                (letter == '?' || letter == c) && matches(pattern_letters.as_str(), letters.as_str())
            })
        }
    }
}

/// The account of an owner in a partition. Of a publisher that is known, the name and every account stand for it.
fn account<'a>(owner: &'a str, partition: &str) -> &'a str {
    let publisher = PUBLISHERS.iter().find(|publisher| {
        publisher.names.contains(&owner) || publisher.accounts.iter().any(|(_, account)| *account == owner)
    });
    let Some(publisher) = publisher else { return owner };
    let here = publisher.accounts.iter().find(|(name, _)| *name == partition);
    here.or(publisher.accounts.first()).map_or(owner, |(_, account)| account)
}

fn to_image(image: &Ec2Image) -> Option<Image> {
    let root_device = image.root_device_name()?;
    if image.root_device_type() == Some(&DeviceType::InstanceStore) {
        return None;
    }
    let root =
        image.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(root_device));
    let size = root.and_then(|mapping| mapping.ebs()?.volume_size());
    Some(Image {
        id: image.image_id()?.to_owned(),
        root_device: root_device.to_owned(),
        architecture: image.architecture()?.as_str().to_owned(),
        size: size.and_then(|size| u32::try_from(size).ok()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::ArchitectureValues;

    use super::*;

    #[test]
    fn a_publisher_has_an_account_in_each_partition() {
        for (owner, partition, expected) in [
            ("ubuntu", "aws", "099720109477"),
            ("ubuntu", "aws-cn", "837727238323"),
            ("099720109477", "aws-us-gov", "513442679011"),
            ("099720109477", "aws", "099720109477"),
            ("debian12", "aws-cn", "136693071363"),
            ("123456789012", "aws-cn", "123456789012"),
        ] {
            assert_eq!(account(owner, partition), expected, "{owner} in {partition}");
        }
    }

    #[test]
    fn names_may_be_patterns() {
        assert!(matches("a*c?", "abbcd") && matches("*", "") && matches("a", "a"));
        assert!(!matches("a?", "a") && !matches("a*b", "ac") && !matches("", "a"));
    }

    #[test]
    fn the_newest_of_each_architecture_is_taken() {
        let image = |id: &str, name: &str, architecture: ArchitectureValues, date: &str| {
            Ec2Image::builder()
                .image_id(id)
                .name(name)
                .architecture(architecture)
                .creation_date(date)
                .root_device_name("/dev/sda1")
                .build()
        };
        let found = vec![
            image("ami-arm", "u-arm64-2", ArchitectureValues::Arm64, "2026-02-01T00:00:00.000Z"),
            image("ami-old", "u-amd64-1", ArchitectureValues::X8664, "2025-01-01T00:00:00.000Z"),
            image("ami-new", "u-amd64-2", ArchitectureValues::X8664, "2026-01-01T00:00:00.000Z"),
        ];
        let ids = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            newest_of_each(found.clone(), &names)
                .into_iter()
                .map(|image| image.id)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(ids(&["u-amd64-*", "u-arm64-*"]), "ami-new ami-arm");
        assert_eq!(ids(&["u-arm64-*", "u-amd64-*", "u-x86_64-*"]), "ami-arm ami-new");
        assert_eq!(ids(&[]), "ami-arm ami-new ami-old");
    }
}

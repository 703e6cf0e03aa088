use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use kops_core::cloud::CloudError;
use kops_core::fleet::Outdated;

use crate::api::call::Purpose;
use crate::api::cloud::Api;
use crate::api::launch_template::{Read, changed};

/// The launch templates of a cluster, with those of their older versions that machines were made from.
pub(super) struct Templates(BTreeMap<String, Versions>);

struct Versions {
    latest: i64,
    /// What has changed between a version and the latest, by version. Those that EC2 has no more are missing.
    changes: BTreeMap<i64, Vec<String>>,
}

impl Templates {
    pub(super) async fn read(
        api: &Api,
        latest: &[Read],
        in_use: &BTreeMap<String, BTreeSet<i64>>,
    ) -> Result<Self, CloudError> {
        let read = latest.iter().filter_map(|read| {
            let id = read.template.launch_template_id()?;
            let number = read.template.latest_version_number()?;
            let old = in_use.get(id).into_iter().flatten().copied().filter(|version| *version < number);
            Some(versions(api, read, id, number, old.collect()))
        });
        Ok(Self(try_join_all(read).await?.into_iter().collect()))
    }

    /// The number of the latest version.
    pub(super) fn latest(&self, template: &str) -> i64 {
        self.0.get(template).map(|versions| versions.latest).unwrap_or_default()
    }

    /// How the template has changed since a version, if it has.
    pub(super) fn outdated(&self, template: &str, version: i64) -> Option<Outdated> {
        let versions = self.0.get(template).filter(|versions| version < versions.latest)?;
        match versions.changes.get(&version) {
            // The content is what it was: made anew, the machine would be the same.
            Some(fields) if fields.is_empty() => None,
            Some(fields) => Some(Outdated { fields: fields.clone() }),
            None => Some(Outdated::default()),
        }
    }
}

async fn versions(
    api: &Api,
    read: &Read,
    id: &str,
    latest: i64,
    old: Vec<i64>,
) -> Result<(String, Versions), CloudError> {
    let mut versions = Versions { latest, changes: BTreeMap::new() };
    if old.is_empty() {
        return Ok((id.to_owned(), versions));
    }
    // By range, not by number: a version that is gone would be an error.
    let (first, last) = (old.iter().min().copied().unwrap_or_default(), latest - 1);
    let pages = api
        .ec2
        .describe_launch_template_versions()
        .launch_template_id(id)
        .min_version(first.to_string())
        .max_version(last.to_string())
        .into_paginator()
        .items()
        .send();
    let pages = pages.collect::<Result<Vec<_>, _>>();
    let found = api.ec2(Purpose::OBSERVE, "ec2:DescribeLaunchTemplateVersions", pages).await?;
    for version in found {
        if let (Some(number), Some(data)) = (version.version_number, version.launch_template_data) {
            versions.changes.insert(number, changed(&data, &read.latest));
        }
    }
    Ok((id.to_owned(), versions))
}

//! The programs of machines: from the state store where they are published there, else from their makers.

mod makers;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

pub(crate) use makers::CNI_PLUGINS;
use makers::Wanted;

use super::{Architecture, Asset, Catalog, CatalogError, NodeProgram, Source};
use crate::manifest::{CompletedCluster, InstanceGroup};
use crate::state::StateStore;
use crate::web::{Web, read_text};

/// The most bytes that a list of checksums may have; etcd's longest has a few thousand.
const LIST_LIMIT: usize = 64 * 1024;
/// How many lists of checksums are read at once.
const READS: usize = 8;

/// What machines can fetch, and by which hash they know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// What is in the state store.
    pub catalog: Catalog,
    /// What the makers say of files that are not in the table of this library: SHA-256 by URL.
    pub checksums: BTreeMap<String, String>,
    /// Why there is no checksum, by the URL of the file.
    pub unknown: BTreeMap<String, String>,
}

impl Programs {
    /// Reads what is published in the state store, and the makers' checksums of what else the cluster's machines need and the
    /// table does not have. A checksum that cannot be read is no error: [`Programs::unknown`] says why.
    ///
    /// # Errors
    /// The state store cannot be read.
    pub async fn load(
        store: &dyn StateStore,
        completed: &CompletedCluster,
        web: Option<&dyn Web>,
    ) -> Result<Self, CatalogError> {
        let mut programs = Self { catalog: Catalog::load(store).await?, ..Self::default() };
        let groups = completed.groups.iter();
        let all =
            groups.flat_map(|group| Architecture::ALL.map(|one| programs.missing(completed, group, one)));
        let wanted: BTreeMap<String, Wanted> =
            all.flatten().map(|wanted| (wanted.url.clone(), wanted)).collect();
        let reads = wanted.into_values().map(|wanted| async move {
            let found = match web {
                Some(web) => checksum(web, &wanted).await,
                None => Err("its checksum is not known here".to_owned()),
            };
            (wanted.url, found)
        });
        let found: Vec<_> = stream::iter(reads).buffer_unordered(READS).collect().await;
        for (url, found) in found {
            match found {
                Ok(sha256) => programs.checksums.insert(url, sha256),
                Err(reason) => programs.unknown.insert(url, reason),
            };
        }
        Ok(programs)
    }

    /// Returns what turns machines of this architecture into nodes.
    pub fn node_program(&self, architecture: Architecture) -> Option<NodeProgram> {
        self.catalog.node_program(architecture)
    }

    /// Returns what the machines of a group fetch, sorted: what is published for their version of Kubernetes, and from its makers
    /// what else they need.
    pub fn assets(
        &self,
        completed: &CompletedCluster,
        group: &InstanceGroup,
        architecture: Architecture,
    ) -> Vec<Asset> {
        let mut assets = self.published(completed, architecture);
        let there: BTreeSet<String> = assets.iter().map(|asset| asset.name.clone()).collect();
        let wanted = makers::wanted(completed, group, architecture);
        self.lay_out(&mut assets, &wanted, completed, architecture);
        let others = wanted.into_iter().filter(|wanted| !there.contains(wanted.name));
        assets.extend(others.filter_map(|wanted| {
            let sha256 = self.sha256(&wanted)?;
            Some(Asset {
                name: wanted.name.to_owned(),
                sha256,
                source: Source::Url(wanted.url),
                files: wanted.files,
                directory: wanted.directory.map(str::to_owned),
            })
        }));
        assets.sort();
        assets
    }

    /// Returns the names of what the machines of a group need and nobody can give them, with the reasons.
    pub fn lacking(
        &self,
        completed: &CompletedCluster,
        group: &InstanceGroup,
        architecture: Architecture,
    ) -> BTreeMap<&'static str, String> {
        let missing = self.missing(completed, group, architecture).into_iter();
        let missing = missing.filter(|wanted| self.sha256(wanted).is_none());
        missing
            .map(|wanted| {
                let reason = self.unknown.get(&wanted.url).cloned();
                (
                    wanted.name,
                    reason.unwrap_or_else(|| format!("the checksum of {} is not known", wanted.url)),
                )
            })
            .collect()
    }

    /// What is neither published in the state store nor in the table.
    fn missing(
        &self,
        completed: &CompletedCluster,
        group: &InstanceGroup,
        architecture: Architecture,
    ) -> Vec<Wanted> {
        let there = self.published(completed, architecture);
        let mut wanted = makers::wanted(completed, group, architecture);
        wanted
            .retain(|wanted| wanted.sha256.is_none() && !there.iter().any(|asset| asset.name == wanted.name));
        wanted
    }

    /// Says of published archives what is taken from them, and where it goes.
    fn lay_out(
        &self,
        published: &mut [Asset],
        wanted: &[Wanted],
        completed: &CompletedCluster,
        architecture: Architecture,
    ) {
        let version = completed.cluster.spec.kubernetes_version.as_deref().unwrap_or_default();
        for asset in published {
            let layout = wanted.iter().find(|wanted| wanted.name == asset.name);
            if let Some(layout) =
                layout.filter(|_| self.catalog.is_archive(architecture, version, &asset.name))
            {
                asset.files.clone_from(&layout.files);
                asset.directory = layout.directory.map(str::to_owned);
            }
        }
    }

    fn published(&self, completed: &CompletedCluster, architecture: Architecture) -> Vec<Asset> {
        let version = completed.cluster.spec.kubernetes_version.as_deref().unwrap_or_default();
        self.catalog.assets(architecture, version)
    }

    fn sha256(&self, wanted: &Wanted) -> Option<String> {
        wanted.sha256.clone().or_else(|| self.checksums.get(&wanted.url).cloned())
    }
}

async fn checksum(web: &dyn Web, wanted: &Wanted) -> Result<String, String> {
    let list = read_text(web, &wanted.checksums, LIST_LIMIT).await.map_err(|error| error.to_string())?;
    let name = wanted.url.rsplit('/').next().unwrap_or_default();
    listed(&list, name).ok_or_else(|| format!("{} has no SHA-256 of {name}", wanted.checksums))
}

/// Returns the SHA-256 that a list has for a file: a hash alone, or lines as `sha256sum` prints them.
fn listed(list: &str, name: &str) -> Option<String> {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = lines.find_map(|words| match words.as_slice() {
        [hash] => Some(*hash),
        [hash, file] if file.trim_start_matches('*').rsplit('/').next() == Some(name) => Some(*hash),
        _ => None,
    });
    found.filter(|hash| is_hash(hash)).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests;

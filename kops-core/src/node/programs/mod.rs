//! The programs of machines: from the state store where they are published there, else from their makers.

mod makers;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

pub(crate) use makers::CNI_PLUGINS;
use makers::Wanted;

use super::{Architecture, Asset, Catalog, CatalogError, NodeProgram, Published, Source};
use crate::error::ErrorClass;
use crate::manifest::{CompletedCluster, InstanceGroup};
use crate::state::StateStore;
use crate::web::{Web, WebError, read_text};

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
    /// Why a maker's checksum could not be read, by the URL of the file.
    pub unread: BTreeMap<String, WebError>,
}

impl Programs {
    /// Reads what is published in the state store, and the makers' checksums of what else the cluster's machines need and the
    /// table does not have, for every architecture. Without `web`, these stay unknown: [`Programs::lacking`] names them.
    ///
    /// # Errors
    /// The state store cannot be read.
    pub async fn load(
        store: &dyn StateStore,
        completed: &CompletedCluster,
        web: Option<&dyn Web>,
    ) -> Result<Self, CatalogError> {
        let mut programs = Self { catalog: Catalog::load(store).await?, ..Self::default() };
        let Some(web) = web else { return Ok(programs) };
        let groups = completed.groups.iter();
        let all =
            groups.flat_map(|group| Architecture::ALL.map(|one| programs.unknown(completed, group, one)));
        let wanted: BTreeMap<String, Wanted> =
            all.flatten().map(|wanted| (wanted.url.clone(), wanted)).collect();
        let reads = wanted.into_values().map(async |wanted| (checksum(web, &wanted).await, wanted.url));
        let found: Vec<_> = stream::iter(reads).buffer_unordered(READS).collect().await;
        for (found, url) in found {
            match found {
                Ok(sha256) => drop(programs.checksums.insert(url, sha256)),
                Err(error) => drop(programs.unread.insert(url, error)),
            }
        }
        Ok(programs)
    }

    /// Makes sure that no checksum is missing that a maker should have given for the machines of a group.
    ///
    /// # Errors
    /// One could not be read. A plan without it would make machines that lack a program.
    pub fn check(
        &self,
        completed: &CompletedCluster,
        group: &InstanceGroup,
        architecture: Architecture,
    ) -> Result<(), CatalogError> {
        let unknown = self.unknown(completed, group, architecture);
        let unread = unknown.iter().find_map(|wanted| Some((wanted.name, self.unread.get(&wanted.url)?)));
        unread.map_or(Ok(()), |(program, source)| {
            Err(CatalogError::Checksum { program: program.to_owned(), source: source.clone() })
        })
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
        let wanted = makers::wanted(completed, group, architecture);
        let published = self.published(completed, architecture);
        let mut assets: Vec<Asset> = published
            .filter_map(|one| {
                let layout = wanted.iter().find(|wanted| wanted.name == one.name).filter(|_| one.is_archive);
                // Nobody knows what to take from an archive that nobody needs.
                (one.is_archive == layout.is_some()).then(|| Asset {
                    name: one.name.clone(),
                    sha256: one.sha256.clone(),
                    source: Source::Key(one.key.clone()),
                    files: layout.map(|layout| layout.files.clone()).unwrap_or_default(),
                    directory: layout.and_then(|layout| layout.directory).map(str::to_owned),
                })
            })
            .collect();
        let others =
            wanted.into_iter().filter(|wanted| !self.publishes(completed, architecture, wanted.name));
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

    /// Returns the names of what the machines of a group need and cannot fetch, since its checksum is not known.
    pub fn lacking(
        &self,
        completed: &CompletedCluster,
        group: &InstanceGroup,
        architecture: Architecture,
    ) -> BTreeSet<&'static str> {
        let unknown = self.unknown(completed, group, architecture).into_iter();
        unknown.filter(|wanted| self.sha256(wanted).is_none()).map(|wanted| wanted.name).collect()
    }

    /// What is neither published in the state store nor in the table.
    fn unknown(
        &self,
        completed: &CompletedCluster,
        group: &InstanceGroup,
        architecture: Architecture,
    ) -> Vec<Wanted> {
        let mut wanted = makers::wanted(completed, group, architecture);
        wanted.retain(|wanted| {
            wanted.sha256.is_none() && !self.publishes(completed, architecture, wanted.name)
        });
        wanted
    }

    fn publishes(&self, completed: &CompletedCluster, architecture: Architecture, name: &str) -> bool {
        self.published(completed, architecture).any(|one| one.name == name)
    }

    fn published<'a>(
        &'a self,
        completed: &'a CompletedCluster,
        architecture: Architecture,
    ) -> impl Iterator<Item = &'a Published> {
        let version = completed.cluster.spec.kubernetes_version.as_deref().unwrap_or_default();
        self.catalog.published(architecture, version)
    }

    fn sha256(&self, wanted: &Wanted) -> Option<String> {
        wanted.sha256.clone().or_else(|| self.checksums.get(&wanted.url).cloned())
    }
}

/// Reads the SHA-256 of a file as its maker publishes it.
async fn checksum(web: &dyn Web, wanted: &Wanted) -> Result<String, WebError> {
    let list = read_text(web, &wanted.checksums, LIST_LIMIT).await?;
    let name = wanted.url.rsplit('/').next().unwrap_or_default();
    listed(&list, name).ok_or_else(|| {
        WebError::new(ErrorClass::Invalid, &wanted.checksums, format!("it has no SHA-256 of {name}"))
    })
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

//! The programs that machines fetch from the state store, and for which machines each is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::NodeProgram;
use crate::digest::sha256_hex;
use crate::error::ErrorClass;
use crate::state::{InvalidKey, Put, StateError, StateStore, Version, layout};
use crate::web::WebError;

/// The file name of the program that turns a machine into a node.
pub const NODE_PROGRAM: &str = "kops-node";
/// What a file begins with that gzip has packed (RFC 1952).
const GZIP: &[u8] = b"\x1f\x8b";
/// The archives that makers publish, by the beginnings of their names.
const ARCHIVES: [&str; 3] = ["cni-plugins", "containerd", "etcd"];
/// How often an entry is tried again that others were writing beside.
const ATTEMPTS: usize = 20;

/// What a program runs on, by Kubernetes's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// All that machines can have.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// What a program for Linux runs on, read from its ELF header (`e_machine` of the System V ABI).
    pub fn of(program: &[u8]) -> Option<Self> {
        if !program.starts_with(b"\x7fELF") {
            return None;
        }
        match program.get(18..20)? {
            [0x3e, 0] => Some(Self::Amd64),
            [0xb7, 0] => Some(Self::Arm64),
            _ => None,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

/// A program to be published.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its file name on machines.
    pub name: &'a str,
    /// The version of Kubernetes whose machines run it, without a leading `v`. Of no matter for [`NODE_PROGRAM`].
    pub kubernetes_version: Option<&'a str>,
    /// The file.
    pub contents: &'a [u8],
}

/// A program that machines can fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Its file name on machines.
    pub name: String,
    /// What it runs on.
    pub architecture: Architecture,
    /// The version of Kubernetes whose machines run it; none for [`NODE_PROGRAM`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// The SHA-256 of the file in lower-case hexadecimal.
    pub sha256: String,
    /// Its key in the state store.
    pub key: String,
    /// Whether it is an archive of programs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_archive: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// All programs that machines can fetch from one state store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The programs, sorted; of each architecture and version one.
    pub programs: Vec<Published>,
}

/// Why programs cannot be published or found.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The file is no program for Linux on a machine that is known here, and no archive.
    #[error("{0} is neither a program for Linux on amd64 or arm64 nor an archive of a maker of programs")]
    NoProgram(String),
    /// It cannot be told which machines are to run it.
    #[error("{0} is of some version of Kubernetes: say which")]
    NoVersion(String),
    /// The catalog is not as this library writes it.
    #[error("the catalog of programs in {store} cannot be read")]
    Unreadable {
        /// The state store.
        store: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// What a maker publishes beside a program cannot be read.
    #[error("the checksum of {program} cannot be read from its maker: {source}")]
    Checksum {
        /// The program.
        program: String,
        /// Why not.
        source: WebError,
    },
    /// The state store failed.
    #[error(transparent)]
    Store(#[from] StateError),
}

impl CatalogError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoProgram(_) | Self::NoVersion(_) | Self::Unreadable { .. } => ErrorClass::Invalid,
            Self::Checksum { source, .. } => source.class,
            Self::Store(error) => error.class(),
        }
    }
}

impl From<InvalidKey> for CatalogError {
    fn from(error: InvalidKey) -> Self {
        Self::Store(error.into())
    }
}

impl Catalog {
    /// Reads the catalog of a state store; an empty one where nothing has been published.
    ///
    /// # Errors
    /// The store cannot be read, or holds something else in the catalog's place.
    pub async fn load(store: &dyn StateStore) -> Result<Self, CatalogError> {
        Ok(Self::read(store).await?.0)
    }

    async fn read(store: &dyn StateStore) -> Result<(Self, Option<Version>), CatalogError> {
        let Some(object) = store.get(&layout::programs()?).await? else { return Ok((Self::default(), None)) };
        let unreadable = |source| CatalogError::Unreadable { store: store.to_string(), source };
        Ok((serde_json::from_slice(&object.bytes).map_err(unreadable)?, Some(object.version)))
    }

    /// What turns machines of this architecture into nodes.
    pub fn node_program(&self, architecture: Architecture) -> Option<NodeProgram> {
        let found = self.of(architecture, None).find(|published| published.name == NODE_PROGRAM)?;
        Some(NodeProgram { sha256: found.sha256.clone(), key: found.key.clone() })
    }

    /// Returns what is published for machines of this architecture and this version of Kubernetes, sorted by name.
    pub fn published<'a>(
        &'a self,
        architecture: Architecture,
        kubernetes_version: &'a str,
    ) -> impl Iterator<Item = &'a Published> {
        self.of(architecture, Some(kubernetes_version))
    }

    fn of<'a>(
        &'a self,
        architecture: Architecture,
        version: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Published> {
        let all = self.programs.iter();
        all.filter(move |one| {
            one.architecture == architecture && one.kubernetes_version.as_deref() == version
        })
    }

    fn set(&mut self, new: Published) {
        let place = |one: &Published| (one.architecture, one.kubernetes_version.clone(), one.name.clone());
        self.programs.retain(|one| place(one) != place(&new));
        self.programs.push(new);
        self.programs.sort_by_cached_key(place);
    }
}

/// Returns the name and the architecture of a maker's archive, both from what the file is called.
pub fn archive(file: &str) -> Option<(&'static str, Architecture)> {
    let is_packed = file.ends_with(".tgz") || file.ends_with(".tar.gz");
    let name =
        ARCHIVES.into_iter().find(|name| file.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
    let architecture = Architecture::ALL.into_iter().find(|one| file.contains(&format!("-linux-{one}")));
    name.zip(architecture).filter(|_| is_packed)
}

/// Stores a program under its own hash, and enters it into the catalog in place of an older one. Machines that were
/// told the older one still find it.
///
/// # Errors
/// The file is no program, its version is missing, or the state store failed.
pub async fn publish(store: &dyn StateStore, program: Program<'_>) -> Result<Published, CatalogError> {
    let Program { name, kubernetes_version, contents } = program;
    let (name, architecture, is_archive) = match (Architecture::of(contents), archive(name)) {
        (Some(architecture), _) => (name, architecture, false),
        (None, Some((name, architecture))) if contents.starts_with(GZIP) => (name, architecture, true),
        _ => return Err(CatalogError::NoProgram(name.to_owned())),
    };
    let kubernetes_version = match (name, kubernetes_version) {
        (NODE_PROGRAM, _) => None,
        (_, None) => return Err(CatalogError::NoVersion(name.to_owned())),
        (_, Some(version)) => Some(version.trim_start_matches('v').to_owned()),
    };
    let sha256 = sha256_hex(contents);
    let key = layout::program(&sha256, name)?;
    match store.put(&key, contents, Put::IfAbsent).await {
        // Its key is its hash: what is there is the same.
        Ok(_) | Err(StateError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let published = Published {
        name: name.to_owned(),
        architecture,
        kubernetes_version,
        sha256,
        key: key.to_string(),
        is_archive,
    };
    enter(store, &published).await?;
    Ok(published)
}

async fn enter(store: &dyn StateStore, published: &Published) -> Result<(), CatalogError> {
    let mut attempt = 1;
    loop {
        let (mut catalog, version) = Catalog::read(store).await?;
        let before = catalog.clone();
        catalog.set(published.clone());
        if catalog == before {
            return Ok(());
        }
        let put = version.map_or(Put::IfAbsent, Put::IfUnchanged);
        let unreadable = |source| CatalogError::Unreadable { store: store.to_string(), source };
        let text = serde_json::to_vec_pretty(&catalog).map_err(unreadable)?;
        match store.put(&layout::programs()?, &text, put).await {
            Ok(_) => return Ok(()),
            // Somebody else entered something: theirs is kept.
            Err(StateError::Exists { .. } | StateError::Changed { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;

    fn elf(machine: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(18, 0);
        bytes.extend([machine, 0]);
        bytes.extend(rest);
        bytes
    }

    fn program<'a>(name: &'a str, version: Option<&'a str>, contents: &'a [u8]) -> Program<'a> {
        Program { name, kubernetes_version: version, contents }
    }

    #[tokio::test]
    async fn machines_are_told_what_was_published_for_them_last() {
        let store = MemoryStore::new();
        let (old, new, arm) = (elf(0x3e, b"old"), elf(0x3e, b"new"), elf(0xb7, b"arm"));
        for (name, version, contents) in [
            ("kops-node", None, &old),
            ("kubelet", Some("1.20.2"), &old),
            ("kubelet", Some("v1.30.1"), &new),
            ("kops-node", None, &arm),
            ("kops-node", Some("1.20.2"), &new),
        ] {
            publish(&store, program(name, version, contents)).await.unwrap();
        }
        let catalog = Catalog::load(&store).await.unwrap();
        let hash = |arch| catalog.node_program(arch).map(|program| program.sha256);
        assert_eq!(hash(Architecture::Amd64), Some(sha256_hex(&new)));
        assert_eq!(hash(Architecture::Arm64), Some(sha256_hex(&arm)));
        let published = |architecture, version| {
            let published = catalog.published(architecture, version);
            published.map(|one| one.sha256.clone()).collect::<Vec<_>>()
        };
        assert_eq!(published(Architecture::Amd64, "1.20.2"), [sha256_hex(&old)]);
        assert_eq!(published(Architecture::Amd64, "1.30.1"), [sha256_hex(&new)]);
        assert!(published(Architecture::Arm64, "1.20.2").is_empty());
        let old = store.get(&layout::program(&sha256_hex(&old), "kops-node").unwrap()).await.unwrap();
        assert!(old.is_some(), "machines that were told the old one still need it");
    }

    #[tokio::test]
    async fn what_no_machine_can_run_is_not_published() {
        let store = MemoryStore::new();
        let script = publish(&store, program("kubelet", Some("1.20.2"), b"#!/bin/sh")).await.unwrap_err();
        assert_eq!(
            script.to_string(),
            "kubelet is neither a program for Linux on amd64 or arm64 nor an archive of a maker of programs"
        );
        let elf = elf(0x3e, b"");
        let unknown = publish(&store, program("kubelet", None, &elf)).await.unwrap_err();
        assert_eq!(unknown.to_string(), "kubelet is of some version of Kubernetes: say which");
        assert_eq!(Catalog::load(&store).await.unwrap(), Catalog::default());
    }

    #[tokio::test]
    async fn of_many_publishers_none_is_lost() {
        let store = MemoryStore::new();
        let elf = elf(0x3e, b"");
        let names: Vec<String> = (0..10).map(|n| format!("program-{n}")).collect();
        let all = names.iter().map(|name| publish(&store, program(name, Some("1.20.2"), &elf)));
        for published in futures::future::join_all(all).await {
            published.unwrap();
        }
        assert_eq!(Catalog::load(&store).await.unwrap().programs.len(), names.len());
    }
}

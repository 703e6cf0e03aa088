//! A simulated cloud that outlives its process: one JSON file, replaced after every change.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::world::World;

/// Why a saved simulated cloud cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenSimError {
    /// The file cannot be read or written.
    #[error("cannot use the simulated cloud in {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a simulated cloud of this version; delete it to start from an empty one", .path.display())]
    NotAWorld {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Another process works on it.
    #[error("another process is using the simulated cloud in {}; wait until it is done", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// The file, held for as long as the cloud is open.
#[derive(Debug)]
pub(super) struct Saved {
    path: PathBuf,
    _lock: File,
}

impl Saved {
    pub(super) fn open<R: DeserializeOwned>(directory: &Path) -> Result<(Self, World<R>), OpenSimError> {
        let path = directory.join("world.json");
        let io = |source| OpenSimError::Io { path: path.clone(), source };
        fs::create_dir_all(directory).map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("world.lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenSimError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let world = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| OpenSimError::NotAWorld { path: path.clone(), source })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => World::default(),
            Err(source) => return Err(io(source)),
        };
        Ok((Self { path, _lock: lock }, world))
    }

    pub(super) fn save<R: Serialize>(&self, world: &World<R>) -> std::io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer(&mut file, world)?;
        file.flush()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

//! Configurations in files, changed by one at a time, as kubectl does it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Kubeconfig, KubeconfigError};

impl Kubeconfig {
    /// Reads a file; one that is not there is an empty configuration.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<Self, KubeconfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|error| error.in_file(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(KubeconfigError::io("read", path, error)),
        }
    }

    /// Changes a file, or makes it: for its owner only, all at once, and while kubectl and others are kept out. A link
    /// stays one.
    ///
    /// # Errors
    /// The file cannot be read or written, holds something else, or somebody else is changing it; or `change` fails.
    /// Nothing is changed then.
    pub fn change_file(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<(), KubeconfigError>,
    ) -> Result<(), KubeconfigError> {
        let failed = |error| KubeconfigError::io("write", path, error);
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        make_private_directory(directory).map_err(failed)?;
        let _lock = Lock::take(path)?;
        let mut config = Self::load(path)?;
        change(&mut config).map_err(|error| error.in_file(path))?;
        let text = config.to_yaml()?;
        // Readable by its owner only from the start.
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

fn make_private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Keeps kubectl and others out until it is dropped.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Self, KubeconfigError> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        match OpenOptions::new().write(true).create_new(true).open(&lock) {
            Ok(_) => Ok(Self(lock)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(KubeconfigError::Locked { path: path.to_owned(), lock })
            }
            Err(error) => Err(KubeconfigError::io("lock", path, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who cannot delete it cannot do more about it either: the next one is told its name.
        let _ = fs::remove_file(&self.0);
    }
}

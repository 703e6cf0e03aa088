//! Files below a root, written only if they differ, and whole or not at all.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::NodeError;

/// The root of the machine's file system, or of a stand-in for it.
#[derive(Clone, Debug)]
pub struct Root {
    path: PathBuf,
    #[cfg(test)]
    power: std::sync::Arc<crate::tests::Power>,
}

impl Root {
    /// Everything is put below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            path: root.into(),
            #[cfg(test)]
            power: std::sync::Arc::default(),
        }
    }

    /// The same, on a machine whose power a test can cut.
    #[cfg(test)]
    pub(crate) fn powered(self, power: &std::sync::Arc<crate::tests::Power>) -> Self {
        Self { power: power.clone(), ..self }
    }

    /// Where a test may cut the power.
    pub(crate) fn step(&self) {
        #[cfg(test)]
        self.power.step();
    }

    /// Where a path of the machine is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    /// The contents of a file, if there is one.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(path)).ok()
    }

    /// Makes sure that a file has these contents and permissions. Says whether its contents were others before.
    ///
    /// # Errors
    /// When it cannot be written; the old file is then still there.
    pub fn write(&self, step: &str, path: &str, contents: &[u8], mode: u32) -> Result<bool, NodeError> {
        let target = self.path(path);
        self.try_write(&target, contents, mode).map_err(|error| NodeError::of_file(step, &target, error))
    }

    /// Makes sure that there is no file, or no directory with whatever is in it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, step: &str, path: &str) -> Result<(), NodeError> {
        self.step();
        let target = self.path(path);
        let removed = match std::fs::symlink_metadata(&target) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&target),
            Ok(_) => std::fs::remove_file(&target),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(NodeError::of_file(step, &target, error))
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that a path is a link to another file of its directory.
    ///
    /// # Errors
    /// When it cannot be made; what was there is then still there.
    pub fn link(&self, step: &str, path: &str, to: &str) -> Result<(), NodeError> {
        let target = self.path(path);
        self.try_link(&target, to).map_err(|error| NodeError::of_file(step, &target, error))
    }

    fn try_link(&self, target: &Path, to: &str) -> std::io::Result<()> {
        if std::fs::read_link(target).is_ok_and(|found| found == Path::new(to)) {
            return Ok(());
        }
        let unfinished = unfinished(target);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.step();
        std::os::unix::fs::symlink(to, &unfinished)?;
        self.step();
        std::fs::rename(&unfinished, target)?;
        self.step();
        Ok(())
    }

    fn try_write(&self, target: &Path, contents: &[u8], mode: u32) -> std::io::Result<bool> {
        if let Ok(found) = std::fs::read(target)
            && found == contents
        {
            let is_mode = std::fs::metadata(target)?.permissions().mode() & 0o7777 == mode;
            if !is_mode {
                std::fs::set_permissions(target, std::fs::Permissions::from_mode(mode))?;
            }
            return Ok(false);
        }
        let directory = target.parent().unwrap_or(Path::new("/"));
        self.step();
        std::fs::create_dir_all(directory)?;
        // Always the same: what a machine that lost its power has left there does not stay.
        let unfinished = unfinished(target);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        self.step();
        file.write_all(contents)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        self.step();
        std::fs::rename(&unfinished, target)?;
        self.step();
        Ok(true)
    }
}

/// What a file is called until it is whole.
pub(crate) fn unfinished(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(unfinished_name(&name))
}

/// What a file of that name is called until it is whole.
pub(crate) fn unfinished_name(name: &str) -> String {
    format!(".kops-{name}.part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let mode = || std::fs::metadata(root.path("/a/b")).unwrap().permissions().mode() & 0o777;
        assert!(root.write("x", "/a/b", b"1", 0o644).unwrap());
        assert!(!root.write("x", "/a/b", b"1", 0o600).unwrap());
        assert_eq!(mode(), 0o600);
        assert!(root.write("x", "/a/b", b"2", 0o600).unwrap());
        assert_eq!((root.read("/a/b").unwrap(), mode()), (b"2".to_vec(), 0o600));
        assert_eq!(std::fs::read_dir(directory.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_removed_is_gone_whatever_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        root.write("x", "/a/b/c", b"1", 0o644).unwrap();
        for path in ["/a/b/c", "/a", "/a"] {
            root.remove("x", path).unwrap();
            assert!(!root.path(path).exists());
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        root.write("x", "/a", b"1", 0o644).unwrap();
        let error = root.write("files", "/a/b", b"1", 0o644).unwrap_err();
        assert!(error.to_string().starts_with("files: "), "{error}");
        assert!(error.to_string().contains("/a"), "{error}");
    }
}

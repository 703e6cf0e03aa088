//! A download that is not whole yet.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};

use crate::error::{Done, NodeError};
use crate::files::{Root, unfinished};

/// The part of a file that is there, which lies beside the place of the whole. One that an earlier run has left is gone on
/// with.
pub(super) struct Part {
    root: Root,
    whole: PathBuf,
    path: PathBuf,
    file: File,
    hash: Context,
    length: u64,
}

impl Part {
    /// Opens the part of the file at `path` that is to have this hash.
    pub(super) fn open(step: &str, root: &Root, path: &str, sha256: &str) -> Result<Self, NodeError> {
        let whole = root.path(path);
        // By its hash: another version is another file.
        let name = format!("{path}-{}", sha256.get(..12).unwrap_or(sha256));
        let path = unfinished(&root.path(&name));
        let opened = Self::try_open(root, whole, &path);
        opened.map_err(|error| NodeError::of_file(step, &path, error))
    }

    fn try_open(root: &Root, whole: PathBuf, path: &std::path::Path) -> std::io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let (mut hash, mut length) = (Context::new(&SHA256), 0);
        let mut bytes = vec![0; 1 << 16];
        loop {
            match file.read(&mut bytes)? {
                0 => break,
                read => {
                    hash.update(bytes.get(..read).unwrap_or_default());
                    length += read as u64;
                }
            }
        }
        root.step();
        Ok(Self { root: root.clone(), whole, path: path.to_owned(), file, hash, length })
    }

    /// The number of bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The SHA-256 of what is there.
    pub(super) fn sha256(&self) -> String {
        self.hash.clone().finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn append(&mut self, step: &str, bytes: &[u8]) -> Done {
        self.root.step();
        self.file.write_all(bytes).map_err(|error| NodeError::of_file(step, &self.path, error))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what is there: the server begins anew.
    pub(super) fn restart(&mut self, step: &str) -> Done {
        self.file.set_len(0).map_err(|error| NodeError::of_file(step, &self.path, error))?;
        (self.hash, self.length) = (Context::new(&SHA256), 0);
        Ok(())
    }

    /// Reads what is there from its beginning.
    pub(super) fn reader(&self, step: &str) -> Result<File, NodeError> {
        let read = || {
            let mut file = self.file.try_clone()?;
            file.rewind()?;
            Ok(file)
        };
        read().map_err(|error| NodeError::of_file(step, &self.path, error))
    }

    /// Puts the program in its place.
    pub(super) fn finish(self, step: &str) -> Done {
        let finish = || -> std::io::Result<()> {
            self.file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
            self.file.sync_all()?;
            self.root.step();
            std::fs::rename(&self.path, &self.whole)?;
            self.root.step();
            Ok(())
        };
        finish().map_err(|error| NodeError::of_file(step, &self.whole, error))
    }

    /// Removes what is there.
    pub(super) fn discard(self, step: &str) -> Done {
        self.root.step();
        std::fs::remove_file(&self.path).map_err(|error| NodeError::of_file(step, &self.path, error))
    }
}

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::digest::sha256_hex;
use crate::error::ErrorClass;
use crate::state::{Entry, Failure, Key, LostUpdate, Object, Prefix, Put, StateError, StateStore, Version};

/// What the store's own files start with; no key may.
const RESERVED: &str = ".kops-";
const LOCK: &str = ".kops-lock";
const UNFINISHED: &str = ".kops-tmp-";

/// A store in a local directory: one file a key, with the key as its path.
///
/// Files are readable by their owner only (0600, directories 0700). A write goes to a file of its own, is synced, and
/// takes its place by a rename; writers, of all processes, exclude each other by an advisory lock on a file in
/// the root (so the directory may lie on a network file system only where that supports `flock`). Readers wait for
/// nobody; a listing is one moment's.
///
/// Versions are content hashes, so it forgives A → B → A as S3 does. Two things S3 can do, it cannot: hold a key that
/// is also a prefix of another one, and segments that start with `.kops-`. Symbolic links are not followed by listings.
#[derive(Clone)]
pub struct DirectoryStore {
    root: PathBuf,
}

impl DirectoryStore {
    /// The store in `root`, which the first write creates.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &Key, operation: &'static str) -> Result<PathBuf, StateError> {
        let path = self.root.join(key.as_str());
        if key.segments().any(|segment| segment.starts_with(RESERVED)) {
            let message = format!("names that start with `{RESERVED}` are the store's own");
            return Err(
                Failure::new(ErrorClass::Invalid, operation, path.display().to_string(), message).into()
            );
        }
        Ok(path)
    }

    fn read(&self, key: &Key) -> Result<Option<Object>, StateError> {
        let path = self.path(key, "read")?;
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Object { version: version_of(&bytes), bytes })),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failure("read", &path, error)),
        }
    }

    fn write(&self, key: &Key, bytes: &[u8], put: &Put) -> Result<Version, StateError> {
        let path = self.path(key, "write")?;
        create_private_directory(&self.root).map_err(|error| failure("create", &self.root, error))?;
        let _lock = self.lock()?;
        if *put != Put::Always {
            self.check(key, &path, put)?;
        }
        self.replace(&path, bytes).map_err(|error| failure("write", &path, error))?;
        Ok(version_of(bytes))
    }

    fn check(&self, key: &Key, path: &Path, put: &Put) -> Result<(), StateError> {
        let found = self.read(key)?.map(|object| object.version);
        match put {
            Put::IfAbsent if found.is_some() => {
                Err(StateError::Exists { location: path.display().to_string() })
            }
            Put::IfUnchanged(expected) if found.as_ref() != Some(expected) => Err(LostUpdate {
                location: path.display().to_string(),
                modified: modified(path).filter(|_| found.is_some()),
                found,
                writer: None,
            }
            .into()),
            Put::Always | Put::IfAbsent | Put::IfUnchanged(_) => Ok(()),
        }
    }

    /// Gives `path` a new content. The caller holds the lock.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or(&self.root);
        create_private_directory(directory)?;
        sweep(directory)?;
        // Files of this crate are made with mode 0600.
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The rename, and the directories made for it, last through a power failure once each directory is synced.
        for directory in path.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(&self.root)) {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    fn remove(&self, key: &Key) -> Result<(), StateError> {
        let path = self.path(key, "delete")?;
        let _lock = match self.lock_if_written(File::lock)? {
            Some(lock) => lock,
            // Others have filled the directory.
            None if path.exists() => self.lock()?,
            None => return Ok(()),
        };
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(failure("delete", &path, error)),
        }
        // Directories exist for their files only. One that is in use by another file stays.
        for directory in path.ancestors().skip(1).take_while(|ancestor| *ancestor != self.root) {
            if sweep(directory).and_then(|()| fs::remove_dir(directory)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn walk(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        let _lock = self.lock_if_written(File::lock_shared)?;
        let mut entries = Vec::new();
        let mut pending = vec![self.root.join(prefix.as_str())];
        while let Some(directory) = pending.pop() {
            let children = match fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(children) => children,
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(failure("list", &directory, error)),
            };
            for child in children {
                let path = child.path();
                let kind = child.file_type().map_err(|error| failure("list", &path, error))?;
                let own = child.file_name().as_encoded_bytes().starts_with(RESERVED.as_bytes());
                if kind.is_dir() {
                    pending.push(path);
                } else if kind.is_file() && !own {
                    entries.push(self.entry(&path)?);
                }
            }
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    fn entry(&self, path: &Path) -> Result<Entry, StateError> {
        let name = path.strip_prefix(&self.root).ok().and_then(Path::to_str).ok_or_else(|| {
            Failure::new(
                ErrorClass::Invalid,
                "list",
                path.display().to_string(),
                "its name is not UTF-8, so kops did not write it",
            )
            .with_hint("move it out of the state store")
        })?;
        let key = Key::new(name)?;
        let bytes = fs::read(path).map_err(|error| failure("read", path, error))?;
        Ok(Entry { key, version: version_of(&bytes), size: bytes.len() as u64 })
    }

    /// Keeps other writers out, of this and of other processes, until the file is dropped.
    fn lock(&self) -> Result<File, StateError> {
        let path = self.root.join(LOCK);
        let open = || {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|error| failure("lock", &path, error))
    }

    /// Locks a store that this library has written to. Nobody else knows of the lock: what is in another directory was put
    /// there by other programs.
    fn lock_if_written(&self, lock: fn(&File) -> io::Result<()>) -> Result<Option<File>, StateError> {
        let path = self.root.join(LOCK);
        match File::open(&path).and_then(|file| lock(&file).map(|()| file)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failure("lock", &path, error)),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Self) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(store)).await.unwrap_or_else(|error| {
            let location = self.root.display().to_string();
            let message = "the thread that worked on it stopped";
            Err(Failure::new(ErrorClass::Unavailable, operation, location, message).with_source(error).into())
        })
    }
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryStore").field("root", &self.root).finish()
    }
}

impl fmt::Display for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.root.display())
    }
}

#[async_trait]
impl StateStore for DirectoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        let key = key.clone();
        self.blocking("read", move |store| store.read(&key)).await
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        let (key, bytes) = (key.clone(), bytes.to_vec());
        self.blocking("write", move |store| store.write(&key, &bytes, &put)).await
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        let prefix = prefix.clone();
        self.blocking("list", move |store| store.walk(&prefix)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        let key = key.clone();
        self.blocking("delete", move |store| store.remove(&key)).await
    }
}

fn version_of(bytes: &[u8]) -> Version {
    Version::new(sha256_hex(bytes))
}

fn modified(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Removes what killed writers left. The caller holds the lock, so nobody is writing.
fn sweep(directory: &Path) -> io::Result<()> {
    for child in fs::read_dir(directory)? {
        let child = child?;
        if child.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            fs::remove_file(child.path())?;
        }
    }
    Ok(())
}

/// Whether there is no file of that name: none at all, a directory, or a file where a directory would have to be.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

fn failure(operation: &'static str, path: &Path, error: io::Error) -> StateError {
    let (class, message) = match error.kind() {
        ErrorKind::PermissionDenied => (ErrorClass::Denied, "permission denied"),
        ErrorKind::ReadOnlyFilesystem => (ErrorClass::Denied, "the file system is read-only"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (ErrorClass::Quota, "there is no space left"),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            (ErrorClass::Invalid, "there is a file where a directory would have to be")
        }
        ErrorKind::IsADirectory => (ErrorClass::Invalid, "there is a directory of that name"),
        ErrorKind::InvalidFilename => {
            (ErrorClass::Invalid, "the file system cannot hold a file of that name")
        }
        _ => (ErrorClass::Unavailable, "the file system failed"),
    };
    Failure::new(class, operation, path.display().to_string(), message).with_source(error).into()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        let parent = TempDir::new().unwrap();
        let make = || async {
            let root = tempfile::tempdir_in(&parent).unwrap().keep();
            Arc::new(DirectoryStore::new(root.join("state"))) as Arc<dyn StateStore>
        };
        crate::contract::state::run(make).await;
    }

    #[cfg(unix)]
    /// kops itself keeps state in directories, and buckets are copied to directories.
    #[tokio::test]
    async fn what_others_have_put_there_is_read_and_deleted() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("demo")).unwrap();
        std::fs::write(directory.path().join("demo/config"), b"x").unwrap();
        let store = DirectoryStore::new(directory.path());
        let key = Key::new("demo/config").unwrap();
        let listed = store.list(&Prefix::root()).await.unwrap();
        let listed: Vec<Key> = listed.into_iter().map(|entry| entry.key).collect();
        assert_eq!(listed, std::slice::from_ref(&key));
        assert!(!directory.path().join(LOCK).exists(), "reading writes nothing");
        store.delete(&key).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn files_and_directories_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let parent = TempDir::new().unwrap();
        let root = parent.path().join("a/b");
        let store = DirectoryStore::new(&root);
        store.put(&key("demo/pki/key"), b"secret", Put::Always).await.unwrap();
        assert_eq!(mode(&root.join("demo/pki/key")), 0o600);
        assert_eq!(mode(&root.join(LOCK)), 0o600);
        for directory in [root.join("demo/pki"), root.join("demo"), root] {
            assert_eq!(mode(&directory), 0o700, "{}", directory.display());
        }
    }

    #[tokio::test]
    async fn deleting_the_last_file_leaves_no_directory() {
        let parent = TempDir::new().unwrap();
        let store = DirectoryStore::new(parent.path());
        store.put(&key("demo/a/b"), b"x", Put::Always).await.unwrap();
        store.put(&key("demo/c"), b"x", Put::Always).await.unwrap();
        store.delete(&key("demo/a/b")).await.unwrap();
        assert!(!parent.path().join("demo/a").exists());
        store.delete(&key("demo/c")).await.unwrap();
        assert!(!parent.path().join("demo").exists());
    }

    #[tokio::test]
    async fn a_store_nobody_wrote_to_is_empty_and_stays_absent() {
        let parent = TempDir::new().unwrap();
        let root = parent.path().join("absent");
        let store = DirectoryStore::new(&root);
        assert_eq!(store.get(&key("demo/config")).await.unwrap(), None);
        assert!(store.list(&Prefix::root()).await.unwrap().is_empty());
        store.delete(&key("demo/config")).await.unwrap();
        assert!(!root.exists());
    }

    #[tokio::test]
    async fn names_it_cannot_hold_are_refused() {
        let parent = TempDir::new().unwrap();
        let store = DirectoryStore::new(parent.path());
        store.put(&key("demo/config"), b"x", Put::Always).await.unwrap();
        for name in [".kops-lock", "demo/.kops-tmp-1", "demo/config/below", "demo", &"x".repeat(300)] {
            let error = store.put(&key(name), b"y", Put::Always).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Invalid, "{name}: {error}");
        }
        assert_eq!(store.get(&key("demo/config")).await.unwrap().unwrap().bytes, b"x");
        assert_eq!(store.get(&key("demo")).await.unwrap(), None);
    }

    const ROOT: &str = "KOPS_TEST_DIRECTORY_STORE";
    const CONTENT: usize = 300_000;

    /// Not a test of its own: what the processes of the tests below run.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "run by other tests in processes of their own"]
    async fn endless_writer() {
        let Some(root) = std::env::var_os(ROOT) else { return };
        let store = DirectoryStore::new(root);
        for letter in (b'a'..=b'z').cycle() {
            store.put(&key("demo/config"), &vec![letter; CONTENT], Put::Always).await.unwrap();
        }
    }

    /// Not a test of its own: adds one fifty times.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "run by other tests in processes of their own"]
    async fn counting_writer() {
        let Some(root) = std::env::var_os(ROOT) else { return };
        let store = DirectoryStore::new(root);
        let at = key("demo/counter");
        for _ in 0..50 {
            loop {
                let object = store.get(&at).await.unwrap().unwrap();
                let count: u32 = String::from_utf8(object.bytes).unwrap().parse().unwrap();
                let put = Put::IfUnchanged(object.version);
                if store.put(&at, (count + 1).to_string().as_bytes(), put).await.is_ok() {
                    break;
                }
            }
        }
    }

    fn start(role: &str, root: &Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &format!("state::directory::tests::{role}")])
            .env(ROOT, root)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn a_killed_writer_leaves_no_half_file() {
        let parent = TempDir::new().unwrap();
        let store = DirectoryStore::new(parent.path());
        let at = key("demo/config");
        store.put(&at, &vec![b'A'; CONTENT], Put::Always).await.unwrap();
        for round in 0..8 {
            let mut writer = start("endless_writer", parent.path());
            let before = store.get(&at).await.unwrap().unwrap().version;
            while store.get(&at).await.unwrap().unwrap().version == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_micros(round * 700)).await;
            writer.kill().unwrap();
            writer.wait().unwrap();

            let object = store.get(&at).await.unwrap().unwrap();
            assert_eq!(object.bytes, vec![object.bytes[0]; CONTENT]);
            let listed = store.list(&Prefix::root()).await.unwrap();
            assert_eq!(listed, [Entry { key: at.clone(), version: object.version, size: CONTENT as u64 }]);
        }
        // The next writer is not kept out by the dead ones' lock, and removes what they left.
        fs::write(parent.path().join("demo").join(format!("{UNFINISHED}left")), b"half").unwrap();
        store.put(&at, b"next", Put::Always).await.unwrap();
        let files: Vec<_> =
            fs::read_dir(parent.path().join("demo")).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(files, ["config"]);
    }

    #[tokio::test]
    async fn no_update_is_lost_between_processes() {
        let parent = TempDir::new().unwrap();
        let store = DirectoryStore::new(parent.path());
        store.put(&key("demo/counter"), b"0", Put::Always).await.unwrap();
        let writers: Vec<Child> = (0..4).map(|_| start("counting_writer", parent.path())).collect();
        for mut writer in writers {
            assert!(writer.wait().unwrap().success());
        }
        assert_eq!(store.get(&key("demo/counter")).await.unwrap().unwrap().bytes, b"200");
    }
}

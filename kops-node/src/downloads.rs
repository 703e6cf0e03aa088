//! Downloads from the state store and from their makers: nothing is kept that is not what was meant.

mod archive;
mod part;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use kops_core::digest::sha256_hex;
use kops_core::node::{Asset, NodeConfig, Source, render};
use kops_core::state::{Key, StateStore};
use kops_core::web::Web;

use crate::error::{Done, NodeError};
use crate::files::Root;
use part::Part;

/// Where it is remembered which files were found to be right: programs of hundreds of megabytes are not hashed again
/// every few seconds.
const FOUND: &str = "/var/lib/kops/programs";
/// How often a download is gone on with at once that broke off.
const ATTEMPTS: usize = 5;

/// How programs come to be on a machine.
#[derive(Debug)]
pub struct Downloads {
    web: Arc<dyn Web>,
    /// Of two that need the same file, one fetches it.
    busy: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What is made sure of, and with what.
struct Errand<'a> {
    step: String,
    asset: &'a Asset,
    root: &'a Root,
}

impl Downloads {
    /// Fetches what is not in the state store from `web`.
    pub fn new(web: Arc<dyn Web>) -> Self {
        Self { web, busy: Mutex::default() }
    }

    /// Makes sure that a program is there.
    pub(crate) async fn ensure(
        &self,
        config: &NodeConfig,
        store: &dyn StateStore,
        root: &Root,
        name: &str,
    ) -> Done {
        let step = format!("program {name}");
        let Some(asset) = config.asset(name) else {
            let path = format!("{}/{name}", render::PROGRAMS);
            let reason = format!("it is neither in the node configuration nor at {path} in the image");
            return if root.path(&path).exists() { Ok(()) } else { Err(NodeError::lasting(step, reason)) };
        };
        let errand = Errand { step, asset, root };
        let lock = self.lock(&asset.sha256);
        let _busy = lock.lock().await;
        if errand.is_done() {
            return Ok(());
        }
        match &asset.source {
            Source::Key(key) => errand.take_from_store(key, store).await?,
            Source::Url(url) => errand.take_from_web(url, self.web.as_ref()).await?,
        }
        errand.remember()
    }

    fn lock(&self, sha256: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.entry(sha256.to_owned()).or_default().clone()
    }
}

impl Errand<'_> {
    fn is_done(&self) -> bool {
        self.asset.targets().iter().all(|(_, path)| {
            let mark = mark(self.root, path, &self.asset.sha256);
            let known = self.root.read(&record(path));
            mark.zip(known).is_some_and(|(mark, known)| known == mark.as_bytes())
        })
    }

    fn remember(&self) -> Done {
        for (_, path) in self.asset.targets() {
            if let Some(mark) = mark(self.root, &path, &self.asset.sha256) {
                self.root.write(&self.step, &record(&path), mark.as_bytes(), 0o644)?;
            }
        }
        Ok(())
    }

    /// Where the program goes, if the file is a program itself.
    fn itself(&self) -> Option<String> {
        self.asset.files.is_empty().then(|| self.asset.targets().swap_remove(0).1)
    }

    /// Whether the program is there already, put there by the image or before somebody touched it.
    fn is_there(&self) -> bool {
        let found = self.itself().and_then(|path| self.root.read(&path));
        found.is_some_and(|found| sha256_hex(&found) == self.asset.sha256)
    }

    async fn take_from_store(&self, key: &str, store: &dyn StateStore) -> Done {
        if self.is_there() {
            return Ok(());
        }
        let step = self.step.as_str();
        let key = Key::new(key).map_err(|error| NodeError::lasting(step, error.to_string()))?;
        let object = store.get(&key).await.map_err(|error| NodeError::of_store(step, error))?;
        let object = object.ok_or_else(|| NodeError::waiting(step, format!("{store}/{key} is not there")))?;
        let found = sha256_hex(&object.bytes);
        if found != self.asset.sha256 {
            let place = format!("{store}/{key}");
            let error = self.another(&place, &found, object.bytes.len() as u64);
            return Err(error.with_hint("publish the program again"));
        }
        match self.itself() {
            Some(path) => self.root.write(step, &path, &object.bytes, 0o755).map(drop),
            None => archive::unpack(step, self.asset, object.bytes.as_slice(), self.root),
        }
    }

    async fn take_from_web(&self, url: &str, web: &dyn Web) -> Done {
        if self.is_there() {
            return Ok(());
        }
        let path = self.itself().unwrap_or_else(|| format!("{}/{}.tgz", render::PROGRAMS, self.asset.name));
        let mut part = Part::open(&self.step, self.root, &path, &self.asset.sha256)?;
        if part.sha256() != self.asset.sha256 {
            self.download(url, web, &mut part).await?;
        }
        let found = part.sha256();
        if found != self.asset.sha256 {
            let error = self.another(url, &found, part.length());
            part.discard(&self.step)?;
            return Err(error.with_hint("the server, or somebody on the way to it, gives another file"));
        }
        if self.itself().is_some() {
            return part.finish(&self.step);
        }
        let (step, asset, root) = (self.step.clone(), self.asset.clone(), self.root.clone());
        let file = part.reader(&step)?;
        // Takes seconds of one processor.
        let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&step, &asset, file, &root));
        unpacked.await.map_err(|error| NodeError::lasting(self.step.as_str(), error.to_string()))??;
        part.discard(&self.step)
    }

    /// Goes on as long as each attempt brings something.
    async fn download(&self, url: &str, web: &dyn Web, part: &mut Part) -> Done {
        let mut attempt = 1;
        loop {
            let before = part.length();
            let reason = match self.go_on(url, web, part).await? {
                None => return Ok(()),
                Some(reason) => reason,
            };
            if attempt == ATTEMPTS || part.length() == before {
                let error = NodeError::waiting(self.step.as_str(), reason);
                return Err(error.with_hint(
                    "the machine needs a way to that server; or publish the programs with `kops create assets`",
                ));
            }
            attempt += 1;
        }
    }

    /// Returns why the download broke off, if it did.
    async fn go_on(&self, url: &str, web: &dyn Web, part: &mut Part) -> Result<Option<String>, NodeError> {
        let mut body = match web.get(url, part.length()).await {
            Ok(body) => body,
            Err(error) => return Ok(Some(error.to_string())),
        };
        if body.offset != part.length() {
            part.restart(&self.step)?;
        }
        loop {
            match body.bytes.try_next().await {
                Ok(Some(bytes)) => part.append(&self.step, &bytes)?,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(format!("{error}, after {} bytes", part.length()))),
            }
        }
    }

    fn another(&self, place: &str, found: &str, bytes: u64) -> NodeError {
        let expected = &self.asset.sha256;
        let reason =
            format!("{place} has SHA-256 {found} ({bytes} bytes), expected {expected}; it is not kept");
        NodeError::waiting(self.step.as_str(), reason)
    }
}

fn record(path: &str) -> String {
    format!("{FOUND}/{}", path.rsplit('/').next().unwrap_or(path))
}

/// What says that a file is still the one that was found to have this hash: any change of it changes its `ctime`.
fn mark(root: &Root, path: &str, sha256: &str) -> Option<String> {
    let found = std::fs::metadata(root.path(path)).ok()?;
    Some(format!("{sha256} {} {} {}.{}\n", found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
}

//! Programs from the state store: nothing is kept that is not what was meant.

use std::os::unix::fs::MetadataExt;

use kops_core::digest::sha256_hex;
use kops_core::node::{Asset, NodeConfig, render};
use kops_core::state::{Key, StateStore};

use crate::error::{Done, NodeError};
use crate::files::Root;

/// Where it is remembered which files were found to be right: programs of hundreds of megabytes are not hashed again
/// every few seconds.
const FOUND: &str = "/var/lib/kops/programs";

/// Makes sure that a program is there.
pub(crate) async fn ensure(config: &NodeConfig, store: &dyn StateStore, root: &Root, name: &str) -> Done {
    let step = format!("program {name}");
    let path = format!("{}/{name}", render::PROGRAMS);
    let Some(asset) = config.assets.iter().find(|asset| asset.name == name) else {
        let reason = format!("it is neither published in the state store nor at {path} in the image");
        return if root.path(&path).exists() { Ok(()) } else { Err(NodeError::lasting(step, reason)) };
    };
    let record = format!("{FOUND}/{name}");
    let is_known = |mark: &String| root.read(&record).is_some_and(|known| known == mark.as_bytes());
    if mark(root, &path, &asset.sha256).as_ref().is_some_and(is_known) {
        return Ok(());
    }
    let found = root.read(&path).filter(|found| sha256_hex(found) == asset.sha256);
    let contents = match found {
        Some(found) => found,
        None => fetch(&step, asset, store).await?,
    };
    root.write(&step, &path, &contents, 0o755)?;
    match mark(root, &path, &asset.sha256) {
        Some(mark) => root.write(&step, &record, mark.as_bytes(), 0o644).map(drop),
        None => Ok(()),
    }
}

/// What says that a file is still the one that was found to have this hash: any change of it changes its `ctime`.
fn mark(root: &Root, path: &str, sha256: &str) -> Option<String> {
    let found = std::fs::metadata(root.path(path)).ok()?;
    Some(format!("{sha256} {} {} {}.{}\n", found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
}

async fn fetch(step: &str, asset: &Asset, store: &dyn StateStore) -> Result<Vec<u8>, NodeError> {
    let key = Key::new(&asset.key).map_err(|error| NodeError::lasting(step, error.to_string()))?;
    let object = store.get(&key).await.map_err(|error| NodeError::of_store(step, error))?;
    let object = object.ok_or_else(|| NodeError::waiting(step, format!("{store}/{key} is not there")))?;
    let found = sha256_hex(&object.bytes);
    if found != asset.sha256 {
        let reason = format!(
            "{store}/{key} has SHA-256 {found} ({} bytes), expected {}; it is not kept",
            object.bytes.len(),
            asset.sha256
        );
        return Err(NodeError::waiting(step, reason).with_hint("publish the program again"));
    }
    Ok(object.bytes)
}

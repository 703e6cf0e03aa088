//! Programs from the state store: nothing is kept that is not what was meant.

use kops_core::digest::sha256_hex;
use kops_core::node::{NodeConfig, render};
use kops_core::state::{Key, StateStore};

use crate::error::{Done, NodeError};
use crate::files::Root;

/// Makes sure that a program is there.
pub(crate) async fn ensure(config: &NodeConfig, store: &dyn StateStore, root: &Root, name: &str) -> Done {
    let step = format!("program {name}");
    let path = format!("{}/{name}", render::PROGRAMS);
    let Some(asset) = config.assets.iter().find(|asset| asset.name == name) else {
        let reason = format!("it is neither published in the state store nor at {path} in the image");
        return if root.path(&path).exists() { Ok(()) } else { Err(NodeError::lasting(step, reason)) };
    };
    if root.read(&path).is_some_and(|found| sha256_hex(&found) == asset.sha256) {
        return root.write(&step, &path, &root.read(&path).unwrap_or_default(), 0o755).map(drop);
    }
    let key = Key::new(&asset.key).map_err(|error| NodeError::lasting(&step, error.to_string()))?;
    let object = store.get(&key).await.map_err(|error| NodeError::of_store(&step, error))?;
    let object = object.ok_or_else(|| NodeError::waiting(&step, format!("{store}/{key} is not there")))?;
    let found = sha256_hex(&object.bytes);
    if found != asset.sha256 {
        let reason = format!(
            "{store}/{key} has SHA-256 {found} ({} bytes), expected {}; it is not kept",
            object.bytes.len(),
            asset.sha256
        );
        return Err(NodeError::waiting(step, reason).with_hint("publish the program again"));
    }
    root.write(&step, &path, &object.bytes, 0o755).map(drop)
}

//! Archives of programs (tar, gzip): only what is asked for is taken from them.

use std::io::{Error, Read};

use flate2::read::GzDecoder;
use kops_core::node::Asset;

use crate::error::{Done, NodeError};
use crate::files::Root;

/// The most bytes of one program; the largest, containerd, has some 60 MB.
const LIMIT: u64 = 512 * 1024 * 1024;

pub(super) fn unpack(step: &str, asset: &Asset, packed: impl Read, root: &Root) -> Done {
    let broken = |error: Error| NodeError::lasting(step, format!("the archive cannot be unpacked: {error}"));
    let targets = asset.targets();
    let mut left: Vec<_> = targets.iter().filter_map(|(file, path)| Some(((*file)?, path))).collect();
    let mut archive = tar::Archive::new(GzDecoder::new(packed));
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_string_lossy().trim_start_matches("./").to_owned();
        let Some(place) = left.iter().position(|(file, _)| *file == name) else { continue };
        let (_, path) = left.swap_remove(place);
        let mut program = Vec::new();
        entry.take(LIMIT).read_to_end(&mut program).map_err(broken)?;
        root.write(step, path, &program, 0o755)?;
    }
    let missing: Vec<&str> = left.iter().map(|(file, _)| *file).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(NodeError::lasting(
            step,
            format!("the archive of {} has no {}", asset.name, missing.join(", ")),
        )),
    }
}

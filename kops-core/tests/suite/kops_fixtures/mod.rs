//! Expectations taken from kops itself, which are kept beside the repository and skipped where they are missing.
#![cfg(test)]

mod addons;
mod create;
mod settings;
mod stored;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of a kind of expectations, or nothing after saying so where everybody sees it.
fn folder(kind: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("KOPS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join(kind);
    if folder.is_dir() {
        return Some(folder);
    }
    // Not `eprintln!`, which is captured when a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: no folder {} (set KOPS_SHARED)", folder.display());
    None
}

/// The cases of a kind: name and folder, sorted.
fn cases(kind: &str) -> Vec<(String, PathBuf)> {
    let Some(folder) = folder(kind) else { return Vec::new() };
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), entry.path())
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "the folder of fixtures is empty");
    cases
}

fn text(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

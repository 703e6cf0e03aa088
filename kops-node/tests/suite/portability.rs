//! The program runs where the documentation says it does.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::io::Write;
use std::process::Command;

/// The C library that a build takes its newest symbols from; a newer one gives names to functions that older ones lack.
const BUILD_HOST: u32 = 36;

/// The highest `GLIBC_2.x` that the program's dynamic symbols ask for.
fn needed() -> Option<u32> {
    const MARK: &[u8] = b"\0GLIBC_2.";
    let program = std::fs::read(env!("CARGO_BIN_EXE_kops-node")).unwrap();
    let version = |at: usize| {
        let digits = program.get(at + MARK.len()..)?.split(|byte| !byte.is_ascii_digit()).next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let found = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    found.filter_map(|(at, _)| version(at)).max()
}

/// What `getconf` says: `glibc 2.36`.
fn installed() -> Option<u32> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().rsplit('.').next()?.parse().ok()
}

#[test]
fn no_newer_c_library_is_needed_than_is_documented() {
    if installed().is_none_or(|minor| minor > BUILD_HOST) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: programs are built with glibc 2.{BUILD_HOST} or older");
        return;
    }
    let documentation = include_str!("../../../docs/nodes.md");
    let (_, rest) = documentation.split_once("needs glibc 2.").unwrap();
    let documented: u32 = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert_eq!(needed(), Some(documented));
}

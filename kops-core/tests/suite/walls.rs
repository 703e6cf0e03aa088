//! The walls between the rooms of this crate, as ARCHITECTURE.md states them: no source file names a room that it may
//! not know.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::fs;
use std::path::{Path, PathBuf};

/// A room (a module, as a file or a folder) and the rooms that it may not name.
const WALLS: [(&str, &[&str]); 13] = [
    ("plan", &["manifest", "apply", "operation", "rolling", "lease", "state", "node", "etcd", "sim"]),
    ("apply", &["manifest", "operation", "rolling", "lease", "state", "node", "etcd", "sim"]),
    ("resource", &["manifest", "etcd", "state", "node", "plan", "apply"]),
    ("inventory", &["manifest", "etcd", "state", "node", "plan", "apply"]),
    ("cloud", &["manifest", "etcd", "state", "node", "plan", "apply", "rolling"]),
    ("manifest", &["etcd", "operation", "plan", "apply", "rolling", "sim", "cloud", "fleet", "addon"]),
    ("observation", &["rolling", "validation", "sim", "operation", "state"]),
    ("rolling", &["operation", "validation", "state", "lease", "plan", "apply"]),
    ("validation", &["rolling", "operation", "sim", "state"]),
    ("sim", &["rolling", "operation", "state", "apply", "validation"]),
    ("state", &["operation", "plan", "apply", "rolling", "node", "etcd", "sim"]),
    ("etcd", &["operation", "plan", "apply", "rolling", "node", "sim"]),
    ("pki", &["operation", "plan", "apply", "rolling", "node", "sim", "manifest"]),
];

/// Words of AWS that this crate has no use for in code. What AWS calls a volume type or an owner of images is the
/// provider's to know.
const FOREIGN: [&str; 3] = ["aws_sdk", "aws_config", "aws_smithy"];

#[test]
fn no_room_names_what_it_may_not_know() {
    let mut broken = Vec::new();
    for (room, hidden) in WALLS {
        let files = files_of(room);
        assert!(!files.is_empty(), "there is no room {room}");
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for name in hidden {
                assert!(!files_of(name).is_empty(), "there is no room {name}");
                broken.extend(named(&source, name).map(|line| {
                    let file = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
                    format!("{}: {room} may not know {name}: {line}", file.display())
                }));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_names_a_crate_of_aws() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(source.join("Cargo.toml")).unwrap();
    for name in FOREIGN {
        assert!(!manifest.contains(&name.replace('_', "-")), "Cargo.toml names {name}");
    }
}

/// Lines of code, tests aside, that name a room.
fn named<'a>(source: &'a str, room: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    let code = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(move |line| !line.trim_start().starts_with("//")).filter(move |line| {
        line.match_indices("crate::").any(|(at, word)| {
            let rest = &line[at + word.len()..];
            rest.strip_prefix(room)
                .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    })
}

/// The source files of a room, tests aside.
fn files_of(room: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::from_iter(Some(source.join(format!("{room}.rs"))).filter(|file| file.is_file()));
    let mut folders = Vec::from_iter(Some(source.join(room)).filter(|folder| folder.is_dir()));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.extend(Some(path.clone()).filter(|_| name != "tests"));
            } else if name.ends_with(".rs") && name != "tests.rs" {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn a_name_is_found_where_it_is_used_and_nowhere_else() {
    let source = "use crate::state::layout;\n// crate::sim\nuse crate::state_object::X;\n\
                  \n#[cfg(test)]\nmod tests {\n    use crate::sim::Y;\n}";
    assert_eq!(named(source, "state").collect::<Vec<_>>(), ["use crate::state::layout;"]);
    assert_eq!(named(source, "sim").count(), 0);
}

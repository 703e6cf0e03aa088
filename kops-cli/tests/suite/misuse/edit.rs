//! An edit that goes wrong in any way: what was typed is never lost.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{NAME, ending_signals, stored, without_time};
use crate::support::{Bench, Said};

const EDIT: [&str; 5] = ["edit", "ig", "nodes", "--name", NAME];

/// Types something that is no field.
const TYPE: &str = "sed -i 's/maxSize:/maxSizes:/' \"$1\"";

struct Desk {
    bench: Bench,
}

impl Desk {
    fn new() -> Self {
        let bench = stored();
        std::fs::create_dir(bench.path("tmp")).unwrap();
        Self { bench }
    }

    /// The edit with an editor that runs this script: in the first round, and in those after it.
    fn command(&self, arguments: &[&str], first: &str, then: &str) -> Command {
        let script = format!(
            "#!/bin/sh\necho round >> rounds\nif [ $(wc -l < rounds) = 1 ]; then\n{first}\nelse :\n{then}\nfi\n"
        );
        let editor = self.bench.write("editor", &script);
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.bench.command(arguments);
        command
            .env("EDITOR", editor)
            .env("TMPDIR", self.bench.path("tmp"))
            .env("KOPS", env!("CARGO_BIN_EXE_kops"));
        command
    }

    fn edit(&self, first: &str, then: &str) -> Said {
        self.bench.said(&EDIT, &self.command(&EDIT, first, then).output().unwrap())
    }

    fn rounds(&self) -> usize {
        std::fs::read_to_string(self.bench.path("rounds")).map_or(0, |text| text.lines().count())
    }

    /// The files that were left behind.
    fn left(&self) -> Vec<PathBuf> {
        let directories = std::fs::read_dir(self.bench.path("tmp")).unwrap();
        directories
            .flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap())
            .map(|e| e.unwrap().path())
            .collect()
    }

    /// The copy that the error names, which is the only file left.
    fn kept(&self, said: &Said) -> String {
        let [left] = <[PathBuf; 1]>::try_from(self.left()).unwrap_or_else(|left| panic!("{left:?}: {said}"));
        let name = left.strip_prefix(self.bench.path("")).unwrap().display().to_string();
        assert!(
            said.stderr.contains(&format!("A copy of your changes has been stored to \"[DIR]/{name}\"")),
            "{said}"
        );
        assert_eq!(std::fs::metadata(&left).unwrap().permissions().mode() & 0o777, 0o600);
        String::from_utf8_lossy(&std::fs::read(left).unwrap()).into_owned()
    }

    fn stored(&self) -> String {
        without_time(&self.bench.kops(&["get", "ig", "nodes", "--name", NAME, "-o", "yaml"]).ok().stdout)
    }
}

#[test]
fn an_editor_that_fails_after_a_wrong_text_leaves_a_copy() {
    for (then, why) in [
        ("exit 1", "failed with status 1"),
        ("kill -KILL $$", "was ended by signal 9"),
        ("kill -INT $$", "was ended by signal 2"),
        ("exit 127", "is not there"),
        ("rm \"$1\"; exit 1", "failed with status 1"),
        (": > \"$1\"; exit 1", "failed with status 1"),
    ] {
        let desk = Desk::new();
        let said = desk.edit(TYPE, then);
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stderr.contains(why), "{said}");
        assert!(desk.kept(&said).contains("maxSizes: 2"), "{said}");
    }
}

#[test]
fn an_editor_that_fails_in_the_first_round_leaves_what_was_typed() {
    let desk = Desk::new();
    let said = desk.edit("sed -i 's/maxSize: 2/maxSize: 7/' \"$1\"; exit 3", "");
    assert!(said.stderr.contains("failed with status 3"), "{said}");
    assert!(desk.kept(&said).contains("maxSize: 7"));
    assert!(desk.stored().contains("maxSize: 2"));
    let desk = Desk::new();
    let said = desk.edit("printf '\\377\\376typed' > \"$1\"", "");
    assert_eq!(said.status, Some(1), "{said}");
    assert!(desk.kept(&said).contains("typed"));
}

#[test]
fn without_anything_typed_nothing_is_left() {
    let desk = Desk::new();
    let said = desk.edit("exit 1", "");
    assert!(said.stderr.contains("nothing was changed"), "{said}");
    assert!(desk.left().is_empty());
    let output = desk.command(&EDIT, "", "").env("EDITOR", "/no/such/editor").output().unwrap();
    let said = desk.bench.said(&EDIT, &output);
    assert!(said.stderr.contains("the editor \"/no/such/editor\" is not there"), "{said}");
    assert!(desk.left().is_empty());
    let output = desk.command(&EDIT, "", "").env("TMPDIR", desk.bench.path("gone")).output().unwrap();
    let said = desk.bench.said(&EDIT, &output);
    assert!(said.stderr.contains("cannot make a file to edit in [DIR]/gone"), "{said}");
    assert!(said.stderr.contains("set TMPDIR"), "{said}");
}

#[test]
fn an_editor_that_learns_nothing_ends_with_the_error() {
    // One that leaves the file as it is, one that writes the same again, one that goes to and fro, one that adds to it.
    for (first, then, most) in [
        (TYPE, "true", 2),
        ("cp \"$1\" mine; sed -i 's/maxSize:/maxSizes:/' mine; cp mine \"$1\"", "cp mine \"$1\"", 2),
        (
            TYPE,
            "grep -q '^  maxSizes' \"$1\" && sed -i 's/maxSizes:/maxSizex:/' \"$1\" || sed -i 's/maxSizex:/maxSizes:/' \"$1\"",
            4,
        ),
        ("echo '  wrong: 1' >> \"$1\"", "echo \"  wrong$(wc -l < rounds): 1\" >> \"$1\"", 5),
    ] {
        let desk = Desk::new();
        let said = desk.edit(first, then);
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stderr.contains("no such field"), "{said}");
        assert!(desk.rounds() <= most, "{} rounds", desk.rounds());
        desk.kept(&said);
    }
}

#[test]
fn a_text_that_is_right_in_the_second_round_is_stored() {
    let desk = Desk::new();
    desk.edit(TYPE, "sed -i 's/maxSizes: 2/maxSize: 4/' \"$1\"").ok();
    assert!(desk.stored().contains("maxSize: 4"));
    assert!(desk.left().is_empty());
}

#[test]
fn somebody_else_who_was_faster_costs_no_typing() {
    let desk = Desk::new();
    desk.bench.write("theirs.yaml", &desk.stored().replace("maxSize: 2", "maxSize: 9"));
    let said =
        desk.edit("sed -i 's/maxSize: 2/maxSize: 4/' \"$1\"; \"$KOPS\" replace -f theirs.yaml", "true");
    assert_eq!(said.status, Some(1), "{said}");
    assert!(said.stderr.contains("changed"), "{said}");
    assert_eq!(desk.rounds(), 1, "another text would not be taken either");
    assert!(desk.kept(&said).contains("maxSize: 4"));
    assert!(desk.stored().contains("maxSize: 9"));
}

#[test]
fn a_new_group_is_edited_as_carefully() {
    let desk = Desk::new();
    let create = ["create", "ig", "more", "--name", NAME];
    let said = desk.bench.said(&create, &desk.command(&create, TYPE, "exit 1").output().unwrap());
    assert_eq!(said.status, Some(1), "{said}");
    assert!(desk.kept(&said).contains("maxSizes:"));
}

/// Sends signals to an edit whose editor has typed something and waits.
fn signalled(signals: &[&str]) -> (Desk, Said) {
    let desk = Desk::new();
    let script = format!("{TYPE}; touch open; while [ ! -e close ]; do sleep 0.05; done; exit 1");
    let mut command = desk.command(&EDIT, &script, "");
    let mut child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    while !desk.bench.path("open").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    for signal in signals {
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        if *signal == "INT" {
            // It is the editor's, so the edit goes on.
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(child.try_wait().unwrap(), None);
        }
    }
    if signals == ["INT"] {
        desk.bench.write("close", "");
    }
    let status = child.wait().unwrap();
    desk.bench.write("close", "");
    let mut stderr = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let said = desk.bench.said(&EDIT, &std::process::Output { status, stdout: Vec::new(), stderr });
    (desk, said)
}

#[test]
fn signals_cost_no_typing() {
    let (desk, said) = signalled(&["INT"]);
    assert_eq!(said.status, Some(1), "{said}");
    assert!(desk.kept(&said).contains("maxSizes: 2"));
    for (signal, number) in ending_signals().into_iter().filter(|(signal, _)| *signal != "INT") {
        let (desk, said) = signalled(&[signal]);
        assert_eq!(said.status, Some(128 + number), "{said}");
        assert!(said.stderr.contains(&format!("error: ended by SIG{signal}")), "{said}");
        assert!(desk.kept(&said).contains("maxSizes: 2"));
    }
}

//! Runs the real binary in a directory of its own, without the environment of whoever runs the tests.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The first line of a run in the simulation.
pub(crate) const SIMULATED: &str = "Simulated cloud in .kops-sim (KOPS_SIM); AWS is not used\n";

/// A directory with a simulated cloud in it.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kops"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("KOPS_SIM", "1");
        command
    }

    /// What the command said: the command line, both streams, and the exit status if it is not 0.
    pub(crate) fn kops(&self, arguments: &[&str]) -> Said {
        self.said(arguments, &self.command(arguments).output().unwrap())
    }

    pub(crate) fn said(&self, arguments: &[&str], output: &Output) -> Said {
        let text = |bytes: &[u8]| redact(&String::from_utf8_lossy(bytes), self.directory.path());
        Said {
            line: redact(&format!("$ kops {}\n", arguments.join(" ")), self.directory.path()),
            stdout: text(&output.stdout),
            // Every run in the simulation begins with it.
            stderr: text(&output.stderr).replacen(SIMULATED, "", 1),
            status: output.status.code(),
        }
    }
}

/// Paths, times, and the numbers that the simulated cloud gives in the order in which things are made.
fn redact(text: &str, directory: &Path) -> String {
    let canonical = directory.canonicalize().unwrap();
    let text =
        text.replace(&*canonical.to_string_lossy(), "[DIR]").replace(&*directory.to_string_lossy(), "[DIR]");
    let lines = text.split_inclusive('\n').map(|line| match line.split_once("creationTimestamp: \"") {
        Some((before, _)) => format!("{before}creationTimestamp: [TIME]\n"),
        None => line.to_owned(),
    });
    let mut parts = lines.collect::<String>();
    let mut from = 0;
    while let Some(at) = parts[from..].find("-sim0").map(|at| from + at + "-sim".len()) {
        let digits = parts[at..].chars().take_while(char::is_ascii_digit).count();
        parts.replace_range(at..at + digits, "#");
        from = at;
    }
    parts
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) line: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

impl Said {
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, Some(0), "{self}");
        self
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)?;
        f.write_str(&self.stdout)?;
        if !self.stderr.is_empty() {
            write!(f, "--- standard error\n{}", self.stderr)?;
        }
        match self.status {
            Some(0) => Ok(()),
            status => writeln!(f, "--- exit status {}", status.unwrap_or(-1)),
        }
    }
}

/// Several screens as one.
pub(crate) fn screens<const N: usize>(screens: [Said; N]) -> String {
    screens.map(|said| said.to_string()).join("\n")
}

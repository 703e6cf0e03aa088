//! What the machine is waiting for, for `kops-node status`; and that only one run at a time changes it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;

use kops_core::node::console;
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::files::Root;

const STATUS: &str = "/run/kops-node/status.json";
const LOCK: &str = "/run/kops-node/lock";
const CONSOLE: &str = "/dev/console";

/// How far the machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What is not done; nothing when all is.
    pub problems: Vec<Problem>,
}

/// A step that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The step.
    pub step: String,
    /// Why it is not done.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
    /// The last lines of what failed, in its own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
}

impl Status {
    /// Remembers it until the machine is switched off.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, root: &Root) -> Result<(), NodeError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        // It has lines of journals, which not everybody on the machine may read.
        root.write("status", STATUS, text.as_bytes(), 0o600).map(drop)
    }

    /// What was remembered last; nothing if no run has ended yet.
    pub fn load(root: &Root) -> Option<Self> {
        serde_json::from_slice(&root.read(STATUS)?).ok()
    }
}

impl Status {
    /// Returns the step and the reason of each problem. Only where these change, people are told.
    pub fn essence(&self) -> Vec<(&str, &str)> {
        self.problems.iter().map(|problem| (problem.step.as_str(), problem.reason.as_str())).collect()
    }

    /// Tells people who watch the machine's console how far it is. A machine without a console is told elsewhere.
    pub fn tell_console(&self, root: &Root) {
        let brief = |problem: &Problem| {
            let said = problem.said.join(" | ");
            let said = if said.is_empty() { said } else { format!(" (its last words: {said})") };
            format!("{}: {}{said}", problem.step, problem.reason)
        };
        let line = console::line(&self.problems.iter().map(brief).collect::<Vec<_>>());
        let opened = OpenOptions::new().append(true).open(root.path(CONSOLE));
        let _ = opened.and_then(|mut console| console.write_all(line.as_bytes()));
    }
}

impl From<&NodeError> for Problem {
    fn from(error: &NodeError) -> Self {
        let NodeError { step, reason, retry: _, hint, said, source: _ } = error;
        Self { step: step.clone(), reason: reason.clone(), hint: hint.clone(), said: said.clone() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.reason)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        self.said.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// The right to change the machine; held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the file is locked as long as it is open")] File);

impl Lock {
    /// Returns whether a run holds it.
    pub fn is_held(root: &Root) -> bool {
        let file = File::open(root.path(LOCK));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Takes it.
    ///
    /// # Errors
    /// When another run holds it.
    pub fn take(root: &Root) -> Result<Self, NodeError> {
        let path = root.path(LOCK);
        let failed = |error| NodeError::of_file("lock", &path, error);
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                // For whoever finds it taken; of a holder that was killed, the number is left and the lock is not.
                file.set_len(0).map_err(failed)?;
                write!(file, "{}", std::process::id()).map_err(failed)?;
                Ok(Self(file))
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let holder =
                    root.read(LOCK).and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
                let holder =
                    holder.parse().map_or_else(|_| String::new(), |id: u32| format!(" (process {id})"));
                Err(NodeError::waiting(
                    "lock",
                    format!("another kops-node{holder} is at work on this machine"),
                )
                .with_hint("`kops-node status` says how far it is"))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

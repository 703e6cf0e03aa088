//! What the machine is waiting for, for `kops-node status`; and that only one run at a time changes it.

use std::fs::{File, OpenOptions};
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::files::Root;

const STATUS: &str = "/run/kops-node/status.json";
const LOCK: &str = "/run/kops-node/lock";

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
}

impl Status {
    /// Remembers it until the machine is switched off.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, root: &Root) -> Result<(), NodeError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        root.write("status", STATUS, text.as_bytes(), 0o644).map(drop)
    }

    /// What was remembered last; nothing if no run has ended yet.
    pub fn load(root: &Root) -> Option<Self> {
        serde_json::from_slice(&root.read(STATUS)?).ok()
    }
}

impl From<&NodeError> for Problem {
    fn from(error: &NodeError) -> Self {
        Self { step: error.step.clone(), reason: error.reason.clone(), hint: error.hint.clone() }
    }
}

/// The right to change the machine; held until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the file is locked as long as it is open")] File);

impl Lock {
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

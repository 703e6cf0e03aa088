use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The name of a backup or a command: a moment, and a number that tells apart what happened within one second
/// (`2026-01-15T12:00:00Z-000001`). Sorted by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stamp {
    at: Timestamp,
    text: String,
}

/// A text that is no name of a backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a backup: they look like 2026-01-15T12:00:00Z-000001")]
pub struct InvalidStamp(String);

impl Stamp {
    /// The name of what happens `at`, to the second.
    pub fn new(at: Timestamp, sequence: u32) -> Self {
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        Self { at, text: format!("{at:.0}-{sequence:06}") }
    }

    /// When it happened, by the clock of the machine that names it.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Stamp {
    type Err = InvalidStamp;

    /// Reads what etcd-manager reads (`pkg/backupcontroller/parse.go`): a time in UTC, and any ending.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidStamp(text.to_owned());
        let (time, sequence) = text.split_once("Z-").ok_or_else(invalid)?;
        if sequence.is_empty() || !sequence.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(invalid());
        }
        let at = format!("{time}Z").parse().map_err(|_| invalid())?;
        Ok(Self { at, text: text.to_owned() })
    }
}

impl TryFrom<String> for Stamp {
    type Error = InvalidStamp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Stamp> for String {
    fn from(stamp: Stamp) -> Self {
        stamp.text
    }
}

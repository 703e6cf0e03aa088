use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EXPIRY, LONG_DEAD};
use crate::clock::Timestamp;

/// The form of the object.
const FORMAT: u32 = 1;

/// Who holds leases: whatever tells people where to look for the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// A person or a service; may be empty.
    pub name: String,
    /// The machine; may be empty.
    pub host: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Anyone who may write to the state store chooses these words: they stay within their line.
        let plain = |word: &str| word.replace(char::is_control, "?");
        f.write_str(&if self.name.is_empty() { "somebody".to_owned() } else { plain(&self.name) })?;
        if self.host.is_empty() { Ok(()) } else { write!(f, " on {}", plain(&self.host)) }
    }
}

/// What a lease is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The cloud is made to be as the manifests say.
    Update,
    /// Machines are replaced.
    RollingUpdate,
    /// Both, in the order that keeps versions compatible.
    Reconcile,
    /// The cluster is deleted.
    Delete,
    /// An instance group is deleted.
    DeleteInstanceGroup,
    /// A machine is deleted.
    DeleteInstance,
    /// A backup of etcd is restored.
    RestoreEtcd,
    /// Something that this version of the library does not know.
    #[serde(other)]
    Other,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Update => "update",
            Self::RollingUpdate => "rolling-update",
            Self::Reconcile => "reconcile",
            Self::Delete => "delete",
            Self::DeleteInstanceGroup => "delete instancegroup",
            Self::DeleteInstance => "delete instance",
            Self::RestoreEtcd => "etcd restore",
            Self::Other => "something else",
        })
    }
}

/// A lease as the state store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRecord {
    format: u32,
    /// Who holds it, or held it last.
    pub holder: Holder,
    /// What for.
    pub purpose: Purpose,
    /// Since when, by the holder's clock.
    pub since: Timestamp,
    /// When it was last renewed, by the holder's clock.
    pub heartbeat: Timestamp,
    /// Makes each write different, so that no two have the same version.
    renewals: u64,
    expiry_seconds: u64,
    /// Tells one run from another of the same holder.
    nonce: String,
    /// Set once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Release>,
}

/// How a lease ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// When.
    pub at: Timestamp,
    /// Who ended it: the holder, or somebody else in their place.
    pub by: Holder,
}

/// What can be told from a lease without watching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nobody holds it.
    Free,
    /// It was renewed a moment ago.
    Held,
    /// It has not been renewed for longer than it lasts: by now its holder is dead, or has another time.
    Expired,
}

impl LeaseRecord {
    /// A lease that begins now.
    pub(super) fn new(holder: Holder, purpose: Purpose, now: Timestamp) -> Self {
        Self {
            format: FORMAT,
            holder,
            purpose,
            since: now,
            heartbeat: now,
            renewals: 0,
            expiry_seconds: EXPIRY.as_secs(),
            nonce: nonce(),
            released: None,
        }
    }

    /// What an object holds; none if this version of the library cannot tell.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        let record: Self = serde_json::from_slice(bytes)?;
        match record.format {
            FORMAT => Ok(record),
            other => Err(serde_json::Error::custom(format!("its format is {other}, not {FORMAT}"))),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    pub(super) fn renewed(&self, now: Timestamp) -> Self {
        Self { heartbeat: now, renewals: self.renewals + 1, ..self.clone() }
    }

    pub(super) fn released(&self, by: Holder, now: Timestamp) -> Self {
        Self { released: Some(Release { at: now, by }), ..self.clone() }
    }

    /// Whether `other` is of the same run.
    pub(super) fn is_of_the_run_of(&self, other: &Self) -> bool {
        self.nonce == other.nonce
    }

    /// How long it lasts without being renewed.
    pub fn expiry(&self) -> Duration {
        Duration::from_secs(self.expiry_seconds)
    }

    /// What can be told at `now` by the reader's clock.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.released {
            Some(_) => Standing::Free,
            None if self.age(now) > self.expiry() => Standing::Expired,
            None => Standing::Held,
        }
    }

    /// Whether it can be taken over without watching it first.
    pub(super) fn is_long_dead(&self, now: Timestamp) -> bool {
        self.age(now) > LONG_DEAD.max(self.expiry())
    }

    /// The time since the last renewal by the reader's clock; nothing if that is behind the holder's.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.heartbeat)).unwrap_or_default()
    }
}

/// For people: who, what, since when.
impl fmt::Display for LeaseRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { holder, purpose, since, .. } = self;
        write!(f, "{holder}: {purpose} since {since:.0}")
    }
}

/// Seeded by the system's randomness, anew for each.
fn nonce() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

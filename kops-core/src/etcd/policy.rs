use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::Stamp;
use crate::clock::{Timestamp, later};
use crate::manifest::BackupPolicy;

/// How long every backup is kept.
const ALL: SignedDuration = SignedDuration::from_hours(1);
/// How long the first of each hour is kept.
const HOURLY: SignedDuration = SignedDuration::from_hours(7 * 24);

impl BackupPolicy {
    /// Whether it is time for a backup.
    pub fn is_due<'a>(&self, taken: impl IntoIterator<Item = &'a Stamp>, now: Timestamp) -> bool {
        taken.into_iter().map(Stamp::at).max().is_none_or(|last| later(last, self.interval) <= now)
    }

    /// The backups that are kept no longer. Never the newest, whatever its age.
    pub fn expired<'a>(&self, taken: &'a [Stamp], now: Timestamp) -> Vec<&'a Stamp> {
        let mut sorted: Vec<&Stamp> = taken.iter().collect();
        sorted.sort_unstable();
        // The same backup named twice is one backup: expiring the second name would delete the first.
        sorted.dedup();
        let Some(newest) = sorted.pop() else { return Vec::new() };
        let days = SignedDuration::from_hours(24 * i64::from(self.retention_days));
        let mut seen = BTreeSet::new();
        sorted.retain(|stamp| {
            let age = now.duration_since(stamp.at());
            let seconds = stamp.at().as_second();
            let is_kept = match age {
                _ if age < ALL => true,
                _ if age >= days => false,
                _ if age < HOURLY => seen.insert((3600, seconds.div_euclid(3600))),
                _ => seen.insert((86400, seconds.div_euclid(86400))),
            };
            !is_kept && *stamp != newest
        });
        sorted
    }
}

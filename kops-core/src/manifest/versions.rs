//! The versions of Kubernetes that are supported, and what goes with each.

use std::fmt;
use std::str::FromStr;

use crate::node::Architecture;

/// A version of Kubernetes, `1.<minor>.<patch>`, or one before it such as `1.36.0-rc.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
    /// How far it is from its release.
    pub stage: Stage,
}

/// How far a version is from its release; in the order in which they come
/// (<https://github.com/kubernetes/sig-release/blob/master/release-engineering/versioning.md>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// `-alpha.<number>`.
    Alpha(u32),
    /// `-beta.<number>`.
    Beta(u32),
    /// `-rc.<number>`.
    Candidate(u32),
    /// It is released.
    Released,
}

/// A text that is not a version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version of Kubernetes such as {RECOMMENDED}")]
pub struct VersionError(String);

/// What is known of the releases of one minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The recommended version among those of the same minor version.
    pub recommended: KubernetesVersion,
    /// The version of etcd that goes with it.
    pub etcd: &'static str,
    /// The machine image that goes with it, as `owner/name`: for x86-64. For other architectures there is one of the same
    /// name but for the architecture's.
    image: &'static str,
}

/// The versions of etcd that are known to work, by their first two numbers. Older ones lack the API that Kubernetes uses
/// today, or the flags that machines start etcd with.
pub const ETCD_SERIES: [&str; 3] = ["3.4", "3.5", "3.6"];

/// The version of new clusters.
pub const RECOMMENDED: KubernetesVersion = KubernetesVersion::new(35, 7);

const FOCAL: &str = "099720109477/ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20250624";
const JAMMY: &str = "099720109477/ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260714";
const NOBLE: &str = "099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260714";

/// Every minor version that is supported, in ascending order.
///
/// Recommended patches and images are those of kops's stable channel of August 2026, versions of etcd those of its
/// `pkg/model/components/etcd.go`; 1.20 has the etcd that it was tried with.
pub const RELEASES: [Release; 8] = [
    release(20, 15, "3.4.23", FOCAL),
    release(30, 14, "3.5.31", JAMMY),
    release(31, 14, "3.5.31", JAMMY),
    release(32, 13, "3.5.31", NOBLE),
    release(33, 13, "3.5.31", NOBLE),
    release(34, 10, "3.6.12", NOBLE),
    release(35, 7, "3.6.12", NOBLE),
    release(36, 3, "3.6.12", NOBLE),
];

const fn release(minor: u32, patch: u32, etcd: &'static str, image: &'static str) -> Release {
    Release { recommended: KubernetesVersion::new(minor, patch), etcd, image }
}

impl KubernetesVersion {
    /// The release `1.<minor>.<patch>`.
    pub const fn new(minor: u32, patch: u32) -> Self {
        Self { minor, patch, stage: Stage::Released }
    }

    /// What is known of the version, if its minor version is supported.
    pub fn release(self) -> Option<&'static Release> {
        RELEASES.iter().find(|release| release.recommended.minor == self.minor)
    }

    /// The machine image that goes with the version, for machines of an architecture.
    pub fn image(self, architecture: Architecture) -> String {
        let amd64 = self.nearest_release().image;
        amd64.replace(&Architecture::Amd64.to_string(), &architecture.to_string())
    }

    /// What is known of the newest supported minor version that is not newer than this one, or of the oldest.
    pub(super) fn nearest_release(self) -> &'static Release {
        self.row(&RELEASES, |release| release.recommended.minor)
    }

    /// Its row of a table with one for each minor version, in ascending order: a version between two rows is served by the
    /// older one, and one before the first by that.
    pub fn row<T, const N: usize>(self, rows: &'static [T; N], minor: fn(&T) -> u32) -> &'static T {
        const { assert!(N > 0, "a table has rows") };
        rows.iter().rev().find(|row| minor(row) <= self.minor).unwrap_or(&rows[0])
    }
}

/// The minor versions that are supported, for people: `1.20, 1.30, …`.
pub fn supported() -> String {
    let names: Vec<_> = RELEASES.iter().map(|release| format!("1.{}", release.recommended.minor)).collect();
    names.join(", ")
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}", self.minor, self.patch)?;
        match self.stage {
            Stage::Alpha(number) => write!(f, "-alpha.{number}"),
            Stage::Beta(number) => write!(f, "-beta.{number}"),
            Stage::Candidate(number) => write!(f, "-rc.{number}"),
            Stage::Released => Ok(()),
        }
    }
}

impl FromStr for KubernetesVersion {
    type Err = VersionError;

    /// Reads `1.35.7` or `1.36.0-rc.1`, with or without a leading `v`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (release, before) = match text.split_once('-') {
            Some((release, before)) => (release, Some(before)),
            None => (text, None),
        };
        let stage = before.map_or(Some(Stage::Released), stage);
        let mut parts = release.strip_prefix('v').unwrap_or(release).split('.');
        match (
            parts.next(),
            parts.next().and_then(number),
            parts.next().and_then(number),
            parts.next(),
            stage,
        ) {
            (Some("1"), Some(minor), Some(patch), None, Some(stage)) => Ok(Self { minor, patch, stage }),
            _ => Err(VersionError(text.to_owned())),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn stage(text: &str) -> Option<Stage> {
    let (name, count) = text.split_once('.')?;
    let count = number(count)?;
    match name {
        "alpha" => Some(Stage::Alpha(count)),
        "beta" => Some(Stage::Beta(count)),
        "rc" => Some(Stage::Candidate(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_v() {
        assert_eq!("v1.35.7".parse(), Ok(RECOMMENDED));
        assert_eq!(RECOMMENDED.to_string().parse(), Ok(RECOMMENDED));
        for wrong in ["", "1.35", "2.35.7", "1.35.7.1", "1.+5.7", "1.35.x", "1.35.", "latest", "vv1.2.3"] {
            assert!(wrong.parse::<KubernetesVersion>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_before_a_release_come_before_it() {
        let texts = ["1.35.7", "1.36.0-alpha.1", "1.36.0-alpha.10", "1.36.0-beta.0", "1.36.0-rc.1", "1.36.0"];
        let versions = texts.map(|text| text.parse::<KubernetesVersion>().unwrap());
        assert!(versions.is_sorted(), "{versions:?}");
        assert_eq!(versions.map(|version| version.to_string()), texts);
        for wrong in [
            "1.36.0-",
            "1.36.0-rc",
            "1.36.0-rc.",
            "1.36.0-rc.x",
            "1.36.0-final.1",
            "1.36-rc.1",
            "1.36.0-rc.1.2",
        ] {
            assert!(wrong.parse::<KubernetesVersion>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn releases_are_sorted_and_hold_the_recommended_version() {
        assert!(RELEASES.is_sorted_by_key(|release| release.recommended));
        assert_eq!(RECOMMENDED.release().map(|release| release.recommended), Some(RECOMMENDED));
        assert_eq!(supported(), "1.20, 1.30, 1.31, 1.32, 1.33, 1.34, 1.35, 1.36");
    }

    #[test]
    fn every_release_has_an_etcd_that_is_known_to_work() {
        for release in RELEASES {
            assert!(ETCD_SERIES.iter().any(|series| release.etcd.starts_with(series)), "{release:?}");
        }
    }

    #[test]
    fn versions_between_supported_ones_take_after_the_older() {
        let near = |minor| KubernetesVersion::new(minor, 0).nearest_release().recommended.minor;
        assert_eq!([near(10), near(20), near(29), near(31), near(99)], [20, 20, 20, 31, 36]);
    }
}

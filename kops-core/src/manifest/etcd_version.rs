/// A version of etcd, and what differs between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EtcdVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl EtcdVersion {
    /// Reads `3.6.12`; none if the text is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches('v').splitn(3, '.').map(|number| number.parse().ok());
        Some(Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? })
    }

    /// Whether members of this version read what one of `other` has written: a newer patch makes no difference.
    pub fn reads(self, other: Self) -> bool {
        (self.major, self.minor) >= (other.major, other.minor)
    }

    /// Whether members of `other` can become of this version one after the other: within a minor version, or to the
    /// next.
    pub fn follows(self, other: Self) -> bool {
        self.major == other.major && (other.minor..=other.minor + 1).contains(&self.minor)
    }

    /// The program that works on snapshots. Since 3.5 it is one of its own
    /// (<https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/>), and since 3.6 `etcdctl` no longer does it.
    pub fn snapshot_program(self) -> &'static str {
        if (self.major, self.minor) >= (3, 5) { "etcdutl" } else { "etcdctl" }
    }

    /// Whether a restore can move revisions on, so that watchers notice (`--bump-revision`, `--mark-compacted`): in the
    /// change logs since 3.4.27 and 3.5.10.
    pub fn bumps_revisions(self) -> bool {
        match (self.major, self.minor) {
            (3, 4) => self.patch >= 27,
            (3, 5) => self.patch >= 10,
            series => series >= (3, 6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ() {
        let of = |text| EtcdVersion::parse(text).unwrap();
        let facts = |text| (of(text).snapshot_program(), of(text).bumps_revisions());
        assert_eq!(facts("3.4.23"), ("etcdctl", false));
        assert_eq!(facts("3.4.27"), ("etcdctl", true));
        assert_eq!(facts("3.5.9"), ("etcdutl", false));
        assert_eq!(facts("v3.6.0"), ("etcdutl", true));
        assert!(of("3.5.1").reads(of("3.5.9")) && of("3.6.0").reads(of("3.4.27")));
        assert!(!of("3.5.10").reads(of("3.6.0")));
        assert!(of("3.6.0").follows(of("3.5.1")) && of("3.5.1").follows(of("3.5.9")));
        assert!(!of("3.6.0").follows(of("3.4.1")) && !of("3.4.1").follows(of("3.5.1")));
        for wrong in ["", "3.6", "3.6.x", "three"] {
            assert_eq!(EtcdVersion::parse(wrong), None, "{wrong}");
        }
    }
}

//! The one table of what add-ons differ in between the versions of Kubernetes.

use crate::manifest::versions::KubernetesVersion;

/// What goes with a minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddonRelease {
    /// The second number of the version.
    minor: u32,
    /// The image of CoreDNS (`cmd/kubeadm/app/constants`, `CoreDNSVersion`).
    pub(super) coredns: &'static str,
}

/// In ascending order.
const RELEASES: [AddonRelease; 8] = [
    AddonRelease { minor: 20, coredns: "coredns:1.7.0" },
    AddonRelease { minor: 30, coredns: "coredns/coredns:v1.11.1" },
    AddonRelease { minor: 31, coredns: "coredns/coredns:v1.11.3" },
    AddonRelease { minor: 32, coredns: "coredns/coredns:v1.11.3" },
    AddonRelease { minor: 33, coredns: "coredns/coredns:v1.12.0" },
    AddonRelease { minor: 34, coredns: "coredns/coredns:v1.12.1" },
    AddonRelease { minor: 35, coredns: "coredns/coredns:v1.12.1" },
    AddonRelease { minor: 36, coredns: "coredns/coredns:v1.12.1" },
];

impl AddonRelease {
    /// The row of a version.
    pub(super) fn of(version: KubernetesVersion) -> &'static Self {
        version.row(&RELEASES, |release| release.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    #[test]
    fn every_supported_version_has_a_row() {
        let rows: Vec<_> = RELEASES.iter().map(|row| row.minor).collect();
        let supported: Vec<_> =
            manifest::versions::RELEASES.iter().map(|row| row.recommended.minor).collect();
        assert_eq!(rows, supported);
    }
}

//! The one table of what add-ons differ in between the versions of Kubernetes.

use crate::manifest::versions::KubernetesVersion;

/// What goes with a minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddonRelease {
    /// The second number of the version.
    minor: u32,
    /// The image of CoreDNS (`cmd/kubeadm/app/constants`, `CoreDNSVersion`).
    pub(super) coredns: &'static str,
    /// The version of the metrics server (its README, "Compatibility Matrix").
    pub(super) metrics_server: &'static str,
    /// The version of the group `policy` that has disruption budgets.
    pub(super) policy: &'static str,
}

/// In ascending order.
const RELEASES: [AddonRelease; 8] = [
    release(20, "coredns:1.7.0", "v0.7.2"),
    release(30, "coredns/coredns:v1.11.1", "v0.7.2"),
    release(31, "coredns/coredns:v1.11.3", "v0.8.0"),
    release(32, "coredns/coredns:v1.11.3", "v0.8.0"),
    release(33, "coredns/coredns:v1.12.0", "v0.8.0"),
    release(34, "coredns/coredns:v1.12.1", "v0.8.0"),
    release(35, "coredns/coredns:v1.12.1", "v0.8.0"),
    release(36, "coredns/coredns:v1.12.1", "v0.8.0"),
];

const fn release(minor: u32, coredns: &'static str, metrics_server: &'static str) -> AddonRelease {
    let policy = if minor < 21 { "v1beta1" } else { "v1" };
    AddonRelease { minor, coredns, metrics_server, policy }
}

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

//! The one table of the images that go with the versions of Kubernetes.

use kops_core::manifest::versions::KubernetesVersion;

/// What goes with a minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddonRelease {
    /// The second number of the version.
    minor: u32,
    /// The version of the cloud controller, which goes with that of Kubernetes.
    pub(super) cloud_controller: &'static str,
    /// What the controller for services is called (aliases since `k8s.io/cloud-provider` 1.28).
    pub(super) service_controller: &'static str,
    /// The version of the cluster autoscaler, which goes with that of Kubernetes.
    pub(super) cluster_autoscaler: &'static str,
    /// The version of the group `policy` that has disruption budgets.
    pub(super) policy: &'static str,
    /// The images of the volume driver. There is none for 1.20: its objects and sidecars are of later versions.
    pub(super) ebs_csi_driver: Option<&'static EbsCsiDriver>,
}

/// The versions of the images of the EBS CSI driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EbsCsiDriver {
    pub(super) driver: &'static str,
    pub(super) attacher: &'static str,
    pub(super) liveness_probe: &'static str,
    pub(super) provisioner: &'static str,
    pub(super) registrar: &'static str,
    pub(super) resizer: &'static str,
}

/// As kops has them (`upup/models/cloudup/resources/addons/aws-ebs-csi-driver.addons.k8s.io`, August 2026).
const EBS: EbsCsiDriver = EbsCsiDriver {
    driver: "v1.58.0",
    attacher: "v4.11.0",
    liveness_probe: "v2.18.0",
    provisioner: "v6.2.0",
    registrar: "v2.16.0",
    resizer: "v2.1.0",
};

/// In ascending order; the newest release of <https://github.com/kubernetes/cloud-provider-aws> for each, of 1.20 the one
/// that kops has had. Of the cluster autoscaler those of kops (`pkg/model/components/clusterautoscaler.go`), and the first of
/// 1.20, 1.30 and 1.31, of which kops knows none.
const RELEASES: [AddonRelease; 8] = [
    release(20, "v1.20.1", "v1.20.0", "service", None),
    release(30, "v1.30.10", "v1.30.0", LB, Some(&EBS)),
    release(31, "v1.31.9", "v1.31.0", LB, Some(&EBS)),
    release(32, "v1.32.8", "v1.32.7", LB, Some(&EBS)),
    release(33, "v1.33.4", "v1.33.5", LB, Some(&EBS)),
    release(34, "v1.34.3", "v1.34.4", LB, Some(&EBS)),
    release(35, "v1.35.2", "v1.35.1", LB, Some(&EBS)),
    release(36, "v1.36.1", "v1.36.0", LB, Some(&EBS)),
];

const LB: &str = "service-lb-controller";

const fn release(
    minor: u32,
    cloud_controller: &'static str,
    cluster_autoscaler: &'static str,
    service_controller: &'static str,
    ebs_csi_driver: Option<&'static EbsCsiDriver>,
) -> AddonRelease {
    let policy = if minor < 21 { "v1beta1" } else { "v1" };
    AddonRelease { minor, cloud_controller, cluster_autoscaler, service_controller, policy, ebs_csi_driver }
}

impl AddonRelease {
    /// The row of a version.
    pub(super) fn of(version: KubernetesVersion) -> &'static Self {
        version.row(&RELEASES, |release| release.minor)
    }
}

#[cfg(test)]
mod tests {
    use kops_core::manifest::versions;

    use super::*;

    #[test]
    fn every_supported_version_has_a_row_with_its_own_controller() {
        let rows: Vec<_> = RELEASES.iter().map(|row| row.minor).collect();
        let supported: Vec<_> = versions::RELEASES.iter().map(|row| row.recommended.minor).collect();
        assert_eq!(rows, supported);
        for row in RELEASES {
            for version in [row.cloud_controller, row.cluster_autoscaler] {
                assert!(version.starts_with(&format!("v1.{}.", row.minor)), "{row:?}");
            }
        }
    }
}

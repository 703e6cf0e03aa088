//! The one table of what differs between the versions of Kubernetes on a machine.

use crate::manifest::versions::KubernetesVersion;

/// How the programs of a minor version want to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeRelease {
    /// The second number of the version.
    minor: u32,
    /// The image that holds a pod's namespaces (`cmd/kubeadm/app/constants`, `PauseVersion`).
    pub(super) pause: &'static str,
    /// Whether the kubelet's configuration file knows runtime endpoint (since 1.27), taints (1.23) and provider id;
    /// before, they are flags, and `--container-runtime=remote` is needed too (until 1.24).
    pub(super) kubelet_file_is_complete: bool,
    /// Whether the kubelet can be told to accept the first version of control groups (since 1.31); before, it does.
    pub(super) fail_cgroup_v1: bool,
    /// The versions of containerd, runc and the network plugins that machines get: those of kops 1.37
    /// (`pkg/model/components/containerd.go`, `pkg/nodemodel/wellknownassets/cni.go`). Kubelets before 1.26 need a containerd
    /// before 2.0, which still speaks `v1alpha2` of its interface.
    pub(super) containerd: &'static str,
    pub(super) runc: &'static str,
    pub(super) cni_plugins: &'static str,
    /// The taint of control-plane nodes, `master` before 1.24 (KEP-2067).
    pub(super) control_plane_taint: &'static str,
}

const MASTER: &str = "node-role.kubernetes.io/master";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// In ascending order.
const RELEASES: [NodeRelease; 8] = [
    release(20, "3.2", "0.8.7", false, false, MASTER),
    release(30, "3.9", "1.6.2", true, false, CONTROL_PLANE),
    release(31, "3.10", "1.6.2", true, true, CONTROL_PLANE),
    release(32, "3.10", "1.6.2", true, true, CONTROL_PLANE),
    release(33, "3.10", "1.6.2", true, true, CONTROL_PLANE),
    release(34, "3.10.1", "1.7.1", true, true, CONTROL_PLANE),
    release(35, "3.10.1", "1.8.0", true, true, CONTROL_PLANE),
    release(36, "3.10.1", "1.9.1", true, true, CONTROL_PLANE),
];

const fn release(
    minor: u32,
    pause: &'static str,
    cni_plugins: &'static str,
    kubelet_file_is_complete: bool,
    fail_cgroup_v1: bool,
    control_plane_taint: &'static str,
) -> NodeRelease {
    let (containerd, runc) = if minor < 26 { ("1.7.34", "1.2.9") } else { ("2.3.4", "1.4.3") };
    NodeRelease {
        minor,
        pause,
        kubelet_file_is_complete,
        fail_cgroup_v1,
        containerd,
        runc,
        cni_plugins,
        control_plane_taint,
    }
}

impl NodeRelease {
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

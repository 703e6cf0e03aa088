//! What the image and the kernel provide.

use kops_core::node::Host;

use crate::files::Root;

/// The number of `CAP_SYS_RESOURCE` (`linux/capability.h`).
const CAP_SYS_RESOURCE: u32 = 24;

pub(crate) fn detect(root: &Root) -> Host {
    let first = |paths: &[&str]| {
        let found = paths.iter().find(|path| root.path(path).exists());
        found.or(paths.last()).copied().unwrap_or_default().to_owned()
    };
    let status = root.read("/proc/self/status").unwrap_or_default();
    Host {
        cni_plugins: first(&["/usr/lib/cni", "/opt/cni/bin"]),
        resolv_conf: first(&["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"]),
        cgroup_v1: root.path("/sys/fs/cgroup").exists()
            && !root.path("/sys/fs/cgroup/cgroup.controllers").exists(),
        may_lower_oom_score: may_lower_oom_score(&String::from_utf8_lossy(&status)),
    }
}

/// Whether `/proc/self/status` lists the capability; where it says nothing, machines are taken for whole ones.
fn may_lower_oom_score(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> CAP_SYS_RESOURCE & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read() {
        assert!(may_lower_oom_score("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(!may_lower_oom_score("CapEff:\t000001fffeffffff\n"));
        assert!(may_lower_oom_score(""));
    }
}

//! Where the makers of programs publish them, and the hashes of those that are known.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::super::Architecture;
use super::super::release::NodeRelease;
use crate::manifest::versions::KubernetesVersion;
use crate::manifest::{CompletedCluster, EtcdVersion, InstanceGroup, Role, Settings};

/// The directory of network plugins, which add-ons use, too.
pub(crate) const CNI_PLUGINS: &str = "/opt/cni/bin";

/// Programs of Kubernetes that every node runs, and those of the control plane.
const NODE: [&str; 2] = ["kubelet", "kube-proxy"];
const CONTROL_PLANE: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];

/// Files of containerd's archive that machines use; its shim starts what runs a container.
const CONTAINERD: [&str; 3] = ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"];
/// Network plugins that this project's and others' configurations name.
const PLUGINS: [&str; 11] = [
    "bandwidth",
    "bridge",
    "firewall",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "static",
    "tuning",
];

/// A file that machines need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The program's name, or the archive's.
    pub(super) name: &'static str,
    /// Where it is.
    pub(super) url: String,
    /// Where its maker publishes its SHA-256.
    pub(super) checksums: String,
    /// Its SHA-256, if it is known.
    pub(super) sha256: Option<String>,
    /// The files that are taken from it, if it is an archive.
    pub(super) files: Vec<String>,
    /// Where they go, if not to the other programs.
    pub(super) directory: Option<&'static str>,
}

/// SHA-256 by version and architecture; taken in August 2026 from two public collections, which agree.
#[derive(Debug, Deserialize)]
struct Published<T> {
    url: String,
    sha256: BTreeMap<String, BTreeMap<Architecture, T>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Makers {
    /// With the hashes of all its programs.
    kubernetes: Published<BTreeMap<String, String>>,
    etcd: Published<String>,
    containerd: Published<String>,
    runc: Published<String>,
    cni_plugins: Published<String>,
}

static MAKERS: LazyLock<Makers> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a test reads the same text")]
    serde_json::from_str(include_str!("makers.json")).expect("the table is right")
});

impl<T> Published<T> {
    fn url(&self, version: &str, architecture: Architecture) -> String {
        self.url.replace("{version}", version).replace("{arch}", &architecture.to_string())
    }

    fn known(&self, version: &str, architecture: Architecture) -> Option<&T> {
        self.sha256.get(version)?.get(&architecture)
    }
}

/// Returns the files that machines of `group` need from the web; none for bastions.
pub(super) fn wanted(
    completed: &CompletedCluster,
    group: &InstanceGroup,
    architecture: Architecture,
) -> Vec<Wanted> {
    let spec = &completed.cluster.spec;
    let version = spec.kubernetes_version.as_deref().unwrap_or_default().trim_start_matches('v');
    let (Ok(parsed), true) = (version.parse::<KubernetesVersion>(), group.role() != Role::Bastion) else {
        return Vec::new();
    };
    let release = NodeRelease::of(parsed);
    let is_control_plane = group.role() == Role::ControlPlane;
    let programs = NODE.iter().chain(CONTROL_PLANE.iter().filter(|_| is_control_plane));
    let mut wanted: Vec<Wanted> = programs.map(|name| kubernetes(name, version, architecture)).collect();
    if let Some(etcd) = spec.etcd_clusters.first().filter(|_| is_control_plane) {
        wanted.extend(etcd.version.as_deref().map(|version| self::etcd(version, architecture)));
    }
    let settings = [group.spec.containerd.as_ref(), spec.containerd.as_ref()];
    let setting = |get: fn(&Settings) -> Option<String>| settings.into_iter().flatten().find_map(get);
    let skip = |settings: &Settings| settings.get("skipInstall")?.as_bool().map(|skip| skip.to_string());
    if setting(skip).as_deref() != Some("true") {
        let containerd = setting(|settings| Some(settings.get("version")?.as_str()?.to_owned()));
        let runc = setting(|settings| Some(settings.get("runc")?.get("version")?.as_str()?.to_owned()));
        let containerd = containerd.as_deref().unwrap_or(release.containerd);
        wanted.push(self::containerd(containerd.trim_start_matches('v'), architecture));
        wanted
            .push(self::runc(runc.as_deref().unwrap_or(release.runc).trim_start_matches('v'), architecture));
    }
    wanted.push(cni_plugins(release.cni_plugins, architecture));
    if let Some(mirror) = spec.assets.as_ref().and_then(|assets| assets.file_repository.as_deref()) {
        for file in &mut wanted {
            file.url = mirrored(&file.url, mirror);
            file.checksums = mirrored(&file.checksums, mirror);
        }
    }
    wanted
}

/// The place of a maker's file on a mirror: its path, below the mirror's URL.
fn mirrored(url: &str, mirror: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("{}/{path}", mirror.trim_end_matches('/'))
}

fn kubernetes(name: &'static str, version: &str, architecture: Architecture) -> Wanted {
    let made = &MAKERS.kubernetes;
    let url = made.url(version, architecture).replace("{program}", name);
    let sha256 = made.known(version, architecture).and_then(|programs| programs.get(name)).cloned();
    Wanted { name, checksums: format!("{url}.sha256"), url, sha256, files: Vec::new(), directory: None }
}

fn etcd(version: &str, architecture: Architecture) -> Wanted {
    let root = format!("etcd-v{version}-linux-{architecture}");
    let has_utl = EtcdVersion::parse(version).is_some_and(|version| version.snapshot_program() == "etcdutl");
    let names = ["etcd", "etcdctl"].into_iter().chain(has_utl.then_some("etcdutl"));
    let files = names.map(|name| format!("{root}/{name}")).collect();
    let checksums = |url: &str| beside(url, "SHA256SUMS");
    Wanted { files, ..file("etcd", &MAKERS.etcd, version, architecture, checksums) }
}

fn containerd(version: &str, architecture: Architecture) -> Wanted {
    let files = CONTAINERD.map(str::to_owned).to_vec();
    let checksums = |url: &str| format!("{url}.sha256sum");
    Wanted { files, ..file("containerd", &MAKERS.containerd, version, architecture, checksums) }
}

fn runc(version: &str, architecture: Architecture) -> Wanted {
    file("runc", &MAKERS.runc, version, architecture, |url| beside(url, "runc.sha256sum"))
}

fn cni_plugins(version: &str, architecture: Architecture) -> Wanted {
    let files = PLUGINS.map(str::to_owned).to_vec();
    let checksums = |url: &str| format!("{url}.sha256");
    let archive = file("cni-plugins", &MAKERS.cni_plugins, version, architecture, checksums);
    Wanted { files, directory: Some(CNI_PLUGINS), ..archive }
}

/// A maker's file of a version; its checksums are in a file that its URL leads to.
fn file(
    name: &'static str,
    made: &Published<String>,
    version: &str,
    architecture: Architecture,
    checksums: impl Fn(&str) -> String,
) -> Wanted {
    let url = made.url(version, architecture);
    let sha256 = made.known(version, architecture).cloned();
    Wanted { name, checksums: checksums(&url), url, sha256, files: Vec::new(), directory: None }
}

/// Another file of the same directory.
fn beside(url: &str, name: &str) -> String {
    format!("{}/{name}", url.rsplit_once('/').map_or(url, |(directory, _)| directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::versions::RELEASES;

    #[test]
    fn the_table_has_whole_hashes_of_what_is_recommended() {
        let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        for release in RELEASES.iter().filter(|release| release.recommended.minor >= 32) {
            let version = release.recommended.to_string();
            let row = NodeRelease::of(release.recommended);
            for architecture in Architecture::ALL {
                let kubernetes = MAKERS.kubernetes.known(&version, architecture).unwrap();
                assert_eq!(kubernetes.len(), NODE.len() + CONTROL_PLANE.len());
                assert!(kubernetes.values().all(is_hash));
                for (made, version) in [
                    (&MAKERS.etcd, release.etcd),
                    (&MAKERS.containerd, row.containerd),
                    (&MAKERS.runc, row.runc),
                    (&MAKERS.cni_plugins, row.cni_plugins),
                ] {
                    assert!(made.known(version, architecture).is_some_and(is_hash), "{version}");
                }
            }
        }
    }
}

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use super::*;
use crate::manifest::{Manifest, Recommendations, complete, read};
use crate::node::{Program, publish};
use crate::state::MemoryStore;
use crate::web::{Body, WebError};

/// Texts by their addresses.
#[derive(Debug, Default)]
struct Pages(BTreeMap<String, String>);

#[async_trait]
impl Web for Pages {
    async fn get(&self, url: &str, _offset: u64) -> Result<Body, WebError> {
        let text = self.0.get(url).ok_or_else(|| WebError::new(url, "the server answers 404 Not Found"))?;
        Ok(Body { offset: 0, bytes: stream::iter([Ok(text.clone().into_bytes())]).boxed() })
    }
}

fn completed(version: &str, more: &str) -> CompletedCluster {
    let text = format!(
        "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: demo.k8s.local}}
spec:
  kubernetesVersion: {version}
  etcdClusters: [{{name: main, etcdMembers: [{{name: a, instanceGroup: master}}]}}]
  subnets: [{{name: eu-west-1a, type: Public, zone: eu-west-1a}}]
{more}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: master, labels: {{kops.k8s.io/cluster: demo.k8s.local}}}}
spec: {{role: Master}}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: nodes, labels: {{kops.k8s.io/cluster: demo.k8s.local}}}}
spec: {{role: Node}}
"
    );
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in read("test.yaml", &text).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => {}
        }
    }
    complete(&cluster.unwrap(), &groups, &Recommendations::default())
}

fn shown(programs: &Programs, completed: &CompletedCluster, group: &str) -> String {
    let group = completed.group(group).unwrap();
    let assets = programs.assets(completed, group, Architecture::Arm64);
    crate::yaml::write(&assets).unwrap()
}

#[test]
fn machines_of_a_recommended_version_need_nothing_that_was_gathered() {
    let (completed, programs) = (completed("1.36.3", ""), Programs::default());
    insta::assert_snapshot!("control_plane", shown(&programs, &completed, "master"));
    insta::assert_snapshot!("worker", shown(&programs, &completed, "nodes"));
    for group in &completed.groups {
        assert!(programs.lacking(&completed, group, Architecture::Amd64).is_empty());
    }
}

#[tokio::test]
async fn what_is_published_comes_before_the_web() {
    let store = MemoryStore::new();
    let mut elf = b"\x7fELF".to_vec();
    elf.resize(18, 0);
    elf.extend([0xb7, 0]);
    let kubelet = Program { name: "kubelet", kubernetes_version: Some("1.36.3"), contents: &elf };
    publish(&store, kubelet).await.unwrap();
    let completed = completed("1.36.3", "");
    let programs = Programs::load(&store, &completed, None).await.unwrap();
    let source = |architecture| {
        let assets = programs.assets(&completed, completed.group("nodes").unwrap(), architecture);
        assets.into_iter().find(|asset| asset.name == "kubelet").map(|asset| asset.source)
    };
    assert!(matches!(source(Architecture::Arm64), Some(Source::Key(_))));
    assert!(matches!(source(Architecture::Amd64), Some(Source::Url(_))));
}

#[tokio::test]
async fn checksums_of_other_versions_are_read_from_their_makers() {
    let hash = |digit: &str| digit.repeat(64);
    let root = "https://dl.k8s.io/release/v1.30.99/bin/linux/amd64";
    let runc = "https://github.com/opencontainers/runc/releases/download/v1.9.9";
    let pages = Pages(BTreeMap::from([
        (format!("{root}/kubelet.sha256"), hash("A")),
        (format!("{root}/kube-proxy.sha256"), "<html>".to_owned()),
        (format!("{runc}/runc.sha256sum"), format!("{}  runc.arm64\n{} *runc.amd64\n", hash("b"), hash("c"))),
    ]));
    let completed = completed("1.30.99", "  containerd: {runc: {version: v1.9.9}}");
    let programs = Programs::load(&MemoryStore::new(), &completed, Some(&pages)).await.unwrap();
    let nodes = completed.group("nodes").unwrap();
    let assets = programs.assets(&completed, nodes, Architecture::Amd64);
    let of = |name: &str| assets.iter().find(|asset| asset.name == name).map(|asset| asset.sha256.clone());
    assert_eq!(of("kubelet"), Some(hash("a")));
    assert_eq!(of("runc"), Some(hash("c")));
    assert_eq!(of("kube-proxy"), None);
    insta::assert_debug_snapshot!(programs.lacking(&completed, nodes, Architecture::Amd64), @r#"
    {
        "kube-proxy": "https://dl.k8s.io/release/v1.30.99/bin/linux/amd64/kube-proxy.sha256 has no SHA-256 of kube-proxy",
    }
    "#);
}

#[test]
fn a_mirror_has_the_files_of_all_makers_by_their_paths() {
    let completed = completed("1.36.3", "  assets: {fileRepository: 'https://mirror.example.com/kops/'}");
    let assets =
        Programs::default().assets(&completed, completed.group("nodes").unwrap(), Architecture::Amd64);
    let urls = assets.iter().filter_map(|asset| match &asset.source {
        Source::Url(url) => Some(url.as_str()),
        Source::Key(_) => None,
    });
    insta::assert_snapshot!(urls.collect::<Vec<_>>().join("\n"), @"
    https://mirror.example.com/kops/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz
    https://mirror.example.com/kops/containerd/containerd/releases/download/v2.3.4/containerd-2.3.4-linux-amd64.tar.gz
    https://mirror.example.com/kops/release/v1.36.3/bin/linux/amd64/kube-proxy
    https://mirror.example.com/kops/release/v1.36.3/bin/linux/amd64/kubelet
    https://mirror.example.com/kops/opencontainers/runc/releases/download/v1.4.3/runc.amd64
    ");
}

#[tokio::test]
async fn a_published_archive_gives_what_the_makers_would() {
    let store = MemoryStore::new();
    let archive = Program {
        name: "cni-plugins-linux-amd64-v1.9.1.tgz",
        kubernetes_version: Some("1.36.3"),
        contents: b"\x1f\x8bpacked",
    };
    publish(&store, archive).await.unwrap();
    let completed = completed("1.36.3", "");
    let programs = Programs::load(&store, &completed, None).await.unwrap();
    let asset = |architecture| {
        let assets = programs.assets(&completed, completed.group("nodes").unwrap(), architecture);
        assets.into_iter().find(|asset| asset.name == "cni-plugins").unwrap()
    };
    let (published, other) = (asset(Architecture::Amd64), asset(Architecture::Arm64));
    assert!(matches!(published.source, Source::Key(_)));
    assert!(matches!(other.source, Source::Url(_)));
    assert_eq!((published.files, published.directory), (other.files, other.directory));
}

#[test]
fn containerd_of_the_image_is_left_alone() {
    let completed = completed("1.36.3", "  containerd: {skipInstall: true}");
    let assets =
        Programs::default().assets(&completed, completed.group("nodes").unwrap(), Architecture::Amd64);
    let names: Vec<&str> = assets.iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["cni-plugins", "kube-proxy", "kubelet"]);
}

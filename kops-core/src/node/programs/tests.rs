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
        let text = self
            .0
            .get(url)
            .ok_or_else(|| WebError::new(ErrorClass::NotFound, url, "the server answers 404 Not Found"))?;
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

/// The makers of the two files that no table has.
fn pages() -> Pages {
    let runc = "https://github.com/opencontainers/runc/releases/download/v1.9.9/runc";
    let mut pages = Pages(BTreeMap::from([(
        format!("{runc}.sha256sum"),
        format!("{}  runc.arm64\n{} *runc.amd64\n", "b".repeat(64), "c".repeat(64)),
    )]));
    for (program, architecture) in
        [("kubelet", "amd64"), ("kubelet", "arm64"), ("kube-proxy", "amd64"), ("kube-proxy", "arm64")]
    {
        let url = format!("https://dl.k8s.io/release/v1.30.99/bin/linux/{architecture}/{program}.sha256");
        pages.0.insert(url, "A".repeat(64));
    }
    pages
}

fn workers_alone() -> CompletedCluster {
    let mut completed = completed("1.30.99", "  containerd: {runc: {version: v1.9.9}}");
    completed.groups.retain(|group| group.name() == "nodes");
    completed
}

#[tokio::test]
async fn checksums_of_other_versions_are_read_from_their_makers() {
    let completed = workers_alone();
    let programs = Programs::load(&MemoryStore::new(), &completed, Some(&pages())).await.unwrap();
    let nodes = completed.group("nodes").unwrap();
    let assets = programs.assets(&completed, nodes, Architecture::Amd64);
    let of = |name: &str| assets.iter().find(|asset| asset.name == name).map(|asset| asset.sha256.clone());
    assert_eq!(of("kubelet"), Some("a".repeat(64)));
    assert_eq!(of("runc"), Some("c".repeat(64)));
    assert!(programs.lacking(&completed, nodes, Architecture::Amd64).is_empty());
}

#[tokio::test]
async fn no_plan_is_made_without_a_checksum() {
    let completed = workers_alone();
    let url = "https://dl.k8s.io/release/v1.30.99/bin/linux/amd64/kubelet.sha256";
    for (page, class, said) in [
        (None, ErrorClass::NotFound, "the server answers 404 Not Found"),
        (Some("<html>"), ErrorClass::Invalid, "it has no SHA-256 of kubelet"),
    ] {
        let mut pages = pages();
        pages.0.remove(url);
        pages.0.extend(page.map(|page| (url.to_owned(), page.to_owned())));
        let programs = Programs::load(&MemoryStore::new(), &completed, Some(&pages)).await.unwrap();
        let nodes = completed.group("nodes").unwrap();
        assert!(programs.check(&completed, nodes, Architecture::Arm64).is_ok(), "no machine is like that");
        let error = programs.check(&completed, nodes, Architecture::Amd64).unwrap_err();
        let expected = format!("the checksum of kubelet cannot be read from its maker: {url}: {said}");
        assert_eq!((error.class(), error.to_string()), (class, expected));
    }
}

#[tokio::test]
async fn without_the_web_it_is_named_what_images_must_have() {
    let completed = workers_alone();
    let programs = Programs::load(&MemoryStore::new(), &completed, None).await.unwrap();
    let nodes = completed.group("nodes").unwrap();
    let lacking = programs.lacking(&completed, nodes, Architecture::Amd64);
    assert_eq!(lacking.into_iter().collect::<Vec<_>>(), ["kube-proxy", "kubelet", "runc"]);
    let assets = programs.assets(&completed, nodes, Architecture::Amd64);
    assert_eq!(assets.iter().map(|asset| &asset.name).collect::<Vec<_>>(), ["cni-plugins", "containerd"]);
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

#[tokio::test]
async fn an_archive_that_nobody_needs_is_not_fetched() {
    let store = MemoryStore::new();
    let archive = Program {
        name: "containerd-2.3.4-linux-amd64.tar.gz",
        kubernetes_version: Some("1.36.3"),
        contents: b"\x1f\x8bpacked",
    };
    publish(&store, archive).await.unwrap();
    let completed = completed("1.36.3", "  containerd: {skipInstall: true}");
    let programs = Programs::load(&store, &completed, None).await.unwrap();
    let assets = programs.assets(&completed, completed.group("nodes").unwrap(), Architecture::Amd64);
    assert!(assets.iter().all(|asset| asset.name != "containerd"), "{assets:?}");
}

#[test]
fn containerd_of_the_image_is_left_alone() {
    let completed = completed("1.36.3", "  containerd: {skipInstall: true}");
    let assets =
        Programs::default().assets(&completed, completed.group("nodes").unwrap(), Architecture::Amd64);
    let names: Vec<&str> = assets.iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["cni-plugins", "kube-proxy", "kubelet"]);
}

mod cilium;

use serde_json::json;

use super::*;
use crate::manifest::versions::RELEASES;
use crate::manifest::{Manifest, Recommendations, complete};
use crate::state::layout;
use crate::yaml;

/// A cluster with these lines in its `spec`.
fn completed(version: &str, more: &str) -> CompletedCluster {
    let text = format!(
        "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: demo.k8s.local}}
spec:
  kubernetesVersion: {version}
  subnets: [{{name: eu-west-1a, type: Public, zone: eu-west-1a}}]
{more}
"
    );
    let manifests = crate::manifest::read("test.yaml", &text).unwrap().manifests;
    let [Manifest::Cluster(cluster)] = manifests.as_slice() else { panic!("{manifests:?}") };
    complete(cluster, &[], &Recommendations::default())
}

fn text(addons: &[Addon]) -> String {
    let texts = addons
        .iter()
        .map(|addon| format!("### {}\n{}", addon.name, yaml::write_all(&addon.objects).unwrap()));
    texts.collect()
}

/// What a manifest can ask for beside it.
const ASKED_FOR: &str = "
  networking: {flannel: {backend: vxlan}}
  kubeDNS: {nodeLocalDNS: {enabled: true}}
  metricsServer: {enabled: true}
  nodeProblemDetector: {enabled: true}";

/// All add-ons that are made here, but for those that a version cannot have.
pub(crate) fn all_of_core(version: &str) -> Vec<Addon> {
    let completed = completed(version, ASKED_FOR);
    let has_metrics = !crate::manifest::validate(&completed).iter().any(|v| v.path.contains("metricsServer"));
    let mut addons = essential(&completed).unwrap();
    addons.retain(|addon| has_metrics || !addon.name.starts_with("metrics-server"));
    addons
}

#[test]
fn what_a_manifest_asks_for() {
    let asked_for = ["metrics-server", "node-problem-detector", "nodelocaldns"];
    let mut addons = all_of_core("1.36.3");
    addons.retain(|addon| asked_for.iter().any(|name| addon.name.starts_with(name)));
    assert_eq!(addons.len(), asked_for.len());
    insta::assert_snapshot!(text(&addons));
    let without =
        essential(&completed("1.36.3", "  metricsServer: {enabled: false}\n  nodeProblemDetector: {}"))
            .unwrap();
    assert_eq!(without.len(), 2, "rbac and CoreDNS");
}

#[test]
fn settings_of_add_ons_are_carried_out() {
    let settings = r#"
  kubeDNS:
    affinity: {nodeAffinity: {}}
    cpaImage: example.com/cpa:1
    podAnnotations: {team: blue}
    stubDomains: {corp.example.com: [10.9.9.9, "10.9.9.10:5353"]}
    tolerations: [{key: dns, operator: Exists}]
    upstreamNameservers: [10.8.8.8]
    nodeLocalDNS:
      enabled: true
      additionalConfig: "extra.example.com:53 { whoami }"
      cpuRequest: 26m
      forwardToKubeDNS: true
      image: example.com/cache:1
      localIP: 169.254.20.11
      memoryRequest: 6Mi
      podAnnotations: {cache: local}
  metricsServer: {enabled: true, image: "example.com/metrics:1"}
  nodeProblemDetector: {enabled: true, image: "example.com/npd:1", cpuLimit: 1, cpuRequest: 21m, memoryLimit: 101Mi, memoryRequest: 102Mi}"#;
    let found = text(&essential(&completed("1.35.7", settings)).unwrap());
    for expected in [
        "nodeAffinity: {}",
        "example.com/cpa:1",
        "team: blue",
        "corp.example.com:53 {",
        "forward . 10.9.9.9 10.9.9.10:5353",
        "key: dns",
        "forward . 10.8.8.8 {",
        "extra.example.com:53 { whoami }",
        "cpu: 26m",
        "example.com/cache:1",
        "- -localip=169.254.20.11",
        "bind 169.254.20.11",
        "memory: 6Mi",
        "cache: local",
        "example.com/metrics:1",
        "example.com/npd:1",
        "cpu: \"1\"",
        "cpu: 21m",
        "memory: 101Mi",
        "memory: 102Mi",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    assert!(!found.contains("__PILLAR__"), "names outside the cluster are asked of CoreDNS");
}

#[test]
fn what_a_cluster_needs_first() {
    let flannel = "  networking: {flannel: {backend: vxlan}}";
    insta::assert_snapshot!(text(&essential(&completed("1.36.3", flannel)).unwrap()));
}

#[test]
fn versions_differ_in_the_image_of_coredns() {
    let mut lines = Vec::new();
    for pair in RELEASES.windows(2) {
        let [old, new] = [pair[0], pair[1]].map(|release| release.recommended.to_string());
        let addons = |version: &str| essential(&completed(version, "")).unwrap();
        for (before, after) in addons(&old).iter().zip(&addons(&new)) {
            assert_eq!(before.name, after.name);
            let changed = changes(&before.objects, &after.objects);
            lines.extend(changed.into_iter().map(|line| format!("{old} to {new}: {line}")));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn dns_is_as_the_manifest_says() {
    let settings = r#"  kubeDNS: {coreDNSImage: "registry.example.com/coredns:1", memoryLimit: 50Mi, externalCoreFile: ".:53 { }"}"#;
    let found = text(&essential(&completed("1.35.7", settings)).unwrap());
    for expected in ["registry.example.com/coredns:1", "memory: 50Mi", ".:53 { }"] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let addons = essential(&completed("1.35.7", "  kubeDNS: {enabled: false}")).unwrap();
    assert_eq!(addons.iter().map(|addon| addon.name.as_str()).collect::<Vec<_>>(), ["rbac.addons.k8s.io"]);
}

#[test]
fn flannel_takes_its_backend_from_the_manifest() {
    let backend = |more: &str| {
        let addons = essential(&completed("1.20.15", more)).unwrap();
        let flannel = addons.iter().find(|addon| addon.name == "networking.flannel").unwrap();
        let config = flannel.objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        let net: Value = serde_json::from_str(config["data"]["net-conf.json"].as_str().unwrap()).unwrap();
        net["Backend"]["Type"].clone()
    };
    assert_eq!(backend("  networking: {flannel: {}}"), "vxlan");
    assert_eq!(backend("  networking: {flannel: {backend: udp}}"), "udp");
}

/// Without these an object can neither be applied nor found again.
#[test]
fn every_object_says_what_it_is_and_whose() {
    for release in RELEASES {
        let version = release.recommended.to_string();
        for addon in essential(&completed(&version, "  networking: {flannel: {}}")).unwrap() {
            assert!(!addon.objects.is_empty(), "{}", addon.name);
            for object in &addon.objects {
                assert!(ObjectId::of(object).is_some(), "{object}");
                let labels = &object["metadata"]["labels"];
                assert_eq!(labels[NAME_LABEL], addon.name.as_str(), "{object}");
                assert_eq!(labels["app.kubernetes.io/managed-by"], "kops", "{object}");
            }
        }
    }
}

#[test]
fn labels_of_others_stay() {
    let theirs = json!({ "metadata": { "name": "a", "labels": { "app.kubernetes.io/managed-by": "Helm" } } });
    let addon = Addon::new("mine", vec![theirs, json!({ "metadata": { "name": "b", "labels": null } })]);
    assert_eq!(
        addon.objects[0]["metadata"]["labels"],
        json!({ "app.kubernetes.io/managed-by": "Helm", NAME_LABEL: "mine" })
    );
    assert_eq!(addon.objects[1]["metadata"]["labels"][NAME_LABEL], "mine");
}

#[test]
fn the_channel_names_every_content_by_its_hash() {
    let one = |image: &str| {
        let object =
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "image": image });
        Addon::new("a", vec![object])
    };
    let objects = state_objects("demo.k8s.local", &[one("x")]).unwrap();
    let [content, channel] = objects.as_slice() else { panic!("{objects:?}") };
    assert!(content.content_addressed && layout::is_content_addressed(&content.location));
    assert!(!channel.content_addressed);
    let hash = crate::digest::sha256_hex(content.contents.as_bytes());
    assert_eq!(content.location, format!("addons/a/{hash}.yaml"));
    insta::assert_snapshot!(channel.contents.replace(&hash, "<hash>"), @r"
    kind: Addons
    metadata:
      name: bootstrap
    spec:
      addons:
      - manifest: a/<hash>.yaml
        manifestHash: <hash>
        name: a
    ");
    assert_eq!(Channel::read(&channel.contents).unwrap().entry("a").unwrap().manifest_hash, hash);
    let other = state_objects("demo.k8s.local", &[one("y")]).unwrap();
    assert_ne!(other[0].location, content.location);
    assert_eq!(state_objects("demo.k8s.local", &[one("x")]).unwrap(), objects);
}

/// kops's own channel has more in it, and other names of files.
#[test]
fn kopss_channel_is_read() {
    let text = "
kind: Addons
metadata: {creationTimestamp: null, name: bootstrap}
spec:
  addons:
  - id: k8s-1.12
    manifest: coredns.addons.k8s.io/k8s-1.12.yaml
    manifestHash: abc
    name: coredns.addons.k8s.io
    selector: {k8s-addon: coredns.addons.k8s.io}
    version: 9.99.0
";
    let channel = Channel::read(text).unwrap();
    assert_eq!(channel.entries().len(), 1);
    assert_eq!(Channel::read("kind: Addons").unwrap_err(), "missing field `metadata`");
}

#[test]
fn what_changes_is_told_by_object() {
    let object = |kind: &str, name: &str, value: u32| {
        let metadata = json!({ "name": name, "namespace": "kube-system" });
        json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": { "replicas": value } })
    };
    let mut moved = object("Deployment", "moved", 1);
    moved["apiVersion"] = json!("apps/v1beta1");
    let old =
        [object("Deployment", "a", 1), object("Deployment", "b", 1), object("Namespace", "c", 1), moved];
    let new = [object("Deployment", "a", 2), object("Deployment", "d", 1), object("Deployment", "moved", 1)];
    insta::assert_snapshot!(changes(&old, &new).join("\n"), @r"
    Deployment kube-system/a: spec.replicas: 1 -> 2
    Deployment kube-system/b: deleted
    Deployment kube-system/d: new
    Deployment kube-system/moved: apiVersion: apps/v1beta1 -> apps/v1
    Namespace kube-system/c: no longer kept, but left there
    ");
}

fn problems(text: &str) -> String {
    read("a.yaml", text).unwrap_err().to_string()
}

#[test]
fn objects_are_read_from_documents_and_lists() {
    let text = "
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {on: 'yes', n: '1'}
---
# nothing
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
- {apiVersion: v1, kind: Secret, metadata: {name: c}, type: kubernetes.io/service-account-token}
";
    let objects = read("a.yaml", text).unwrap();
    let names: Vec<_> = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(objects[0]["data"], json!({ "on": "yes", "n": "1" }));
    assert_eq!(read("a.yaml", "").unwrap(), Vec::<Value>::new());
}

#[test]
fn what_is_no_object_is_told_with_its_place() {
    let text = "
apiVersion: v1
kind: ConfigMap
metadata: {labels: [a]}
---
kind: Addons
metadata: {name: x}
spec: {addons: []}
---
just text
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, name: b}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: hunter2}
";
    insta::assert_snapshot!(problems(text), @r"
    a.yaml:2:1: metadata.name: every object needs this field
    a.yaml:4:20: metadata.labels: labels are a mapping
    a.yaml:6:1: this is an index of add-ons, not their objects (name the manifests themselves)
    a.yaml:10:1: this is not an object but a single value
    a.yaml:14:21: metadata.name: the field is there twice
    a.yaml:16:1: an add-on cannot hold a secret (make it with kubectl: previews show what add-ons hold)
    ");
    assert!(problems("a: [b").starts_with("a.yaml:1:"), "{}", problems("a: [b"));
}

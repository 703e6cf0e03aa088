//! Add-ons from the manifest to the state store, from which the control plane takes them.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use crate::support::simulated;
use kops_aws::resource::AwsResource;
use kops_core::addon::Channel;
use kops_core::create::Options;
use kops_core::digest::sha256_hex;
use kops_core::manifest::AddonSpec;
use kops_core::operation::{OperationError, RunOptions};
use kops_core::plan::Plan;
use kops_core::state::{Key, Put, layout};
use simulated::{CLUSTER, World};

const MANIFEST: &str = "demo.k8s.local/clusteraddons/dashboard.yaml";
const DASHBOARD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: dashboard, namespace: default}
spec: {replicas: 1}
---
apiVersion: v1
kind: Service
metadata: {name: dashboard, namespace: default}
";

async fn running() -> World {
    let zones = vec!["us-east-1a".to_owned()];
    let version = Some("1.35.7".to_owned());
    World::running(Options { zones, kubernetes_version: version, ..Options::default() }).await
}

async fn put(world: &World, key: &str, text: &str) {
    let key = Key::new(key).unwrap();
    world.kops.registry().store().put(&key, text.as_bytes(), Put::Always).await.unwrap();
}

async fn text(world: &World, key: &Key) -> String {
    let object = world.kops.registry().store().get(key).await.unwrap().unwrap();
    String::from_utf8(object.bytes).unwrap()
}

/// Writes these manifests of add-ons into that of the cluster.
async fn name(world: &World, manifests: &[&str]) {
    let loaded = world.kops.registry().load(CLUSTER).await.unwrap();
    let mut cluster = loaded.cluster.clone();
    cluster.spec.addons =
        manifests.iter().map(|manifest| AddonSpec { manifest: (*manifest).to_owned() }).collect();
    let version = loaded.cluster_version().unwrap();
    world.kops.registry().edit_cluster(CLUSTER, cluster, version).await.unwrap();
}

async fn update(world: &World) -> Plan<AwsResource> {
    let updated = world.update(&RunOptions::default()).await.unwrap();
    updated.report.into_result().unwrap();
    updated.plan
}

/// Hashes differ from release to release.
fn without_hashes(text: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line = |line: &str| {
        let words: Vec<&str> = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).collect();
        let shown = words.iter().map(|word| {
            let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_hash(bare) { word.replace(bare, "<sha256>") } else { (*word).to_owned() }
        });
        shown.collect::<String>().trim_end().to_owned() + "\n"
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn what_users_bring_is_kept_by_its_content_and_previews_tell_what_changes() {
    let world = running().await;
    put(&world, MANIFEST, DASHBOARD).await;
    name(&world, &[&format!("memory:/{MANIFEST}")]).await;
    let plan = update(&world).await;
    insta::assert_snapshot!("an_add_on_is_named", without_hashes(&plan.display().to_string()));
    let channel = text(&world, &layout::bootstrap_channel(CLUSTER).unwrap()).await;
    let entry = Channel::read(&channel).unwrap().entry("dashboard").unwrap().clone();
    let key = layout::addon(CLUSTER, "dashboard", &entry.manifest_hash).unwrap();
    let kept = text(&world, &key).await;
    assert_eq!(sha256_hex(kept.as_bytes()), entry.manifest_hash);
    assert!(kept.contains("addon.kops.k8s.io/name: dashboard"), "{kept}");
    assert!(world.kops.plan_update(CLUSTER).await.unwrap().is_empty());

    let changed = DASHBOARD.replace("replicas: 1", "replicas: 3").replace("Service", "ConfigMap");
    put(&world, MANIFEST, &changed).await;
    let plan = update(&world).await;
    insta::assert_snapshot!("an_add_on_is_changed", without_hashes(&plan.display().to_string()));
    assert!(!text(&world, &key).await.is_empty(), "the old content tells the control plane what to delete");

    name(&world, &[]).await;
    let plan = update(&world).await;
    insta::assert_snapshot!("an_add_on_is_removed", without_hashes(&plan.display().to_string()));
    assert!(world.kops.plan_update(CLUSTER).await.unwrap().is_empty());
}

/// An error and its causes.
async fn refusal(world: &World) -> String {
    let error: OperationError = world.kops.plan_update(CLUSTER).await.unwrap_err();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!("\n{error}"));
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn add_ons_that_cannot_be_applied_are_told_before_anything_is_done() {
    let world = running().await;
    name(&world, &["https://example.com/dashboard.yaml"]).await;
    insta::assert_snapshot!(refusal(&world).await, @r"
    the manifests are not valid:
    cluster.spec.addons[0].manifest: manifests of add-ons are not fetched from elsewhere (put the manifest in the state store and name it there)
    ");
    name(&world, &["s3://elsewhere/dashboard.yaml"]).await;
    insta::assert_snapshot!(refusal(&world).await, @"the add-on s3://elsewhere/dashboard.yaml is not in memory:/demo.k8s.local/clusteraddons/: put it there, and name it there in `spec.addons`");
    name(&world, &[&format!("memory:/{MANIFEST}")]).await;
    insta::assert_snapshot!(refusal(&world).await, @"there is no add-on memory:/demo.k8s.local/clusteraddons/dashboard.yaml: put its manifest there, or remove it from `spec.addons`");
    put(&world, MANIFEST, "apiVersion: v1\nmetadata: {name: x}\n").await;
    insta::assert_snapshot!(refusal(&world).await, @r"
    the add-on memory:/demo.k8s.local/clusteraddons/dashboard.yaml cannot be applied
    memory:/demo.k8s.local/clusteraddons/dashboard.yaml:1:1: kind: every object needs this field
    ");
}

#[tokio::test]
async fn nothing_but_add_ons_is_read_as_an_add_on() {
    let world = running().await;
    let secret = "demo.k8s.local/pki/private/kubernetes-ca/keyset.yaml";
    for location in [
        secret,
        "demo.k8s.local/clusteraddons/../pki/private/kubernetes-ca/keyset.yaml",
        "other.k8s.local/clusteraddons/x.yaml",
    ] {
        name(&world, &[&format!("memory:/{location}")]).await;
        let refused = refusal(&world).await;
        assert!(
            refused.contains("is not in memory:/demo.k8s.local/clusteraddons/: put it there"),
            "{refused}"
        );
    }
    name(&world, &[&format!("memory:/{MANIFEST}")]).await;
    put(&world, MANIFEST, "apiVersion: kops.k8s.io/v1alpha2\nkind: Keyset\nmetadata: {name: x}\n").await;
    insta::assert_snapshot!(refusal(&world).await, @r"
    the add-on memory:/demo.k8s.local/clusteraddons/dashboard.yaml cannot be applied
    memory:/demo.k8s.local/clusteraddons/dashboard.yaml:1:1: apiVersion: this is for kops, and not for a cluster's API (`kops create -f` stores manifests of clusters, instance groups and keys)
    ");
}

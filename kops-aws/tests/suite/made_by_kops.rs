//! A cluster that kops (the program that is written in Go) made: it is read as it is, and nothing of it is changed. The
//! state is that of one that kops 1.37-alpha made on an emulated AWS, without its private halves.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::simulated;
use kops_aws::provider::SimProvider;
use kops_aws::resource::AwsResource;
use kops_core::apply::ApplyOptions;
use kops_core::create::Options;
use kops_core::error::ErrorClass;
use kops_core::manifest::{self, Role};
use kops_core::observer::Quiet;
use kops_core::operation::{Access, Kops, OperationError, ReconcileOptions, Run, RunOptions};
use kops_core::pki::{Material, Standing};
use kops_core::resource::Handle;
use kops_core::rolling::{Policy, RollOptions};
use kops_core::sim::{SimCloud, SimOptions};
use kops_core::state::registry::Secret;
use kops_core::state::{Key, Maker, MemoryStore, Prefix, Put, Replace, StateStore, layout};
use simulated::World;
use tokio_util::sync::CancellationToken;

const CLUSTER: &str = "m.k8s.local";

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The state that kops left, below the cluster's name.
async fn state() -> Arc<MemoryStore> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/made-by-kops");
    let store = MemoryStore::new();
    for file in files(&folder) {
        let key = format!("{CLUSTER}/{}", file.strip_prefix(&folder).unwrap().to_str().unwrap());
        store.put(&Key::new(key).unwrap(), &std::fs::read(file).unwrap(), Put::Always).await.unwrap();
    }
    Arc::new(store)
}

async fn kops() -> (Kops<SimProvider>, Arc<MemoryStore>) {
    let store = state().await;
    let kops = Kops::new(SimProvider::new(SimCloud::new(SimOptions::default())), store.clone());
    (kops, store)
}

/// All that is in a store.
async fn contents(store: &dyn StateStore) -> Vec<(String, Vec<u8>)> {
    let mut contents = Vec::new();
    for entry in store.list(&Prefix::root()).await.unwrap() {
        contents.push((entry.key.to_string(), store.get(&entry.key).await.unwrap().unwrap().bytes));
    }
    contents
}

fn is_refused<T: std::fmt::Debug>(what: &str, result: Result<T, impl std::fmt::Display>) {
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("kops made the cluster m.k8s.local ("), "{what}: {error}");
}

#[tokio::test]
async fn the_state_of_kops_is_read_as_it_is() {
    let (kops, store) = kops().await;
    let before = contents(store.as_ref()).await;
    let registry = kops.registry();
    assert_eq!(registry.cluster_names().await.unwrap(), [CLUSTER]);
    let loaded = registry.load(CLUSTER).await.unwrap();
    let groups: Vec<_> = loaded.groups.iter().map(|group| (group.name(), group.role())).collect();
    let nodes = ["nodes-us-east-1a", "nodes-us-east-1b"].map(|name| (name, Role::Node));
    assert_eq!(groups, [("control-plane-us-east-1a", Role::ControlPlane), nodes[0], nodes[1]]);
    assert!(loaded.groups.iter().all(|group| group.metadata.cluster() == Some(CLUSTER)));
    assert_eq!((loaded.ssh_keys.len(), loaded.left_out.len()), (1, 0));
    assert!(matches!(loaded.maker(), Maker::Kops { .. }));
    let keystore = kops.keystore();
    assert_eq!(keystore.names(CLUSTER).await.unwrap(), ["kubernetes-ca", "service-account"]);
    assert_eq!(keystore.keypairs(CLUSTER).await.unwrap().len(), 2);
    assert_eq!(registry.secret_names(CLUSTER).await.unwrap(), ["admin", "kube"]);
    assert!(registry.cluster_files(CLUSTER).await.is_ok(), "all of it can be deleted");
    // What was applied last is read, too.
    let completed = store.get(&layout::completed(CLUSTER).unwrap()).await.unwrap().unwrap();
    let completed = String::from_utf8(completed.bytes).unwrap();
    let read = manifest::read_stored("cluster-completed.spec", &completed, CLUSTER).unwrap();
    assert_eq!(read.left_out, []);
    // What kops has written is written again as it is, but for quotation marks.
    let written = manifest::write(&[loaded.cluster.into()]).unwrap();
    let config = store.get(&layout::config(CLUSTER).unwrap()).await.unwrap().unwrap();
    assert_eq!(written.replace('"', ""), String::from_utf8(config.bytes).unwrap().replace('"', ""));
    assert_eq!(contents(store.as_ref()).await, before);
}

#[tokio::test]
async fn what_only_looks_works_and_changes_nothing() {
    let (kops, store) = kops().await;
    let before = contents(store.as_ref()).await;
    let plan = kops.plan_update(CLUSTER).await.unwrap();
    insta::assert_snapshot!(plan.warnings()[0], @"kops made the cluster m.k8s.local (kops-version.txt shows it): its control plane would come back with an empty etcd, so nothing is changed here until the cluster is taken over; change it with kops: this version cannot take clusters over yet; `get`, `validate cluster`, `export kubeconfig`, previews, `toolbox dump` and `delete cluster` work");
    let policy = Policy::new(Vec::new());
    kops.preview_roll(CLUSTER, &policy, Access::CloudOnly).await.unwrap();
    kops.roll_options(CLUSTER).await.unwrap();
    assert!(kops.instances(CLUSTER, Access::CloudOnly).await.unwrap().is_empty());
    kops.dump(CLUSTER, Access::CloudOnly).await.unwrap();
    kops.etcd_backups(CLUSTER, "main").await.unwrap();
    kops.plan_delete(CLUSTER).await.unwrap();
    assert_eq!(contents(store.as_ref()).await, before);
}

/// What cannot be made here is still looked at.
#[tokio::test]
async fn manifests_that_cannot_be_made_here_can_be_looked_at() {
    let (kops, store) = kops().await;
    let key = layout::config(CLUSTER).unwrap();
    let config = String::from_utf8(store.get(&key).await.unwrap().unwrap().bytes).unwrap();
    let config =
        config.replace("spec:\n", "spec:\n  certManager: {enabled: true}\n  ofTomorrow: {x: 1}\n").replace(
            "type: Public\n    zone: us-east-1a",
            "type: Public\n    ipv6CIDR: /64#0\n    zone: us-east-1a",
        );
    store.put(&key, config.as_bytes(), Put::Always).await.unwrap();
    kops.preview_roll(CLUSTER, &Policy::new(Vec::new()), Access::CloudOnly).await.unwrap();
    kops.dump(CLUSTER, Access::CloudOnly).await.unwrap();
    let error = kops.plan_update(CLUSTER).await.unwrap_err();
    let OperationError::Invalid(violations) = &error else { panic!("{error}") };
    let paths: Vec<_> = violations.iter().map(|violation| violation.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "cluster",
            "cluster.spec.certManager",
            "cluster.spec.ofTomorrow",
            "cluster.spec.subnets[0].ipv6CIDR"
        ]
    );
    assert!(violations[0].message.starts_with("kops made the cluster"), "{}", violations[0]);
}

#[tokio::test]
async fn whatever_would_change_it_is_refused() {
    let (kops, store) = kops().await;
    let before = contents(store.as_ref()).await;
    let cancel = CancellationToken::new();
    let run = Run { observer: &Quiet, cancel: &cancel };
    let plan = kops.plan_update(CLUSTER).await.unwrap();
    is_refused(
        "update",
        kops.update(CLUSTER, &RunOptions::default(), run, |_| panic!("nothing is planned")).await,
    );
    is_refused("apply", kops.apply(&plan, &RunOptions::default(), run).await);
    let options = RollOptions::new(Policy::new(Vec::new()));
    let roll = kops.rolling_update(CLUSTER, &options, Access::CloudOnly, run).await;
    is_refused("rolling-update", roll);
    let reconcile = ReconcileOptions { run: RunOptions::default(), roll: options.clone() };
    is_refused("reconcile", kops.reconcile(CLUSTER, &reconcile, run, |_| {}).await);
    let instance = Handle("i-1".to_owned());
    let access = Access::CloudOnly;
    let deleted = kops.delete_instance(CLUSTER, &instance, options, access, run).await;
    is_refused("delete instance", deleted);
    let groups = ["nodes-us-east-1b".to_owned()];
    let group = kops.plan_delete_groups(CLUSTER, &groups).await.unwrap();
    is_refused("delete ig", kops.delete_groups(&group, &groups, &RunOptions::default(), run).await);
    is_refused("etcd backup", kops.back_up_etcd(CLUSTER, "main", Duration::ZERO, &cancel).await);

    let registry = kops.registry();
    let loaded = registry.load(CLUSTER).await.unwrap();
    let version = loaded.cluster_version().unwrap();
    is_refused("edit", registry.edit_cluster(CLUSTER, loaded.cluster.clone(), version).await);
    let manifests = vec![loaded.cluster.clone().into()];
    is_refused("replace", registry.replace(manifests.clone(), Replace::OrCreate).await);
    is_refused("create", registry.create(manifests).await);
    is_refused("delete ig", registry.delete_groups(CLUSTER, &groups).await);
    is_refused("create secret", registry.create_secret(CLUSTER, "x", &Secret::new("x")).await);
    is_refused("delete secret", registry.delete_secret(CLUSTER, "kube").await);
    let key = "80e494231cdff681778e35823435a1a6";
    is_refused("delete sshpublickey", registry.delete_ssh_key(CLUSTER, key).await);

    let keystore = kops.keystore();
    let add = keystore.add_keypair(CLUSTER, "kubernetes-ca", Material::default(), Standing::Secondary);
    is_refused("create keypair", add.await);
    is_refused("promote", keystore.promote(CLUSTER, "kubernetes-ca", None).await);
    is_refused("distrust", keystore.distrust(CLUSTER, "kubernetes-ca", &[]).await);
    assert_eq!(contents(store.as_ref()).await, before, "not even a lease was written");
    assert!(kops.provider().simulated().everything().is_empty());
}

#[tokio::test]
async fn it_is_deleted_whole() {
    let (kops, store) = kops().await;
    let cancel = CancellationToken::new();
    let run = Run { observer: &Quiet, cancel: &cancel };
    let plan = kops.plan_delete(CLUSTER).await.unwrap();
    insta::assert_snapshot!(plan.warnings().join("\n"), @"kops makes a queue for its node termination handler, which is not looked for here: once the cluster is gone, delete the SQS queue m-k8s-local-nth and the EventBridge rules m.k8s.local-*, if there are any");
    kops.delete(&plan, &ApplyOptions::default(), run).await.unwrap();
    assert_eq!(contents(store.as_ref()).await, []);
}

/// kops ≤ 1.21 kept no version in the state, and `cluster.spec` for the machines.
#[tokio::test]
async fn a_cluster_of_old_is_known_without_a_version() {
    let (kops, store) = kops().await;
    for entry in store.list(&layout::cluster(CLUSTER).unwrap()).await.unwrap() {
        let location = entry.key.as_str().strip_prefix("m.k8s.local/").unwrap();
        if ["kops-version.txt", "igconfig/", "manifests/"].iter().any(|start| location.starts_with(start)) {
            store.delete(&entry.key).await.unwrap();
        }
    }
    assert_eq!(kops.registry().maker(CLUSTER).await.unwrap(), Maker::Unrecorded, "as it is before an update");
    let key = layout::cluster(CLUSTER).unwrap().key("cluster.spec").unwrap();
    store.put(&key, b"", Put::Always).await.unwrap();
    let cancel = CancellationToken::new();
    let run = Run { observer: &Quiet, cancel: &cancel };
    is_refused("update", kops.update(CLUSTER, &RunOptions::default(), run, |_| {}).await);
}

async fn made_here() -> World {
    let zones = vec!["us-east-1a".to_owned()];
    World::running(Options { zones, ..Options::default() }).await
}

/// Clusters that were made before there were records, and those whose record was lost, are this project's.
#[tokio::test]
async fn our_own_clusters_are_known_with_and_without_a_record() {
    let world = made_here().await;
    let registry = world.kops.registry();
    assert_eq!(registry.maker(simulated::CLUSTER).await.unwrap(), Maker::Recorded);
    let record = layout::record(simulated::CLUSTER).unwrap();
    registry.store().delete(&record).await.unwrap();
    assert_eq!(registry.maker(simulated::CLUSTER).await.unwrap(), Maker::Unrecorded);
    let loaded = registry.load(simulated::CLUSTER).await.unwrap();
    let mut nodes = loaded.group("nodes").unwrap().clone();
    nodes.spec.max_size = Some(3);
    registry.replace(vec![nodes.into()], Replace::ExistingOnly).await.unwrap();
    assert_eq!(registry.maker(simulated::CLUSTER).await.unwrap(), Maker::Unrecorded);
    world.update(&RunOptions::default()).await.unwrap().report.into_result().unwrap();
    assert_eq!(registry.maker(simulated::CLUSTER).await.unwrap(), Maker::Recorded);
    // Whatever kops does to it later, it is told apart from one of kops's.
    let version = layout::cluster(simulated::CLUSTER).unwrap().key("kops-version.txt").unwrap();
    registry.store().put(&version, b"1.37.0", Put::Always).await.unwrap();
    world.update(&RunOptions::default()).await.unwrap();
}

/// The state may have been copied, or written anew: what the machines are made from is what counts.
#[tokio::test]
async fn a_control_plane_that_kops_set_up_is_not_replaced() {
    let world = made_here().await;
    let everything = world.cloud().everything();
    let template = everything.iter().find(|(_, resource)| {
        matches!(resource, AwsResource::LaunchTemplate(template) if template.name.contains(".masters."))
    });
    let handle = template.unwrap().0.clone();
    for head in ["NODEUP_URL_AMD64=https://artifacts.k8s.io/nodeup", "NODEUP_URL=https://kubeupv2/nodeup"] {
        world.cloud().tamper(&handle, |resource| {
            let AwsResource::LaunchTemplate(template) = resource else { panic!() };
            template.user_data = format!("#!/bin/bash\n{head}\n");
        });
        let error = world.update(&RunOptions::default()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Conflict);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"kops made the cluster demo.k8s.local (LaunchTemplate/master-us-east-1a.masters.demo.k8s.local shows it): its control plane would come back with an empty etcd, so nothing is changed here until the cluster is taken over");
        }
        let plan = world.kops.plan_update(simulated::CLUSTER).await.unwrap();
        assert!(plan.warnings()[0].starts_with("kops made the cluster"), "{:?}", plan.warnings());
    }
    // What is not a control plane takes no etcd along.
    world.cloud().tamper(&handle, |resource| {
        let AwsResource::LaunchTemplate(template) = resource else { panic!() };
        template.user_data = "#!/bin/sh\n# by hand\n".to_owned();
    });
    world.update(&RunOptions::default()).await.unwrap();
}

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::clock::ManualClock;
use crate::create::{self, CreatedManifests};
use crate::error::ErrorClass;
use crate::manifest::{InstanceGroupSpec, Role};
use crate::state::{Entry, Failure, MemoryStore, Object, Put, StateError};

const DEMO: &str = "demo.k8s.local";
const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f admin";

/// Writes down every call, and fails the one it is told to, before or after it takes effect.
#[derive(Debug, Default)]
struct Watched {
    inner: MemoryStore,
    calls: Mutex<Vec<String>>,
    fault: Mutex<Option<Fault>>,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    call: usize,
    takes_effect: bool,
}

impl Watched {
    fn enter(&self, call: String) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(call);
        self.fault.lock().unwrap().filter(|fault| fault.call == calls.len())
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut contents = Vec::new();
        for entry in self.inner.list(&Prefix::root()).await.unwrap() {
            contents.push((entry.key.to_string(), self.inner.get(&entry.key).await.unwrap().unwrap().bytes));
        }
        contents
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

fn lost<T>(fault: Fault, key: impl ToString, result: T) -> Result<T, StateError> {
    drop(result);
    let message = format!("call {} was to fail", fault.call);
    Err(Failure::new(ErrorClass::Unavailable, "reach", key.to_string(), message).into())
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StateStore for Watched {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        match self.enter(format!("get {key}")) {
            Some(fault) => lost(fault, key, None),
            None => self.inner.get(key).await,
        }
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        match self.enter(format!("put {key}")) {
            Some(fault) if fault.takes_effect => lost(fault, key, self.inner.put(key, bytes, put).await?),
            Some(fault) => lost(fault, key, Version::new("")),
            None => self.inner.put(key, bytes, put).await,
        }
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        match self.enter(format!("list {prefix}")) {
            Some(fault) => lost(fault, prefix, Vec::new()),
            None => self.inner.list(prefix).await,
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        match self.enter(format!("delete {key}")) {
            Some(fault) if fault.takes_effect => lost(fault, key, self.inner.delete(key).await?),
            Some(fault) => lost(fault, key, ()),
            None => self.inner.delete(key).await,
        }
    }
}

fn registry() -> (Arc<Watched>, Registry) {
    let clock = Arc::new(ManualClock::new("2026-11-23T07:00:00.7Z".parse().unwrap()));
    let inner = MemoryStore::with_clock(clock.clone());
    let store = Arc::new(Watched { inner, ..Watched::default() });
    (Arc::clone(&store), Registry::with_clock(store, clock))
}

fn made() -> CreatedManifests {
    create::manifests(&create::Options {
        cloud_provider: "aws".to_owned(),
        name: DEMO.to_owned(),
        state_store: "memory:".to_owned(),
        zones: vec!["us-x-1a".to_owned()],
        ..create::Options::default()
    })
    .unwrap()
}

fn cluster(name: &str) -> Cluster {
    Cluster { metadata: Metadata::named(name), ..made().cluster }
}

fn control_plane() -> InstanceGroup {
    made().groups.into_iter().find(|group| group.role() == Role::ControlPlane).unwrap()
}

fn group(name: &str, max_size: u32) -> InstanceGroup {
    let nodes = made().groups.into_iter().find(|group| group.role() == Role::Node).unwrap();
    InstanceGroup {
        metadata: Metadata::in_cluster(name, DEMO),
        spec: InstanceGroupSpec { min_size: Some(1), max_size: Some(max_size), ..nodes.spec },
    }
}

/// The groups that are not of the control plane.
fn workers(loaded: &LoadedCluster) -> Vec<&InstanceGroup> {
    loaded.groups.iter().filter(|group| group.role() == Role::Node).collect()
}

fn ssh_key() -> SshCredential {
    SshCredential {
        metadata: Metadata::in_cluster(SSH_KEY_NAME, DEMO),
        spec: SshCredentialSpec { public_key: format!("{SSH_KEY}\n") },
    }
}

fn demo() -> Vec<Manifest> {
    vec![
        cluster(DEMO).into(),
        control_plane().into(),
        group("nodes", 2).into(),
        group("more-nodes", 3).into(),
        ssh_key().into(),
    ]
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test]
async fn what_was_created_is_loaded() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let loaded = registry.load(DEMO).await.unwrap();
    assert_eq!(loaded.cluster.name(), DEMO);
    assert_eq!(
        workers(&loaded).into_iter().map(InstanceGroup::name).collect::<Vec<_>>(),
        ["more-nodes", "nodes"]
    );
    assert_eq!(loaded.group("nodes").unwrap().spec, group("nodes", 2).spec);
    assert_eq!(loaded.ssh_keys[0].spec.public_key, SSH_KEY);
    assert_eq!(registry.cluster_names().await.unwrap(), [DEMO]);
    assert_eq!(registry.clusters().await.unwrap(), [loaded.cluster]);
    let stored = store.inner.get(&key("demo.k8s.local/instancegroup/nodes")).await.unwrap().unwrap();
    let mut expected = group("nodes", 2);
    expected.metadata.creation_timestamp = Some("2026-11-23T07:00:00Z".parse().unwrap());
    assert_eq!(String::from_utf8(stored.bytes).unwrap(), manifest::write([&expected.into()]).unwrap());
    let names: Vec<String> = store.contents().await.into_iter().map(|(name, _)| name).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    demo.k8s.local/config
    demo.k8s.local/instancegroup/master-us-x-1a
    demo.k8s.local/instancegroup/more-nodes
    demo.k8s.local/instancegroup/nodes
    demo.k8s.local/manifests/made-by.json
    demo.k8s.local/manifests/snapshot.json
    demo.k8s.local/pki/ssh/public/admin/0fa20ad7383e6545086b63841cffdcba
    ");
}

#[tokio::test]
async fn creating_what_exists_is_refused_and_changes_nothing() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let before = store.contents().await;
    for (manifests, message) in [
        (demo(), r#"cluster "demo.k8s.local" already exists"#),
        (vec![group("new", 1).into(), group("nodes", 9).into()], r#"instancegroup "nodes" already exists"#),
        (vec![ssh_key().into()], r#"SSH key "0fa20ad7383e6545086b63841cffdcba" already exists"#),
        (vec![cluster("other").into(), group("nodes", 9).into()], r#"instancegroup "nodes" already exists"#),
    ] {
        let error = registry.create(manifests).await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.class(), ErrorClass::AlreadyExists);
    }
    assert_eq!(store.contents().await, before);
}

#[tokio::test]
async fn what_belongs_nowhere_is_refused() {
    let (store, registry) = registry();
    let error = registry.create(vec![group("nodes", 2).into()]).await.unwrap_err();
    assert_eq!(error.to_string(), r#"cluster not found "demo.k8s.local""#);
    let twice = vec![cluster(DEMO).into(), group("nodes", 2).into(), group("nodes", 3).into()];
    let error = registry.create(twice).await.unwrap_err();
    assert_eq!(error.to_string(), r#"InstanceGroup "nodes" is there twice"#);
    let error = registry.create(vec![cluster("../escape").into()]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid, "{error}");
    assert!(store.contents().await.is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_is_like_it() {
    let (_, registry) = registry();
    registry.create(demo()).await.unwrap();
    let error = registry.load("demo.k8s.locl").await.unwrap_err();
    assert_eq!(error.to_string(), r#"cluster not found "demo.k8s.locl""#);
    assert_eq!(error.hint().unwrap(), "did you mean demo.k8s.local?");
    let error = registry.delete_groups(DEMO, &["node".to_owned()]).await.unwrap_err();
    assert_eq!(error.to_string(), r#"instancegroup not found "node""#);
    assert_eq!(error.hint().unwrap(), "did you mean nodes?");
    let replaced = registry.replace(vec![group("nods", 1).into()], Replace::ExistingOnly).await.unwrap_err();
    assert_eq!(replaced.to_string(), r#"instancegroup not found "nods""#);
    let replaced = registry.replace(vec![cluster("x").into()], Replace::ExistingOnly).await.unwrap_err();
    assert_eq!(replaced.to_string(), r#"cluster not found "x""#);
    assert_eq!(replaced.hint(), None);
}

#[tokio::test]
async fn replacing_counts_changes_and_keeps_the_age() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let created = registry.load(DEMO).await.unwrap();
    assert_eq!(created.cluster.metadata.creation_timestamp, Some("2026-11-23T07:00:00Z".parse().unwrap()));

    registry
        .replace(vec![group("nodes", 5).into(), cluster(DEMO).into()], Replace::ExistingOnly)
        .await
        .unwrap();
    let replaced = registry.load(DEMO).await.unwrap();
    let nodes = replaced.group("nodes").unwrap();
    assert_eq!(nodes.spec, group("nodes", 5).spec);
    assert_eq!(nodes.metadata.generation, Some(1));
    assert_eq!(nodes.metadata.creation_timestamp, created.cluster.metadata.creation_timestamp);
    assert_eq!(replaced.cluster, created.cluster);

    store.take_calls();
    registry.replace(vec![group("nodes", 5).into()], Replace::ExistingOnly).await.unwrap();
    assert_eq!(store.take_calls().len(), 2, "nothing is written where nothing differs");

    registry.replace(vec![group("new", 1).into()], Replace::OrCreate).await.unwrap();
    assert_eq!(workers(&registry.load(DEMO).await.unwrap()).len(), 3);
}

#[tokio::test]
async fn of_two_edits_the_later_one_is_refused() {
    let (_, registry) = registry();
    registry.create(demo()).await.unwrap();
    let mine = registry.load(DEMO).await.unwrap();
    let theirs = registry.load(DEMO).await.unwrap();
    let edit = |loaded: LoadedCluster, max_size: u32| {
        let registry = registry.clone();
        async move {
            let mut edited = loaded.group("nodes").unwrap().clone();
            edited.spec.max_size = Some(max_size);
            registry.edit_group(DEMO, "nodes", edited, loaded.group_version("nodes").unwrap()).await
        }
    };
    edit(theirs, 7).await.unwrap();
    let error = edit(mine.clone(), 8).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert_eq!(
        error.to_string(),
        "memory:/demo.k8s.local/instancegroup/nodes has been changed since it was read, at 2026-11-23T07:00:00Z"
    );
    assert_eq!(registry.load(DEMO).await.unwrap().group("nodes").unwrap().spec, group("nodes", 7).spec);

    let error =
        registry.edit_cluster(DEMO, cluster("renamed"), mine.cluster_version().unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"cluster.metadata.name: an edit cannot change the name from "demo.k8s.local" to "renamed""#
    );
}

#[tokio::test]
async fn a_create_that_fails_anywhere_leaves_nothing() {
    for takes_effect in [false, true] {
        for call in 1.. {
            let (store, registry) = registry();
            *store.fault.lock().unwrap() = Some(Fault { call, takes_effect });
            let created = registry.create(demo()).await;
            let calls = store.take_calls();
            if calls.len() < call {
                assert!(created.is_ok());
                assert!(call > 5, "the fault was never reached");
                break;
            }
            if calls[call - 1].ends_with("snapshot.json") && calls[call - 1].starts_with("put") {
                assert!(created.is_ok(), "the snapshot is not what the call is for");
                continue;
            }
            assert!(created.is_err(), "call {call}: {calls:?}");
            assert!(store.contents().await.is_empty(), "call {call}: {calls:?}");
            *store.fault.lock().unwrap() = None;
            registry.create(demo()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_replace_that_fails_anywhere_changes_nothing() {
    for takes_effect in [false, true] {
        for call in 1..=5 {
            let (store, registry) = registry();
            registry.create(demo()).await.unwrap();
            let before = store.contents().await;
            store.take_calls();
            *store.fault.lock().unwrap() = Some(Fault { call, takes_effect });
            let manifests =
                vec![group("nodes", 8).into(), group("more-nodes", 9).into(), group("new", 1).into()];
            let replaced = registry.replace(manifests, Replace::OrCreate).await;
            let calls = store.take_calls();
            assert!(replaced.is_err(), "call {call}: {calls:?}");
            assert_eq!(store.contents().await, before, "call {call}: {calls:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_named() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let nodes = key("demo.k8s.local/instancegroup/nodes");
    let text = Text { version: Version::new("of another time"), text: String::new() };
    let write = |name: &str, before| batch::Write {
        cluster: DEMO.to_owned(),
        key: key(&format!("demo.k8s.local/instancegroup/{name}")),
        is_config: false,
        text: "new".to_owned(),
        before,
    };
    // Two puts, of which one loses, and the read before the undoing of the other.
    store.take_calls();
    *store.fault.lock().unwrap() = Some(Fault { call: 3, takes_effect: false });
    let writes = vec![write("nodes", Some(text)), write("new", None)];
    let error = batch::write(&*store, writes).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "only some of the manifests were written: demo.k8s.local/instancegroup/new"
    );
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert_ne!(store.inner.get(&nodes).await.unwrap().unwrap().bytes, b"new");
}

#[tokio::test]
async fn of_two_creators_one_stays_whole() {
    let (store, registry) = registry();
    let others = vec![cluster(DEMO).into(), control_plane().into(), group("theirs", 1).into()];
    let (mine, theirs) = tokio::join!(registry.create(demo()), registry.create(others));
    let mine_won = mine.is_ok();
    assert!(mine_won != theirs.is_ok());
    let lost = mine.err().or(theirs.err()).unwrap();
    assert_eq!(lost.class(), ErrorClass::AlreadyExists, "{lost}");
    let groups = workers(&registry.load(DEMO).await.unwrap()).len();
    assert_eq!(groups, if mine_won { 2 } else { 1 });
    assert!(store.inner.get(&key("demo.k8s.local/config")).await.unwrap().is_some());
}

#[tokio::test]
async fn loading_takes_two_calls_however_many_groups() {
    for count in [1, 4, 54] {
        let (store, registry) = registry();
        let groups = (0..count).map(|n| group(&format!("nodes-{n}"), 1).into());
        registry
            .create([cluster(DEMO).into(), control_plane().into()].into_iter().chain(groups).collect())
            .await
            .unwrap();
        store.take_calls();
        assert_eq!(workers(&registry.load(DEMO).await.unwrap()).len(), count);
        let mut calls = store.take_calls();
        calls.sort();
        assert_eq!(calls, ["get demo.k8s.local/manifests/snapshot.json", "list demo.k8s.local"]);
    }
}

#[tokio::test]
async fn a_snapshot_is_never_believed_over_the_objects() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let nodes = key("demo.k8s.local/instancegroup/nodes");

    // Changed behind its back, as kops itself would.
    let text = manifest::write([&group("nodes", 42).into()]).unwrap();
    store.inner.put(&nodes, text.as_bytes(), Put::Always).await.unwrap();
    store.inner.delete(&key("demo.k8s.local/instancegroup/more-nodes")).await.unwrap();
    store.take_calls();
    let loaded = registry.load(DEMO).await.unwrap();
    assert_eq!(workers(&loaded), [&group("nodes", 42)]);
    assert_eq!(store.take_calls().len(), 3, "the one that differs is fetched");

    registry.write_snapshot(&loaded).await.unwrap();
    store.take_calls();
    let again = registry.load(DEMO).await.unwrap();
    assert_eq!(workers(&again), [&group("nodes", 42)]);
    assert_eq!(store.take_calls().len(), 2);
    registry.write_snapshot(&again).await.unwrap();
    assert!(store.take_calls().is_empty(), "a current snapshot is not written again");

    for damaged in [&b"{"[..], b"", br#"{"format":2,"objects":{}}"#, b"\xff"] {
        store.inner.put(&layout::snapshot(DEMO).unwrap(), damaged, Put::Always).await.unwrap();
        assert_eq!(workers(&registry.load(DEMO).await.unwrap()), [&group("nodes", 42)]);
    }
}

#[tokio::test]
async fn damaged_and_misplaced_manifests_are_named() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let nodes = key("demo.k8s.local/instancegroup/nodes");
    let moved = manifest::write([&group("moved", 1).into()]).unwrap();
    let two = manifest::write([&group("nodes", 1).into(), &group("nodes", 1).into()]).unwrap();
    for (text, cause) in [
        ("kind: [", ""),
        (&moved, r#"it holds a manifest of another place: InstanceGroup "moved""#),
        (&two, "it holds 2 manifests instead of one"),
    ] {
        store.inner.put(&nodes, text.as_bytes(), Put::Always).await.unwrap();
        let error = registry.load(DEMO).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot read memory:/demo.k8s.local/instancegroup/nodes");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(cause), "{source}");
    }
    // What cannot be read can still be replaced.
    registry.replace(vec![group("nodes", 6).into()], Replace::ExistingOnly).await.unwrap();
    assert_eq!(registry.load(DEMO).await.unwrap().group("nodes").unwrap().spec, group("nodes", 6).spec);
}

#[tokio::test]
async fn deleting_a_cluster_refuses_unknown_files() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    store.inner.put(&key("demo.k8s.local/notes.txt"), b"x", Put::Always).await.unwrap();
    let before = store.contents().await;
    let error = registry.delete_cluster(DEMO).await.unwrap_err();
    assert_eq!(error.to_string(), "refusing to delete: unknown file found: memory:/demo.k8s.local/notes.txt");
    assert_eq!(store.contents().await, before);
}

#[tokio::test]
async fn deleting_a_cluster_can_be_repeated_until_done() {
    let other = vec![cluster("demo.k8s.local2").into()];
    for call in 2..20 {
        let (store, registry) = registry();
        registry.create(demo()).await.unwrap();
        registry.create(other.clone()).await.unwrap();
        store.take_calls();
        *store.fault.lock().unwrap() = Some(Fault { call, takes_effect: false });
        let deleted = registry.delete_cluster(DEMO).await;
        if store.take_calls().len() < call {
            deleted.unwrap();
            assert!(call > 5, "the fault was never reached");
            let names: Vec<String> = store.contents().await.into_iter().map(|(name, _)| name).collect();
            assert_eq!(
                names,
                [
                    "demo.k8s.local2/config",
                    "demo.k8s.local2/manifests/made-by.json",
                    "demo.k8s.local2/manifests/snapshot.json"
                ]
            );
            let error = registry.delete_cluster(DEMO).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::NotFound);
            return;
        }
        deleted.unwrap_err();
        assert!(registry.cluster_names().await.unwrap().contains(&DEMO.to_owned()), "call {call}");
        *store.fault.lock().unwrap() = None;
        registry.delete_cluster(DEMO).await.unwrap();
    }
    unreachable!("the deletion takes more than twenty calls");
}

#[tokio::test]
async fn groups_and_ssh_keys_are_deleted_one_by_one() {
    let (_, registry) = registry();
    registry.create(demo()).await.unwrap();
    registry.delete_groups(DEMO, &["more-nodes".to_owned()]).await.unwrap();
    let fingerprint = crate::ssh::PublicKey::parse(SSH_KEY).unwrap().fingerprint();
    registry.delete_ssh_key(DEMO, &fingerprint).await.unwrap();
    let loaded = registry.load(DEMO).await.unwrap();
    assert_eq!(workers(&loaded).into_iter().map(InstanceGroup::name).collect::<Vec<_>>(), ["nodes"]);
    assert!(loaded.ssh_keys.is_empty());
}

#[tokio::test]
async fn what_would_make_a_cluster_invalid_is_refused() {
    let (store, registry) = registry();
    registry.create(demo()).await.unwrap();
    let before = store.contents().await;
    let mut nodes = group("nodes", 2);
    nodes.spec.min_size = Some(5);
    nodes.spec.subnets = vec!["nowhere".to_owned()];
    let error = registry.replace(vec![nodes.clone().into()], Replace::ExistingOnly).await.unwrap_err();
    insta::assert_snapshot!(error, @r"
    instanceGroup[nodes].spec.minSize: 5 is more than `spec.maxSize` (2)
    instanceGroup[nodes].spec.subnets[0]: there is no subnet `nowhere` (the subnets are us-x-1a)
    ");
    let loaded = registry.load(DEMO).await.unwrap();
    let edited = registry.edit_group(DEMO, "nodes", nodes, loaded.group_version("nodes").unwrap()).await;
    assert_eq!(edited.unwrap_err().to_string(), error.to_string());
    assert_eq!(store.contents().await, before);
}

#[tokio::test]
async fn a_cluster_may_come_before_its_groups_and_be_mended_step_by_step() {
    let (store, registry) = registry();
    registry.create(vec![cluster(DEMO).into()]).await.unwrap();
    registry.create(vec![control_plane().into(), group("nodes", 2).into()]).await.unwrap();
    // Made invalid by another tool.
    let mut broken = group("nodes", 2);
    broken.spec.subnets = vec!["nowhere".to_owned()];
    let text = manifest::write([&broken.into()]).unwrap();
    let nodes = key("demo.k8s.local/instancegroup/nodes");
    store.inner.put(&nodes, text.as_bytes(), Put::Always).await.unwrap();
    registry.create(vec![group("more-nodes", 3).into()]).await.unwrap();
    registry.replace(vec![group("nodes", 2).into()], Replace::ExistingOnly).await.unwrap();
}

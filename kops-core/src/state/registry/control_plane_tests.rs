//! Groups of the control plane come and go with their members of etcd clusters, in one write.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::create::{self, Options};
use crate::error::ErrorClass;
use crate::manifest::{Recommendations, Role};
use crate::state::{Entry, Failure, MemoryStore, Object, Put, Replace, StateError};

const DEMO: &str = "demo.k8s.local";

fn text(violations: &[crate::manifest::Violation]) -> String {
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

/// One master in the first of three zones.
async fn demo(store: Arc<dyn StateStore>) -> Registry {
    let zones = ["us-x-1a", "us-x-1b", "us-x-1c"].map(str::to_owned);
    let options = Options {
        name: DEMO.to_owned(),
        cloud_provider: "aws".to_owned(),
        state_store: "memory".to_owned(),
        zones: zones.to_vec(),
        control_plane_zones: zones[..1].to_vec(),
        ..Options::default()
    };
    let registry = Registry::new(store);
    registry.create(create::manifests(&options).unwrap().manifests()).await.unwrap();
    registry
}

async fn master(registry: &Registry, name: &str, subnet: &str) -> InstanceGroup {
    let cluster = registry.load(DEMO).await.unwrap().cluster;
    create::group(&cluster, name, Role::ControlPlane, &[subnet.to_owned()], &Recommendations::default())
}

async fn members(registry: &Registry) -> String {
    let loaded = registry.load(DEMO).await.unwrap();
    let of = |etcd: &crate::manifest::EtcdCluster| {
        let members =
            etcd.etcd_members.iter().map(|member| format!("{}@{}", member.name, member.instance_group));
        format!("{}: {}", etcd.name, members.collect::<Vec<_>>().join(" "))
    };
    let groups: Vec<&str> = loaded.groups.iter().map(InstanceGroup::name).collect();
    let etcd: Vec<String> = loaded.cluster.spec.etcd_clusters.iter().map(of).collect();
    format!("{}\n{}", groups.join(" "), etcd.join("\n"))
}

#[tokio::test]
async fn masters_are_added_one_by_one_and_go_together() {
    let registry = demo(Arc::new(MemoryStore::new())).await;
    let missing = registry.create_group(master(&registry, "master-us-x-1b", "us-x-1b").await).await.unwrap();
    insta::assert_snapshot!(text(&missing), @r"
    cluster.spec.etcdClusters[0].etcdMembers: the etcd cluster `main` has 2 members, and needs an odd number (an even number survives no more failures than one member fewer: add one more control-plane group with `kops create ig NAME --role control-plane --subnet SUBNET`, or delete some with `kops delete ig NAME…`, which takes several)
    cluster.spec.etcdClusters[1].etcdMembers: the etcd cluster `events` has 2 members, and needs an odd number (an even number survives no more failures than one member fewer: add one more control-plane group with `kops create ig NAME --role control-plane --subnet SUBNET`, or delete some with `kops delete ig NAME…`, which takes several)
    ");
    let missing = registry.create_group(master(&registry, "third", "us-x-1c").await).await.unwrap();
    assert_eq!(text(&missing), "");
    insta::assert_snapshot!(members(&registry).await, @r"
    master-us-x-1a master-us-x-1b nodes third
    main: a@master-us-x-1a b@master-us-x-1b third@third
    events: a@master-us-x-1a b@master-us-x-1b third@third
    ");

    let one = ["third".to_owned()];
    let error = registry.delete_groups(DEMO, &one).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert!(error.to_string().contains("`main` has 2 members, and needs an odd number"), "{error}");
    let all = ["third", "master-us-x-1a", "master-us-x-1b"].map(str::to_owned);
    let error = registry.delete_groups(DEMO, &all).await.unwrap_err();
    assert!(error.to_string().contains("`main` has no members"), "{error}");
    registry.delete_groups(DEMO, &["third".to_owned(), "master-us-x-1a".to_owned()]).await.unwrap();
    insta::assert_snapshot!(members(&registry).await, @r"
    master-us-x-1b nodes
    main: b@master-us-x-1b
    events: b@master-us-x-1b
    ");
}

#[tokio::test]
async fn a_master_in_several_zones_or_of_a_name_that_exists_is_refused_and_nothing_is_written() {
    let store = Arc::new(MemoryStore::new());
    let registry = demo(store.clone()).await;
    let before = members(&registry).await;
    let mut wide = master(&registry, "wide", "us-x-1b").await;
    wide.spec.subnets.push("us-x-1c".to_owned());
    let error = registry.create_group(wide).await.unwrap_err();
    assert!(error.to_string().contains("the instance group `wide` is in several zones"), "{error}");
    let again = master(&registry, "master-us-x-1a", "us-x-1a").await;
    let error = registry.create_group(again).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::AlreadyExists, "{error}");
    assert_eq!(members(&registry).await, before);
}

#[tokio::test]
async fn cluster_and_groups_of_one_file_are_judged_by_what_they_come_to() {
    let registry = demo(Arc::new(MemoryStore::new())).await;
    let mut cluster = registry.load(DEMO).await.unwrap().cluster;
    let mut manifests = Vec::new();
    for (name, subnet) in [("second", "us-x-1b"), ("third", "us-x-1c")] {
        let group = master(&registry, name, subnet).await;
        let error = registry.replace(vec![group.clone().into()], Replace::OrCreate).await.unwrap_err();
        assert!(error.to_string().contains(&format!("`kops delete ig {name}`")), "alone: {error}");
        cluster.add_etcd_members(name);
        manifests.push(group.into());
    }
    let error = registry.replace(vec![cluster.clone().into()], Replace::OrCreate).await.unwrap_err();
    assert!(error.to_string().contains("`kops create ig second --role control-plane"), "alone: {error}");
    manifests.push(cluster.into());
    registry.replace(manifests, Replace::OrCreate).await.unwrap();
    assert!(members(&registry).await.starts_with("master-us-x-1a nodes second third\n"));
}

/// Fails one writing call.
#[derive(Debug)]
struct Cut {
    inner: MemoryStore,
    writes: AtomicUsize,
    cut: Mutex<Option<usize>>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Cut {
    fn is_cut(&self) -> Result<(), StateError> {
        let count = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        match self.cut.lock().unwrap().is_some_and(|cut| cut <= count) {
            true => {
                Err(Failure::new(ErrorClass::Unavailable, "reach", "the store".to_owned(), "cut".to_owned())
                    .into())
            }
            false => Ok(()),
        }
    }
}

#[async_trait]
impl StateStore for Cut {
    async fn get(&self, key: &Key) -> Result<Option<Object>, StateError> {
        self.inner.get(key).await
    }

    async fn put(&self, key: &Key, bytes: &[u8], put: Put) -> Result<Version, StateError> {
        self.is_cut()?;
        self.inner.put(key, bytes, put).await
    }

    async fn list(&self, prefix: &Prefix) -> Result<Vec<Entry>, StateError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StateError> {
        self.is_cut()?;
        self.inner.delete(key).await
    }
}

#[tokio::test]
async fn wherever_adding_and_deleting_is_cut_off_it_can_be_said_again() {
    for cut in 1..8 {
        let store =
            Arc::new(Cut { inner: MemoryStore::new(), writes: AtomicUsize::new(0), cut: Mutex::default() });
        let registry = demo(store.clone()).await;
        for (name, subnet) in [("second", "us-x-1b"), ("third", "us-x-1c")] {
            registry.create_group(master(&registry, name, subnet).await).await.unwrap();
        }
        store.writes.store(0, Ordering::SeqCst);
        *store.cut.lock().unwrap() = Some(cut);
        let both = ["second".to_owned(), "third".to_owned()];
        let whole = registry.delete_groups(DEMO, &both).await.is_ok();
        *store.cut.lock().unwrap() = None;
        let left: Vec<String> = {
            let loaded = registry.load(DEMO).await.unwrap();
            both.iter().filter(|name| loaded.group(name).is_ok()).cloned().collect()
        };
        if !left.is_empty() {
            registry.delete_groups(DEMO, &left).await.unwrap();
        }
        let after = members(&registry).await;
        assert_eq!(
            after, "master-us-x-1a nodes\nmain: a@master-us-x-1a\nevents: a@master-us-x-1a",
            "cut at {cut}"
        );
        if whole {
            assert!(cut > 3, "{cut}");
            return;
        }
    }
    unreachable!("it takes fewer calls");
}

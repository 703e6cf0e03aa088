//! What breaks a running cluster is refused before anything is made (law L9), on the simulated cloud.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test should say where")]

use crate::support::simulated;
use kops_core::create::Options;
use kops_core::manifest::{Cluster, Role};
use kops_core::operation::{BreakingChanges, OperationError, RunOptions};
use kops_core::state::{Replace, layout};
use simulated::{CLUSTER, World};

async fn running() -> World {
    let (zones, version) = (vec!["us-east-1a".to_owned()], Some("1.33.13".to_owned()));
    World::running(Options { zones, kubernetes_version: version, ..Options::default() }).await
}

async fn edit(world: &World, change: impl FnOnce(&mut Cluster)) {
    let registry = world.kops.registry();
    let mut cluster = registry.load(CLUSTER).await.unwrap().cluster;
    change(&mut cluster);
    registry.replace(vec![cluster.into()], Replace::ExistingOnly).await.unwrap();
}

/// What refuses the update of an edited cluster, by field. Nothing is made before.
async fn refused(change: impl FnOnce(&mut Cluster)) -> Vec<String> {
    let world = running().await;
    edit(&world, change).await;
    let before = world.cloud().everything();
    let error = world.update(&RunOptions::default()).await.unwrap_err();
    let OperationError::Breaking(violations) = &error else { panic!("{error}") };
    assert!(world.kops.plan_update(CLUSTER).await.is_err(), "the preview says so, too");
    assert_eq!(world.cloud().everything(), before);
    violations.iter().map(|violation| violation.path.clone()).collect()
}

#[tokio::test]
async fn ranges_plugins_and_versions_of_a_running_cluster_stay() {
    let range = |text: &str| Some(text.parse().unwrap());
    assert_eq!(
        refused(|c| c.spec.service_cluster_ip_range = range("100.64.0.0/16")).await,
        ["cluster.spec.serviceClusterIPRange"]
    );
    assert_eq!(refused(|c| c.spec.pod_cidr = range("100.100.0.0/16")).await, ["cluster.spec.podCIDR"]);
    let cni = || Some(kops_core::manifest::Networking::Cni(Default::default()));
    assert_eq!(refused(|c| c.spec.networking = cni()).await, ["cluster.spec.networking"]);
    for version in ["1.31.14", "1.35.7"] {
        let found = refused(|c| c.spec.kubernetes_version = Some(version.to_owned())).await;
        assert_eq!(found[0], "cluster.spec.kubernetesVersion", "{version}");
    }
    let smaller = |c: &mut Cluster| c.spec.etcd_clusters[0].etcd_members[0].volume_size = Some(5);
    assert_eq!(refused(smaller).await, ["cluster.spec.etcdClusters[0].etcdMembers[0].volumeSize"]);
}

#[tokio::test]
async fn who_knows_can_do_it_nevertheless() {
    let World { kops, clock, scope } = running().await;
    let world = World { kops: kops.with_breaking_changes(BreakingChanges::Allow), clock, scope };
    edit(&world, |c| c.spec.cluster_dns_domain = Some("c.internal".to_owned())).await;
    let plan = world.kops.plan_update(CLUSTER).await.unwrap();
    assert!(plan.warnings()[0].starts_with("cluster.spec.clusterDNSDomain: "), "{:?}", plan.warnings());
    world.update(&RunOptions::default()).await.unwrap().report.into_result().unwrap();
    let plan = world.kops.plan_update(CLUSTER).await.unwrap();
    assert!(plan.is_empty() && !plan.warnings().iter().any(|warning| warning.contains("DNSDomain")));
}

/// Until an update was carried out, everything can be changed.
#[tokio::test]
async fn a_cluster_that_was_never_applied_has_nothing_to_break() {
    let world = running().await;
    let record = layout::completed(CLUSTER).unwrap();
    world.kops.registry().store().delete(&record).await.unwrap();
    edit(&world, |c| c.spec.cluster_dns_domain = Some("c.internal".to_owned())).await;
    let plan = world.kops.plan_update(CLUSTER).await.unwrap();
    let unknown =
        plan.warnings().iter().filter(|warning| warning.starts_with("what was applied last is not known"));
    assert_eq!(unknown.count(), 1, "machines run: {:?}", plan.warnings());
}

#[tokio::test]
async fn a_group_keeps_its_role() {
    let world = running().await;
    let registry = world.kops.registry();
    let loaded = registry.load(CLUSTER).await.unwrap();
    let mut groups = loaded.groups.clone();
    // Enough workers for the manifests to be valid.
    let mut more = groups.iter().find(|group| group.role() == Role::Node).unwrap().clone();
    more.metadata.name = "more".to_owned();
    registry.create(vec![more.clone().into()]).await.unwrap();
    world.update(&RunOptions::default()).await.unwrap().report.into_result().unwrap();
    let nodes = groups.iter_mut().find(|group| group.role() == Role::Node).unwrap();
    nodes.spec.role = Some(Role::ControlPlane);
    (nodes.spec.min_size, nodes.spec.max_size) = (Some(1), Some(1));
    let mut cluster = loaded.cluster.clone();
    for etcd in &mut cluster.spec.etcd_clusters {
        let mut member = etcd.etcd_members[0].clone();
        member.instance_group = nodes.metadata.name.clone();
        etcd.etcd_members = vec![member];
    }
    let master = loaded.groups.iter().find(|group| group.role() == Role::ControlPlane).unwrap();
    let (nodes, master) = (nodes.clone(), master.name().to_owned());
    let mut worker = loaded.group(&master).unwrap().clone();
    worker.spec.role = Some(Role::Node);
    let manifests = vec![cluster.into(), nodes.clone().into(), worker.into()];
    registry.replace(manifests, Replace::ExistingOnly).await.unwrap();
    let error = world.update(&RunOptions::default()).await.unwrap_err();
    let OperationError::Breaking(violations) = &error else { panic!("{error}") };
    let paths: Vec<_> = violations.iter().map(|violation| violation.path.as_str()).collect();
    let mut expected = vec![
        format!("instanceGroup[{master}].spec.role"),
        format!("instanceGroup[{}].spec.role", nodes.name()),
    ];
    expected.sort();
    assert_eq!(paths, expected);
}

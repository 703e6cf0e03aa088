use super::*;
use crate::manifest::{Manifest, Recommendations, complete, read};

const CLUSTER: &str = "\
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {name: a.k8s.local}
spec:
  api: {loadBalancer: {class: Network, type: Public}}
  cloudProvider: aws
  etcdClusters:
  - {name: main, version: 3.5.21, etcdMembers: [{name: a, instanceGroup: m, volumeSize: 20, encryptedVolume: true}]}
  - {name: events, version: 3.5.21, etcdMembers: [{name: a, instanceGroup: m}]}
  kubernetesVersion: 1.33.1
  networkCIDR: 172.20.0.0/16
  networking: {flannel: {backend: vxlan}}
  subnets:
  - {name: x, zone: r-1a, type: Public, cidr: 172.20.0.0/17}
  - {name: y, zone: r-1b, type: Public, cidr: 172.20.128.0/17}
  topology: {dns: {type: Public}}
";

fn completed(text: &str) -> CompletedCluster {
    let manifests = read("m.yaml", text).unwrap().manifests;
    let [Manifest::Cluster(cluster)] = &manifests[..] else { panic!("{manifests:?}") };
    complete(cluster, &[], &Recommendations::default())
}

/// What is said of a change of the text.
fn said(from: &str, to: &str) -> String {
    assert!(CLUSTER.contains(from), "{from}");
    let found = breaking(&completed(CLUSTER).cluster, &completed(&CLUSTER.replacen(from, to, 1)));
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What is said of a field more.
fn said_with(more: &str) -> String {
    said("spec:\n", &format!("spec:\n  {more}\n"))
}

#[test]
fn what_breaks_a_running_cluster_is_found() {
    let found = [
        said("networkCIDR: 172.20.0.0/16", "networkCIDR: 172.16.0.0/12"),
        said_with("nonMasqueradeCIDR: 100.0.0.0/8"),
        said_with("podCIDR: 100.100.0.0/16"),
        said_with("serviceClusterIPRange: 100.64.0.0/16"),
        said("{flannel: {backend: vxlan}}", "{cni: {}}"),
        said_with("clusterDNSDomain: c.internal"),
        said("cloudProvider: aws", "cloudProvider: gce"),
        said("{dns: {type: Public}}", "{dns: {type: None}}"),
        said("class: Network", "class: Classic"),
        said("type: Public}}", "type: Internal}}"),
        said("{loadBalancer: {class: Network, type: Public}}", "{dns: {}}"),
        said_with("masterPublicName: kube.example.com"),
        said_with("kubeAPIServer: {serviceAccountIssuer: 'https://x'}"),
        said("1.33.1", "1.31.9"),
        said("1.33.1", "1.35.7"),
        said("version: 3.5.21", "version: 3.4.27"),
        said("volumeSize: 20", "volumeSize: 10"),
        said("encryptedVolume: true", "encryptedVolume: false"),
        said("encryptedVolume: true", "encryptedVolume: true, kmsKeyId: k"),
        said("{name: a, instanceGroup: m, volumeSize", "{name: b, instanceGroup: m, volumeSize"),
        said("zone: r-1b", "zone: r-1c"),
        said("172.20.128.0/17", "172.20.192.0/18"),
    ];
    assert!(found.iter().all(|said| !said.is_empty()), "{found:#?}");
    insta::assert_snapshot!(found.join("\n"));
}

/// Every row of the table is about a field that a manifest can set.
#[test]
fn each_row_notices_its_field() {
    let settings = [
        ("kubeAPIServer", "serviceClusterIPRange", "100.64.0.0/16", "100.65.0.0/16"),
        ("kubeAPIServer", "etcdServers", "[a]", "[b]"),
        ("kubeControllerManager", "clusterCIDR", "100.96.0.0/16", "100.97.0.0/16"),
        ("kubeControllerManager", "nodeCIDRMaskSize", "24", "25"),
        ("kubeControllerManager", "serviceClusterIPRange", "100.64.0.0/16", "100.65.0.0/16"),
    ];
    for (component, setting, old, new) in settings {
        let with = |value: &str| {
            let more = format!("spec:\n  {component}: {{{setting}: {value}}}\n");
            completed(&CLUSTER.replacen("spec:\n", &more, 1))
        };
        let found = breaking(&with(old).cluster, &with(new));
        let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(paths, [format!("cluster.spec.{component}.{setting}")]);
    }
    let network =
        |id: &str| completed(&CLUSTER.replacen("spec:\n", &format!("spec:\n  networkID: {id}\n"), 1));
    assert_eq!(breaking(&network("vpc-1").cluster, &network("vpc-2")).len(), 1);
    assert_eq!(
        breaking(&network("vpc-1").cluster, &completed(CLUSTER)).len(),
        1,
        "a network of its own instead"
    );
}

#[test]
fn what_a_running_cluster_survives_is_left_alone() {
    for said in [
        said("1.33.1", "1.33.9"),
        said("1.33.1", "1.33.0"),
        said("1.33.1", "1.34.1"),
        said("version: 3.5.21", "version: 3.6.1"),
        said("volumeSize: 20", "volumeSize: 40, volumeType: io2"),
        said("{flannel: {backend: vxlan}}", "{flannel: {}}"),
        said_with("masterPublicName: kube.example.com\n  additionalSans: [api.a.k8s.local]"),
        said_with("kubeAPIServer: {serviceAccountIssuer: 'https://api.internal.a.k8s.local'}"),
        said("  - {name: y, zone: r-1b, type: Public, cidr: 172.20.128.0/17}\n", ""),
        said("{name: y, zone: r-1b", "{name: z, zone: r-1b"),
        // Members come and go by other means.
        said(
            "{name: a, instanceGroup: m, volumeSize",
            "{name: b, instanceGroup: n}, {name: c, instanceGroup: o}, {name: a, instanceGroup: m, volumeSize",
        ),
        said("{name: a, instanceGroup: m, volumeSize", "{name: b, instanceGroup: n, volumeSize"),
    ] {
        assert_eq!(said, "");
    }
}

#[test]
fn etcd_does_not_skip_a_minor_version() {
    let old = completed(&CLUSTER.replacen("3.5.21", "3.4.27", 1));
    let found = breaking(&old.cluster, &completed(&CLUSTER.replacen("3.5.21", "3.6.1", 1)));
    insta::assert_snapshot!(found[0], @"cluster.spec.etcdClusters[0].version: this cannot go from 3.4.27 to 3.6.1 while the cluster runs: etcd goes from one minor version to the next (go to the next minor version of etcd first)");
}

#[test]
fn what_is_not_known_is_no_change() {
    let before = Cluster { metadata: completed(CLUSTER).cluster.metadata, ..Cluster::default() };
    assert_eq!(breaking(&before, &completed(CLUSTER)), []);
}

#[test]
fn a_group_keeps_its_role() {
    let text = "\
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {name: m, labels: {kops.k8s.io/cluster: a.k8s.local}}
spec: {role: Node}
";
    let [Manifest::InstanceGroup(group)] = &read("m.yaml", text).unwrap().manifests[..] else { panic!() };
    let mut after = completed(CLUSTER);
    after.groups = vec![(**group).clone()];
    assert_eq!(breaking_roles([("m", Role::Node), ("n", Role::ControlPlane)], &after), []);
    assert_eq!(breaking_roles([], &after), []);
    let found = breaking_roles([("m", Role::ControlPlane)], &after);
    insta::assert_snapshot!(found[0], @"instanceGroup[m].spec.role: this cannot go from control plane to node while the cluster runs: all of its machines would go at once, and etcd members with them (make a group of another name, and delete this one once the other runs)");
}

mod cilium;
mod topology;

use std::time::Duration;

use super::*;
use crate::create::{self, Options};
use crate::manifest::{
    AddonSpec, Api, ClusterAutoscaler, CountOrPercent, Dns, DnsAccess, DnsType, EtcdManager, KubeDns,
    MetricsServer, Networking, NodeLocalDns, NodeProblemDetector, Role, RollingUpdate, Settings,
};

fn valid() -> CompletedCluster {
    let zones = ["us-x-1a", "us-x-1b", "us-x-1c"].map(str::to_owned).to_vec();
    let options = Options {
        cloud_provider: "aws".to_owned(),
        control_plane_zones: zones.clone(),
        name: "demo.k8s.local".to_owned(),
        state_store: "s3://bucket".to_owned(),
        zones,
        ..Options::default()
    };
    let created = create::manifests(&options).unwrap();
    crate::manifest::complete(&created.cluster, &created.groups, &options.recommendations)
}

/// What is found after a change of a valid cluster, a line each.
fn found(change: impl FnOnce(&mut CompletedCluster)) -> String {
    let mut completed = valid();
    change(&mut completed);
    validate(&completed).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn cidr<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> Option<T> {
    Some(text.parse().unwrap())
}

#[test]
fn a_created_cluster_is_valid_and_supported() {
    assert_eq!(validate(&valid()), []);
    assert_eq!(unsupported(&valid()), []);
}

#[test]
fn what_would_be_something_else_than_asked_is_refused() {
    let mut completed = valid();
    let api = completed.cluster.spec.api.as_mut().unwrap();
    api.load_balancer.as_mut().unwrap().use_for_internal_api = Some(true);
    let found = unsupported(&completed).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(found, @"cluster.spec.api.loadBalancer.useForInternalApi: machines reach the API without its load balancer (write `useForInternalApi: false`, or `topology: {dns: {type: None}}`)");
}

#[test]
fn names_need_a_zone_that_the_cluster_uses() {
    let found = |edit: &dyn Fn(&mut CompletedCluster)| {
        let mut completed = valid();
        edit(&mut completed);
        unsupported(&completed).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let by_name = |completed: &mut CompletedCluster| {
        completed.cluster.spec.api = Some(Api { dns: Some(DnsAccess {}), load_balancer: None });
    };
    let dns = |completed: &mut CompletedCluster, type_| {
        completed.cluster.metadata.name = "demo.example.com".to_owned();
        completed.cluster.spec.topology.as_mut().unwrap().dns = Some(Dns { type_: Some(type_) });
    };
    insta::assert_snapshot!(found(&|c| { by_name(c); c.cluster.spec.dns_zone = Some("Z1".to_owned()); }), @r"
    cluster.spec.api.dns: without a hosted zone there are no names for the API (write `loadBalancer: {type: Public}` instead)
    cluster.spec.dnsZone: the cluster keeps no names in a zone (take the field away, or write `topology: {dns: {type: Public}}` and a name within the zone)
    ");
    assert_eq!(
        found(&|c| {
            by_name(c);
            dns(c, DnsType::Public);
        }),
        ""
    );
    insta::assert_snapshot!(found(&|c| dns(c, DnsType::Private)), @"cluster.spec.topology.dns.type: private zones are not supported yet (write `type: Public` or `type: None`)");
}

fn addons(manifests: &[&str]) -> Vec<AddonSpec> {
    manifests.iter().map(|manifest| AddonSpec { manifest: (*manifest).to_owned() }).collect()
}

#[test]
fn add_ons_have_names_of_their_own() {
    let long = format!("s3://bucket/{}.yaml", "x".repeat(64));
    let manifests = [
        "s3://bucket/a.yaml",
        "s3://bucket/b/a.yml",
        "s3://bucket/",
        "s3://b/-x.json",
        &long,
        "s3://b/coredns.addons.k8s.io.yaml",
    ];
    insta::assert_snapshot!(found(|c| c.cluster.spec.addons = addons(&manifests)).replace(&"x".repeat(64), "x…"), @r"
    cluster.spec.addons[1].manifest: another add-on is called `a`
    cluster.spec.addons[2].manifest: the name of the file, ``, names no add-on (a name is made of letters, digits and `-_.`, 63 at most)
    cluster.spec.addons[3].manifest: the name of the file, `-x`, names no add-on (a name is made of letters, digits and `-_.`, 63 at most)
    cluster.spec.addons[4].manifest: the name of the file, `x…`, names no add-on (a name is made of letters, digits and `-_.`, 63 at most)
    cluster.spec.addons[5].manifest: `coredns.addons.k8s.io` is the name of an add-on of kops
    ");
}

#[test]
fn what_kops_would_fetch_is_brought_instead() {
    let found = |networking: Networking, manifests: &[&str]| {
        let mut completed = valid();
        completed.cluster.spec.networking = Some(networking);
        completed.cluster.spec.addons = addons(manifests);
        assert_eq!(validate(&completed), []);
        unsupported(&completed).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let none = Settings::default;
    insta::assert_snapshot!(found(Networking::Kubenet(none()), &["https://x.org/a.yaml", "kubernetes-dashboard", "s3://b/c.yaml"]), @r"
    cluster.spec.addons[0].manifest: manifests of add-ons are not fetched from elsewhere (put the manifest in the state store and name it there)
    cluster.spec.addons[1].manifest: add-ons are not called by their names in kops's channel (put the manifest in the state store and name it there)
    ");
    insta::assert_snapshot!(found(Networking::Calico(none()), &["s3://b/cilium.yaml"]), @r"cluster.spec.networking: no add-on brings calico (`curl -LO https://raw.githubusercontent.com/projectcalico/calico/VERSION/manifests/calico.yaml`, put the file in the state store, and name it in `spec.addons`)");
    insta::assert_snapshot!(found(Networking::Cilium(Box::default()), &[]), @"");
    insta::assert_snapshot!(found(Networking::Weave(none()), &[]), @r"cluster.spec.networking: this network plugin is not supported (write `kubenet: {}`, or `cni: {}` and bring the plugin in `spec.addons`)");
    for supported in [Networking::Calico(none()), Networking::Cni(none()), Networking::Flannel(none())] {
        assert_eq!(found(supported, &["s3://b/calico-v3.yaml"]), "");
    }
}

#[test]
fn names_and_versions() {
    insta::assert_snapshot!(found(|c| c.cluster.metadata.name = "Demo".into()).lines().next().unwrap(), @"cluster.metadata.name: `Demo` has upper-case letters, which names of clusters have not (write demo)");
    insta::assert_snapshot!(found(|c| c.cluster.metadata.name = "de_mo".into()).lines().next().unwrap(), @"cluster.metadata.name: `de_mo` is not a domain name (write a domain name such as demo.k8s.local)");
    insta::assert_snapshot!(found(|c| c.cluster.metadata.name = "dEmo.k8s.local".into()).lines().next().unwrap(), @"cluster.metadata.name: `dEmo.k8s.local` has upper-case letters, which names of clusters have not (write demo.k8s.local)");
    insta::assert_snapshot!(found(|c| c.cluster.metadata.name = "demo".into()).lines().next().unwrap(), @r"cluster.metadata.name: `demo` has no domain (write a domain name such as demo.k8s.local, or `topology: {dns: {type: None}}`)");
    insta::assert_snapshot!(found(|c| c.cluster.spec.kubernetes_version = Some("1.29.0".into())), @r"cluster.spec.kubernetesVersion: Kubernetes 1.29.0 is not supported (supported are 1.20, 1.30, 1.31, 1.32, 1.33, 1.34, 1.35, 1.36)");
    insta::assert_snapshot!(found(|c| c.cluster.spec.kubernetes_version = Some("new".into())), @r"cluster.spec.kubernetesVersion: `new` is not a version of Kubernetes such as 1.35.7");
}

/// A cluster that needs no hosted zone, with a group of a name of its own.
fn named(cluster: &str, group: &str) -> String {
    let options = Options {
        cloud_provider: "aws".to_owned(),
        dns: Some(crate::manifest::DnsType::None),
        name: "demo.example.com".to_owned(),
        state_store: "s3://bucket".to_owned(),
        zones: vec!["us-x-1a".to_owned()],
        ..Options::default()
    };
    let created = create::manifests(&options).unwrap();
    let mut completed =
        crate::manifest::complete(&created.cluster, &created.groups, &options.recommendations);
    completed.cluster.metadata.name = cluster.to_owned();
    let last = completed.groups.len() - 1;
    assert_eq!(completed.groups[last].role(), Role::Node);
    completed.groups[last].metadata.name = group.to_owned();
    for group in &mut completed.groups {
        group.metadata.labels.insert("kops.k8s.io/cluster".to_owned(), cluster.to_owned());
    }
    assert_eq!(unsupported(&completed), []);
    validate(&completed).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_that_kops_takes_are_taken() {
    for (cluster, group) in [
        ("demo", "nodes"),
        ("demo.example.com", "nodes.spot"),
        ("demo", "a.b.c"),
        ("demo", "masters"),
        ("d-1", "1.2"),
    ] {
        assert_eq!(named(cluster, group), "", "{cluster} {group}");
    }
    insta::assert_snapshot!(named("programs", "nodes"), @"cluster.metadata.name: `programs` is where the state store keeps the programs of all machines (choose another name)");
    insta::assert_snapshot!(named("demo", "Nodes"), @"instanceGroup[Nodes].metadata.name: `Nodes` has upper-case letters, which names of groups have not (write nodes)");
    insta::assert_snapshot!(named("demo", "no..des"), @"instanceGroup[no..des].metadata.name: `no..des` is not a name of at most 63 lower-case letters, digits, `-` and `.`");
    insta::assert_snapshot!(named("demo", "control-plane-us-x-1a.masters"), @"instanceGroup[control-plane-us-x-1a.masters].metadata.name: its machines would be named like those of the control-plane group `control-plane-us-x-1a` (choose another name)");
    assert!(named("demo", &"a.".repeat(32)).contains("at most 63"));
    assert!(named("demo", &format!("{}a", "a.".repeat(32))).contains("at most 63"));
}

#[test]
fn tags_of_clusters_tell_whose_things_are() {
    let found = |key: &str, value: &str| {
        found(|c| {
            c.cluster.spec.cloud_labels.insert(key.to_owned(), value.to_owned());
        })
    };
    assert_eq!(found("kubernetes.io/cluster/demo.k8s.local", "owned"), "");
    assert_eq!(found("kubernetes.io/cluster/other.k8s.local", "shared"), "");
    insta::assert_snapshot!(found("kubernetes.io/cluster/demo.k8s.local", "shared"), @"cluster.spec.cloudLabels[kubernetes.io/cluster/demo.k8s.local]: all that gets this tag belongs to `demo.k8s.local`, so it cannot be `shared` (write `owned`, or leave out the tag)");
    insta::assert_snapshot!(found("kubernetes.io/cluster/other.k8s.local", "owned"), @"cluster.spec.cloudLabels[kubernetes.io/cluster/other.k8s.local]: what `demo.k8s.local` owns would be deleted together with the cluster `other.k8s.local` (write `shared`, or leave out the tag)");
}

#[test]
fn labels_and_policies() {
    insta::assert_snapshot!(found(|c| {
        let labels = &mut c.cluster.spec.cloud_labels;
        for key in ["", "AWS:x", "KubernetesCluster", "k8s.io/role/master", "Nameless"] {
            labels.insert(key.into(), "1".into());
        }
        labels.insert("long".into(), "x".repeat(257));
    }), @r"
    cluster.spec.cloudLabels[]: a key has 1 to 128 characters
    cluster.spec.cloudLabels[AWS:x]: keys that begin with `aws:` belong to the cloud
    cluster.spec.cloudLabels[KubernetesCluster]: this key marks what belongs to the cluster and cannot be set
    cluster.spec.cloudLabels[k8s.io/role/master]: this key marks what belongs to the cluster and cannot be set
    cluster.spec.cloudLabels[long]: a value has at most 256 characters
    ");
    insta::assert_snapshot!(found(|c| {
        let policies = &mut c.cluster.spec.additional_policies;
        policies.insert("node".into(), r#"[{"Effect": "Allow", "NotAction": ["s3:*"]}]"#.into());
        policies.insert("master".into(), "{}".into());
        policies.insert("worker".into(), "[]".into());
        c.cluster.spec.external_policies.insert("node".into(), vec![String::new()]);
    }), @r"
    cluster.spec.additionalPolicies.master: the text is not a JSON list of statements: invalid type: map, expected a sequence at line 1 column 0
    cluster.spec.additionalPolicies.node: statement 1 has no `Resource`
    cluster.spec.additionalPolicies.worker: `worker` is not a role (the roles are bastion, master, node)
    cluster.spec.externalPolicies.node: the id of a policy is empty
    ");
}

#[test]
fn sources_of_traffic() {
    insta::assert_snapshot!(found(|c| {
        c.cluster.spec.ssh_access = ["10.0.0.1/8", "pl-1", "pl-1"].map(|text| text.parse().unwrap()).into();
        c.cluster.spec.node_port_access = vec!["fd00::1/64".parse().unwrap()];
    }), @r"
    cluster.spec.sshAccess[0]: 10.0.0.1/8 does not begin its range (write 10.0.0.0/8)
    cluster.spec.sshAccess[2]: pl-1 is there twice
    cluster.spec.nodePortAccess[0]: fd00::1/64 does not begin its range (write fd00::/64)
    ");
}

#[test]
fn networks() {
    insta::assert_snapshot!(found(|c| c.cluster.spec.network_cidr = cidr("172.20.1.0/16")), @r"cluster.spec.networkCIDR: 172.20.1.0/16 does not begin its range (write 172.20.0.0/16)");
    insta::assert_snapshot!(found(|c| c.cluster.spec.network_cidr = cidr("172.16.0.0/12")), @r"cluster.spec.networkCIDR: 172.16.0.0/12 is not between /16 and /28");
    insta::assert_snapshot!(found(|c| c.cluster.spec.network_cidr = None), @r"cluster.spec.networkCIDR: the address range of the existing network is missing (write the range of the network that `spec.networkID` names)");
    insta::assert_snapshot!(found(|c| c.cluster.spec.non_masquerade_cidr = cidr("172.0.0.0/8")), @r"
    cluster.spec.podCIDR: 100.96.0.0/11 is not inside `spec.nonMasqueradeCIDR` (172.0.0.0/8)
    cluster.spec.serviceClusterIPRange: 100.64.0.0/13 is not inside `spec.nonMasqueradeCIDR` (172.0.0.0/8)
    cluster.spec.nonMasqueradeCIDR: 172.0.0.0/8 overlaps `spec.networkCIDR` (172.20.0.0/16)
    ");
    insta::assert_snapshot!(found(|c| c.cluster.spec.service_cluster_ip_range = cidr("100.100.0.0/16")), @r"cluster.spec.serviceClusterIPRange: 100.100.0.0/16 overlaps `spec.podCIDR` (100.96.0.0/11)");
    assert_eq!(found(|c| c.cluster.spec.additional_network_cidrs = vec!["10.0.0.0/16".parse().unwrap()]), "");
    let pods_in_network = |c: &mut CompletedCluster| {
        let spec = &mut c.cluster.spec;
        spec.networking = Some(Networking::AmazonVpc(Settings::default()));
        (spec.non_masquerade_cidr, spec.pod_cidr, spec.service_cluster_ip_range) =
            (spec.network_cidr, None, None);
    };
    assert_eq!(found(pods_in_network), "");
}

#[test]
fn subnets() {
    insta::assert_snapshot!(found(|c| {
        let subnets = &mut c.cluster.spec.subnets;
        subnets[0].cidr = cidr("10.0.0.0/29");
        subnets[1].cidr = cidr("172.20.128.0/19");
        (subnets[1].id, subnets[2].id) = (Some("subnet-1".into()), Some("subnet-1".into()));
        subnets[2].zone = Some("eu-y-1a".into());
    }), @r"
    cluster.spec.subnets[0].cidr: 10.0.0.0/29 is not between /16 and /28
    cluster.spec.subnets[0].cidr: 10.0.0.0/29 is not inside the network (172.20.0.0/16)
    cluster.spec.subnets[1].id: an existing subnet needs an existing network (write the id of its network in `spec.networkID`)
    cluster.spec.subnets[2].cidr: 172.20.128.0/18 overlaps the subnet `us-x-1b` (172.20.128.0/19)
    cluster.spec.subnets[2].zone: `eu-y-1a` is not in the region of `us-x-1a` (us-x-1)
    cluster.spec.subnets[2].id: another subnet has the id `subnet-1`
    cluster.spec.subnets[2].id: an existing subnet needs an existing network (write the id of its network in `spec.networkID`)
    ");
    insta::assert_snapshot!(found(|c| {
        let subnets = &mut c.cluster.spec.subnets;
        subnets[0].cidr = None;
        subnets[1].name = "us-x-1a".into();
        subnets.push(crate::manifest::Subnet { cidr: cidr("172.20.192.0/18"), ..subnets[2].clone() });
        subnets[3].name = String::new();
    }), @r"
    cluster.spec.subnets[0].cidr: the subnet `us-x-1a` has no address range, and none is left to give it (write the range)
    cluster.spec.subnets[1].name: another subnet has the name `us-x-1a`
    cluster.spec.subnets[3].name: the name is missing
    instanceGroup[master-us-x-1b].spec.subnets[0]: there is no subnet `us-x-1b` (the subnets are us-x-1a, us-x-1a, us-x-1c, )
    instanceGroup[nodes].spec.subnets[1]: there is no subnet `us-x-1b` (the subnets are us-x-1a, us-x-1a, us-x-1c, )
    ");
    let existing = |c: &mut CompletedCluster| {
        c.cluster.spec.network_id = Some("vpc-1".into());
        let subnet = &mut c.cluster.spec.subnets[0];
        (subnet.id, subnet.cidr) = (Some("subnet-1".into()), None);
    };
    assert_eq!(found(existing), "");
    insta::assert_snapshot!(found(|c| c.cluster.spec.subnets.clear()).lines().next().unwrap(), @r"cluster.spec.subnets: there is no subnet");
}

#[test]
fn etcd_clusters() {
    insta::assert_snapshot!(found(|c| {
        c.cluster.spec.etcd_clusters.remove(1);
        let etcd = &mut c.cluster.spec.etcd_clusters[0];
        etcd.etcd_members.pop();
        etcd.etcd_members[0].name = "b".into();
        etcd.etcd_members[1].instance_group = "nodes".into();
    }), @r"
    cluster.spec.etcdClusters: there is no etcd cluster `events`
    cluster.spec.etcdClusters[0].etcdMembers: the etcd cluster `main` has 2 members, and needs an odd number (an even number survives no more failures than one member fewer: add one more control-plane group with `kops create ig NAME --role control-plane --subnet SUBNET`, or delete some with `kops delete ig NAME…`, which takes several)
    cluster.spec.etcdClusters[0].etcdMembers[1].name: another member has the name `b`
    cluster.spec.etcdClusters[0].etcdMembers[1].instanceGroup: the instance group `nodes` is not of the control plane
    cluster.spec.etcdClusters[0].etcdMembers: no member is in the control-plane group `master-us-x-1b` (`kops delete ig master-us-x-1b` deletes the group with its members; otherwise keep a member in it)
    cluster.spec.etcdClusters[0].etcdMembers: no member is in the control-plane group `master-us-x-1c` (`kops delete ig master-us-x-1c` deletes the group with its members; otherwise keep a member in it)
    ");
    insta::assert_snapshot!(found(|c| {
        c.cluster.spec.etcd_clusters[1].name = "cilium".into();
        c.cluster.spec.etcd_clusters[1].version = Some("2.2.1".into());
        let members = &mut c.cluster.spec.etcd_clusters[0].etcd_members;
        members[0].instance_group = "gone".into();
        members[1].name = "B".into();
        members[2].instance_group = members[1].instance_group.clone();
        members[2].volume_size = Some(0);
        members[2].volume_type = Some("gp4".into());
    }), @r"
    cluster.spec.etcdClusters: there is no etcd cluster `events`
    cluster.spec.etcdClusters[0].etcdMembers[0].instanceGroup: there is no instance group `gone` (`kops create ig gone --role control-plane --subnet SUBNET` makes the group with its members; `kops replace --force -f FILE` takes cluster and group from one file)
    cluster.spec.etcdClusters[0].etcdMembers[1].name: `B` has upper-case letters, which names of members have not (write b)
    cluster.spec.etcdClusters[0].etcdMembers[2].instanceGroup: another member is in the group `master-us-x-1b`
    cluster.spec.etcdClusters[0].etcdMembers[2].volumeType: `gp4` is not a type of volume (the types are gp2, gp3, io1, io2, sc1, st1, standard)
    cluster.spec.etcdClusters[0].etcdMembers: no member is in the control-plane group `master-us-x-1a` (`kops delete ig master-us-x-1a` deletes the group with its members; otherwise keep a member in it)
    cluster.spec.etcdClusters[0].etcdMembers: no member is in the control-plane group `master-us-x-1c` (`kops delete ig master-us-x-1c` deletes the group with its members; otherwise keep a member in it)
    cluster.spec.etcdClusters[1].name: `cilium` is not used by anything (the etcd clusters are main and events)
    cluster.spec.etcdClusters[1].version: etcd 2.2.1 is not supported (leave out the field, or write a version of 3.4, 3.5, 3.6)
    ");
    insta::assert_snapshot!(found(|c| {
        let manager = EtcdManager { backup_interval: Some(Duration::from_secs(59)), backup_retention_days: Some(0) };
        c.cluster.spec.etcd_clusters[1].manager = Some(manager);
    }), @r"
    cluster.spec.etcdClusters[1].manager.backupInterval: 59s is too short a time between two backups (a minute (1m) is the shortest)
    cluster.spec.etcdClusters[1].manager.backupRetentionDays: no backup would be kept (keep them for a day at least)
    ");
    insta::assert_snapshot!(found(|c| c.groups[0].spec.subnets.push("us-x-1b".into())), @r"
    cluster.spec.etcdClusters[0].etcdMembers[0].instanceGroup: the instance group `master-us-x-1a` is in several zones, and a member's volume in one (make one control-plane group a zone)
    cluster.spec.etcdClusters[1].etcdMembers[0].instanceGroup: the instance group `master-us-x-1a` is in several zones, and a member's volume in one (make one control-plane group a zone)
    ");
}

#[test]
fn groups() {
    insta::assert_snapshot!(found(|c| {
        let spec = &mut c.groups[3].spec;
        (spec.min_size, spec.max_size) = (Some(3), Some(2));
        spec.subnets.extend(["us-x-1a".into(), "us-x-1z".into()]);
        spec.zones = vec!["us-x-1z".into()];
        spec.image = Some(" ".into());
        spec.tenancy = Some("shared".into());
        spec.max_price = Some("cheap".into());
        spec.node_labels.insert("a b".into(), "c d".into());
        spec.taints = vec!["a=b:NoSchedule".into(), "a=b".into()];
        spec.external_load_balancers = vec![Default::default()];
        spec.instance_metadata.as_mut().unwrap().http_put_response_hop_limit = Some(0);
        let none = Some(CountOrPercent::Count(0));
        spec.rolling_update = Some(RollingUpdate { max_surge: none, max_unavailable: none, drain_and_terminate: None });
    }), @r#"
    instanceGroup[nodes].spec.minSize: 3 is more than `spec.maxSize` (2)
    instanceGroup[nodes].spec.subnets[3]: the subnet `us-x-1a` is there twice
    instanceGroup[nodes].spec.subnets[4]: there is no subnet `us-x-1z` (the subnets are us-x-1a, us-x-1b, us-x-1c)
    instanceGroup[nodes].spec.zones[0]: no subnet of the group is in the zone `us-x-1z`
    instanceGroup[nodes].spec.zones: the group's subnets are in the zone `us-x-1a` too (leave out the zones, and name the subnets of those zones only)
    instanceGroup[nodes].spec.image: the value is empty
    instanceGroup[nodes].spec.tenancy: `shared` is not one of default, dedicated, host
    instanceGroup[nodes].spec.maxPrice: `cheap` is not a price (write USD per hour, such as "0.05")
    instanceGroup[nodes].spec.instanceMetadata.httpPutResponseHopLimit: 0 is not between 1 and 64
    instanceGroup[nodes].spec.nodeLabels[a b]: `a b` is not the key of a label
    instanceGroup[nodes].spec.nodeLabels[a b]: `c d` is not the value of a label
    instanceGroup[nodes].spec.taints[1]: `a=b` is not a taint such as dedicated=gpu:NoSchedule (effects: NoSchedule, PreferNoSchedule, NoExecute)
    instanceGroup[nodes].spec.externalLoadBalancers[0]: exactly one of `loadBalancerName` and `targetGroupArn` is needed
    instanceGroup[nodes].spec.rollingUpdate: with neither surge nor unavailable machines nothing could ever be replaced
    "#);
    insta::assert_snapshot!(found(|c| {
        c.groups[0].spec.max_size = Some(2);
        c.groups[1].metadata.labels.clear();
        let mut twin = c.groups[3].clone();
        twin.spec.subnets.clear();
        c.groups.push(twin);
        c.cluster.spec.subnets[0].type_ = Some(crate::manifest::SubnetType::Utility);
    }), @r"
    instanceGroup[master-us-x-1a].spec.maxSize: a control-plane group has one machine, not up to 2 (make one group for each control-plane machine)
    instanceGroup[master-us-x-1a].spec.subnets[0]: `us-x-1a` is a utility subnet, which holds load balancers and bastions only
    instanceGroup[master-us-x-1b].metadata.labels: the group belongs to ``, not to `demo.k8s.local`
    instanceGroup[nodes].spec.subnets[0]: `us-x-1a` is a utility subnet, which holds load balancers and bastions only
    instanceGroup[nodes].metadata.name: another group has the same name
    instanceGroup[nodes].spec.subnets: the group has no subnet
    ");
    insta::assert_snapshot!(found(|c| {
        c.groups[3].spec.subnets = vec!["us-x-1a".into(), "us-x-1b".into()];
        c.groups[3].spec.zones = vec!["us-x-1a".into()];
    }), @r"
    instanceGroup[nodes].spec.zones: the group's subnets are in the zone `us-x-1b` too (leave out the zones, and name the subnets of those zones only)
    ");
    insta::assert_snapshot!(found(|c| c.groups.retain(|group| group.role() != Role::Node)), @r"cluster.spec: there is no instance group of the role node");
}

#[test]
fn volumes() {
    insta::assert_snapshot!(found(|c| {
        let spec = &mut c.groups[0].spec;
        (spec.root_volume_iops, spec.root_volume_throughput, spec.root_volume_size) = (Some(100), Some(1), Some(0));
        let spec = &mut c.groups[1].spec;
        spec.root_volume_type = Some("gp2".into());
        (spec.root_volume_encryption, spec.root_volume_encryption_key) = (Some(false), Some("key".into()));
    }), @r"
    instanceGroup[master-us-x-1a].spec.rootVolumeSize: a volume of the type gp3 has 1 to 65536 GiB, not 0
    instanceGroup[master-us-x-1a].spec.rootVolumeIops: a volume of the type gp3 has 3000 to 80000 operations per second, not 100
    instanceGroup[master-us-x-1a].spec.rootVolumeThroughput: a volume of the type gp3 has 125 to 2000 MiB/s, not 1
    instanceGroup[master-us-x-1b].spec.rootVolumeIops: volumes of the type gp2 have no provisioned operations
    instanceGroup[master-us-x-1b].spec.rootVolumeThroughput: volumes of the type gp2 have no provisioned throughput
    instanceGroup[master-us-x-1b].spec.rootVolumeEncryptionKey: a key is given for a volume that is not encrypted
    ");
}

/// A valid cluster with this below `spec` of the cluster, and of the group of workers.
fn found_with(cluster: &str, group: &str) -> String {
    fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
        let reading = crate::yaml::Reading::of(&crate::yaml::read(text).unwrap()[0], "");
        assert_eq!(reading.findings, []);
        reading.value.unwrap()
    }
    found(|c| {
        let read_cluster: crate::manifest::ClusterSpec = read(cluster);
        let spec = &mut c.cluster.spec;
        spec.hooks = read_cluster.hooks;
        spec.file_assets = read_cluster.file_assets;
        spec.sysctl_parameters = read_cluster.sysctl_parameters;
        let read_group: crate::manifest::InstanceGroupSpec = read(group);
        let spec = &mut c.groups[3].spec;
        spec.hooks = read_group.hooks;
        spec.additional_user_data = read_group.additional_user_data;
    })
}

#[test]
fn what_users_put_on_machines() {
    let cluster = r##"
hooks:
- {}
- {name: kubelet, manifest: x}
- {name: "a b", execContainer: {image: "x y", environment: {"A=B": c, "": d}}}
- {name: twice, manifest: x, requires: [docker.service, "a/b"], before: [""]}
- {name: twice.service, manifest: x, execContainer: {image: x}}
- {name: x.timer, manifest: x}
- {useRawManifest: true, before: [a], requires: [b], manifest: x}
- {useRawManifest: true, execContainer: {image: x}}
- {disabled: true}
- {name: etcd.service, disabled: true}
fileAssets:
- {}
- {name: a, path: relative, content: x, mode: "999"}
- {name: ../b, content: x}
- {name: c, path: /etc/kubernetes/pki/kubernetes-ca.crt, content: x}
- {name: d, content: "%", isBase64: true}
- {name: d, content: x}
- {name: e, path: /etc/hosts, content: x}
sysctlParameters: [vm.swappiness, "# x=y", "a.b=1\nc=2", net.ipv4.ip_forward = 1]
"##;
    let group = r##"
additionalUserData:
- {}
- {name: "a\nb", type: text/plain, content: x}
- {name: ok.sh, type: text/x-shellscript, content: "#!/bin/sh"}
hooks: [{name: fine, manifest: ExecStart=/bin/true}, {name: update-engine.service, disabled: true}]
"##;
    insta::assert_snapshot!(found_with(cluster, group), @r#"
    cluster.spec.hooks[0]: exactly one of `manifest` and `execContainer` is needed
    cluster.spec.hooks[1].name: the machines' own kubelet.service cannot be a hook
    cluster.spec.hooks[2].name: `a b.service` is not the name of a unit
    cluster.spec.hooks[2].execContainer.image: `x y` is not the name of an image
    cluster.spec.hooks[2].execContainer.environment[]: this is not the name of a variable
    cluster.spec.hooks[2].execContainer.environment[A=B]: this is not the name of a variable
    cluster.spec.hooks[3].before[0]: `` is not the name of a unit
    cluster.spec.hooks[3].requires[0]: machines run containerd, not Docker (write `containerd.service`)
    cluster.spec.hooks[3].requires[1]: `a/b` is not the name of a unit
    cluster.spec.hooks[4].name: another hook has the name `twice.service`
    cluster.spec.hooks[4]: exactly one of `manifest` and `execContainer` is needed
    cluster.spec.hooks[5].name: `x.timer` is no service (write the whole unit, and `useRawManifest: true`)
    cluster.spec.hooks[6].before: `before` has no place beside a manifest that is the whole unit (write it into the manifest)
    cluster.spec.hooks[6].requires: `requires` has no place beside a manifest that is the whole unit (write it into the manifest)
    cluster.spec.hooks[7].useRawManifest: a container has no manifest
    cluster.spec.hooks[8]: a hook that is disabled needs the name of the unit to switch off
    cluster.spec.hooks[9].name: the machines' own etcd.service cannot be a hook
    cluster.spec.fileAssets[0].name: the name is missing
    cluster.spec.fileAssets[0].content: the content is missing
    cluster.spec.fileAssets[1].path: `relative` is not the absolute path of a file
    cluster.spec.fileAssets[1].mode: `999` is not a file's permissions (write octal digits, such as "0440")
    cluster.spec.fileAssets[2].path: `/srv/kubernetes/assets/../b` is not the absolute path of a file
    cluster.spec.fileAssets[3].path: the machines' own /etc/kubernetes/pki/kubernetes-ca.crt cannot be replaced
    cluster.spec.fileAssets[4].content: this is not Base64
    cluster.spec.fileAssets[5].path: another file has the path /srv/kubernetes/assets/d
    cluster.spec.fileAssets[6].path: the machines' own /etc/hosts cannot be replaced
    cluster.spec.sysctlParameters[0]: `vm.swappiness` is not a setting of the kernel (write a name and a value, such as vm.swappiness=10)
    cluster.spec.sysctlParameters[1]: `# x=y` is not a setting of the kernel (write a name and a value, such as vm.swappiness=10)
    cluster.spec.sysctlParameters[2]: `a.b=1
    c=2` is not a setting of the kernel (write a name and a value, such as vm.swappiness=10)
    instanceGroup[nodes].spec.additionalUserData[0].name: `` is not the name of a file
    instanceGroup[nodes].spec.additionalUserData[0].type: `` is not a type that cloud-init takes (the types are text/cloud-boothook, text/cloud-config, text/cloud-config-archive, text/part-handler, text/upstart-job, text/x-include-once-url, text/x-include-url, text/x-shellscript)
    instanceGroup[nodes].spec.additionalUserData[0].content: the content is missing
    instanceGroup[nodes].spec.additionalUserData[1].name: `a
    b` is not the name of a file
    instanceGroup[nodes].spec.additionalUserData[1].type: `text/plain` is not a type that cloud-init takes (the types are text/cloud-boothook, text/cloud-config, text/cloud-config-archive, text/part-handler, text/upstart-job, text/x-include-once-url, text/x-include-url, text/x-shellscript)
    "#);
}

#[test]
fn settings_that_programs_do_not_have_are_named_with_the_nearest() {
    let settings = |names: &[&str]| {
        let entries = names.iter().map(|name| ((*name).to_owned(), serde_json::json!("1")));
        Some(Settings(entries.collect()))
    };
    insta::assert_snapshot!(found(|c| {
        c.cluster.spec.kube_api_server = settings(&["auditLogMaxAge", "auditLogMaxBackup"]);
        c.cluster.spec.kube_scheduler = settings(&["kubeApiQPS", "profiling"]);
    }), @r"
    cluster.spec.kubeAPIServer.auditLogMaxBackup: kube-apiserver has no such setting (did you mean `auditLogMaxBackups`?)
    cluster.spec.kubeScheduler.kubeApiQPS: kube-scheduler has no such setting (did you mean `kubeAPIQPS`?)
    cluster.spec.kubeScheduler.profiling: kube-scheduler has no such setting
    ");
}

#[test]
fn volumes_are_as_large_and_fast_as_their_type_allows() {
    let told = |type_: &str, size, iops, throughput| {
        found(|completed| {
            let spec = &mut completed.groups[0].spec;
            spec.root_volume_type = Some(type_.to_owned());
            (spec.root_volume_size, spec.root_volume_iops, spec.root_volume_throughput) =
                (Some(size), iops, throughput);
        })
    };
    for (type_, size, iops, throughput) in [
        ("gp3", 1, Some(3000), Some(125)),
        ("gp3", 160, Some(80_000), Some(2000)),
        ("gp2", 16_384, None, None),
        ("io1", 4, Some(200), None),
        ("io2", 65_536, Some(256_000), None),
        ("standard", 1024, None, None),
    ] {
        assert_eq!(told(type_, size, iops, throughput), "", "{type_} {size} {iops:?} {throughput:?}");
    }
    let faults = [
        told("gp3", 65_537, None, None),
        told("gp3", 10, Some(5001), None),
        told("gp3", 500, Some(80_001), Some(2001)),
        told("gp3", 100, Some(3000), Some(1000)),
        told("io1", 4, Some(201), None),
        told("io1", 3, None, None),
        told("st1", 125, None, None),
        told("standard", 2000, None, None),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r"
    instanceGroup[master-us-x-1a].spec.rootVolumeSize: a volume of the type gp3 has 1 to 65536 GiB, not 65537
    instanceGroup[master-us-x-1a].spec.rootVolumeIops: 5001 operations per second are more than the 5000 that 10 GiB can have (a volume of 11 GiB can have them)
    instanceGroup[master-us-x-1a].spec.rootVolumeIops: a volume of the type gp3 has 3000 to 80000 operations per second, not 80001
    instanceGroup[master-us-x-1a].spec.rootVolumeThroughput: a volume of the type gp3 has 125 to 2000 MiB/s, not 2001
    instanceGroup[master-us-x-1a].spec.rootVolumeThroughput: 1000 MiB/s need 4000 operations per second (write rootVolumeIops: 4000)
    instanceGroup[master-us-x-1a].spec.rootVolumeIops: 201 operations per second are more than the 200 that 4 GiB can have (a volume of 5 GiB can have them)
    instanceGroup[master-us-x-1a].spec.rootVolumeSize: a volume of the type io1 has 4 to 16384 GiB, not 3
    instanceGroup[master-us-x-1a].spec.rootVolumeType: machines cannot boot from a volume of the type st1 (choose gp3, the usual type)
    instanceGroup[master-us-x-1a].spec.rootVolumeSize: a volume of the type standard has 1 to 1024 GiB, not 2000
    ");
}

#[test]
fn groups_of_several_machine_types() {
    use crate::manifest::{InstanceRequirements, MixedInstancesPolicy, Range};
    let of = |change: fn(&mut crate::manifest::InstanceGroupSpec, &mut MixedInstancesPolicy)| {
        found(|completed| {
            let last = completed.groups.last_mut().unwrap();
            let mut policy =
                MixedInstancesPolicy { instances: vec!["m5.large".into()], ..Default::default() };
            last.metadata.name = "nodes".to_owned();
            change(&mut last.spec, &mut policy);
            last.spec.mixed_instances_policy = Some(policy);
        })
    };
    assert_eq!(of(|_, policy| policy.on_demand_above_base = Some(0)), "");
    let mut told = Vec::new();
    told.push(of(|spec, policy| {
        policy.instances.clear();
        policy.spot_instance_pools = Some(21);
        policy.spot_allocation_strategy = Some("cheapest".into());
        policy.on_demand_base = Some(99);
        policy.on_demand_above_base = Some(101);
        spec.cpu_credits = Some("many".into());
        spec.instance_interruption_behavior = Some("stop".into());
        spec.max_instance_lifetime = Some("1h".into());
    }));
    told.push(of(|spec, policy| {
        policy.instances.extend(["m5.large".into(), " ".into()]);
        spec.max_instance_lifetime = Some("a day".into());
    }));
    told.push(of(|_, policy| {
        let range = |min: &str, max: &str| Some(Range { min: Some(min.into()), max: Some(max.into()) });
        policy.instances.clear();
        policy.on_demand_allocation_strategy = Some("prioritized".into());
        policy.instance_requirements = Some(InstanceRequirements {
            cpu: range("4", "2"),
            memory: range("1.5Gi", "8Gi"),
            ..Default::default()
        });
    }));
    told.push(found(|completed| {
        completed.groups[0].spec.max_instance_lifetime = Some("48h".into());
    }));
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn settings_of_add_ons_that_cannot_be() {
    let told = found(|completed| {
        let spec = &mut completed.cluster.spec;
        spec.kube_dns = Some(KubeDns {
            domain: Some("other.local".into()),
            memory_limit: Some("1 Gi".into()),
            node_local_dns: Some(NodeLocalDns {
                cpu_request: Some("few".into()),
                local_ip: Some("::1".into()),
                ..Default::default()
            }),
            provider: Some("Unbound".into()),
            server_ip: Some("100.64.0.11".into()),
            stub_domains: [("corp example".to_owned(), vec!["10.0.0.2\n}".to_owned()])].into(),
            upstream_nameservers: vec!["dns.example.com".into()],
            ..Default::default()
        });
        spec.metrics_server =
            Some(MetricsServer { enabled: Some(true), insecure: Some(false), ..Default::default() });
        spec.cluster_autoscaler = Some(ClusterAutoscaler {
            custom_priority_expander_config: [("high".to_owned(), Vec::new())].into(),
            expander: Some("price,random".into()),
            memory_request: Some("-1".into()),
            scale_down_unneeded_time: Some("soon".into()),
            scale_down_utilization_threshold: Some("50%".into()),
            ..Default::default()
        });
        spec.node_problem_detector =
            Some(NodeProblemDetector { memory_limit: Some("100MiB".into()), ..Default::default() });
    });
    insta::assert_snapshot!(told);
}

use proptest::prelude::*;

use super::*;
use crate::manifest::{Dns, InstanceGroupSpec, Metadata, Topology};

fn subnet(name: &str, type_: Option<SubnetType>) -> Subnet {
    Subnet { name: name.to_owned(), type_, ..Subnet::default() }
}

fn cluster(name: &str, spec: ClusterSpec) -> Cluster {
    Cluster { metadata: Metadata::named(name), spec }
}

fn group(name: &str, role: Role) -> InstanceGroup {
    let spec = InstanceGroupSpec { role: Some(role), ..InstanceGroupSpec::default() };
    InstanceGroup { metadata: Metadata::in_cluster(name, "demo.k8s.local"), spec }
}

fn completed(spec: ClusterSpec, groups: &[InstanceGroup]) -> CompletedCluster {
    complete(&cluster("demo.k8s.local", spec), groups, &Recommendations::default())
}

#[test]
fn a_bare_cluster_gets_every_default() {
    let spec = ClusterSpec {
        subnets: vec![subnet("us-x-1b", None), subnet("us-x-1a", None)],
        etcd_clusters: vec![crate::manifest::EtcdCluster {
            name: "main".to_owned(),
            etcd_members: vec![EtcdMember {
                name: "a".to_owned(),
                instance_group: "m".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..ClusterSpec::default()
    };
    let completed = completed(spec, &[group("nodes", Role::Node), group("m", Role::ControlPlane)]);
    let manifests = [
        completed.cluster.clone().into(),
        completed.groups[0].clone().into(),
        completed.groups[1].clone().into(),
    ];
    insta::assert_snapshot!(crate::manifest::write(&manifests).unwrap(), @r#"
    apiVersion: kops.k8s.io/v1alpha2
    kind: Cluster
    metadata:
      name: demo.k8s.local
    spec:
      api:
        loadBalancer:
          class: Classic
          crossZoneLoadBalancing: false
          idleTimeoutSeconds: 300
          type: Public
      authorization:
        rbac: {}
      channel: stable
      clusterDNSDomain: cluster.local
      etcdClusters:
      - etcdMembers:
        - encryptedVolume: false
          instanceGroup: m
          name: a
          volumeIops: 3000
          volumeSize: 20
          volumeThroughput: 125
          volumeType: gp3
        name: main
        version: "3.6.12"
      iam:
        allowContainerRegistry: false
        legacy: false
      kubernetesVersion: "1.35.7"
      masterPublicName: api.demo.k8s.local
      networkCIDR: 172.20.0.0/16
      networking:
        kubenet: {}
      nonMasqueradeCIDR: 100.64.0.0/10
      podCIDR: 100.96.0.0/11
      serviceClusterIPRange: 100.64.0.0/13
      subnets:
      - cidr: 172.20.128.0/17
        name: us-x-1b
        type: Public
        zone: us-x-1b
      - cidr: 172.20.0.0/17
        name: us-x-1a
        type: Public
        zone: us-x-1a
      topology:
        dns:
          type: Public

    ---

    apiVersion: kops.k8s.io/v1alpha2
    kind: InstanceGroup
    metadata:
      labels:
        kops.k8s.io/cluster: demo.k8s.local
      name: m
    spec:
      associatePublicIp: true
      detailedInstanceMonitoring: false
      image: 099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260714
      instanceMetadata:
        httpPutResponseHopLimit: 1
        httpTokens: required
      machineType: t3.medium
      maxSize: 1
      minSize: 1
      role: Master
      rootVolumeDeleteOnTermination: true
      rootVolumeEncryption: true
      rootVolumeIops: 3000
      rootVolumeSize: 64
      rootVolumeThroughput: 125
      rootVolumeType: gp3
      subnets:
      - us-x-1a
      - us-x-1b

    ---

    apiVersion: kops.k8s.io/v1alpha2
    kind: InstanceGroup
    metadata:
      labels:
        kops.k8s.io/cluster: demo.k8s.local
      name: nodes
    spec:
      associatePublicIp: true
      detailedInstanceMonitoring: false
      image: 099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260714
      instanceMetadata:
        httpPutResponseHopLimit: 1
        httpTokens: required
      machineType: t3.medium
      maxSize: 2
      minSize: 2
      role: Node
      rootVolumeDeleteOnTermination: true
      rootVolumeEncryption: true
      rootVolumeIops: 3000
      rootVolumeSize: 128
      rootVolumeThroughput: 125
      rootVolumeType: gp3
      subnets:
      - us-x-1a
      - us-x-1b
    "#);
}

#[test]
fn sizes_never_cross() {
    let size = |min, max| {
        let mut nodes = group("nodes", Role::Node);
        (nodes.spec.min_size, nodes.spec.max_size) = (min, max);
        let nodes = completed(ClusterSpec::default(), &[nodes]).groups.remove(0).spec;
        (nodes.min_size.unwrap(), nodes.max_size.unwrap())
    };
    assert_eq!(size(None, None), (2, 2));
    assert_eq!(size(Some(5), None), (5, 5));
    assert_eq!(size(Some(0), None), (0, 2));
    assert_eq!(size(None, Some(1)), (1, 1));
    assert_eq!(size(None, Some(9)), (2, 9));
    assert_eq!(size(Some(3), Some(1)), (3, 1));
}

#[test]
fn the_way_to_the_api_follows_from_names_and_subnets() {
    let api = |name: &str, dns, type_| {
        let spec = ClusterSpec {
            subnets: vec![subnet("us-x-1a", Some(type_))],
            topology: Some(Topology { dns: Some(Dns { type_: dns }), ..Topology::default() }),
            ..ClusterSpec::default()
        };
        let completed = complete(&cluster(name, spec), &[], &Recommendations::default());
        (completed.load_balancer().and_then(|balancer| balancer.class), completed.has_hosted_zone())
    };
    let (public, private) = (SubnetType::Public, SubnetType::Private);
    assert_eq!(api("a.k8s.local", None, public), (Some(LoadBalancerClass::Classic), false));
    assert_eq!(api("a.example.com", Some(DnsType::None), public), (Some(LoadBalancerClass::Network), false));
    assert_eq!(api("a.example.com", None, public), (None, true));
    assert_eq!(api("a.example.com", None, private), (Some(LoadBalancerClass::Network), true));
}

#[test]
fn addresses_are_public_in_public_subnets_only() {
    let spec = ClusterSpec {
        subnets: vec![
            subnet("a", None),
            subnet("b", Some(SubnetType::Private)),
            subnet("u", Some(SubnetType::Utility)),
        ],
        ..ClusterSpec::default()
    };
    let public = |subnets: &[&str]| {
        let mut nodes = group("nodes", Role::Node);
        nodes.spec.subnets = subnets.iter().map(|name| (*name).to_owned()).collect();
        completed(spec.clone(), &[nodes]).groups[0].spec.associate_public_ip
    };
    assert_eq!(public(&["a"]), Some(true));
    assert_eq!(public(&["u"]), Some(true));
    assert_eq!(public(&["a", "b"]), Some(false));
    assert_eq!(public(&[]), Some(false), "all but utility subnets");
}

#[test]
fn existing_networks_keep_their_range_to_themselves() {
    let spec = ClusterSpec { network_id: Some("vpc-1".to_owned()), ..ClusterSpec::default() };
    assert_eq!(assign(&cluster("a.k8s.local", spec)).spec.network_cidr, None);
}

#[test]
fn the_image_follows_the_version_unless_one_is_recommended() {
    let image = |version: &str, image: Option<&str>| {
        let spec = ClusterSpec { kubernetes_version: Some(version.to_owned()), ..ClusterSpec::default() };
        let recommendations =
            Recommendations { image: image.map(str::to_owned), ..Recommendations::default() };
        let completed =
            complete(&cluster("a.k8s.local", spec), &[group("nodes", Role::Node)], &recommendations);
        completed.groups[0].spec.image.clone().unwrap()
    };
    assert!(image("v1.20.2", None).contains("focal"));
    assert!(image("1.36.0", None).contains("noble"));
    assert_eq!(image("1.36.0", Some("ami-1")), "ami-1");
}

prop_compose! {
    fn any_cluster()(
        name in prop::sample::select(vec!["a.k8s.local", "a.example.com", ""]),
        version in prop::option::of("v?1\\.(20|29|30|36|99)\\.[0-9]|new"),
        network in prop::option::of(prop::sample::select(vec!["10.0.0.0/16", "10.0.0.0/31"])),
        network_id in prop::option::of(Just("vpc-1".to_owned())),
        dns in prop::option::of(prop::sample::select(vec![DnsType::Public, DnsType::Private, DnsType::None])),
        class in prop::option::of(prop::sample::select(vec![LoadBalancerClass::Classic, LoadBalancerClass::Network])),
        has_api in any::<bool>(),
        subnets in prop::collection::vec((
            "[ab]?",
            prop::option::of(prop::sample::select(vec![SubnetType::Public, SubnetType::Private, SubnetType::Utility])),
            prop::option::of(prop::sample::select(vec!["10.0.0.0/20", "10.0.128.0/17", "172.20.0.0/19"])),
        ), 0..5),
        volume in prop::option::of(prop::sample::select(vec!["gp2", "gp3", "io1"])),
    ) -> Cluster {
        let member = EtcdMember { volume_type: volume.map(str::to_owned), ..EtcdMember::default() };
        let etcd = crate::manifest::EtcdCluster { etcd_members: vec![member], ..Default::default() };
        let balancer = LoadBalancer { class, ..LoadBalancer::default() };
        let subnet = |(name, type_, cidr): (String, Option<SubnetType>, Option<&str>)| {
            Subnet { cidr: cidr.map(|cidr| cidr.parse().unwrap()), ..subnet(&name, type_) }
        };
        cluster(name, ClusterSpec {
            api: has_api.then_some(Api { dns: None, load_balancer: class.map(|_| balancer) }),
            etcd_clusters: vec![etcd],
            kubernetes_version: version,
            network_cidr: network.map(|network| network.parse().unwrap()),
            network_id,
            subnets: subnets.into_iter().map(subnet).collect(),
            topology: dns.map(|dns| Topology { dns: Some(Dns { type_: Some(dns) }), ..Topology::default() }),
            ..ClusterSpec::default()
        })
    }
}

prop_compose! {
    fn any_group()(
        name in "[abc]",
        role in prop::option::of(prop::sample::select(vec![Role::ControlPlane, Role::Node, Role::Bastion])),
        min_size in prop::option::of(0_u32..5),
        max_size in prop::option::of(0_u32..5),
        subnets in prop::collection::vec("[abz]", 0..3),
        volume in prop::option::of(prop::sample::select(vec!["gp2", "gp3", "io2"])),
        iops in prop::option::of(100_u32..5000),
    ) -> InstanceGroup {
        let spec = InstanceGroupSpec {
            role,
            min_size,
            max_size,
            subnets,
            root_volume_type: volume.map(str::to_owned),
            root_volume_iops: iops,
            ..InstanceGroupSpec::default()
        };
        InstanceGroup { metadata: Metadata::named(name), spec }
    }
}

proptest! {
    #[test]
    fn completing_twice_changes_nothing(
        cluster in any_cluster(),
        groups in prop::collection::vec(any_group(), 0..4),
    ) {
        let recommendations = Recommendations::default();
        let once = complete(&cluster, &groups, &recommendations);
        let twice = complete(&once.cluster, &once.groups, &recommendations);
        prop_assert_eq!(&twice, &once);
        prop_assert_eq!(assign(&assign(&cluster)), assign(&cluster));
        // Whatever is wrong is said, and nothing panics.
        crate::manifest::validate(&once);
        crate::manifest::unsupported(&once);
    }

    #[test]
    fn what_was_written_stays(cluster in any_cluster(), group in any_group()) {
        let completed = complete(&cluster, std::slice::from_ref(&group), &Recommendations::default());
        let spec = &completed.groups[0].spec;
        prop_assert!(group.spec.min_size.is_none_or(|size| spec.min_size == Some(size)));
        prop_assert!(group.spec.max_size.is_none_or(|size| spec.max_size == Some(size)));
        prop_assert!(group.spec.root_volume_iops.is_none_or(|iops| spec.root_volume_iops == Some(iops)));
        for (before, after) in cluster.spec.subnets.iter().zip(&completed.cluster.spec.subnets) {
            prop_assert!(before.cidr.is_none_or(|cidr| after.cidr == Some(cidr)));
        }
    }
}

use super::*;
use crate::manifest::{
    LoadBalancerClass, Placement, Recommendations, complete, read, unsupported, validate, write,
};
use crate::node::Architecture;
use proptest::prelude::*;

fn options(name: &str, zones: &[&str]) -> Options {
    Options {
        cloud_provider: "aws".to_owned(),
        name: name.to_owned(),
        state_store: "s3://bucket/".to_owned(),
        zones: strings(zones),
        ..Options::default()
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn error(options: &Options) -> String {
    manifests(options).unwrap_err().to_string()
}

#[test]
fn local_names_get_the_shape_of_kops_1_10() {
    let options = Options {
        control_plane_zones: strings(&["ap-northeast-1a"]),
        node_volume_size: Some(20),
        image: Some("ami-1".to_owned()),
        ssh_public_key: Some("ssh-ed25519 AAAA me\n".to_owned()),
        ..options("demo.k8s.local", &["ap-northeast-1d", "ap-northeast-1a", "ap-northeast-1c"])
    };
    insta::assert_snapshot!(write(&manifests(&options).unwrap().manifests()).unwrap(), @r#"
    apiVersion: kops.k8s.io/v1alpha2
    kind: Cluster
    metadata:
      name: demo.k8s.local
    spec:
      api:
        loadBalancer:
          class: Network
          type: Public
      authorization:
        rbac: {}
      channel: stable
      cloudProvider: aws
      configBase: s3://bucket/demo.k8s.local
      etcdClusters:
      - etcdMembers:
        - encryptedVolume: true
          instanceGroup: master-ap-northeast-1a
          name: a
        name: main
      - etcdMembers:
        - encryptedVolume: true
          instanceGroup: master-ap-northeast-1a
          name: a
        name: events
      iam:
        allowContainerRegistry: true
        legacy: false
      kubelet:
        anonymousAuth: false
      kubernetesApiAccess:
      - 0.0.0.0/0
      kubernetesVersion: "1.35.7"
      masterPublicName: api.demo.k8s.local
      networkCIDR: 172.20.0.0/16
      networking:
        kubenet: {}
      nonMasqueradeCIDR: 100.64.0.0/10
      sshAccess:
      - 0.0.0.0/0
      subnets:
      - cidr: 172.20.0.0/18
        name: ap-northeast-1a
        type: Public
        zone: ap-northeast-1a
      - cidr: 172.20.64.0/18
        name: ap-northeast-1c
        type: Public
        zone: ap-northeast-1c
      - cidr: 172.20.128.0/18
        name: ap-northeast-1d
        type: Public
        zone: ap-northeast-1d
      topology:
        dns:
          type: Public
        masters: public
        nodes: public

    ---

    apiVersion: kops.k8s.io/v1alpha2
    kind: InstanceGroup
    metadata:
      labels:
        kops.k8s.io/cluster: demo.k8s.local
      name: master-ap-northeast-1a
    spec:
      image: ami-1
      machineType: t3.medium
      maxSize: 1
      minSize: 1
      nodeLabels:
        kops.k8s.io/instancegroup: master-ap-northeast-1a
      role: Master
      subnets:
      - ap-northeast-1a

    ---

    apiVersion: kops.k8s.io/v1alpha2
    kind: InstanceGroup
    metadata:
      labels:
        kops.k8s.io/cluster: demo.k8s.local
      name: nodes
    spec:
      image: ami-1
      machineType: t3.medium
      maxSize: 2
      minSize: 2
      nodeLabels:
        kops.k8s.io/instancegroup: nodes
      role: Node
      rootVolumeSize: 20
      subnets:
      - ap-northeast-1a
      - ap-northeast-1c
      - ap-northeast-1d

    ---

    apiVersion: kops.k8s.io/v1alpha2
    kind: SSHCredential
    metadata:
      labels:
        kops.k8s.io/cluster: demo.k8s.local
      name: admin
    spec:
      publicKey: ssh-ed25519 AAAA me
    "#);
}

#[test]
fn other_names_get_todays_shape() {
    let options = Options { node_count: Some(3), ..options("demo.example.com", &["us-x-1b", "us-x-1a"]) };
    let created = manifests(&options).unwrap();
    let sizes: Vec<_> = created
        .groups
        .iter()
        .map(|group| {
            format!("{}={} {}", group.name(), group.spec.min_size.unwrap(), group.spec.subnets.join(","))
        })
        .collect();
    assert_eq!(
        sizes,
        ["control-plane-us-x-1b=1 us-x-1b", "nodes-us-x-1a=1 us-x-1a", "nodes-us-x-1b=2 us-x-1b"]
    );
    let spec = created.cluster.spec;
    assert_eq!(spec.master_public_name, None);
    assert_eq!(spec.topology.unwrap().dns.unwrap().type_, Some(DnsType::None));
}

#[test]
fn the_load_balancer_is_a_network_one_unless_a_classic_one_is_asked_for() {
    for name in ["demo.k8s.local", "demo.example.com"] {
        for (asked, expected) in [
            (None, LoadBalancerClass::Network),
            (Some(LoadBalancerClass::Classic), LoadBalancerClass::Classic),
        ] {
            let options = Options { api_load_balancer_class: asked, ..options(name, &["ap-northeast-1a"]) };
            let api = manifests(&options).unwrap().cluster.spec.api.unwrap();
            assert_eq!(api.load_balancer.unwrap().class, Some(expected), "{name}");
        }
    }
}

#[test]
fn a_hosted_zone_must_be_asked_for() {
    let options = Options { dns: Some(DnsType::Private), ..options("demo.example.com", &["us-x-1a"]) };
    let spec = manifests(&options).unwrap().cluster.spec;
    assert_eq!(spec.master_public_name.as_deref(), Some("api.demo.example.com"));
    let api = spec.api.unwrap();
    assert!(api.dns.is_some() && api.load_balancer.is_none());
}

#[test]
fn a_local_name_without_dns_gets_todays_shape() {
    let options = Options { dns: Some(DnsType::None), ..options("demo.k8s.local", &["us-x-1a"]) };
    assert_eq!(manifests(&options).unwrap().groups[0].name(), "control-plane-us-x-1a");
}

#[test]
fn more_machines_than_zones_are_numbered() {
    let options =
        Options { control_plane_count: Some(3), ..options("demo.k8s.local", &["us-x-1a", "us-x-1b"]) };
    let created = manifests(&options).unwrap();
    let members = &created.cluster.spec.etcd_clusters[1].etcd_members;
    let members: Vec<_> =
        members.iter().map(|member| format!("{}@{}", member.name, member.instance_group)).collect();
    assert_eq!(members, ["a-1@master-us-x-1a-1", "b-1@master-us-x-1b-1", "a-2@master-us-x-1a-2"]);
    let warning = created.warnings.last().unwrap().message.as_str();
    assert_eq!(
        warning,
        "3 control-plane machines share 2 zones: the loss of a zone may be the loss of the cluster"
    );
}

#[test]
fn private_clusters_have_utility_subnets_and_a_bastion() {
    for (name, subnet) in [("demo.k8s.local", "utility-us-x-1a"), ("demo.example.com", "us-x-1a")] {
        let options = Options { topology: Placement::Private, bastion: true, ..options(name, &["us-x-1a"]) };
        let created = manifests(&options).unwrap();
        assert_eq!(created.groups[0].name(), "bastions");
        assert_eq!(created.groups[0].spec.subnets, [subnet]);
        let completed = complete(&created.cluster, &created.groups, &Recommendations::default());
        assert_eq!(validate(&completed), []);
        assert_eq!(unsupported(&completed), []);
    }
}

#[test]
fn access_is_open_unless_it_is_closed() {
    let open = manifests(&options("demo.k8s.local", &["us-x-1a"])).unwrap();
    let paths: Vec<_> = open.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["spec.kubernetesApiAccess", "spec.sshAccess"]);

    let admin_access = vec!["203.0.113.0/24".parse().unwrap()];
    let closed = Options { admin_access: admin_access.clone(), ..options("demo.k8s.local", &["us-x-1a"]) };
    let closed = manifests(&closed).unwrap();
    assert_eq!(closed.warnings, []);
    assert_eq!(
        (closed.cluster.spec.kubernetes_api_access, closed.cluster.spec.ssh_access),
        (admin_access.clone(), admin_access)
    );
}

#[test]
fn options_that_make_no_sense_are_errors() {
    let base = options("demo.k8s.local", &["us-x-1a", "us-x-1b"]);
    let with = |change: &dyn Fn(&mut Options)| {
        let mut options = base.clone();
        change(&mut options);
        error(&options)
    };
    let errors = [
        with(&|o| o.zones.clear()),
        with(&|o| o.zones.push("us-x-1a".to_owned())),
        with(&|o| o.zones.push("us-x-1".to_owned())),
        with(&|o| o.control_plane_zones = strings(&["foo"])),
        with(&|o| o.control_plane_zones = o.zones.clone()),
        with(&|o| o.control_plane_count = Some(2)),
        with(&|o| o.control_plane_count = Some(0)),
        with(&|o| (o.control_plane_zones, o.control_plane_count) = (o.zones.clone(), Some(1))),
        with(&|o| o.networking = Some("telepathy".to_owned())),
        with(&|o| o.bastion = true),
        with(&|o| o.network_id = Some("vpc-1".to_owned())),
        with(&|o| o.ssh_public_key = Some("secret".to_owned())),
        with(&|o| o.sets = strings(&["cluster.spec.nope=1"])),
        with(&|o| o.sets = strings(&["cluster.spec.kubelet"])),
        with(&|o| o.sets = strings(&["cluster.spec.subnets[7].cidr=10.0.0.0/8"])),
        with(&|o| o.sets = strings(&["cluster.metadata.name=x"])),
        with(&|o| {
            o.name = "demo".to_owned();
            o.kubernetes_version = Some("1.19.0".to_owned());
            o.zones.push("eu-y-1a".to_owned());
            o.network_cidr = Some("10.0.0.0/8".parse().unwrap());
        }),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r"
    --zones: at least one zone is needed
    --zones: the zone `us-x-1a` is there twice, the second time as number 3
    --zones: `us-x-1` is a region, not a zone (did you mean us-x-1a?)
    --control-plane-zones: `foo` is not the name of a zone (write the region with the zone's letter, such as eu-west-1a)
    --control-plane-zones: 2 is not an odd number, which etcd needs
    --control-plane-count: 2 is not an odd number, which etcd needs
    --control-plane-count: 0 is not an odd number, which etcd needs
    --control-plane-count: 1 machines cannot be in 2 zones; leave out one of the options
    --networking: `telepathy` is not a network plugin that is known, such as kubenet, cni or calico
    --bastion: a bastion needs `--topology private`
    --network-cidr: the address range of the existing network is needed
    --ssh-public-key: this is not an OpenSSH public key
    --set: `cluster.spec.nope=1`: there is no such field
    --set: `cluster.spec.kubelet`: this is not of the form FIELD=VALUE
    --set: `cluster.spec.subnets[7].cidr=10.0.0.0/8`: there is no such element in the list
    --set: `cluster.metadata.name=x`: fields begin with `cluster.spec.`
    these options do not make a valid cluster:
      cluster.spec.kubernetesVersion: Kubernetes 1.19.0 is not supported (supported are 1.20, 1.30, 1.31, 1.32, 1.33, 1.34, 1.35, 1.36)
      cluster.spec.networkCIDR: 10.0.0.0/8 is not between /16 and /28
      cluster.spec.subnets[0].cidr: 10.0.0.0/10 is not between /16 and /28
      cluster.spec.subnets[1].cidr: 10.64.0.0/10 is not between /16 and /28
      cluster.spec.subnets[1].zone: `us-x-1a` is not in the region of `eu-y-1a` (eu-y-1)
      cluster.spec.subnets[2].cidr: 10.128.0.0/10 is not between /16 and /28
      cluster.spec.subnets[2].zone: `us-x-1b` is not in the region of `eu-y-1a` (eu-y-1)
    ");
}

#[test]
fn single_fields_can_be_set() {
    let options = Options {
        sets: strings(&[
            "cluster.spec.etcdClusters[*].version=3.5.0",
            "spec.subnets[0].cidr=172.20.4.0/22",
            "cluster.spec.nodePortAccess=10.0.0.0/8",
            "cluster.spec.cloudConfig.multizone=true",
            "cluster.spec.cloudLabels.Owner=a,b",
        ]),
        ..options("demo.example.com", &["us-x-1a"])
    };
    let spec = manifests(&options).unwrap().cluster.spec;
    assert!(spec.etcd_clusters.iter().all(|etcd| etcd.version.as_deref() == Some("3.5.0")));
    assert_eq!(spec.subnets[0].cidr, Some("172.20.4.0/22".parse().unwrap()));
    assert_eq!(spec.node_port_access.len(), 1);
    assert_eq!(spec.cloud_config.unwrap().get("multizone"), Some(&true.into()));
    assert_eq!(spec.cloud_labels["Owner"], "a,b");
}

prop_compose! {
    fn any_options()(
        is_local in any::<bool>(),
        is_private in any::<bool>(),
        zones in prop::sample::subsequence(vec!["us-x-1a", "us-x-1b", "us-x-1c", "us-x-1d"], 1..=4).prop_shuffle(),
        extra_zone in any::<bool>(),
        rounds in 0_u32..3,
        node_count in prop::option::of(0_u32..9),
        networking in prop::sample::select(vec!["kubenet", "cni", "cilium"]),
        network in prop::option::of(prop::sample::select(vec!["10.0.0.0/16", "10.1.0.0/18", "192.168.0.0/20"])),
    ) -> Options {
        let name = if is_local { "demo.k8s.local" } else { "demo.example.com" };
        Options {
            control_plane_zones: if extra_zone { strings(&["us-x-1e"]) } else { Vec::new() },
            control_plane_count: (rounds > 0).then_some(2 * rounds + 1),
            network_cidr: network.map(|network| network.parse().unwrap()),
            networking: Some(networking.to_owned()),
            node_count,
            topology: if is_private { Placement::Private } else { Placement::Public },
            ..options(name, &zones)
        }
    }
}

proptest! {
    #[test]
    fn what_is_made_is_valid_and_survives_being_stored(options in any_options()) {
        let created = manifests(&options).unwrap();
        let manifests = created.manifests();
        let read = read("stored", &write(&manifests).unwrap()).unwrap();
        prop_assert_eq!(&read.manifests, &manifests);
        prop_assert!(read.warnings.is_empty());

        let completed = complete(&created.cluster, &created.groups, &options.recommendations);
        prop_assert_eq!(validate(&completed), []);
        let again = complete(&completed.cluster, &completed.groups, &Recommendations::default());
        prop_assert_eq!(again, completed);
    }
}

#[test]
fn images_go_by_the_architecture_of_the_machine_types() {
    let recommendations = Recommendations {
        architecture: |machine_type| match machine_type {
            "small.arm" => Architecture::Arm64,
            _ => Architecture::Amd64,
        },
        ..Recommendations::default()
    };
    let options = Options {
        node_size: Some("small.arm".to_owned()),
        recommendations: recommendations.clone(),
        ..options("demo.k8s.local", &["us-x-1a"])
    };
    let created = manifests(&options).unwrap();
    let images: Vec<&str> = created.groups.iter().map(|group| group.spec.image.as_deref().unwrap()).collect();
    assert!(images[0].contains("-amd64-") && images[1].contains("-arm64-"), "{images:?}");

    let mut bare = created.groups.clone();
    bare.iter_mut().for_each(|group| group.spec.image = None);
    let completed = complete(&created.cluster, &bare, &recommendations);
    let again: Vec<&str> =
        completed.groups.iter().map(|group| group.spec.image.as_deref().unwrap()).collect();
    assert_eq!(again, images);
}

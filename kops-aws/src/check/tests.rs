use std::collections::BTreeMap;

use kops_core::create::{self, Options};
use kops_core::manifest::{Subnet, complete};

use super::*;
use crate::facts::{SharedVpc, StateLocation};
use crate::model::model;
use crate::provider::recommendations;
use crate::resource::AwsResource;
use crate::simulated::in_world;

fn cluster(zones: &[&str], change: impl FnOnce(&mut Options)) -> CompletedCluster {
    let mut options = Options {
        cloud_provider: "aws".to_owned(),
        name: "demo.k8s.local".to_owned(),
        recommendations: recommendations(),
        state_store: "s3://bucket".to_owned(),
        zones: zones.iter().map(|zone| (*zone).to_owned()).collect(),
        ..Options::default()
    };
    change(&mut options);
    let created = create::manifests(&options).unwrap();
    complete(&created.cluster, &created.groups, &options.recommendations)
}

fn facts(completed: &CompletedCluster) -> Facts {
    let state = StateLocation::Unreachable("here".to_owned());
    in_world(Facts::simulated(completed, state, None), std::iter::empty(), completed.name())
}

fn told(violations: &[Violation]) -> String {
    list_of(violations.iter().map(ToString::to_string))
}

fn list_of(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

fn missing(completed: &CompletedCluster) -> String {
    told(&check(completed, &facts(completed)))
}

fn refused(completed: &CompletedCluster) -> String {
    told(&check_limits(completed, &resources(completed)))
}

fn resources(completed: &CompletedCluster) -> Vec<AwsResource> {
    model(completed, &facts(completed)).unwrap()
}

fn warned(completed: &CompletedCluster) -> String {
    list_of(warnings(completed, &facts(completed), &resources(completed)))
}

#[test]
fn what_is_there_is_fine() {
    let completed = cluster(&["eu-west-1a", "eu-west-1b"], |_| {});
    assert_eq!(missing(&completed), "");
    assert_eq!(refused(&completed), "");
    assert_eq!(warned(&completed), "");
}

#[test]
fn regions_zones_and_machine_types_that_are_not_there_are_named() {
    let with = |zones: &[&str], change: fn(&mut Options)| missing(&cluster(zones, change));
    let faults = [
        with(&["us-est-1a"], |_| {}),
        with(&["us-east-1z"], |_| {}),
        with(&["us-east-1a"], |o| o.node_size = Some("t2.micre".to_owned())),
        with(&["us-east-1a", "us-east-1e"], |_| {}),
        with(&["us-east-1e"], |o| {
            (o.node_size, o.control_plane_size) = (Some("t2.medium".to_owned()), Some("m4.large".to_owned()));
        }),
    ];
    insta::assert_snapshot!(list_of(faults), @r"
    cluster.spec.subnets[0].zone: there is no region `us-est-1` (did you mean us-east-1?)
    cluster.spec.subnets[0].zone: there is no zone `us-east-1z` that the account can use in us-east-1 (the zones are us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1e, us-east-1f)
    instanceGroup[nodes].spec.machineType: there is no machine type `t2.micre` in us-east-1 (did you mean t2.micro?)
    instanceGroup[nodes].spec.machineType: us-east-1e does not have the machine type `t3.medium`; these have it: us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f (choose another machine type, or give the group subnets in other zones)
    ");
}

#[test]
fn images_follow_the_architecture_of_machine_types() {
    const IMAGE: &str = "099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260714";
    let mut completed = cluster(&["eu-west-1a"], |options| options.node_size = Some("t4g.medium".to_owned()));
    let nodes = completed.groups.iter().position(|group| group.name() == "nodes").unwrap();
    assert!(completed.groups[nodes].spec.image.as_ref().unwrap().contains("arm64"));
    assert_eq!(missing(&completed), "");
    let of_template = |completed: &CompletedCluster| {
        let resources = resources(completed);
        let template = resources.iter().find_map(|resource| match resource {
            AwsResource::LaunchTemplate(template) if template.name == "nodes.demo.k8s.local" => {
                Some(template)
            }
            _ => None,
        });
        template.unwrap().image_id.clone()
    };
    let image = of_template(&completed);
    assert_eq!(warned(&completed), "");

    completed.groups[nodes].spec.image = Some(IMAGE.to_owned());
    assert_eq!(missing(&completed), "");
    assert_eq!(of_template(&completed), image, "the same image for the other architecture");
    insta::assert_snapshot!(warned(&completed), @"instance group nodes: 099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260714 is for x86_64, and machines of the type t4g.medium are arm64: they get ami-8eaaf9acd497cecf4, the same image for that");

    let mut world = facts(&completed);
    let only = world.images[IMAGE][0].clone();
    world.images.insert(IMAGE.to_owned(), vec![only]);
    completed.groups[nodes].spec.root_volume_size = Some(7);
    insta::assert_snapshot!(told(&check(&completed, &world)), @r"
    instanceGroup[nodes].spec.image: the image is for x86_64, and t4g.medium is arm64 (choose an image for the machine type, or another machine type)
    instanceGroup[nodes].spec.rootVolumeSize: 7 GiB are less than the image has, which is 8 GiB
    ");
}

#[test]
fn ranges_in_an_existing_network_have_to_be_free() {
    let completed = cluster(&["eu-west-1a", "eu-west-1b"], |options| {
        options.network_id = Some("vpc-1".to_owned());
        options.network_cidr = Some("10.0.0.0/16".parse().unwrap());
    });
    assert_eq!(missing(&completed), "");
    let mut world = facts(&completed);
    world.vpc = Some(SharedVpc {
        id: "vpc-1".to_owned(),
        cidrs: vec!["10.0.0.0/17".parse().unwrap()],
        internet_gateway: Some("igw-1".to_owned()),
        dhcp_options: None,
        foreign_subnets: BTreeMap::from([("subnet-1".to_owned(), "10.0.32.0/20".parse().unwrap())]),
    });
    insta::assert_snapshot!(told(&check(&completed, &world)), @r"
    cluster.spec.networkCIDR: vpc-1 does not have the range 10.0.0.0/16 (its ranges are 10.0.0.0/17)
    cluster.spec.subnets[0].cidr: 10.0.0.0/17 overlaps the existing subnet subnet-1 (10.0.32.0/20) of vpc-1 (choose a range that is free, or name the existing subnet by its id)
    cluster.spec.subnets[1].cidr: 10.0.128.0/17 is not inside vpc-1 (10.0.0.0/17)
    ");
    let mut named = completed.clone();
    named.cluster.spec.subnets =
        vec![Subnet { id: Some("subnet-1".to_owned()), ..completed.cluster.spec.subnets[0].clone() }];
    named.cluster.spec.network_cidr = Some("10.0.0.0/17".parse().unwrap());
    assert_eq!(told(&check(&named, &world)), "", "an existing subnet is where it is");
}

#[test]
fn tags_and_names_that_aws_does_not_take_are_refused_with_their_fields() {
    let with = |change: fn(&mut CompletedCluster)| {
        let mut completed = cluster(&["eu-west-1a"], |_| {});
        change(&mut completed);
        refused(&completed)
    };
    let faults = [
        with(|c| c.cluster.spec.cloud_labels = (0..48).map(|n| (format!("t{n}"), String::new())).collect()),
        with(|c| c.groups[1].spec.node_labels = (0..45).map(|n| (format!("l{n}"), String::new())).collect()),
        with(|c| c.cluster.spec.cloud_labels = BTreeMap::from([("a".to_owned(), "50% off".to_owned())])),
        with(|c| c.groups[1].spec.cloud_labels = BTreeMap::from([("a".to_owned(), "50% off".to_owned())])),
        with(|c| {
            let labels = [("Owner", "a"), ("owner", "b")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            c.cluster.spec.cloud_labels = BTreeMap::from(labels);
        }),
        with(|c| c.cluster.spec.cloud_labels = BTreeMap::from([("name".to_owned(), "b".to_owned())])),
        with(|c| {
            let key = format!("{}/key", "x".repeat(80));
            c.groups[1].spec.node_labels = BTreeMap::from([(key, String::new())]);
        }),
        with(|c| c.groups[1].spec.additional_security_groups = (0..16).map(|n| format!("sg-{n}")).collect()),
    ];
    insta::assert_snapshot!(list_of(faults), @r"
    cluster.spec.cloudLabels: DHCPOptions/demo.k8s.local would have 51 tags, and AWS takes 50; there is no higher limit (give fewer)
    instanceGroup[master-eu-west-1a].spec: AutoscalingGroup/master-eu-west-1a.masters.demo.k8s.local would have 57 tags, and AWS takes 50; there is no higher limit (give fewer cloudLabels, in the group or the cluster, and fewer nodeLabels and taints, which become tags)
    instanceGroup[nodes].spec: AutoscalingGroup/nodes.demo.k8s.local would have 55 tags, and AWS takes 50; there is no higher limit (give fewer cloudLabels, in the group or the cluster, and fewer nodeLabels and taints, which become tags)
    instanceGroup[nodes].spec: AutoscalingGroup/nodes.demo.k8s.local would have 51 tags, and AWS takes 50; there is no higher limit (give fewer cloudLabels, in the group or the cluster, and fewer nodeLabels and taints, which become tags)
    cluster.spec.cloudLabels[a]: the tag a=50% off has the character '%', which IAMInstanceProfile/masters.demo.k8s.local cannot have in its tags (use letters, digits, spaces and any of _ . : / = + - @)

    cluster.spec.cloudLabels[owner]: the tags Owner and owner of IAMInstanceProfile/masters.demo.k8s.local differ in case alone, which IAM does not tell apart (choose another key)
    cluster.spec.cloudLabels[name]: the tags Name and name of IAMInstanceProfile/masters.demo.k8s.local differ in case alone, which IAM does not tell apart (choose another key)
    instanceGroup[nodes].spec.nodeLabels[xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/key]: the tag k8s.io/cluster-autoscaler/node-template/label/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/key of AutoscalingGroup/nodes.demo.k8s.local has 130 characters, and AWS takes 128 (choose a shorter key, or a shorter name)
    instanceGroup[nodes].spec.additionalSecurityGroups: a machine would be in 17 security groups, and AWS takes 16 at most (name fewer)
    ");
    let policies = with(|c| {
        let statement =
            format!(r#"[{{"Effect": "Allow", "Action": "{}", "Resource": "*"}}]"#, "x".repeat(10_000));
        c.cluster.spec.additional_policies.insert("node".to_owned(), statement);
    });
    let (path, rest) = policies.split_once(": ").unwrap();
    assert_eq!(path, "cluster.spec.additionalPolicies");
    assert!(
        rest.contains("of the role nodes.demo.k8s.local would have 10") && rest.contains("IAM takes 10240")
    );
}

#[test]
fn names_of_clusters_and_groups_have_to_fit() {
    let named = |cluster_name: String, group: Option<String>| {
        let mut completed = cluster(&["eu-west-1a"], |options| options.name = cluster_name);
        if let Some(group) = group {
            completed.groups[1].metadata.name = group;
        }
        refused(&completed)
    };
    let long = |length: usize| format!("{}.{}.k8s.local", "x".repeat(60), "y".repeat(length - 71));
    assert_eq!(named(long(102), None), "");
    let faults = [named(long(107), None), named(long(100), Some("z".repeat(40)))];
    insta::assert_snapshot!(list_of(faults), @r"
    cluster.metadata.name: the name has 107 characters, and the tag that marks the cluster's resources takes 106 (choose a shorter name)
    instanceGroup[master-eu-west-1a].metadata.name: the launch template would be called master-eu-west-1a.masters.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.k8s.local, which has 133 characters; AWS takes 128 (choose a shorter name for the instance group, or for the cluster)
    instanceGroup[zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz].metadata.name: the launch template would be called zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yyyyyyyyyyyyyyyyyyyyyyyyyyyyy.k8s.local, which has 141 characters; AWS takes 128 (choose a shorter name for the instance group, or for the cluster)
    ");
}

#[test]
fn what_a_quota_limits_is_said() {
    let mut completed = cluster(&["eu-west-1a"], |_| {});
    let ranges = |count: usize| {
        (0..count).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256).parse().unwrap()).collect()
    };
    completed.cluster.spec.ssh_access = ranges(60);
    completed.groups[1].spec.max_size = Some(60);
    completed.groups[1].spec.additional_security_groups = (0..5).map(|n| format!("sg-{n}")).collect();
    completed
        .cluster
        .spec
        .external_policies
        .insert("node".to_owned(), vec!["arn:aws:iam::1:policy/p".to_owned(); 11]);
    assert_eq!(refused(&completed), "");
    insta::assert_snapshot!(warned(&completed), @r#"
    the security group masters.demo.k8s.local has 67 inbound rules, and AWS takes 60 unless the quota "Inbound or outbound rules per security group" (L-0EA8095F) was raised: give fewer address ranges, or raise it
    the security group nodes.demo.k8s.local has 62 inbound rules, and AWS takes 60 unless the quota "Inbound or outbound rules per security group" (L-0EA8095F) was raised: give fewer address ranges, or raise it
    machines of the instance group nodes are in 6 security groups, and AWS takes 5 unless the quota "Security groups per network interface" (L-2AFB9258) was raised, to 16 at most
    spec.externalPolicies.node names 11 policies, and AWS takes 10 unless the quota "Managed policies per role" (L-0DA4ABF3) was raised
    with kubenet each machine takes a route: up to 61 machines need 63 routes in a route table, and AWS takes 500 (in some accounts 50) unless the quota "Routes per route table" (L-93826ACB) was raised, to 1000 at most; other network plugins need none
    "#);
    completed.cluster.spec.ssh_access = ranges(1001);
    insta::assert_snapshot!(refused(&completed), @"cluster.spec.sshAccess: the security group masters.demo.k8s.local would have 1008 inbound rules, and AWS takes 1000 at most (give fewer address ranges, or a prefix list)");
}

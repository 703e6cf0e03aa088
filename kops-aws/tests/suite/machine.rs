//! What the machines of the control plane ask of AWS and change there, on an emulated AWS over HTTP.

#![cfg(feature = "sdk")]
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::{BTreeMap, BTreeSet};

use crate::support::scripted;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::types::{InstanceType, ResourceType, Tag, TagSpecification};
use ipnet::Ipv4Net;
use kops_aws::api::{AwsMachine, AwsOptions, aws_config};
use kops_core::manifest::Role;
use kops_core::node::{Departure, MachineCloud};
use kops_testbed::{Options, Testbed, required_or_skip};
use scripted::{Answer, Scripted};

const CLUSTER: &str = "demo.k8s.local";
const PODS: &str = "100.96.0.0/11";
const LABEL: &str = "k8s.io/cluster-autoscaler/node-template/label/node-role.kubernetes.io/node";

/// A network with two machines and two route tables, of which one is the cluster's.
struct World {
    testbed: Testbed,
    ec2: Client,
    machine: AwsMachine,
    machines: [String; 2],
    table: String,
    other_table: String,
}

fn range(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn tagged(kind: ResourceType, tags: &[(&str, &str)]) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags.collect())).build()
}

impl World {
    async fn new(test: &str) -> Option<Self> {
        let testbed = required_or_skip(test, Options::default())?;
        let options = AwsOptions {
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(testbed.endpoint().to_owned()),
        };
        let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
        let config = aws_config(&options).await.into_builder();
        let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        let ec2 = Client::new(&config);
        let vpc = ec2.create_vpc().cidr_block("172.20.0.0/16").send().await.unwrap();
        let vpc = vpc.vpc().unwrap().vpc_id().unwrap().to_owned();
        let subnet = ec2.create_subnet().vpc_id(&vpc).cidr_block("172.20.32.0/19").send().await.unwrap();
        let image = ec2.describe_images().send().await.unwrap();
        let run = ec2
            .run_instances()
            .image_id(image.images()[0].image_id().unwrap())
            .instance_type(InstanceType::T3Small)
            .subnet_id(subnet.subnet().unwrap().subnet_id().unwrap())
            .min_count(2)
            .max_count(2)
            .tag_specifications(tagged(
                ResourceType::Instance,
                &[("KubernetesCluster", CLUSTER), ("k8s.io/role/node", "1"), (LABEL, "")],
            ));
        let run = run.send().await.unwrap();
        let machines = [0, 1].map(|at| run.instances()[at].instance_id().unwrap().to_owned());
        let table = async |cluster: &str| {
            let tags = tagged(ResourceType::RouteTable, &[("KubernetesCluster", cluster)]);
            let made = ec2.create_route_table().vpc_id(&vpc).tag_specifications(tags).send().await.unwrap();
            made.route_table().unwrap().route_table_id().unwrap().to_owned()
        };
        let (table, other_table) = (table(CLUSTER).await, table("other.k8s.local").await);
        let metadata = Scripted::start(|_, _| {
            let answer = Answer::new(200).header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
            Some(answer.body("eu-west-1".to_owned()))
        });
        let machine = AwsMachine::with_metadata_at(&config, &metadata.endpoint()).unwrap();
        Some(Self { testbed, ec2, machine, machines, table, other_table })
    }

    async fn route(&self, table: &str, range: &str, machine: &str) {
        let call = self.ec2.create_route().route_table_id(table).destination_cidr_block(range);
        call.instance_id(machine).send().await.unwrap();
    }

    /// Where the routes of a table to machines lead.
    async fn routes(&self, table: &str) -> BTreeMap<String, String> {
        let found = self.ec2.describe_route_tables().route_table_ids(table).send().await.unwrap();
        let routes = found.route_tables()[0].routes().iter();
        let route = |route: &aws_sdk_ec2::types::Route| {
            Some((route.destination_cidr_block()?.to_owned(), route.instance_id()?.to_owned()))
        };
        routes.filter_map(route).collect()
    }

    async fn route_pods(&self, ways: &[(&str, &str)]) {
        let ways = ways.iter().map(|(pods, machine)| (range(pods), (*machine).to_owned())).collect();
        self.machine.route_pods(CLUSTER, range(PODS), &ways).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_routed_to_their_machines_and_nothing_else_is_touched() {
    let Some(world) = World::new("pods_are_routed_to_their_machines").await else { return };
    let [a, b] = world.machines.each_ref().map(String::as_str);
    world.route(&world.table, "100.96.7.0/24", b).await;
    world.route(&world.table, "10.9.0.0/24", b).await;
    world.route(&world.other_table, "100.96.0.0/24", b).await;
    world.route(&world.table, "100.96.1.0/24", a).await;
    let ways = [("100.96.0.0/24", a), ("100.96.1.0/24", b)];
    world.route_pods(&ways).await;
    let expected = |ways: &[(&str, &str)]| {
        ways.iter()
            .map(|(pods, machine)| ((*pods).to_owned(), (*machine).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let foreign = ("10.9.0.0/24", b);
    assert_eq!(world.routes(&world.table).await, expected(&[ways[0], ways[1], foreign]));
    assert_eq!(world.routes(&world.other_table).await, expected(&[("100.96.0.0/24", b)]));
    let found = world.ec2.describe_instances().send().await.unwrap();
    let checks =
        found.reservations().iter().flat_map(|found| found.instances()).map(|i| i.source_dest_check());
    assert!(checks.into_iter().all(|check| check == Some(false)));
    world.testbed.clear_calls();
    world.route_pods(&ways).await;
    let calls = world.testbed.calls();
    assert!(calls.len() == 2 && !calls.iter().any(|call| call.mutation), "{calls:?}");
    world.route_pods(&[]).await;
    assert_eq!(world.routes(&world.table).await, expected(&[foreign]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_table_there_is_a_reason() {
    let Some(world) = World::new("without_a_table_there_is_a_reason").await else { return };
    world.ec2.delete_route_table().route_table_id(&world.table).send().await.unwrap();
    let ways = BTreeMap::from([(range("100.96.0.0/24"), world.machines[0].clone())]);
    let error = world.machine.route_pods(CLUSTER, range(PODS), &ways).await.unwrap_err();
    insta::assert_snapshot!(error, @"cannot route pods of the cluster: no route table is tagged as the cluster's");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_known_with_their_labels_until_they_are_terminated() {
    let Some(world) = World::new("machines_are_known_with_their_labels").await else { return };
    let peers = world.machine.peers(CLUSTER).await.unwrap();
    assert_eq!(peers.len(), 2);
    assert_eq!(peers[0].role, Role::Node);
    assert_eq!(peers[0].labels, BTreeMap::from([("node-role.kubernetes.io/node".to_owned(), String::new())]));
    let id = |machine: &str| format!("aws:///eu-west-1a/{machine}");
    let [kept, gone] = world.machines.each_ref().map(|machine| id(machine));
    let unknown = id("i-0123456789abcdef0");
    let all = BTreeSet::from([kept, gone.clone(), unknown.clone(), "other://node".to_owned()]);
    world.ec2.terminate_instances().instance_ids(&world.machines[1]).send().await.unwrap();
    let departed = world.machine.departed(&all).await.unwrap();
    let expected = [(gone, Departure::Terminated), (unknown, Departure::Unknown)];
    assert_eq!(departed, BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_balancer_is_found_by_what_elb_calls_its_interfaces() {
    let Some(world) = World::new("the_load_balancer_is_found").await else { return };
    let subnets = world.ec2.describe_subnets().send().await.unwrap();
    let subnet =
        subnets.subnets().iter().find(|subnet| subnet.cidr_block() == Some("172.20.32.0/19")).unwrap();
    let name = kops_aws::names::load_balancer("api", CLUSTER);
    let other = kops_aws::names::load_balancer("api", "other.k8s.local");
    let mut addresses = Vec::new();
    for description in
        [format!("ELB net/{name}/0123456789abcdef"), format!("ELB {name}"), format!("ELB net/{other}/01")]
    {
        let call = world.ec2.create_network_interface().subnet_id(subnet.subnet_id().unwrap());
        let made = call.description(description).send().await.unwrap();
        addresses.push(made.network_interface().unwrap().private_ip_address().unwrap().parse().unwrap());
    }
    let found = world.machine.load_balancer(CLUSTER).await.unwrap();
    assert_eq!(found, BTreeSet::from([addresses[0], addresses[1]]));
}

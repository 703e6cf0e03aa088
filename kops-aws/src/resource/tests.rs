//! Laws of all kinds, tried on one full sample of each.

use std::collections::{BTreeMap, BTreeSet};

use kops_core::resource::{Ownership, Resource, ResourceId};
use kops_core::state_object::StateObject;
use serde_json::{Value, json};

use super::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// One of each kind, every optional field set.
fn samples() -> Vec<AwsResource> {
    let (name, ownership) = ("x".to_owned(), Ownership::Managed);
    let tags = || Tags::from([("Name".to_owned(), "x".to_owned())]);
    let gateway = || BTreeSet::from([ResourceId::new(kind::INTERNET_GATEWAY, "gateway")]);
    let cidr = "10.0.0.0/16".parse().unwrap();
    vec![
        AwsResource::Vpc(Vpc {
            name: name.clone(),
            ownership,
            cidr,
            enable_dns_hostnames: true,
            enable_dns_support: true,
            tags: tags(),
        }),
        AwsResource::DhcpOptions(DhcpOptions {
            name: name.clone(),
            ownership,
            domain_name: "ec2.internal".into(),
            domain_name_servers: vec!["AmazonProvidedDNS".into()],
            tags: tags(),
        }),
        AwsResource::VpcDhcpOptionsAssociation(VpcDhcpOptionsAssociation {
            name: name.clone(),
            ownership,
            vpc: "vpc".into(),
            dhcp_options: "options".into(),
        }),
        AwsResource::InternetGateway(InternetGateway {
            name: name.clone(),
            ownership,
            vpc: Some("vpc".into()),
            tags: tags(),
        }),
        AwsResource::Subnet(Subnet {
            name: name.clone(),
            ownership,
            short_name: "a".into(),
            vpc: "vpc".into(),
            availability_zone: "a".into(),
            cidr,
            resource_based_naming: true,
            tags: tags(),
        }),
        AwsResource::RouteTable(RouteTable {
            name: name.clone(),
            ownership,
            vpc: "vpc".into(),
            tags: tags(),
        }),
        AwsResource::Route(Route {
            name: name.clone(),
            ownership,
            route_table: "table".into(),
            cidr,
            target: Some(RouteTarget::InternetGateway("gateway".into())),
        }),
        AwsResource::RouteTableAssociation(RouteTableAssociation {
            name: name.clone(),
            ownership,
            route_table: "table".into(),
            subnet: "subnet".into(),
        }),
        AwsResource::SecurityGroup(SecurityGroup {
            name: name.clone(),
            ownership,
            description: "for tests".into(),
            vpc: "vpc".into(),
            tags: tags(),
        }),
        AwsResource::SecurityGroupRule(SecurityGroupRule::ingress(
            "to",
            Peer::Group("from".into()),
            Traffic::tcp(443),
        )),
        AwsResource::SshKey(SshKey {
            name: name.clone(),
            ownership,
            public_key: "ssh-rsa A".into(),
            key_fingerprint: "aa".into(),
            tags: tags(),
        }),
        AwsResource::IamRole(IamRole {
            name: name.clone(),
            ownership,
            role_policy_document: json!({"Version": "2012-10-17"}),
            permissions_boundary: Some("arn:1".into()),
            external_policies: set(&["arn:2"]),
            tags: tags(),
        }),
        AwsResource::IamRolePolicy(IamRolePolicy {
            name: name.clone(),
            ownership,
            role: "role".into(),
            policy_document: json!({"Version": "2012-10-17"}),
        }),
        AwsResource::IamInstanceProfile(IamInstanceProfile { name: name.clone(), ownership, tags: tags() }),
        AwsResource::IamInstanceProfileRole(IamInstanceProfileRole {
            name: name.clone(),
            ownership,
            instance_profile: "profile".into(),
            role: "role".into(),
        }),
        AwsResource::EbsVolume(EbsVolume {
            name: name.clone(),
            ownership,
            availability_zone: "a".into(),
            volume_type: "gp3".into(),
            size_gb: 20,
            volume_iops: Some(3000),
            volume_throughput: Some(125),
            kms_key_id: Some("key".into()),
            encrypted: true,
            tags: tags(),
        }),
        AwsResource::ClassicLoadBalancer(ClassicLoadBalancer {
            name: name.clone(),
            ownership,
            load_balancer_name: "lb".into(),
            subnets: set(&["subnet"]),
            security_groups: set(&["group"]),
            listeners: BTreeSet::from([ClassicListener {
                protocol: "TCP".into(),
                load_balancer_port: 443,
                instance_protocol: "TCP".into(),
                instance_port: 443,
            }]),
            scheme: LoadBalancerScheme::Internal,
            health_check: ClassicHealthCheck {
                target: "SSL:443".into(),
                healthy_threshold: 2,
                unhealthy_threshold: 2,
                interval: 10,
                timeout: 5,
            },
            idle_timeout: 300,
            cross_zone_load_balancing: false,
            tags: tags(),
            after: gateway(),
        }),
        AwsResource::NetworkLoadBalancer(NetworkLoadBalancer {
            name: name.clone(),
            ownership,
            load_balancer_name: "lb".into(),
            subnets: set(&["subnet"]),
            addresses: BTreeMap::from([("subnet".into(), BalancerAddress::ElasticIp("address".into()))]),
            security_groups: set(&["group"]),
            scheme: LoadBalancerScheme::InternetFacing,
            cross_zone_load_balancing: true,
            ip_address_type: "ipv4".into(),
            tags: tags(),
            after: gateway(),
        }),
        AwsResource::NetworkLoadBalancerListener(NetworkLoadBalancerListener {
            name: name.clone(),
            ownership,
            network_load_balancer: "lb".into(),
            port: 443,
            protocol: "TCP".into(),
            target_group: Some("targets".into()),
        }),
        AwsResource::TargetGroup(TargetGroup {
            name: name.clone(),
            ownership,
            vpc: "vpc".into(),
            port: 443,
            protocol: "TCP".into(),
            health_check: TargetHealthCheck {
                protocol: "HTTPS".into(),
                path: Some("/healthz".into()),
                interval: 10,
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
            attributes: BTreeMap::from([("a".into(), "b".into())]),
            tags: tags(),
        }),
        AwsResource::LaunchTemplate(Box::new(LaunchTemplate {
            name: name.clone(),
            ownership,
            associate_public_ip: Some(true),
            block_device_mappings: BTreeMap::from([("/dev/sdc".into(), "ephemeral0".into())]),
            cpu_credits: Some("unlimited".into()),
            http_put_response_hop_limit: 1,
            http_tokens: "required".into(),
            http_protocol_ipv6: "disabled".into(),
            iam_instance_profile: "profile".into(),
            image_id: "ami-1".into(),
            instance_interruption_behavior: Some("terminate".into()),
            instance_monitoring: false,
            instance_type: "t3.medium".into(),
            ipv6_address_count: 0,
            root_volume_device: "/dev/xvda".into(),
            root_volume_delete_on_termination: true,
            root_volume_iops: Some(3000),
            root_volume_optimization: Some(true),
            root_volume_size: 64,
            root_volume_throughput: Some(125),
            root_volume_type: "gp3".into(),
            root_volume_encryption: true,
            root_volume_kms_key: Some("key".into()),
            ssh_key: Some("ssh".into()),
            security_groups: set(&["group"]),
            spot_price: Some("0.1".into()),
            tags: tags(),
            tenancy: Some("default".into()),
            user_data: "#!/bin/sh\n".into(),
            after: BTreeSet::from([ResourceId::new(kind::MANAGED_FILE, "file")]),
        })),
        AwsResource::AutoscalingGroup(Box::new(AutoscalingGroup {
            name: name.clone(),
            ownership,
            capacity_rebalance: true,
            granularity: "1Minute".into(),
            instance_protection: false,
            launch_template: "template".into(),
            mixed_instances: Some(MixedInstances::new(vec!["t3.large".into()], None, Prices::default())),
            load_balancers: set(&["lb"]),
            max_instance_lifetime: 0,
            max_size: 2,
            metrics: set(&["GroupMinSize"]),
            min_size: 1,
            subnets: set(&["subnet"]),
            suspend_processes: set(&["AZRebalance"]),
            tags: tags(),
            target_groups: set(&["targets"]),
            after: gateway(),
        })),
        AwsResource::ManagedFile(ManagedFile {
            ownership,
            object: StateObject {
                location: "cluster-completed.spec".into(),
                contents: "a: b\n".into(),
                content_addressed: false,
            },
            after: BTreeSet::from([ResourceId::new(kind::MANAGED_FILE, "addons/a.yaml")]),
        }),
        AwsResource::Keypair(Keypair { name: name.clone(), ownership }),
        AwsResource::Secret(Secret { name: name.clone(), ownership }),
        AwsResource::Instance(Box::new(Instance {
            name: name.clone(),
            ownership: Ownership::Dependent,
            state: "running".into(),
            autoscaling_group: Some("group".into()),
            launch_template_version: Some("1".into()),
            image_id: "ami-1".into(),
            instance_type: "t3.medium".into(),
            subnet: Some("subnet".into()),
            security_groups: set(&["group"]),
            volumes: set(&["volume"]),
            private_ip: Some("10.0.0.1".into()),
            public_ip: Some("192.0.2.1".into()),
            tags: tags(),
            after: gateway(),
        })),
        AwsResource::NetworkInterface(NetworkInterface {
            name,
            ownership: Ownership::Dependent,
            description: "for tests".into(),
            subnet: "subnet".into(),
            security_groups: set(&["group"]),
            tags: tags(),
        }),
        AwsResource::DnsName(DnsName {
            name: "api.x".into(),
            ownership,
            zone: "Z1".into(),
            resource_type: "A".into(),
            classic_load_balancer: Some("balancer".into()),
            network_load_balancer: None,
            elsewhere: None,
        }),
        AwsResource::Shared(Shared::new(kind::VPC, "vpc-1")),
    ]
}

#[test]
fn kinds_are_tagged_with_their_names() {
    for sample in samples() {
        let tag = serde_json::to_value(&sample).unwrap()["Kind"].clone();
        match &sample {
            AwsResource::Shared(_) => assert_eq!(tag, "Shared"),
            _ => assert_eq!(tag, sample.id().kind.as_str()),
        }
    }
}

#[test]
fn what_is_written_is_read() {
    for sample in samples() {
        let text = serde_json::to_string(&sample).unwrap();
        assert_eq!(serde_json::from_str::<AwsResource>(&text).unwrap(), sample);
    }
}

#[test]
fn rules_are_about_fields_that_exist() {
    for sample in samples() {
        let all = serde_json::to_value(&sample).unwrap();
        let fields = sample.fields();
        for (field, _) in sample.part().rules().fields {
            assert!(fields.contains_key(*field), "{}: {field}", sample.id());
        }
        for field in sample.part().hidden() {
            assert!(all.get(field).is_some(), "{}: {field}", sample.id());
        }
        for field in fields.keys() {
            assert!(field.starts_with(char::is_uppercase), "{}: {field}", sample.id());
        }
    }
}

/// Fields and references have to agree: whatever names another resource is a field that people see.
#[test]
fn references_are_shown() {
    for sample in samples() {
        let after = serde_json::to_value(&sample).unwrap()["After"].clone();
        let shown = Value::Object(sample.fields()).to_string();
        let requires = sample.requires();
        let distinct: BTreeSet<_> = requires.iter().collect();
        assert_eq!(distinct.len(), requires.len(), "{} refers twice", sample.id());
        for id in requires {
            let hidden = after.to_string().contains(&format!("\"{id}\""));
            assert!(hidden || shown.contains(&format!("\"{}\"", id.name)), "{}: {id}", sample.id());
        }
    }
}

#[test]
fn only_what_is_shared_is_shared() {
    for sample in samples() {
        let shared = matches!(sample, AwsResource::Shared(_));
        assert_eq!(sample.ownership() == Ownership::Shared, shared, "{}", sample.id());
    }
}

#[test]
fn volumes_hold_data() {
    let holders: Vec<_> =
        samples().iter().filter(|s| s.holds_data().is_some()).map(|s| s.id().to_string()).collect();
    assert_eq!(holders, ["EBSVolume/x"]);
}

/// Law C14: what goes by another id is known by it everywhere.
#[test]
fn references_take_new_ids() {
    let nameable = [
        kind::VPC,
        kind::DHCP_OPTIONS,
        kind::INTERNET_GATEWAY,
        kind::SUBNET,
        kind::SECURITY_GROUP,
        kind::CLASSIC_LOAD_BALANCER,
        kind::TARGET_GROUP,
    ];
    let mut tried = 0;
    for sample in samples() {
        let ids = sample.requires().into_iter().chain([sample.id()]).filter(|id| nameable.contains(&id.kind));
        for id in ids.filter(|_| sample.ownership() != Ownership::Shared) {
            let new = ResourceId::new(id.kind.clone(), "new");
            let renamed = sample.clone().renamed(&[(id.clone(), new.clone())].into());
            let all: Vec<_> = renamed.requires().into_iter().chain([renamed.id()]).collect();
            assert!(all.contains(&new) && !all.contains(&id), "{}: {id}: {all:?}", sample.id());
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

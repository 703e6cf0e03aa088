use super::*;
use crate::manifest::{
    LoadBalancer, LoadBalancerClass, LoadBalancerSubnet, LoadBalancerType, Placement, Subnet, SubnetType,
    contradicted_topology,
};

#[test]
fn ways_out_of_private_subnets() {
    let private = |c: &mut CompletedCluster, egress: [Option<&str>; 3]| {
        for (subnet, egress) in c.cluster.spec.subnets.iter_mut().zip(egress) {
            (subnet.type_, subnet.egress) = (Some(SubnetType::Private), egress.map(str::to_owned));
        }
    };
    insta::assert_snapshot!(found(|c| private(c, [None, Some("eipalloc-1"), Some("router")])));
    assert_eq!(found(|c| private(c, [Some("External"), Some("nat-1"), Some("tgw-12ab")])), "");
    insta::assert_snapshot!(
        found(|c| {
            private(c, [None, Some("i-1"), Some("tgw-1")]);
            c.cluster.spec.subnets.truncate(1);
            let like = c.cluster.spec.subnets[0].clone();
            c.cluster.spec.subnets.push(Subnet {
                name: "b".into(),
                egress: Some("nat-1".into()),
                ..like.clone()
            });
            let utility = Some(SubnetType::Utility);
            c.cluster.spec.subnets.push(Subnet {
                name: "c".into(),
                type_: utility,
                egress: Some("nat-1".into()),
                ..like
            });
        })
        .lines()
        .filter(|line| line.contains("egress"))
        .collect::<Vec<_>>()
        .join("\n")
    );
}

#[test]
fn the_types_of_subnets_count_where_the_topology_says_otherwise() {
    let mut completed = valid();
    let topology = completed.cluster.spec.topology.as_mut().unwrap();
    (topology.masters, topology.nodes) = (Some(Placement::Public), Some(Placement::Private));
    assert_eq!(validate(&completed), []);
    let told: Vec<_> = contradicted_topology(&completed).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"spec.topology.nodes: the type of the subnet `us-x-1a` counts, which says something else (remove it)");
}

#[test]
fn the_load_balancer_of_the_api_fits_its_subnets() {
    let with = |type_: LoadBalancerType, subnets: &[(&str, Option<&str>, Option<&str>)]| {
        let subnets = subnets.iter().map(|(name, allocation, private)| LoadBalancerSubnet {
            allocation_id: allocation.map(str::to_owned),
            name: (*name).to_owned(),
            private_ipv4_address: private.map(|address| address.parse().unwrap()),
        });
        let balancer = LoadBalancer {
            class: Some(LoadBalancerClass::Network),
            type_: Some(type_),
            subnets: subnets.collect(),
            ..LoadBalancer::default()
        };
        found(|c| c.cluster.spec.api = Some(Api { dns: None, load_balancer: Some(balancer) }))
    };
    let first = valid().cluster.spec.subnets[0].name.clone();
    let first = first.as_str();
    assert_eq!(with(LoadBalancerType::Public, &[(first, Some("eipalloc-1"), None)]), "");
    let said = [
        with(LoadBalancerType::Public, &[(first, None, Some("172.20.0.9")), ("elsewhere", None, None)]),
        with(LoadBalancerType::Internal, &[(first, Some("1.2.3.4"), None), (first, None, None)]),
        with(LoadBalancerType::Internal, &[(first, None, Some("10.0.0.9"))]),
    ];
    insta::assert_snapshot!(said.join("\n---\n"));
}

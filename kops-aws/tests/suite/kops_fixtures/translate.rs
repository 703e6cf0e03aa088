//! Our resources in the form of the fixtures: Terraform addresses and attributes.

use kops_aws::resource::*;
use kops_core::resource::Resource;
use serde_json::{Map, Value, json};

/// Every resource that the fixtures have a form for, by its address. State objects and what is shared they leave out.
pub(crate) fn translate(resources: &[AwsResource]) -> Value {
    let mut all = Map::new();
    for resource in resources {
        if let Some((address, attributes)) = one(resource) {
            let entry = all.entry(address).or_insert_with(|| json!({}));
            let Value::Object(attributes) = attributes else { panic!("not a map") };
            entry
                .as_object_mut()
                .unwrap()
                .extend(attributes.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }
    Value::Object(all)
}

fn dashed(name: &str) -> String {
    let name = name.replace('.', "-").replace('/', "--").replace(':', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("route-{name}") } else { name }
}

fn key_address(name: &str) -> String {
    name.replace(':', "").replace('.', "-")
}

/// A reference, or the handle itself where that is what we refer by.
fn id(kind: &str, name: &str) -> String {
    let is_handle = ["vpc-", "subnet-", "sg-", "igw-"].iter().any(|prefix| name.starts_with(prefix));
    if is_handle { name.to_owned() } else { format!("${{aws_{kind}.{}.id}}", dashed(name)) }
}

fn ids<'a>(kind: &str, names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    names.into_iter().map(|name| id(kind, name)).collect()
}

fn one(resource: &AwsResource) -> Option<(String, Value)> {
    let at = |kind: &str, name: &str| format!("aws_{kind}.{}", dashed(name));
    Some(match resource {
        AwsResource::Vpc(r) => (
            at("vpc", &r.name),
            json!({
                "cidr_block": r.cidr,
                "enable_dns_hostnames": r.enable_dns_hostnames,
                "enable_dns_support": r.enable_dns_support,
                "tags": r.tags,
            }),
        ),
        AwsResource::DhcpOptions(r) => (
            at("vpc_dhcp_options", &r.name),
            json!({
                "domain_name": r.domain_name,
                "domain_name_servers": r.domain_name_servers,
                "tags": r.tags,
            }),
        ),
        AwsResource::VpcDhcpOptionsAssociation(r) => (
            at("vpc_dhcp_options_association", &r.name),
            json!({
                "dhcp_options_id": id("vpc_dhcp_options", &r.dhcp_options),
                "vpc_id": id("vpc", &r.vpc),
            }),
        ),
        AwsResource::InternetGateway(r) => (
            at("internet_gateway", &r.name),
            json!({ "tags": r.tags, "vpc_id": r.vpc.as_ref().map(|vpc| id("vpc", vpc)) }),
        ),
        AwsResource::Subnet(r) => (
            at("subnet", &r.name),
            json!({
                "availability_zone": r.availability_zone,
                "cidr_block": r.cidr,
                "enable_resource_name_dns_a_record_on_launch": r.resource_based_naming,
                "private_dns_hostname_type_on_launch": r.resource_based_naming.then_some("resource-name"),
                "tags": r.tags,
                "vpc_id": id("vpc", &r.vpc),
            }),
        ),
        AwsResource::RouteTable(r) => {
            (at("route_table", &r.name), json!({ "tags": r.tags, "vpc_id": id("vpc", &r.vpc) }))
        }
        AwsResource::ElasticIp(r) => (at("eip", &r.name), json!({ "domain": "vpc", "tags": r.tags })),
        AwsResource::NatGateway(r) => (
            at("nat_gateway", &r.name),
            json!({
                "allocation_id": id("eip", &r.elastic_ip),
                "subnet_id": id("subnet", &r.subnet),
                "tags": r.tags,
            }),
        ),
        AwsResource::Route(r) => {
            let (field, target) = match r.target.as_ref().unwrap() {
                RouteTarget::InternetGateway(name) => ("gateway_id", id("internet_gateway", name)),
                RouteTarget::NatGateway(name) => ("nat_gateway_id", id("nat_gateway", name)),
                RouteTarget::Instance(id) => ("instance_id", id.clone()),
                RouteTarget::TransitGateway(id) => ("transit_gateway_id", id.clone()),
                RouteTarget::VpcPeeringConnection(id) => ("vpc_peering_connection_id", id.clone()),
                RouteTarget::NetworkInterface(id) => ("network_interface_id", id.clone()),
            };
            (
                at("route", &r.name),
                json!({
                    "destination_cidr_block": r.cidr,
                    field: target,
                    "route_table_id": id("route_table", &r.route_table),
                }),
            )
        }
        AwsResource::RouteTableAssociation(r) => (
            at("route_table_association", &r.name),
            json!({
                "route_table_id": id("route_table", &r.route_table),
                "subnet_id": id("subnet", &r.subnet),
            }),
        ),
        AwsResource::SecurityGroup(r) => (
            at("security_group", &r.name),
            json!({
                "description": r.description,
                "name": r.name,
                "tags": r.tags,
                "vpc_id": id("vpc", &r.vpc),
            }),
        ),
        AwsResource::SecurityGroupRule(r) => {
            let (v4, v6, group) = match &r.peer {
                Peer::Ipv4(range) => (Some([range]), None, None),
                Peer::Ipv6(range) => (None, Some([range]), None),
                Peer::Group(group) => (None, None, Some(id("security_group", group))),
                Peer::PrefixList(_) => panic!("no case has a prefix list"),
            };
            (
                at("security_group_rule", &resource.id().name),
                json!({
                    "cidr_blocks": v4,
                    "ipv6_cidr_blocks": v6,
                    "source_security_group_id": group,
                    "from_port": r.traffic.from_port,
                    "to_port": r.traffic.to_port,
                    "protocol": r.traffic.protocol.for_ec2(),
                    "security_group_id": id("security_group", &r.security_group),
                    "type": if r.egress { "egress" } else { "ingress" },
                }),
            )
        }
        AwsResource::SshKey(r) => {
            let address = key_address(&r.name);
            let file = format!("aws_key_pair_{}_public_key", r.name.replace(':', ""));
            (
                format!("aws_key_pair.{address}"),
                json!({ "key_name": r.name, "public_key": { "file": file }, "tags": r.tags }),
            )
        }
        AwsResource::IamRole(r) => (
            at("iam_role", &r.name),
            json!({ "assume_role_policy": r.role_policy_document, "name": r.name, "tags": r.tags }),
        ),
        AwsResource::IamRolePolicy(r) => (
            at("iam_role_policy", &r.name),
            json!({
                "name": r.name,
                "policy": r.policy_document,
                "role": format!("${{aws_iam_role.{}.name}}", dashed(&r.role)),
            }),
        ),
        AwsResource::IamInstanceProfile(r) => {
            (at("iam_instance_profile", &r.name), json!({ "name": r.name, "tags": r.tags }))
        }
        AwsResource::IamInstanceProfileRole(r) => (
            at("iam_instance_profile", &r.instance_profile),
            json!({ "role": format!("${{aws_iam_role.{}.name}}", dashed(&r.role)) }),
        ),
        AwsResource::EbsVolume(r) => (
            at("ebs_volume", &r.name),
            json!({
                "availability_zone": r.availability_zone,
                "encrypted": r.encrypted,
                "iops": r.volume_iops,
                "size": r.size_gb,
                "tags": r.tags,
                "throughput": r.volume_throughput,
                "type": r.volume_type,
            }),
        ),
        AwsResource::NetworkLoadBalancer(r) => (
            at("lb", &r.name),
            json!({
                "enable_cross_zone_load_balancing": r.cross_zone_load_balancing,
                "internal": r.scheme == LoadBalancerScheme::Internal,
                "load_balancer_type": "network",
                "name": r.load_balancer_name,
                "security_groups": ids("security_group", &r.security_groups),
                "subnet_mapping": ids("subnet", &r.subnets)
                    .into_iter().map(|id| json!({ "subnet_id": id })).collect::<Vec<_>>(),
                "tags": r.tags,
            }),
        ),
        AwsResource::NetworkLoadBalancerListener(r) => (
            at("lb_listener", &r.name),
            json!({
                "default_action": [{
                    "target_group_arn": r.target_group.as_ref().map(|name| id("lb_target_group", name)),
                    "type": "forward",
                }],
                "load_balancer_arn": id("lb", &r.network_load_balancer),
                "port": r.port,
                "protocol": r.protocol,
            }),
        ),
        AwsResource::TargetGroup(r) => (
            at("lb_target_group", &r.name),
            json!({
                "connection_termination": r.attributes["deregistration_delay.connection_termination.enabled"],
                "deregistration_delay": r.attributes["deregistration_delay.timeout_seconds"],
                "health_check": [{
                    "healthy_threshold": r.health_check.healthy_threshold,
                    "interval": r.health_check.interval,
                    "protocol": r.health_check.protocol,
                    "unhealthy_threshold": r.health_check.unhealthy_threshold,
                }],
                "name": r.name,
                "port": r.port,
                "protocol": r.protocol,
                "tags": r.tags,
                "vpc_id": id("vpc", &r.vpc),
            }),
        ),
        AwsResource::LaunchTemplate(r) => (at("launch_template", &r.name), launch_template(r)),
        AwsResource::AutoscalingGroup(r) => (at("autoscaling_group", &r.name), scaling_group(r)),
        AwsResource::DnsName(r) => {
            let balancer = r.network_load_balancer.as_ref()?;
            let of_balancer = |attribute| format!("${{aws_lb.{}.{attribute}}}", dashed(balancer));
            (
                at("route53_record", &r.name),
                json!({
                    "alias": [{
                        "evaluate_target_health": false,
                        "name": of_balancer("dns_name"),
                        "zone_id": of_balancer("zone_id"),
                    }],
                    "name": r.name,
                    "type": r.resource_type,
                    "zone_id": format!("/hostedzone/{}", r.zone),
                }),
            )
        }
        AwsResource::ManagedFile(_)
        | AwsResource::Keypair(_)
        | AwsResource::Secret(_)
        | AwsResource::Shared(_) => return None,
        AwsResource::ClassicLoadBalancer(_) | AwsResource::Instance(_) | AwsResource::NetworkInterface(_) => {
            panic!("no case has {}", resource.id())
        }
    })
}

fn launch_template(r: &LaunchTemplate) -> Value {
    let mut devices = vec![json!({
        "device_name": r.root_volume_device,
        "ebs": [{
            "delete_on_termination": r.root_volume_delete_on_termination,
            "encrypted": r.root_volume_encryption,
            "iops": r.root_volume_iops,
            "throughput": r.root_volume_throughput,
            "volume_size": r.root_volume_size,
            "volume_type": r.root_volume_type,
        }],
    })];
    devices.extend(
        r.block_device_mappings
            .iter()
            .map(|(device, name)| json!({ "device_name": device, "virtual_name": name })),
    );
    let tagged = ["instance", "volume", "network-interface"]
        .map(|kind| json!({ "resource_type": kind, "tags": r.tags }));
    json!({
        "block_device_mappings": devices,
        "iam_instance_profile": [{ "name": id("iam_instance_profile", &r.iam_instance_profile) }],
        "image_id": r.image_id,
        "instance_type": r.instance_type,
        "key_name": r.ssh_key.as_ref().map(|key| format!("${{aws_key_pair.{}.id}}", key_address(key))),
        "metadata_options": [{
            "http_endpoint": "enabled",
            "http_protocol_ipv6": r.http_protocol_ipv6,
            "http_put_response_hop_limit": r.http_put_response_hop_limit,
            "http_tokens": r.http_tokens,
        }],
        "monitoring": [{ "enabled": r.instance_monitoring }],
        "name": r.name,
        "network_interfaces": [{
            "associate_public_ip_address": r.associate_public_ip,
            "delete_on_termination": true,
            "ipv6_address_count": r.ipv6_address_count,
            "security_groups": ids("security_group", &r.security_groups),
        }],
        "tag_specifications": tagged,
        "tags": r.tags,
        "user_data": { "file": format!("aws_launch_template_{}_user_data", r.name) },
    })
}

fn scaling_group(r: &AutoscalingGroup) -> Value {
    let template = dashed(&r.launch_template);
    let tags: Vec<_> = r
        .tags
        .iter()
        .map(|(key, value)| json!({ "key": key, "propagate_at_launch": true, "value": value }))
        .collect();
    json!({
        "enabled_metrics": r.metrics,
        "launch_template": [{
            "id": format!("${{aws_launch_template.{template}.id}}"),
            "version": format!("${{aws_launch_template.{template}.latest_version}}"),
        }],
        "max_instance_lifetime": r.max_instance_lifetime,
        "max_size": r.max_size,
        "metrics_granularity": r.granularity,
        "min_size": r.min_size,
        "name": r.name,
        "protect_from_scale_in": r.instance_protection,
        "tag": tags,
        "target_group_arns":
            (!r.target_groups.is_empty()).then(|| ids("lb_target_group", &r.target_groups)),
        "vpc_zone_identifier": ids("subnet", &r.subnets),
    })
}

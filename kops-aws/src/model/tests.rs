use std::collections::{BTreeMap, BTreeSet};

use kops_core::inventory::Inventory;
use kops_core::manifest::{self, ClusterAutoscaler, Manifest, Recommendations, Role};
use kops_core::node::NodeProgram;
use kops_core::plan::{Purpose, plan};
use kops_core::resource::FieldRule;
use kops_core::ssh::PublicKey;
use kops_core::state::Key;
use kops_core::state_object::StateBacked;

use super::*;
use crate::facts::SharedVpc;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5x5QvIH3KAUKycdG0bG0DChDCRm8womEMjFknuysTs admin@example.com";

/// A cluster with a control-plane group and an etcd member in each of the first `masters` zones of three.
pub(super) fn cluster(name: &str, masters: usize, more: &str) -> CompletedCluster {
    let zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];
    let members: Vec<_> = zones[..masters]
        .iter()
        .map(|zone| format!("{{name: {zone}, instanceGroup: master-{zone}}}"))
        .collect();
    let members = members.join(", ");
    let subnets: Vec<_> =
        zones.iter().map(|zone| format!("{{name: {zone}, zone: {zone}, type: Public}}")).collect();
    let mut text = format!(
        "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {{name: {name}}}
spec:
  kubernetesVersion: 1.35.7
  kubernetesApiAccess: [203.0.113.0/24]
  sshAccess: [203.0.113.0/24]
  etcdClusters:
  - {{name: main, etcdMembers: [{members}]}}
  - {{name: events, etcdMembers: [{members}]}}
  subnets: [{}]
{more}
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: nodes, labels: {{kops.k8s.io/cluster: {name}}}}}
spec: {{role: Node, taints: ['dedicated=gpu:NoSchedule']}}
",
        subnets.join(", ")
    );
    for zone in &zones[..masters] {
        text.push_str(&format!(
            "
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {{name: master-{zone}, labels: {{kops.k8s.io/cluster: {name}}}}}
spec: {{role: Master, subnets: [{zone}]}}
"
        ));
    }
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in manifest::read("test.yaml", &text).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => unreachable!(),
        }
    }
    let completed = manifest::complete(&cluster.unwrap(), &groups, &Recommendations::default());
    assert_eq!(manifest::validate(&completed), []);
    completed
}

fn gossip() -> CompletedCluster {
    cluster("demo.k8s.local", 1, "")
}

fn dns_none() -> CompletedCluster {
    cluster("ha.example.com", 3, "  topology: {dns: {type: None}}")
}

fn facts(completed: &CompletedCluster) -> Facts {
    let state = StateLocation::S3 {
        bucket: "state".to_owned(),
        region: "eu-west-1".to_owned(),
        prefix: String::new(),
        kms_key: None,
    };
    Facts::simulated(completed, state, Some(PublicKey::parse(KEY).unwrap()))
}

fn model_of(completed: &CompletedCluster) -> Vec<AwsResource> {
    model(completed, &facts(completed)).unwrap()
}

/// Ids, one a line, with hashes of contents left out.
fn ids(resources: &[AwsResource]) -> String {
    let ids = resources.iter().map(|resource| {
        let id = resource.id().to_string();
        match id.strip_suffix(".yaml").and_then(|id| id.rsplit_once('/')) {
            Some((start, hash)) if hash.len() == 64 => format!("{start}/<sha256>.yaml"),
            _ => id,
        }
    });
    ids.collect::<Vec<_>>().join("\n")
}

fn find<'a>(resources: &'a [AwsResource], id: &str) -> &'a AwsResource {
    resources.iter().find(|resource| resource.id().to_string() == id).unwrap()
}

fn user_data(resources: &[AwsResource], name: &str) -> String {
    match find(resources, &format!("LaunchTemplate/{name}")) {
        AwsResource::LaunchTemplate(template) => template.user_data.clone(),
        _ => unreachable!(),
    }
}

#[test]
fn local_cluster_with_one_master() {
    insta::assert_snapshot!(ids(&model_of(&gossip())));
}

#[test]
fn cluster_without_dns_with_three_masters() {
    insta::assert_snapshot!(ids(&model_of(&dns_none())));
}

/// Law L2.
#[test]
fn the_same_inputs_give_the_same_bytes() {
    for completed in [gossip(), dns_none()] {
        let bytes = || serde_json::to_string(&model_of(&completed)).unwrap();
        let mut shuffled = completed.clone();
        shuffled.groups.reverse();
        shuffled.cluster.spec.subnets.reverse();
        assert_eq!(bytes(), bytes());
        assert_eq!(ids(&model_of(&shuffled)), ids(&model_of(&completed)));
    }
}

#[test]
fn resources_are_sorted_and_refer_only_to_each_other() {
    for completed in [gossip(), dns_none()] {
        let resources = model_of(&completed);
        assert!(resources.is_sorted_by_key(Resource::id));
        let scope = kops_core::cloud::Scope {
            cluster: completed.name().to_owned(),
            incarnation: "1".to_owned(),
            zone: None,
        };
        // Dangling references, circles and doubles are errors of the planner.
        let plan =
            plan(&scope, Purpose::Update, &resources, &Inventory::new(Vec::new(), Vec::new())).unwrap();
        assert_eq!(plan.summary().create, resources.len());
    }
}

#[test]
fn rules_that_are_made_are_rules_that_are_managed() {
    for completed in [gossip(), dns_none()] {
        for resource in model_of(&completed) {
            if let AwsResource::SecurityGroupRule(rule) = &resource {
                assert!(rule.is_managed(completed.name()), "{}", resource.id());
            }
        }
    }
}

#[test]
fn everything_that_can_have_tags_says_whose_it_is() {
    let completed = cluster("demo.k8s.local", 1, "  cloudLabels: {team: blue, KubernetesCluster2: x}");
    for resource in model_of(&completed) {
        let fields = resource.fields();
        let Some(tags) = fields.get("Tags") else { continue };
        assert_eq!(tags["KubernetesCluster"], "demo.k8s.local", "{}", resource.id());
        assert_eq!(tags["kubernetes.io/cluster/demo.k8s.local"], "owned", "{}", resource.id());
        assert_eq!(tags["team"], "blue", "{}", resource.id());
    }
}

#[test]
fn taints_are_told_to_the_autoscaler() {
    let resources = model_of(&gossip());
    let fields = find(&resources, "AutoscalingGroup/nodes.demo.k8s.local").fields();
    assert_eq!(fields["Tags"]["k8s.io/cluster-autoscaler/node-template/taint/dedicated"], "gpu:NoSchedule");
}

#[test]
fn what_is_shared_is_only_referred_to() {
    let more = "  networkID: vpc-1\n  topology: {dns: {type: None}}\n  networkCIDR: 172.20.0.0/16";
    let mut completed = cluster("x.example.com", 1, more);
    completed.cluster.spec.subnets[0].id = Some("subnet-1".to_owned());
    completed.groups[0].spec.iam =
        Some(manifest::GroupIam { profile: Some("arn:aws:iam::1:instance-profile/mine".to_owned()) });
    let facts = facts(&completed);
    let resources = model(&completed, &facts).unwrap();
    let shared = |r: &&AwsResource| r.ownership() == Ownership::Shared;
    let shared: Vec<_> = resources.iter().filter(shared).cloned().collect();
    let gateway = facts.vpc.as_ref().unwrap().internet_gateway.clone().unwrap();
    assert_eq!(
        ids(&shared),
        format!("IAMInstanceProfile/mine\nInternetGateway/{gateway}\nSubnet/subnet-1\nVPC/vpc-1")
    );
    for gone in ["VPC/x.example.com", "DHCPOptions/x.example.com", "IAMRole/masters.x.example.com"] {
        assert!(!ids(&resources).contains(gone), "{gone}");
    }
}

#[test]
fn facts_that_contradict_the_manifests_are_named() {
    let mut completed = cluster("x.example.com", 1, "  networkID: vpc-1\n  networkCIDR: 172.20.0.0/16");
    let mut world = facts(&completed);
    world.vpc = Some(SharedVpc {
        id: "vpc-1".to_owned(),
        cidrs: Vec::new(),
        internet_gateway: None,
        dhcp_options: None,
        foreign_subnets: BTreeMap::new(),
    });
    let error = |completed: &_, facts: &_| model(completed, facts).unwrap_err().to_string();
    insta::assert_snapshot!(error(&completed, &world), @"vpc-1 has no internet gateway, which public subnets need: attach one, or give existing subnets by their ids");

    completed.cluster.spec.subnets[0].id = Some("subnet-1".to_owned());
    insta::assert_snapshot!(error(&completed, &world), @"there is no subnet subnet-1 in the region");
    world = facts(&completed);
    world.subnets.get_mut("eu-west-1a").unwrap().zone = "eu-west-1c".to_owned();
    insta::assert_snapshot!(error(&completed, &world), @"the zone of subnet-1 is eu-west-1c, but the manifest says eu-west-1a: correct the manifest");

    let completed = gossip();
    world = facts(&completed);
    world.images.clear();
    insta::assert_snapshot!(error(&completed, &world), @"instance group master-eu-west-1a: there is no image 099720109477/ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260714 in the region");
}

#[test]
fn a_classic_load_balancer_checks_what_an_api_server_can_pass() {
    let resources = model_of(&gossip());
    let balancer = find(&resources, "ClassicLoadBalancer/api.demo.k8s.local");
    assert_eq!(balancer.fields()["HealthCheck"]["Target"], "TCP:443");
    assert_eq!(balancer.rule("HealthCheck"), FieldRule::IN_PLACE, "existing ones are put right");
}

#[test]
fn user_data_is_short_and_names_contents_by_hash() {
    let completed = gossip();
    let mut facts = facts(&completed);
    let program = NodeProgram::new("f".repeat(64), &Key::new("bin/kops-node").unwrap());
    facts.node_programs = BTreeMap::from([("x86_64".to_owned(), program)]);
    let resources = model(&completed, &facts).unwrap();
    let text = user_data(&resources, "nodes.demo.k8s.local");
    assert!(text.len() < user_data::LIMIT / 2, "{} bytes", text.len());
    let hash = ids_of_configs(&resources).into_iter().find(|id| id.contains("/nodes/")).unwrap();
    let hash = hash.rsplit_once('/').unwrap().1.trim_end_matches(".yaml");
    let (head, body) = text.split_at(text.find("\n# Another service").unwrap());
    assert!(body.contains("\n/opt/kops/bin/kops-node --config /opt/kops/conf/node.yaml || "), "{body}");
    let head = head.replace(hash, "<config>").replace(&"f".repeat(64), "<program>");
    insta::assert_snapshot!(head, @r"
    #!/bin/sh
    # Makes this machine a node of demo.k8s.local, group nodes. Kubernetes 1.35.7
    set -eu
    region='eu-west-1'
    bucket='state'
    host='state.s3.eu-west-1.amazonaws.com'
    root=''
    config_path='/demo.k8s.local/igconfig/node/nodes/<config>.yaml'
    config_sha256='<config>'
    program_path='/bin/kops-node'
    program_sha256='<program>'
    ");
}

/// The statements of a role's own policy.
fn statements(resources: &[AwsResource], role: &str) -> Vec<serde_json::Value> {
    match find(resources, &format!("IAMRolePolicy/{role}")) {
        AwsResource::IamRolePolicy(policy) => policy.policy_document["Statement"].as_array().unwrap().clone(),
        _ => unreachable!(),
    }
}

#[test]
fn workers_read_what_the_key_of_the_store_encrypts_and_only_that() {
    let completed = gossip();
    let mut facts = facts(&completed);
    let of_nodes = |facts: &Facts| statements(&model(&completed, facts).unwrap(), "nodes.demo.k8s.local");
    assert!(!of_nodes(&facts).iter().any(|statement| statement.to_string().contains("kms:")));
    if let StateLocation::S3 { kms_key, .. } = &mut facts.state {
        *kms_key = Some("arn:aws:kms:eu-west-1:123456789012:key/1234".to_owned());
    }
    let of_key =
        of_nodes(&facts).into_iter().find(|statement| statement.to_string().contains("kms:")).unwrap();
    insta::assert_snapshot!(of_key, @r#"{"Action":["kms:Decrypt"],"Condition":{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}},"Effect":"Allow","Resource":"arn:aws:kms:eu-west-1:123456789012:key/1234"}"#);
}

/// Whatever programs are published, and however many: the policy stays as it is, and below IAM's limit.
#[test]
fn machines_may_read_all_programs_of_the_store() {
    let completed = gossip();
    let mut facts = facts(&completed);
    let before = model(&completed, &facts).unwrap();
    facts.node_programs.clear();
    let after = model(&completed, &facts).unwrap();
    for role in ["nodes.demo.k8s.local", "masters.demo.k8s.local"] {
        assert_eq!(statements(&before, role), statements(&after, role));
        let programs = serde_json::json!({
            "Action": ["s3:GetObject"], "Effect": "Allow", "Resource": "arn:aws:s3:::state/programs/*"
        });
        assert!(statements(&before, role).contains(&programs), "{role}");
    }
}

#[test]
fn in_china_services_have_other_names() {
    let completed = gossip();
    let mut facts = facts(&completed);
    (facts.partition, facts.region) = ("aws-cn".to_owned(), "cn-north-1".to_owned());
    let resources = model(&completed, &facts).unwrap();
    let AwsResource::IamRole(role) = find(&resources, "IAMRole/nodes.demo.k8s.local") else { unreachable!() };
    let trusted = &role.role_policy_document["Statement"][0]["Principal"]["Service"];
    assert_eq!(trusted, "ec2.amazonaws.com.cn");
    let text = format!("{:?}", statements(&resources, "masters.demo.k8s.local"));
    assert!(text.contains("ec2.cn-north-1.amazonaws.com.cn") && text.contains("s3.*.amazonaws.com.cn"));
    assert!(!text.contains("arn:aws:") && !text.contains(r#".amazonaws.com""#), "{text}");
}

fn ids_of_configs(resources: &[AwsResource]) -> Vec<String> {
    let ids = resources.iter().map(|resource| resource.id().to_string());
    ids.filter(|id| id.starts_with("ManagedFile/igconfig/")).collect()
}

#[test]
fn templates_tell_which_configuration_their_machines_have() {
    let resources = model_of(&gossip());
    let told = resources.iter().filter_map(StateBacked::node_config);
    let told: BTreeSet<String> = told.map(|location| format!("ManagedFile/{location}")).collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), ids_of_configs(&resources));
    assert_eq!(ids_of_configs(&resources).len(), 2);
}

#[test]
fn another_configuration_is_another_template() {
    let completed = gossip();
    let mut other = completed.clone();
    other.groups.last_mut().unwrap().spec.node_labels.insert("a".to_owned(), "b".to_owned());
    let (old, new) = (model_of(&completed), model_of(&other));
    let nodes = "nodes.demo.k8s.local";
    assert_ne!(user_data(&old, nodes), user_data(&new, nodes));
    let masters = "master-eu-west-1a.masters.demo.k8s.local";
    assert_eq!(user_data(&old, masters), user_data(&new, masters));
}

#[test]
fn more_user_data_follows_ours() {
    let mut completed = gossip();
    let part = manifest::UserData {
        name: "more.sh".to_owned(),
        type_: "text/x-shellscript".to_owned(),
        content: "#!/bin/sh\necho more\n".to_owned(),
    };
    completed.groups.last_mut().unwrap().spec.additional_user_data = vec![part];
    let text = user_data(&model_of(&completed), "nodes.demo.k8s.local");
    assert!(text.starts_with("Content-Type: multipart/mixed;"), "{text}");
    assert!(text.find("kops-node.sh").unwrap() < text.find("echo more").unwrap());

    let long = &mut completed.groups.last_mut().unwrap().spec.additional_user_data[0].content;
    *long = "x".repeat(user_data::LIMIT);
    let error = model(&completed, &facts(&completed)).unwrap_err().to_string();
    assert!(error.contains("group nodes") && error.contains("EC2 takes 16384"), "{error}");
}

#[test]
fn what_users_put_on_machines_is_for_machines_alone() {
    let mut completed = gossip();
    let asset = |roles| manifest::FileAsset {
        name: "audit".to_owned(),
        content: "between us".to_owned(),
        roles,
        ..manifest::FileAsset::default()
    };
    let bare = model_of(&completed);
    completed.cluster.spec.file_assets = vec![asset(vec![Role::Node])];
    let hook = manifest::Hook { manifest: Some("between us".to_owned()), ..manifest::Hook::default() };
    completed.cluster.spec.hooks = vec![manifest::Hook { roles: vec![Role::Node], ..hook }];
    let resources = model_of(&completed);
    let nodes = "nodes.demo.k8s.local";
    assert_ne!(user_data(&bare, nodes), user_data(&resources, nodes));
    let masters = "master-eu-west-1a.masters.demo.k8s.local";
    assert_eq!(user_data(&bare, masters), user_data(&resources, masters));
    for resource in &resources {
        let fields = format!("{:?}", resource.fields());
        assert!(!fields.contains("between us"), "{fields}");
    }
    let holders = resources.iter().filter_map(|resource| match resource {
        AwsResource::ManagedFile(file) if file.object.contents.contains("between us") => {
            Some(file.object.location.as_str())
        }
        _ => None,
    });
    let holders: Vec<&str> = holders.collect();
    assert!(matches!(holders.as_slice(), [one] if one.starts_with("igconfig/node/nodes/")), "{holders:?}");
}

#[test]
fn machines_that_will_not_become_nodes_are_announced() {
    let completed = gossip();
    let mut world = facts(&completed);
    world.node_programs.clear();
    insta::assert_snapshot!(warnings(&completed, &world).join("\n"), @"no kops-node program is published for the machines of master-eu-west-1a, nodes: they will boot, but not become nodes; publish one with `kops create assets`");
    let resources = model(&completed, &world).unwrap();
    assert!(user_data(&resources, "nodes.demo.k8s.local").contains("program_sha256=''"));

    world.state = StateLocation::Unreachable("the directory it's in".to_owned());
    insta::assert_snapshot!(warnings(&completed, &world).join("\n"), @"the state is in the directory it's in, which machines on AWS cannot reach: they will boot, but not become nodes");
    let resources = model(&completed, &world).unwrap();
    insta::assert_snapshot!(user_data(&resources, "nodes.demo.k8s.local"), @r"
    #!/bin/sh
    # Makes this machine a node of demo.k8s.local, group nodes. Kubernetes 1.35.7
    set -eu
    echo 'kops: the cluster'\''s state is in the directory it'\''s in, which machines cannot reach'
    exit 1
    ");
    let policies = resources.iter().filter(|r| matches!(r, AwsResource::IamRolePolicy(_)));
    assert!(!policies.map(|policy| format!("{policy:?}")).collect::<String>().contains("s3:Get"));
}

#[test]
fn additional_policies_are_roles_own() {
    let statements = r#"[{"Action": ["s3:ListAllMyBuckets"], "Effect": "Allow", "Resource": "*"}]"#;
    let mut completed = gossip();
    completed.cluster.spec.additional_policies.insert("node".to_owned(), statements.to_owned());
    let resources = model_of(&completed);
    let fields = find(&resources, "IAMRolePolicy/additional.nodes.demo.k8s.local").fields();
    assert_eq!(fields["Role"], "nodes.demo.k8s.local");
    assert_eq!(fields["PolicyDocument"]["Statement"][0]["Action"][0], "s3:ListAllMyBuckets");

    completed.cluster.spec.additional_policies.insert("node".to_owned(), "{}".to_owned());
    let error = model(&completed, &facts(&completed)).unwrap_err();
    assert_eq!(error.to_string(), "spec.additionalPolicies[node] is not a JSON list of statements");
}

#[test]
fn load_balancers_are_in_one_subnet_a_zone() {
    let mut completed = dns_none();
    let mut second = completed.cluster.spec.subnets[0].clone();
    second.name = "another".to_owned();
    completed.cluster.spec.subnets.push(second);
    let resources = model_of(&completed);
    let fields = find(&resources, "NetworkLoadBalancer/api.ha.example.com").fields();
    assert_eq!(
        fields["Subnets"],
        serde_json::json!([
            "another.ha.example.com",
            "eu-west-1b.ha.example.com",
            "eu-west-1c.ha.example.com"
        ])
    );
}

/// What the policy of a role allows beside fetching programs, an action and a resource a line.
fn allowed(completed: &CompletedCluster, role: &str) -> Vec<String> {
    let policy = find(&model_of(completed), &format!("IAMRolePolicy/{role}.{}", completed.name())).fields();
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    let lines = statements.iter().flat_map(|statement| {
        let actions = statement["Action"].as_array().cloned().unwrap_or_default();
        actions.into_iter().map(|action| format!("{} {}", action.as_str().unwrap(), statement["Resource"]))
    });
    lines.filter(|line| !line.contains("/programs/")).collect()
}

#[test]
fn workers_may_do_what_they_need_to_join_and_to_gossip() {
    insta::assert_snapshot!(allowed(&gossip(), "nodes").join("\n"), @r#"
    s3:GetObject "arn:aws:s3:::state/demo.k8s.local/igconfig/node/*"
    s3:GetObject "arn:aws:s3:::state/demo.k8s.local/secrets/node-join"
    s3:GetObject "arn:aws:s3:::state/demo.k8s.local/secrets/gossip-key"
    ec2:DescribeInstances "*"
    "#);
    insta::assert_snapshot!(allowed(&dns_none(), "nodes").join("\n"), @r#"
    s3:GetObject "arn:aws:s3:::state/ha.example.com/igconfig/node/*"
    s3:GetObject "arn:aws:s3:::state/ha.example.com/secrets/node-join"
    "#);
}

#[test]
fn only_who_publishes_the_load_balancer_may_look_for_it() {
    let looks = |completed: &CompletedCluster, role: &str| {
        allowed(completed, role).iter().any(|line| line.starts_with("ec2:DescribeNetworkInterfaces "))
    };
    assert!(looks(&dns_none(), "masters") && !looks(&dns_none(), "nodes") && !looks(&gossip(), "masters"));
}

#[test]
fn the_control_plane_may_change_sizes_only_for_the_cluster_autoscaler() {
    let mut completed = gossip();
    let before = allowed(&completed, "masters");
    let settings = ClusterAutoscaler { enabled: Some(true), ..Default::default() };
    completed.cluster.spec.cluster_autoscaler = Some(settings);
    let after = allowed(&completed, "masters");
    let more: Vec<_> = after.iter().filter(|line| !before.contains(line)).map(String::as_str).collect();
    insta::assert_snapshot!(more.join("\n"), @r#"
    autoscaling:DescribeAutoScalingGroups "*"
    autoscaling:DescribeAutoScalingInstances "*"
    autoscaling:DescribeLaunchConfigurations "*"
    autoscaling:DescribeScalingActivities "*"
    ec2:DescribeImages "*"
    ec2:DescribeLaunchTemplateVersions "*"
    ec2:GetInstanceTypesFromInstanceRequirements "*"
    autoscaling:SetDesiredCapacity "*"
    autoscaling:TerminateInstanceInAutoScalingGroup "*"
    "#);
    let policy = find(&model_of(&completed), "IAMRolePolicy/masters.demo.k8s.local").fields();
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    let change =
        statements.iter().find(|statement| statement["Action"].to_string().contains("SetDesired")).unwrap();
    assert_eq!(change["Condition"]["StringEquals"]["aws:ResourceTag/KubernetesCluster"], "demo.k8s.local");
}

#[test]
fn the_load_balancer_is_where_and_what_the_manifest_says() {
    let more = "  api: {loadBalancer: {class: Network, type: Public, securityGroupOverride: sg-1, \
                subnets: [{name: eu-west-1b, allocationId: eipalloc-1}]}}";
    let completed = cluster("a.k8s.local", 1, more);
    let made =
        model(&completed, &Facts::simulated(&completed, StateLocation::Unreachable("here".to_owned()), None))
            .unwrap();
    let balancer = made.iter().find_map(|resource| match resource {
        AwsResource::NetworkLoadBalancer(balancer) => Some(balancer),
        _ => None,
    });
    let balancer = balancer.unwrap();
    let subnet = "eu-west-1b.a.k8s.local".to_owned();
    assert_eq!(balancer.subnets, BTreeSet::from([subnet.clone()]));
    let address = crate::resource::BalancerAddress::ElasticIp("eipalloc-1".to_owned());
    assert_eq!(balancer.addresses, BTreeMap::from([(subnet, address)]));
    assert_eq!(balancer.security_groups, BTreeSet::from(["sg-1".to_owned()]));
    let ids: Vec<String> = made.iter().map(|resource| resource.id().to_string()).collect();
    assert!(!ids.iter().any(|id| id.contains("api-elb.")), "{ids:?}");
    let inside: Vec<_> = ids.iter().filter(|id| id.contains("sg-1")).collect();
    insta::assert_snapshot!(inside.iter().map(|id| id.as_str()).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_range_of_an_existing_subnet_is_that_of_its_owner() {
    let more = "  networkID: vpc-1\n  networkCIDR: 172.20.0.0/16";
    let mut completed = cluster("a.k8s.local", 1, more);
    let subnet = &mut completed.cluster.spec.subnets[0];
    (subnet.id, subnet.cidr) = (Some("subnet-1".to_owned()), None);
    let facts = Facts::simulated(&completed, StateLocation::Unreachable("here".to_owned()), None);
    assert_eq!(facts.subnets["eu-west-1a"].cidr.to_string(), "172.20.0.0/16");
    let made = model(&completed, &facts).unwrap();
    let ids: Vec<String> = made.iter().map(|resource| resource.id().to_string()).collect();
    assert!(ids.contains(&"Subnet/subnet-1".to_owned()), "{ids:?}");
    assert!(!ids.contains(&"Subnet/eu-west-1a.a.k8s.local".to_owned()), "{ids:?}");
}

//! What machines may do on AWS: no more than their programs need.

use kops_core::manifest::{Networking, Role};
use kops_core::state::layout;
use serde_json::{Value, json};

use super::Context;
use super::addons::cluster_autoscaler;
use crate::facts::StateLocation;
use crate::{partition, store_key, tags};

/// The statements of a role's policy; none for bastions.
pub(super) fn of_role(context: &Context<'_>, role: Role) -> Vec<Value> {
    match role {
        Role::ControlPlane => control_plane(context),
        Role::Node => node(context),
        Role::Bastion => Vec::new(),
    }
}

/// Pulling images from the account's registry.
const REGISTRY: [&str; 7] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeRepositories",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:ListImages",
];

/// What the cloud controller, the volume driver and kops-node look at. No part of it can be limited to one cluster's
/// resources.
const LOOK: [&str; 22] = [
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTopology",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVolumeStatus",
    "ec2:DescribeVolumes",
    "ec2:DescribeVolumesModifications",
    "ec2:DescribeVpcs",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancerPolicies",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "iam:CreateServiceLinkedRole",
    "kms:DescribeKey",
];

/// What they change of the cluster's own.
const CHANGE: [&str; 29] = [
    "ec2:AttachVolume",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteVolume",
    "ec2:DetachVolume",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyVolume",
    "ec2:RevokeSecurityGroupIngress",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:ApplySecurityGroupsToLoadBalancer",
    "elasticloadbalancing:AttachLoadBalancerToSubnets",
    "elasticloadbalancing:ConfigureHealthCheck",
    "elasticloadbalancing:CreateLoadBalancerListeners",
    "elasticloadbalancing:CreateLoadBalancerPolicy",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteLoadBalancerListeners",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:DetachLoadBalancerFromSubnets",
    "elasticloadbalancing:ModifyListener",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:SetLoadBalancerPoliciesForBackendServer",
    "elasticloadbalancing:SetLoadBalancerPoliciesOfListener",
];

/// How they set the ways to pods, where no network plugin connects them.
const ROUTES: [&str; 3] = ["ec2:CreateRoute", "ec2:DeleteRoute", "ec2:ReplaceRoute"];

/// What they make, tagged as the cluster's.
const MAKE: [&str; 6] = [
    "ec2:CopyVolumes",
    "ec2:CreateSecurityGroup",
    "ec2:CreateVolume",
    "elasticloadbalancing:CreateListener",
    "elasticloadbalancing:CreateLoadBalancer",
    "elasticloadbalancing:CreateTargetGroup",
];

/// What the cluster autoscaler looks at (`cluster-autoscaler/cloudprovider/aws/README.md`).
const LOOK_OF_AUTOSCALER: [&str; 7] = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "ec2:DescribeImages",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
];

/// What it changes of the cluster's own.
const CHANGE_OF_AUTOSCALER: [&str; 2] =
    ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"];

/// What workers need to join: written by the control plane, read by workers (`kops_core::state::layout::node_join`).
const JOIN: &str = "secrets/node-join";

fn allows_registry(context: &Context<'_>) -> bool {
    context.spec.iam.as_ref().is_some_and(|iam| iam.allow_container_registry == Some(true))
}

fn node(context: &Context<'_>) -> Vec<Value> {
    let mut statements = Vec::new();
    if let (Some(base), StateLocation::S3 { bucket, region, prefix, kms_key }) =
        (state_arn(context), &context.facts.state)
    {
        // Their own configuration and the program that carries it out; everything else is the control plane's.
        statements.push(allow(&["s3:GetObject"], &format!("{base}/igconfig/node/*")));
        statements.push(programs(context, bucket, prefix));
        // The authority's certificate and the token, which the control plane publishes for them.
        statements.push(allow(&["s3:GetObject"], &format!("{base}/{JOIN}")));
        if context.completed.gossips() {
            statements.push(allow(&["s3:GetObject"], &format!("{base}/secrets/{}", layout::GOSSIP_KEY)));
        }
        let key = kms_key.as_deref();
        statements.extend(key.map(|key| store_key::statement(&["kms:Decrypt"], key, region)));
    }
    if context.completed.gossips() {
        // Whom to gossip with first: machines are found by their tags.
        statements.push(allow(&["ec2:DescribeInstances"], "*"));
    }
    if allows_registry(context) {
        statements.push(allow(&REGISTRY, "*"));
    }
    statements
}

fn control_plane(context: &Context<'_>) -> Vec<Value> {
    let cluster = context.cluster;
    let partition = &context.facts.partition;
    let own = |key: &str| format!("aws:ResourceTag/{key}");
    let mut attach = allow(&["ec2:AttachVolume"], "*");
    attach["Condition"] = json!({
        "StringEquals": { own(tags::CLUSTER): cluster, own("k8s.io/role/master"): "1" }
    });
    let mut statements = vec![attach];
    statements.extend(state(context));
    let of_ec2 = |kind: &str| format!("arn:{partition}:ec2:*:*:{kind}/*");
    let volumes = [of_ec2("snapshot"), of_ec2("volume")];
    let groups = [of_ec2("security-group")];
    statements.extend(tagging(cluster, &json!(volumes), &["CopyVolumes", "CreateVolume"]));
    statements.extend(tagging(cluster, &json!(groups), &["CreateSecurityGroup"]));
    statements.extend(encryption(context));
    let mut look = LOOK.to_vec();
    if allows_registry(context) {
        look.extend(REGISTRY);
    }
    if context.completed.joins_by_load_balancer() {
        // Where the load balancer is, for those who join.
        look.push("ec2:DescribeNetworkInterfaces");
    }
    let mut change = CHANGE.to_vec();
    if cluster_autoscaler::settings(context).is_some() {
        look.extend(LOOK_OF_AUTOSCALER);
        change.extend(CHANGE_OF_AUTOSCALER);
    }
    look.sort_unstable();
    if matches!(context.spec.networking, None | Some(Networking::Kubenet(_))) {
        change.extend(ROUTES);
    }
    change.sort_unstable();
    let mut change = allow(&change, "*");
    change["Condition"] = json!({ "StringEquals": { own(tags::CLUSTER): cluster } });
    let mut make = allow(&MAKE, "*");
    make["Condition"] = json!({ "StringEquals": { request_tag(): cluster } });
    // The network of a new security group carries no request tag.
    let in_network = allow(&["ec2:CreateSecurityGroup"], &of_ec2("vpc"));
    statements.extend([allow(&look, "*"), change, make, in_network]);
    if let Some(zone) = context.facts.hosted_zone() {
        let zone = format!("arn:{partition}:route53:::hostedzone/{}", zone.id);
        statements
            .push(allow(&["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"], &zone));
    }
    statements
}

fn request_tag() -> String {
    format!("aws:RequestTag/{}", tags::CLUSTER)
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({ "Action": actions, "Effect": "Allow", "Resource": resource })
}

/// The ARN of the cluster's part of the state store, without a slash at the end.
fn state_arn(context: &Context<'_>) -> Option<String> {
    let StateLocation::S3 { bucket, prefix, .. } = &context.facts.state else { return None };
    let path = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Some(format!("arn:{}:s3:::{bucket}/{path}{}", context.facts.partition, context.cluster))
}

/// Reading the programs that all clusters of the store share, whatever is published later.
fn programs(context: &Context<'_>, bucket: &str, prefix: &str) -> Value {
    let path = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let all = format!("arn:{}:s3:::{bucket}/{path}{}/*", context.facts.partition, layout::PROGRAMS);
    allow(&["s3:GetObject"], &all)
}

/// Reading the cluster's state, and writing etcd's backups.
fn state(context: &Context<'_>) -> Vec<Value> {
    let (Some(base), StateLocation::S3 { bucket, prefix, .. }) = (state_arn(context), &context.facts.state)
    else {
        return Vec::new();
    };
    let mut statements = vec![allow(&["s3:Get*"], &format!("{base}/*"))];
    statements.extend(context.spec.etcd_clusters.iter().map(|etcd| {
        let actions = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"];
        allow(&actions, &format!("{base}/backups/etcd/{}/*", etcd.name))
    }));
    statements.push(allow(&["s3:PutObject"], &format!("{base}/{JOIN}")));
    let actions =
        ["s3:GetBucketLocation", "s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:ListBucketVersions"];
    statements.push(allow(&actions, &format!("arn:{}:s3:::{bucket}", context.facts.partition)));
    statements.push(programs(context, bucket, prefix));
    statements
}

/// Tagging what is made as the cluster's, and other tags of what is the cluster's.
fn tagging(cluster: &str, resources: &Value, made_by: &[&str]) -> [Value; 2] {
    [
        json!({
            "Action": "ec2:CreateTags",
            "Condition": {
                "StringEquals": { request_tag(): cluster, "ec2:CreateAction": made_by },
            },
            "Effect": "Allow",
            "Resource": resources,
        }),
        json!({
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Condition": {
                "Null": { request_tag(): "true" },
                "StringEquals": { format!("aws:ResourceTag/{}", tags::CLUSTER): cluster },
            },
            "Effect": "Allow",
            "Resource": resources,
        }),
    ]
}

/// Encrypted volumes and an encrypted state store, by EC2 and S3 on the machine's behalf only.
fn encryption(context: &Context<'_>) -> [Value; 2] {
    let actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"];
    let domain = partition::domain(&context.facts.partition);
    let via = [format!("ec2.{}.{domain}", context.facts.region), format!("s3.*.{domain}")];
    [
        json!({
            "Action": "kms:CreateGrant",
            "Condition": { "Bool": { "kms:GrantIsForAWSResource": "true" } },
            "Effect": "Allow",
            "Resource": "*",
        }),
        json!({
            "Action": actions,
            "Condition": { "StringLike": { "kms:ViaService": via } },
            "Effect": "Allow",
            "Resource": "*",
        }),
    ]
}

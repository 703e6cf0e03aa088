//! What an operator's credentials must allow: the calls this crate makes, and no others.

use serde_json::{Value, json};

use crate::s3::S3Url;
use crate::{partition, store_key};

/// What is read and written in the state store. The first two concern the bucket, the others its objects.
pub const STATE_ACTIONS: &[&str] =
    &["s3:GetEncryptionConfiguration", "s3:ListBucket", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"];

/// How many of [`STATE_ACTIONS`] concern the bucket itself.
const BUCKET_ACTIONS: usize = 2;

/// What a KMS key of the state store is used for by those who read and write through S3.
pub const KEY_ACTIONS: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey"];

/// What clusters are made of, sorted, but for their roles. Nothing here calls `ec2:RunInstances`: Auto Scaling asks for it on
/// behalf of groups with launch templates
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html>).
///
/// Most describing and creating calls know no resource to restrict them to
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>).
pub const CLOUD_ACTIONS: &[&str] = &[
    "autoscaling:AttachLoadBalancerTargetGroups",
    "autoscaling:AttachLoadBalancers",
    "autoscaling:CreateAutoScalingGroup",
    "autoscaling:CreateOrUpdateTags",
    "autoscaling:DeleteAutoScalingGroup",
    "autoscaling:DeleteTags",
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DetachInstances",
    "autoscaling:DetachLoadBalancerTargetGroups",
    "autoscaling:DetachLoadBalancers",
    "autoscaling:DisableMetricsCollection",
    "autoscaling:EnableMetricsCollection",
    "autoscaling:ResumeProcesses",
    "autoscaling:SuspendProcesses",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "autoscaling:UpdateAutoScalingGroup",
    "ec2:AllocateAddress",
    "ec2:AssociateDhcpOptions",
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateDhcpOptions",
    "ec2:CreateInternetGateway",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:CreateNatGateway",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVolume",
    "ec2:CreateVpc",
    "ec2:DeleteDhcpOptions",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteKeyPair",
    "ec2:DeleteLaunchTemplate",
    "ec2:DeleteLaunchTemplateVersions",
    "ec2:DeleteNatGateway",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteRoute",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteVolume",
    "ec2:DeleteVpc",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeKeyPairs",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcs",
    "ec2:DetachInternetGateway",
    "ec2:DisassociateRouteTable",
    "ec2:GetConsoleOutput",
    "ec2:ImportKeyPair",
    "ec2:ModifyLaunchTemplate",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVolume",
    "ec2:ModifyVpcAttribute",
    "ec2:ReleaseAddress",
    "ec2:ReplaceRoute",
    "ec2:ReplaceRouteTableAssociation",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
    "elasticloadbalancing:AddTags",
    "elasticloadbalancing:ApplySecurityGroupsToLoadBalancer",
    "elasticloadbalancing:AttachLoadBalancerToSubnets",
    "elasticloadbalancing:ConfigureHealthCheck",
    "elasticloadbalancing:CreateListener",
    "elasticloadbalancing:CreateLoadBalancer",
    "elasticloadbalancing:CreateLoadBalancerListeners",
    "elasticloadbalancing:CreateTargetGroup",
    "elasticloadbalancing:DeleteListener",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteLoadBalancerListeners",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DetachLoadBalancerFromSubnets",
    "elasticloadbalancing:ModifyListener",
    "elasticloadbalancing:ModifyLoadBalancerAttributes",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "elasticloadbalancing:SetSecurityGroups",
    "elasticloadbalancing:SetSubnets",
    "route53:ChangeResourceRecordSets",
    "route53:GetHostedZone",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
];

/// What is done to the clusters' roles and instance profiles, sorted.
pub const ROLE_ACTIONS: &[&str] = &[
    "iam:AddRoleToInstanceProfile",
    "iam:AttachRolePolicy",
    "iam:CreateInstanceProfile",
    "iam:CreateRole",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:GetInstanceProfile",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
];

/// What the names of the clusters' roles and instance profiles start with.
const ROLE_PREFIXES: [&str; 3] = ["masters.", "nodes.", "bastions."];

/// The policy (JSON, indented) with which an operator can run clusters whose state is in the store at `url`.
///
/// `region` is the bucket's: it tells the partition of the names. `kms_key` is the customer's key that the store is
/// encrypted with, if there is one: its ARN, its id or an alias.
pub fn operator_policy(url: &S3Url, region: &str, kms_key: Option<&str>) -> String {
    let partition = partition::of_region(region);
    let bucket = format!("arn:{partition}:s3:::{}", url.bucket);
    let objects = match url.prefix.as_str() {
        "" => format!("{bucket}/*"),
        prefix => format!("{bucket}/{prefix}/*"),
    };
    let (on_bucket, on_objects) = STATE_ACTIONS.split_at(BUCKET_ACTIONS);
    let of_roles: Vec<String> = ["role", "instance-profile"]
        .iter()
        .flat_map(|kind| {
            ROLE_PREFIXES.iter().map(move |prefix| format!("arn:{partition}:iam::*:{kind}/{prefix}*"))
        })
        .collect();
    let (roles, _profiles) = of_roles.split_at(ROLE_PREFIXES.len());
    let mut statements = vec![
        allow("StateStore", on_bucket, json!(bucket)),
        allow("State", on_objects, json!(objects)),
        allow("Cloud", CLOUD_ACTIONS, json!("*")),
        allow("Roles", ROLE_ACTIONS, json!(of_roles)),
        with_condition(
            allow("GiveRolesToMachines", &["iam:PassRole"], json!(roles)),
            json!({ "StringEquals": { "iam:PassedToService": partition::ec2(partition) } }),
        ),
        with_condition(
            // The account's first scaling group and load balancer make the role of their service.
            allow(
                "FirstUse",
                &["iam:CreateServiceLinkedRole"],
                json!(format!("arn:{partition}:iam::*:role/aws-service-role/*")),
            ),
            json!({ "StringEquals": { "iam:AWSServiceName":
                ["autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com"] } }),
        ),
    ];
    if let Some(key) = kms_key {
        let mut statement = store_key::statement(KEY_ACTIONS, key, region);
        statement["Sid"] = json!("StateKey");
        statements.push(statement);
    }
    format!("{:#}", json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn allow(sid: &str, actions: &[&str], resource: Value) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource })
}

fn with_condition(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn actions_are_sorted_and_there_once() {
        for actions in [CLOUD_ACTIONS, ROLE_ACTIONS, KEY_ACTIONS] {
            assert!(actions.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn the_policy_is_as_narrow_as_names_allow() {
        let url = "s3://my-bucket/team".parse().unwrap();
        let text = operator_policy(&url, "ap-northeast-1", None);
        let mut policy: Value = serde_json::from_str(&text).unwrap();
        for statement in policy["Statement"].as_array_mut().unwrap() {
            if matches!(statement["Sid"].as_str(), Some("Cloud" | "Roles")) {
                statement["Action"] = json!("…");
            }
        }
        insta::assert_json_snapshot!(policy, @r#"
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "StateStore",
              "Effect": "Allow",
              "Action": [
                "s3:GetEncryptionConfiguration",
                "s3:ListBucket"
              ],
              "Resource": "arn:aws:s3:::my-bucket"
            },
            {
              "Sid": "State",
              "Effect": "Allow",
              "Action": [
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:PutObject"
              ],
              "Resource": "arn:aws:s3:::my-bucket/team/*"
            },
            {
              "Sid": "Cloud",
              "Effect": "Allow",
              "Action": "…",
              "Resource": "*"
            },
            {
              "Sid": "Roles",
              "Effect": "Allow",
              "Action": "…",
              "Resource": [
                "arn:aws:iam::*:role/masters.*",
                "arn:aws:iam::*:role/nodes.*",
                "arn:aws:iam::*:role/bastions.*",
                "arn:aws:iam::*:instance-profile/masters.*",
                "arn:aws:iam::*:instance-profile/nodes.*",
                "arn:aws:iam::*:instance-profile/bastions.*"
              ]
            },
            {
              "Sid": "GiveRolesToMachines",
              "Effect": "Allow",
              "Action": [
                "iam:PassRole"
              ],
              "Resource": [
                "arn:aws:iam::*:role/masters.*",
                "arn:aws:iam::*:role/nodes.*",
                "arn:aws:iam::*:role/bastions.*"
              ],
              "Condition": {
                "StringEquals": {
                  "iam:PassedToService": "ec2.amazonaws.com"
                }
              }
            },
            {
              "Sid": "FirstUse",
              "Effect": "Allow",
              "Action": [
                "iam:CreateServiceLinkedRole"
              ],
              "Resource": "arn:aws:iam::*:role/aws-service-role/*",
              "Condition": {
                "StringEquals": {
                  "iam:AWSServiceName": [
                    "autoscaling.amazonaws.com",
                    "elasticloadbalancing.amazonaws.com"
                  ]
                }
              }
            }
          ]
        }
        "#);
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: characters but white space.
        let size = text.chars().filter(|c| !c.is_whitespace()).count();
        assert!(size <= 6144, "a managed policy holds 6144 characters, this one has {size}");
    }

    #[test]
    fn partitions_and_keys_are_named() {
        let url = "s3://my-bucket".parse().unwrap();
        let key = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234";
        let text = operator_policy(&url, "cn-north-1", Some(key));
        assert!(text.contains("arn:aws-cn:s3:::my-bucket/*") && !text.contains("arn:aws:"), "{text}");
        assert!(text.contains(key) && text.contains(r#""s3.cn-north-1.amazonaws.com.cn""#), "{text}");
        assert!(text.contains(r#""iam:PassedToService": "ec2.amazonaws.com.cn""#), "{text}");
    }

    /// The actions that the sources of these folders name, but for those of some files.
    fn named(folders: &[&str], but: &[&str]) -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = BTreeSet::new();
        for folder in folders {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|end| end != "rs")
                    || but.iter().any(|name| path.ends_with(name))
                {
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap();
                let words = text.split('"');
                let is_action = |word: &&str| {
                    word.split_once(':').is_some_and(|(service, action)| {
                        service.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                            && action.starts_with(|c: char| c.is_ascii_uppercase())
                            && action.bytes().all(|c| c.is_ascii_alphanumeric())
                    })
                };
                found.extend(words.filter(is_action).map(str::to_owned));
            }
        }
        found
    }

    /// What machines alone do, and what makes the state store in the first place.
    const NOT_OPERATORS: [&str; 4] = ["api/machine.rs", "api/pod_routes.rs", "api/proof.rs", "s3/bucket.rs"];

    #[test]
    fn every_call_is_allowed_and_nothing_else() {
        let called = named(&["api", "api/fleet", "api/lookup", "s3"], &NOT_OPERATORS);
        let allowed = STATE_ACTIONS.iter().chain(CLOUD_ACTIONS).chain(ROLE_ACTIONS);
        let allowed: BTreeSet<String> = allowed.map(|action| (*action).to_owned()).collect();
        let unknown: Vec<&String> = called.difference(&allowed).collect();
        assert!(unknown.is_empty(), "called, and not in the policy: {unknown:?}");
        let idle: Vec<&String> = allowed.difference(&called).collect();
        // Auto Scaling asks for it.
        assert_eq!(idle, ["ec2:RunInstances"], "in the policy, and never called");
        assert!(called.len() > 80, "the sources were read: {called:?}");
    }
}

//! What AWS takes of names, tags and documents, and never more.

use std::collections::BTreeMap;

use kops_core::manifest::{CompletedCluster, Violation};
use kops_core::resource::Resource;

use super::{of_group, violation};
use crate::names;
use crate::resource::{AwsResource, Peer, Tags};
use crate::tags;

/// The most tags of a resource, characters of a key and of a value; the same in all services
/// (<https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>).
const TAGS: usize = 50;
const KEY: usize = 128;
const VALUE: usize = 256;
/// The most characters but white space in all inline policies of a role
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const POLICIES: usize = 10_240;
/// The most rules of a security group, however far its quota was raised: those of all groups of an interface are at most
/// this many.
const RULES: usize = 1000;
/// The most security groups of a network interface, however far the quota was raised.
const GROUPS: usize = 16;

/// Finds what AWS would not take, however the account's quotas were raised.
pub fn check_limits(completed: &CompletedCluster, resources: &[AwsResource]) -> Vec<Violation> {
    let mut found = Found { completed, by_path: BTreeMap::new() };
    found.check_cluster_name();
    for resource in resources {
        found.check_name(resource);
        if let Some(of_resource) = tags_of(resource) {
            found.check_tags(resource, of_resource);
        }
    }
    found.check_policies(resources);
    for ((group, direction), count) in rule_counts(resources) {
        if count > RULES {
            let message = format!(
                "the security group {group} would have {count} {direction} rules, and AWS takes {RULES} at most"
            );
            let is_of_api = group.starts_with(names::API_SECURITY_GROUP);
            let path = if is_of_api { "cluster.spec.kubernetesApiAccess" } else { "cluster.spec.sshAccess" };
            found.add(path.to_owned(), message, "give fewer address ranges, or a prefix list");
        }
    }
    for group in &completed.groups {
        let count = group.spec.additional_security_groups.len() + 1;
        if count > GROUPS {
            let message =
                format!("a machine would be in {count} security groups, and AWS takes {GROUPS} at most");
            found.add(of_group(group.name(), "spec.additionalSecurityGroups"), message, "name fewer");
        }
    }
    found.by_path.into_iter().map(|(path, (message, hint))| violation(path, message, hint)).collect()
}

struct Found<'a> {
    completed: &'a CompletedCluster,
    /// One fault for each field, the first: the same tag is on every resource.
    by_path: BTreeMap<String, (String, String)>,
}

impl Found<'_> {
    fn add(&mut self, path: String, message: String, hint: &str) {
        self.by_path.entry(path).or_insert_with(|| (message, hint.to_owned()));
    }

    /// Every resource has a tag that holds the name.
    fn check_cluster_name(&mut self) {
        let name = self.completed.name();
        let most = KEY - tags::ownership("").len();
        if name.len() > most {
            let message = format!(
                "the name has {} characters, and the tag that marks the cluster's resources takes {most}",
                name.len()
            );
            self.add("cluster.metadata.name".to_owned(), message, "choose a shorter name");
        }
    }

    fn check_name(&mut self, resource: &AwsResource) {
        let (what, name, most) = match resource {
            AwsResource::LaunchTemplate(template) => ("launch template", &template.name, 128),
            AwsResource::AutoscalingGroup(group) => ("scaling group", &group.name, 255),
            AwsResource::SecurityGroup(group) => ("security group", &group.name, 255),
            AwsResource::SshKey(key) => ("key pair", &key.name, 255),
            AwsResource::IamRolePolicy(policy) => ("policy", &policy.name, 128),
            // Names of roles, load balancers and target groups are cut to their lengths.
            _ => return,
        };
        if name.len() > most {
            let message = format!(
                "the {what} would be called {name}, which has {} characters; AWS takes {most}",
                name.len()
            );
            let path = match self.group_of(resource) {
                Some(group) => of_group(&group, "metadata.name"),
                None => "cluster.metadata.name".to_owned(),
            };
            self.add(path, message, "choose a shorter name for the instance group, or for the cluster");
        }
    }

    /// The instance group that a resource is made for.
    fn group_of(&self, resource: &AwsResource) -> Option<String> {
        let name = match resource {
            AwsResource::LaunchTemplate(template) => &template.name,
            AwsResource::AutoscalingGroup(group) => &group.name,
            _ => return None,
        };
        let cluster = self.completed.name();
        let of_name = |group: &&kops_core::manifest::InstanceGroup| {
            names::autoscaling_group(group.role(), group.name(), cluster) == *name
        };
        self.completed.groups.iter().find(of_name).map(|group| group.name().to_owned())
    }

    fn check_tags(&mut self, resource: &AwsResource, of_resource: &Tags) {
        let id = resource.id();
        if of_resource.len() > TAGS {
            let message = format!(
                "{id} would have {} tags, and AWS takes {TAGS}; there is no higher limit",
                of_resource.len()
            );
            let (path, hint) = match self.group_of(resource) {
                Some(group) => (
                    of_group(&group, "spec"),
                    "give fewer cloudLabels, in the group or the cluster, and fewer nodeLabels and taints, which become tags",
                ),
                None => ("cluster.spec.cloudLabels".to_owned(), "give fewer"),
            };
            self.add(path, message, hint);
        }
        let narrow = has_narrow_tags(resource);
        let mut keys: BTreeMap<String, &str> = BTreeMap::new();
        for (key, value) in of_resource {
            if key.chars().count() > KEY {
                let message = format!(
                    "the tag {key} of {id} has {} characters, and AWS takes {KEY}",
                    key.chars().count()
                );
                let path = self.field_of(resource, key);
                self.add(path, message, "choose a shorter key, or a shorter name");
            }
            if value.chars().count() > VALUE {
                let message = format!(
                    "the value of the tag {key} of {id} has {} characters, and AWS takes {VALUE}",
                    value.chars().count()
                );
                let path = self.field_of(resource, key);
                self.add(path, message, "choose a shorter value");
            }
            if let Some(character) = key.chars().chain(value.chars()).find(|c| narrow && !is_allowed(*c)) {
                let message = format!(
                    "the tag {key}={value} has the character {character:?}, which {id} cannot have in its tags"
                );
                let path = self.field_of(resource, key);
                self.add(path, message, "use letters, digits, spaces and any of _ . : / = + - @");
            }
            if let (AwsResource::IamRole(_) | AwsResource::IamInstanceProfile(_), Some(other)) =
                (resource, keys.insert(key.to_lowercase(), key))
            {
                let message = format!(
                    "the tags {other} and {key} of {id} differ in case alone, which IAM does not tell apart"
                );
                // What the user chose can be chosen otherwise.
                let own =
                    if self.completed.cluster.spec.cloud_labels.contains_key(key) { key } else { other };
                let path = self.field_of(resource, own);
                self.add(path, message, "choose another key");
            }
        }
    }

    /// The field that a tag comes from.
    fn field_of(&self, resource: &AwsResource, key: &str) -> String {
        let spec = &self.completed.cluster.spec;
        let group = self.group_of(resource).and_then(|name| self.completed.group(&name));
        if let Some(group) = group {
            let name = group.name();
            if group.spec.cloud_labels.contains_key(key) {
                return of_group(name, &format!("spec.cloudLabels[{key}]"));
            }
            if let Some(label) = key.strip_prefix(tags::AUTOSCALER_LABEL_PREFIX) {
                return of_group(name, &format!("spec.nodeLabels[{label}]"));
            }
            if key.starts_with(tags::AUTOSCALER_TAINT_PREFIX) {
                return of_group(name, "spec.taints");
            }
        }
        if spec.cloud_labels.contains_key(key) {
            return format!("cluster.spec.cloudLabels[{key}]");
        }
        if key.starts_with(tags::ETCD_PREFIX) {
            return "cluster.spec.etcdClusters".to_owned();
        }
        "cluster.metadata.name".to_owned()
    }

    fn check_policies(&mut self, resources: &[AwsResource]) {
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for resource in resources {
            let AwsResource::IamRolePolicy(policy) = resource else { continue };
            let text = policy.policy_document.to_string();
            *sizes.entry(&policy.role).or_default() += text.chars().filter(|c| !c.is_whitespace()).count();
        }
        for (role, size) in sizes {
            if size > POLICIES {
                let message = format!(
                    "the inline policies of the role {role} would have {size} characters, and IAM takes {POLICIES}; there is no \
                     higher limit"
                );
                let hint = "make a managed policy of the statements, and name it in spec.externalPolicies";
                self.add("cluster.spec.additionalPolicies".to_owned(), message, hint);
            }
        }
    }
}

fn tags_of(resource: &AwsResource) -> Option<&Tags> {
    Some(match resource {
        AwsResource::Vpc(r) => &r.tags,
        AwsResource::DhcpOptions(r) => &r.tags,
        AwsResource::InternetGateway(r) => &r.tags,
        AwsResource::Subnet(r) => &r.tags,
        AwsResource::RouteTable(r) => &r.tags,
        AwsResource::SecurityGroup(r) => &r.tags,
        AwsResource::SshKey(r) => &r.tags,
        AwsResource::IamRole(r) => &r.tags,
        AwsResource::IamInstanceProfile(r) => &r.tags,
        AwsResource::EbsVolume(r) => &r.tags,
        AwsResource::ClassicLoadBalancer(r) => &r.tags,
        AwsResource::NetworkLoadBalancer(r) => &r.tags,
        AwsResource::TargetGroup(r) => &r.tags,
        AwsResource::LaunchTemplate(r) => &r.tags,
        AwsResource::AutoscalingGroup(r) => &r.tags,
        _ => return None,
    })
}

/// Whether a resource is of a service that takes fewer characters in tags than EC2 does
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>).
fn has_narrow_tags(resource: &AwsResource) -> bool {
    matches!(
        resource,
        AwsResource::IamRole(_)
            | AwsResource::IamInstanceProfile(_)
            | AwsResource::ClassicLoadBalancer(_)
            | AwsResource::NetworkLoadBalancer(_)
            | AwsResource::TargetGroup(_)
    )
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

/// The numbers of rules of each security group and direction, for IPv4 or IPv6, whichever has more. Rules about another
/// group or a prefix list count for both.
pub(super) fn rule_counts(resources: &[AwsResource]) -> BTreeMap<(String, &'static str), usize> {
    let mut counts: BTreeMap<(String, &'static str), [usize; 2]> = BTreeMap::new();
    for resource in resources {
        let AwsResource::SecurityGroupRule(rule) = resource else { continue };
        let direction = if rule.egress { "outbound" } else { "inbound" };
        let count = counts.entry((rule.security_group.clone(), direction)).or_default();
        count[0] += usize::from(!matches!(rule.peer, Peer::Ipv6(_)));
        count[1] += usize::from(!matches!(rule.peer, Peer::Ipv4(_)));
    }
    counts.into_iter().map(|(of, [ipv4, ipv6])| (of, ipv4.max(ipv6))).collect()
}

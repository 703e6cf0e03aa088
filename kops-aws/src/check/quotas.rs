//! What AWS limits and gives more of to those who ask: it is said, and not refused.

use kops_core::manifest::{CompletedCluster, Networking, Role};

use super::limits::rule_counts;
use super::offers::replaced_images;
use crate::facts::Facts;
use crate::resource::AwsResource;

/// Rules of one direction in a security group, for IPv4 and IPv6 each; the code is that of Service Quotas.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>
const RULES: (usize, &str) = (60, "L-0EA8095F");
/// Security groups of a network interface; AWS gives up to 16.
const GROUPS: (usize, &str) = (5, "L-2AFB9258");
/// Managed policies of a role.
const POLICIES: (usize, &str) = (10, "L-0DA4ABF3");
/// Routes of a table: 500, in accounts of long ago 50; AWS gives up to 1000.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-route-tables>
const ROUTES: (u32, &str) = (50, "L-93826ACB");

/// Says what people should know before the resources are made: where an account needs more than AWS gives at first, and
/// which images are other ones than those that the manifests name.
pub fn warnings(completed: &CompletedCluster, facts: &Facts, resources: &[AwsResource]) -> Vec<String> {
    let mut said = replaced_images(completed, facts);
    for ((group, direction), count) in rule_counts(resources) {
        let (usual, code) = RULES;
        if count > usual {
            said.push(format!(
                "the security group {group} has {count} {direction} rules, and AWS takes {usual} unless the quota \
                 \"Inbound or outbound rules per security group\" ({code}) was raised: give fewer address ranges, or raise it"
            ));
        }
    }
    for group in &completed.groups {
        let (usual, code) = GROUPS;
        let count = group.spec.additional_security_groups.len() + 1;
        if count > usual {
            said.push(format!(
                "machines of the instance group {} are in {count} security groups, and AWS takes {usual} unless the quota \
                 \"Security groups per network interface\" ({code}) was raised, to 16 at most",
                group.name()
            ));
        }
    }
    for (role, policies) in &completed.cluster.spec.external_policies {
        let (usual, code) = POLICIES;
        if policies.len() > usual {
            said.push(format!(
                "spec.externalPolicies.{role} names {} policies, and AWS takes {usual} unless the quota \"Managed policies \
                 per role\" ({code}) was raised",
                policies.len()
            ));
        }
    }
    said.extend(routes(completed));
    said
}

/// With kubenet each machine takes a route in each table of the cluster, beside that to the internet and the network's own.
fn routes(completed: &CompletedCluster) -> Option<String> {
    let (usual, code) = ROUTES;
    let is_routed = matches!(completed.cluster.spec.networking, Some(Networking::Kubenet(_)));
    let machines = completed.groups.iter().filter(|group| group.role() != Role::Bastion);
    let machines: u32 = machines.filter_map(|group| group.spec.max_size).sum();
    let routes = machines.saturating_add(2);
    (is_routed && routes > usual).then(|| {
        format!(
            "with kubenet each machine takes a route: up to {machines} machines need {routes} routes in a route table, and AWS \
             takes 500 (in some accounts {usual}) unless the quota \"Routes per route table\" ({code}) was raised, to 1000 at \
             most; other network plugins need none"
        )
    })
}

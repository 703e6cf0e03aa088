//! Where our resources differ from kops's, on purpose. `docs/differences.md` gives the same reasons.

use std::fmt;

/// How many attributes differ in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Those that only kops has.
    pub(crate) only_kops: usize,
    /// Those that only we have.
    pub(crate) only_ours: usize,
    /// Those with different values.
    pub(crate) differ: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts =
            [(self.only_kops, "only in kops"), (self.only_ours, "only ours"), (self.differ, "other value")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        write!(f, "{}:", parts.join(", "))
    }
}

/// One reason to differ.
pub(crate) struct Difference {
    /// What differs.
    pub(crate) what: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
    /// In which cases; in all when empty.
    pub(crate) cases: &'static [&'static str],
    /// The paths it covers: those that contain all words of one of these.
    pub(crate) paths: &'static [&'static [&'static str]],
}

impl Difference {
    /// Whether the difference at `path` is of this kind.
    pub(crate) fn covers(&self, case: &str, path: &str) -> bool {
        let here = self.cases.is_empty() || self.cases.contains(&case);
        here && self.paths.iter().any(|words| words.iter().all(|word| path.contains(word)))
    }
}

/// Every difference there is.
pub(crate) const DIFFERENCES: [Difference; 10] = [
    Difference {
        what: "node termination handler",
        reason: "There is no node termination handler: no queue, no event rules, no lifecycle hooks, no permissions and tags for them.",
        cases: &[],
        paths: &[
            &["aws_sqs_queue."],
            &["aws_cloudwatch_event_"],
            &["aws_autoscaling_lifecycle_hook."],
            &["aws-node-termination-handler/managed"],
            &["aws_iam_role_policy.masters", " sqs:"],
            &["aws_iam_role_policy.masters", " autoscaling:CompleteLifecycleAction "],
        ],
    },
    Difference {
        what: "kops-controller",
        reason: "There is no kops-controller: workers read their configuration from the state store and join by requests for certificates, so nothing listens on port 3988, and no node is labelled as holding its keys.",
        cases: &[],
        paths: &[
            &["aws_lb_listener.", "-3988 "],
            &["aws_lb_target_group.kops-controller-"],
            &["target_group_arns", "aws_lb_target_group.kops-controller-"],
            &["aws_security_group_rule.kops-controller-elb-to-cp "],
            &["node-template/label/kops.k8s.io/kops-controller-pki"],
        ],
    },
    Difference {
        what: "cluster autoscaler",
        reason: "There is no cluster autoscaler, and nothing else on the machines looks at scaling groups or changes them.",
        cases: &[],
        paths: &[
            &["aws_iam_role_policy.masters", " autoscaling:"],
            &["aws_iam_role_policy.masters", " ec2:DescribeImages "],
            &["aws_iam_role_policy.masters", " ec2:DescribeLaunchTemplateVersions "],
            &["aws_iam_role_policy.masters", " ec2:GetInstanceTypesFromInstanceRequirements "],
        ],
    },
    Difference {
        what: "state store permissions of workers",
        reason: "Workers fetch their own configuration from the state store, and nothing else of the cluster's state; in kops, the kops-controller hands it to them.",
        cases: &[],
        paths: &[
            &["aws_iam_role_policy.nodes", " s3:GetObject ", "/igconfig/node/*"],
            // Of a policy that kops does not have at all.
            &["aws_iam_role_policy.nodes-sharedsubnet-", " name"],
            &["aws_iam_role_policy.nodes-sharedsubnet-", " role"],
            &["aws_iam_role_policy.nodes-sharedsubnet-", " policy.Version"],
        ],
    },
    Difference {
        what: "joining",
        reason: "The control plane keeps what workers join with, the cluster's authority and a bootstrap token, in one object of the state store, which workers may read.",
        cases: &[],
        paths: &[&["aws_iam_role_policy.", "/secrets/node-join "]],
    },
    Difference {
        what: "names without a hosted zone",
        reason: "Workers find their first peers by asking EC2 for the cluster's machines, and read the key of the gossip. Without DNS they do neither: the control plane asks EC2 where the load balancer is.",
        cases: &[],
        paths: &[
            &["aws_iam_role_policy.nodes", " ec2:DescribeInstances "],
            &["aws_iam_role_policy.nodes", "/secrets/gossip-key "],
            &["aws_iam_role_policy.masters", " ec2:DescribeNetworkInterfaces "],
        ],
    },
    Difference {
        what: "kops-node program",
        reason: "Machines fetch the program that makes them nodes from the state store; kops's come from a public download.",
        cases: &[],
        paths: &[&["aws_iam_role_policy.", " s3:GetObject ", "/programs/* "]],
    },
    Difference {
        what: "IPv6",
        reason: "Networks have no IPv6 range, so there is no route for it. Security groups have kops's rules for it, which cost nothing.",
        cases: &[],
        paths: &[&["aws_route.route-__--0 "], &["aws_vpc.", " assign_generated_ipv6_cidr_block"]],
    },
    Difference {
        what: "hosted zones",
        reason: "Machines of the control plane read and change records of their own zone, and nothing else of Route 53; kops's also list all zones and follow changes.",
        cases: &["shared_subnet"],
        paths: &[&["aws_iam_role_policy.masters", " route53:"]],
    },
    Difference {
        what: "Terraform's own settings",
        reason: "`lifecycle` tells Terraform how to replace; it is no attribute of a resource on AWS.",
        cases: &[],
        paths: &[&["aws_launch_template.", " lifecycle"]],
    },
];

//! Eventual consistency: what was just made is not seen everywhere at once.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use xmltree::{Element, XMLNode};

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::fault::Lag;
use crate::upstream::Answer;
use crate::xml;

/// Something that can be made, and how it is seen.
#[derive(Debug)]
struct Kind {
    service: &'static str,
    create: &'static str,
    /// The element of the answer that has the new id, or else the parameter that has the name. Elements that refer to it
    /// are called the same.
    id: &'static str,
    list: &'static [&'static str],
    not_found: &'static str,
}

const fn ec2(
    create: &'static str,
    id: &'static str,
    list: &'static [&'static str],
    not_found: &'static str,
) -> Kind {
    Kind { service: "ec2", create, id, list, not_found }
}

const KINDS: [Kind; 19] = [
    ec2("AllocateAddress", "allocationId", &["DescribeAddresses"], "InvalidAllocationID.NotFound"),
    ec2("CreateDhcpOptions", "dhcpOptionsId", &["DescribeDhcpOptions"], "InvalidDhcpOptionID.NotFound"),
    ec2(
        "CreateInternetGateway",
        "internetGatewayId",
        &["DescribeInternetGateways"],
        "InvalidInternetGatewayID.NotFound",
    ),
    ec2(
        "CreateLaunchTemplate",
        "launchTemplateId",
        &["DescribeLaunchTemplates", "DescribeLaunchTemplateVersions"],
        "InvalidLaunchTemplateId.NotFound",
    ),
    ec2("CreateNatGateway", "natGatewayId", &["DescribeNatGateways"], "NatGatewayNotFound"),
    ec2(
        "CreateNetworkInterface",
        "networkInterfaceId",
        &["DescribeNetworkInterfaces"],
        "InvalidNetworkInterfaceID.NotFound",
    ),
    ec2("CreateRouteTable", "routeTableId", &["DescribeRouteTables"], "InvalidRouteTableID.NotFound"),
    ec2(
        "CreateSecurityGroup",
        "groupId",
        &["DescribeSecurityGroups", "DescribeSecurityGroupRules"],
        "InvalidGroup.NotFound",
    ),
    ec2("CreateSubnet", "subnetId", &["DescribeSubnets"], "InvalidSubnetID.NotFound"),
    ec2("CreateVolume", "volumeId", &["DescribeVolumes"], "InvalidVolume.NotFound"),
    ec2("CreateVpc", "vpcId", &["DescribeVpcs"], "InvalidVpcID.NotFound"),
    ec2("ImportKeyPair", "keyPairId", &["DescribeKeyPairs"], "InvalidKeyPair.NotFound"),
    ec2("RunInstances", "instanceId", &["DescribeInstances"], "InvalidInstanceID.NotFound"),
    Kind {
        service: "autoscaling",
        create: "CreateAutoScalingGroup",
        id: "AutoScalingGroupName",
        list: &["DescribeAutoScalingGroups"],
        not_found: "ValidationError",
    },
    Kind {
        service: "elb",
        create: "CreateLoadBalancer",
        id: "LoadBalancerName",
        list: &["DescribeLoadBalancers"],
        not_found: "LoadBalancerNotFound",
    },
    Kind {
        service: "elbv2",
        create: "CreateLoadBalancer",
        id: "LoadBalancerArn",
        list: &["DescribeLoadBalancers"],
        not_found: "LoadBalancerNotFound",
    },
    Kind {
        service: "elbv2",
        create: "CreateTargetGroup",
        id: "TargetGroupArn",
        list: &["DescribeTargetGroups"],
        not_found: "TargetGroupNotFound",
    },
    Kind {
        service: "iam",
        create: "CreateRole",
        id: "RoleName",
        list: &["ListRoles"],
        not_found: "NoSuchEntity",
    },
    Kind {
        service: "iam",
        create: "CreateInstanceProfile",
        id: "InstanceProfileName",
        list: &["ListInstanceProfiles"],
        not_found: "NoSuchEntity",
    },
];

#[derive(Clone, Copy, Debug)]
enum Until {
    Call(u64),
    Time(Instant),
}

#[derive(Debug)]
struct Hidden {
    kind: &'static Kind,
    id: String,
    until: Until,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    hidden: Vec<Hidden>,
}

/// What is hidden as yet.
#[derive(Debug, Default)]
pub(crate) struct Visibility(Mutex<State>);

impl Visibility {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    /// Counts a call, and refuses it if it names what is hidden.
    pub(crate) fn check(&self, call: &AwsCall) -> Result<(), ApiError> {
        let mut state = self.state();
        state.calls += 1;
        let (calls, now) = (state.calls, Instant::now());
        state.hidden.retain(|hidden| match hidden.until {
            Until::Call(last) => calls <= last,
            Until::Time(end) => now < end,
        });
        match state.hidden.iter().find(|hidden| hidden.is_named_by(call)) {
            Some(hidden) => Err(ApiError::new(
                hidden.kind.not_found,
                format!("'{}' does not exist (not yet visible)", hidden.id),
            )),
            None => Ok(()),
        }
    }

    /// Hides what the call has made.
    pub(crate) fn hide(&self, call: &AwsCall, answer: &Answer, lag: Lag) {
        let kind = KINDS.iter().find(|kind| kind.service == call.service && kind.create == call.action);
        let Some(kind) = kind.filter(|_| answer.status.is_success()) else { return };
        let answered = xml::parse(&answer.body).map(|root| xml::texts(&root, kind.id)).unwrap_or_default();
        let named = call.params.get(kind.id).map(str::to_owned);
        let mut state = self.state();
        let until = match lag {
            Lag::Calls(calls) => Until::Call(state.calls + calls),
            Lag::Time(time) => Until::Time(Instant::now() + time),
        };
        // A new subnet's answer names its VPC by another element, so that the first id is the right one; of instances all.
        let count = if kind.create == "RunInstances" { usize::MAX } else { 1 };
        let ids = named.into_iter().chain(answered).take(count);
        state.hidden.extend(ids.map(|id| Hidden { kind, id, until }));
    }

    /// Takes what is hidden out of lists.
    pub(crate) fn filter(&self, call: &AwsCall, answer: Answer) -> Result<Answer, ApiError> {
        let state = self.state();
        let of_list = |hidden: &&Hidden| {
            hidden.kind.service == call.service
                && (hidden.kind.list.contains(&call.action.as_str()) || call.action == "DescribeTags")
        };
        let hidden: Vec<&Hidden> = state.hidden.iter().filter(of_list).collect();
        if hidden.is_empty() || !answer.status.is_success() {
            return Ok(answer);
        }
        let Some(mut root) = xml::parse(&answer.body) else { return Ok(answer) };
        remove(&mut root, &hidden);
        Answer::xml(&root)
    }
}

impl Hidden {
    fn is_named_by(&self, call: &AwsCall) -> bool {
        if call.service == self.kind.service && call.action == self.kind.create {
            return false;
        }
        // A name may be that of something else, too; an id may be anywhere.
        let by_name = matches!(self.kind.service, "autoscaling" | "elb" | "iam");
        call.params.iter().any(|(name, value)| {
            let here = if by_name {
                call.service == self.kind.service && name.starts_with(self.kind.id)
            } else {
                true
            };
            here && !name.starts_with("Filter") && value.split(',').any(|id| id == self.id)
        })
    }
}

fn remove(parent: &mut Element, hidden: &[&Hidden]) {
    parent.children.retain(|child| {
        let Some(child) = child.as_element() else { return true };
        !matches!(child.name.as_str(), "item" | "member")
            || !hidden.iter().any(|hidden| {
                xml::text(child, hidden.kind.id) == hidden.id || xml::text(child, "resourceId") == hidden.id
            })
    });
    for child in parent.children.iter_mut().filter_map(XMLNode::as_mut_element) {
        remove(child, hidden);
    }
}

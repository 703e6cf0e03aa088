//! Eventual consistency: what was just made is not seen everywhere at once.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>

mod words;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

const KINDS: [Kind; 20] = [
    // The gateway itself is seen; that it leads anywhere is not.
    ec2("AttachInternetGateway", "InternetGatewayId", &[], "InvalidGatewayID.NotFound"),
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

impl Until {
    fn is_over(self, calls: u64, now: Instant) -> bool {
        match self {
            Self::Call(last) => calls > last,
            Self::Time(end) => now >= end,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    /// By how much the testbed's clock is ahead.
    ahead: Duration,
    hidden: Vec<Hidden>,
    /// Instances that were terminated and are listed as shutting down.
    going: HashMap<String, Until>,
    /// What launch templates name, by their ids.
    templates: HashMap<String, Vec<String>>,
}

impl State {
    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    fn until(&self, lag: Lag) -> Until {
        match lag {
            Lag::Calls(calls) => Until::Call(self.calls + calls),
            Lag::Time(time) => Until::Time(self.now() + time),
        }
    }
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

    /// Moves the clock of lags.
    pub(crate) fn advance(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// Counts a call, and refuses it if it names what is hidden.
    pub(crate) fn check(&self, call: &AwsCall) -> Result<(), ApiError> {
        let mut state = self.state();
        state.calls += 1;
        let (calls, now) = (state.calls, state.now());
        state.hidden.retain(|hidden| !hidden.until.is_over(calls, now));
        state.going.retain(|_, until| !until.is_over(calls, now));
        let within = match call.service.as_str() {
            "autoscaling" => call.params.iter().find_map(|(_, value)| state.templates.get(value)),
            _ => None,
        };
        let within = within.map(Vec::as_slice).unwrap_or_default();
        match state.hidden.iter().find(|hidden| hidden.is_named_by(call, within)) {
            Some(hidden) => Err(words::refusal(&call.service, hidden.kind, &hidden.id)),
            None => Ok(()),
        }
    }

    /// Takes note of what a launch template names: those who launch from it look it up.
    pub(crate) fn note(&self, call: &AwsCall, answer: &Answer) {
        if !call.action.starts_with("CreateLaunchTemplate") || !answer.status.is_success() {
            return;
        }
        let answered = xml::parse(&answer.body).map(|root| xml::texts(&root, "launchTemplateId"));
        let Some(id) = answered.unwrap_or_default().into_iter().next() else { return };
        let data = call.params.iter().filter(|(name, _)| name.starts_with("LaunchTemplateData."));
        let named = data.map(|(_, value)| value.to_owned()).collect();
        self.state().templates.insert(id, named);
    }

    /// Hides what the call has made. What it has terminated is listed as shutting down.
    pub(crate) fn hide(&self, call: &AwsCall, answer: &Answer, lag: Lag) {
        if call.service == "ec2" && call.action == "TerminateInstances" && answer.status.is_success() {
            let mut state = self.state();
            let until = state.until(lag);
            let ids = call.params.iter().filter(|(name, _)| name.starts_with("InstanceId"));
            let ids: Vec<String> = ids.map(|(_, id)| id.to_owned()).collect();
            for id in ids {
                state.going.entry(id).or_insert(until);
            }
            return;
        }
        let kind = KINDS.iter().find(|kind| kind.service == call.service && kind.create == call.action);
        let Some(kind) = kind.filter(|_| answer.status.is_success()) else { return };
        let answered = xml::parse(&answer.body).map(|root| xml::texts(&root, kind.id)).unwrap_or_default();
        let named = call.params.get(kind.id).map(str::to_owned);
        let mut state = self.state();
        let until = state.until(lag);
        // A new subnet's answer names its VPC by another element, so that the first id is the right one; of instances all.
        let count = if kind.create == "RunInstances" { usize::MAX } else { 1 };
        let ids = named.into_iter().chain(answered).take(count);
        state.hidden.extend(ids.map(|id| Hidden { kind, id, until }));
    }

    /// Takes what is hidden out of lists, and shows what is going as still there.
    pub(crate) fn filter(&self, call: &AwsCall, answer: Answer) -> Result<Answer, ApiError> {
        let state = self.state();
        let lists = matches!(call.action.as_str(), "DescribeInstances" | "TerminateInstances");
        if lists && !state.going.is_empty() && answer.status.is_success() {
            let Some(mut root) = xml::parse(&answer.body) else { return Ok(answer) };
            show_as_going(&mut root, &state.going);
            return Answer::xml(&root);
        }
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
    /// Whether a call names it, or what it launches from does, and whether its service looks.
    fn is_named_by(&self, call: &AwsCall, within: &[String]) -> bool {
        if call.service == self.kind.service && call.action == self.kind.create {
            return false;
        }
        // EC2 takes templates as they are.
        if call.action.starts_with("CreateLaunchTemplate") {
            return false;
        }
        if self.kind.create == "AttachInternetGateway" && call.action == "CreateLoadBalancer" {
            return call.params.get("Scheme") != Some("internal");
        }
        if within.contains(&self.id) {
            return true;
        }
        let here = match (call.service.as_str(), self.kind.service, self.kind.create) {
            ("autoscaling", "elb", _) => Some("LoadBalancerNames"),
            ("ec2", "iam", "CreateInstanceProfile") => Some("IamInstanceProfile"),
            _ => None,
        };
        if let Some(here) = here {
            return call.params.iter().any(|(name, value)| name.starts_with(here) && value == self.id);
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

fn show_as_going(parent: &mut Element, going: &HashMap<String, Until>) {
    if going.contains_key(&xml::text(parent, "instanceId")) {
        let state = if parent.get_child("currentState").is_some() { "currentState" } else { "instanceState" };
        for (field, value) in [("code", "32"), ("name", "shutting-down")] {
            let child = parent.get_mut_child(state).and_then(|state| state.get_mut_child(field));
            if let Some(child) = child {
                child.children = vec![XMLNode::Text(value.to_owned())];
            }
        }
    }
    for child in parent.children.iter_mut().filter_map(XMLNode::as_mut_element) {
        show_as_going(child, going);
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

//! Pages of lists.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use xmltree::{Element, XMLNode};

use crate::call::AwsCall;
use crate::envelope::ApiError;
use crate::params::Params;
use crate::upstream::{Answer, Upstream};
use crate::xml;

/// A call of EC2 that answers in pages.
#[derive(Debug)]
struct Listing {
    action: &'static str,
    list: &'static str,
    /// The parameter that names single resources: then there are no pages.
    ids: &'static str,
    /// The bounds of `MaxResults`.
    least: usize,
    most: usize,
}

const fn listing(action: &'static str, list: &'static str, ids: &'static str) -> Listing {
    Listing { action, list, ids, least: 5, most: 1000 }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html#api-pagination>
/// Calls that are not here, such as `DescribeAddresses` and `DescribeKeyPairs`, have no pages on AWS.
const LISTINGS: [Listing; 20] = [
    listing("DescribeDhcpOptions", "dhcpOptionsSet", "DhcpOptionsId"),
    listing(
        "DescribeEgressOnlyInternetGateways",
        "egressOnlyInternetGatewaySet",
        "EgressOnlyInternetGatewayId",
    ),
    listing("DescribeImages", "imagesSet", "ImageId"),
    listing("DescribeInstanceStatus", "instanceStatusSet", "InstanceId"),
    listing("DescribeInstanceTypeOfferings", "instanceTypeOfferingSet", "-"),
    Listing { most: 100, ..listing("DescribeInstanceTypes", "instanceTypeSet", "InstanceType") },
    listing("DescribeInstances", "reservationSet", "InstanceId"),
    listing("DescribeInternetGateways", "internetGatewaySet", "InternetGatewayId"),
    Listing {
        least: 1,
        most: 200,
        ..listing("DescribeLaunchTemplateVersions", "launchTemplateVersionSet", "-")
    },
    Listing {
        least: 1,
        most: 200,
        ..listing("DescribeLaunchTemplates", "launchTemplates", "LaunchTemplateId")
    },
    listing("DescribeNatGateways", "natGatewaySet", "NatGatewayId"),
    listing("DescribeNetworkInterfaces", "networkInterfaceSet", "NetworkInterfaceId"),
    Listing { most: 100, ..listing("DescribeRouteTables", "routeTableSet", "RouteTableId") },
    listing("DescribeSecurityGroupRules", "securityGroupRuleSet", "SecurityGroupRuleId"),
    listing("DescribeSecurityGroups", "securityGroupInfo", "GroupId"),
    listing("DescribeSubnets", "subnetSet", "SubnetId"),
    listing("DescribeTags", "tagSet", "-"),
    listing("DescribeVolumes", "volumeSet", "VolumeId"),
    listing("DescribeVpcEndpoints", "vpcEndpointSet", "VpcEndpointId"),
    listing("DescribeVpcs", "vpcSet", "VpcId"),
];

/// The rest of a list that a client has begun to read: a later page shows the world as it was at the first.
#[derive(Clone, Debug)]
struct Rest {
    question: Params,
    /// The answer without its items.
    frame: Element,
    items: Vec<XMLNode>,
}

/// How lists are cut, and the rests of lists.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// No page is larger than this, whatever the client asks for.
    size: Option<usize>,
    rests: Mutex<HashMap<String, Rest>>,
}

impl Pages {
    pub(crate) fn new(size: Option<usize>) -> Self {
        Self { size: size.map(|size| size.max(1)), rests: Mutex::default() }
    }

    pub(crate) fn clear(&self) {
        self.rests().clear();
    }

    fn rests(&self) -> MutexGuard<'_, HashMap<String, Rest>> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn serve(&self, upstream: &Upstream, call: &AwsCall) -> Result<Answer, ApiError> {
        if call.service != "ec2" {
            return upstream.query(&self.with_small_pages(call)).await;
        }
        let Some(listing) = LISTINGS.iter().find(|listing| listing.action == call.action) else {
            return upstream.query(call).await;
        };
        let wanted = wanted(listing, &call.params)?;
        let named = !call.params.list(listing.ids).is_empty();
        let limit =
            if named { wanted } else { wanted.into_iter().chain(self.size).min() }.unwrap_or(usize::MAX);
        let mut question = call.params.clone();
        let token = question.get("NextToken").map(str::to_owned);
        question.remove("NextToken");
        question.remove("MaxResults");
        if let Some(token) = token {
            let rest = self.rests().get(&token).cloned();
            return match rest {
                Some(rest) if rest.question == question => self.page(listing, rest, limit),
                Some(_) => Err(invalid("the parameters are not those of the first page")),
                None => Err(invalid("the token NextToken is not one that was given out")),
            };
        }
        // moto cuts lists of launch templates by itself, and then gives no token.
        let all = question.clone().with("MaxResults", "100000");
        let answer = upstream.query(&AwsCall { params: all, ..call.clone() }).await?;
        if !answer.status.is_success() {
            return Ok(answer);
        }
        let Some(mut frame) = xml::parse(&answer.body) else { return Ok(answer) };
        let items = xml::find_mut(&mut frame, listing.list).map(|list| std::mem::take(&mut list.children));
        let items =
            items.unwrap_or_default().into_iter().filter(|node| node.as_element().is_some()).collect();
        self.page(listing, Rest { question, frame, items }, limit)
    }

    fn page(&self, listing: &Listing, rest: Rest, limit: usize) -> Result<Answer, ApiError> {
        let Rest { question, frame, mut items } = rest;
        let later = items.split_off(limit.min(items.len()));
        let mut root = frame.clone();
        if let Some(list) = xml::find_mut(&mut root, listing.list) {
            list.children = items;
        }
        if !later.is_empty() {
            let mut rests = self.rests();
            let token = format!("testbed-page-{}", rests.len());
            root.children.push(xml::leaf("nextToken", &token));
            rests.insert(token, Rest { question, frame, items: later });
        }
        Answer::xml(&root)
    }

    /// The other services are cut into pages by moto itself.
    fn with_small_pages(&self, call: &AwsCall) -> AwsCall {
        let mut call = call.clone();
        let parameter = match (call.service.as_str(), call.action.as_str()) {
            (
                "autoscaling",
                "DescribeAutoScalingGroups" | "DescribeAutoScalingInstances" | "DescribeTags",
            ) => "MaxRecords",
            ("elb", "DescribeLoadBalancers") => "PageSize",
            ("elbv2", "DescribeLoadBalancers" | "DescribeTargetGroups") => "PageSize",
            ("iam", action) if action.starts_with("List") => "MaxItems",
            _ => return call,
        };
        if let Some(size) = self.size {
            let wanted = call.params.get(parameter).and_then(|text| text.parse().ok());
            call.params.set(parameter, wanted.unwrap_or(size).min(size).to_string());
        }
        call
    }
}

/// What the client asks for.
fn wanted(listing: &Listing, params: &Params) -> Result<Option<usize>, ApiError> {
    let Some(text) = params.get("MaxResults") else { return Ok(None) };
    if matches!(listing.action, "DescribeInstances" | "DescribeVolumes")
        && !params.list(listing.ids).is_empty()
    {
        let message = format!("The parameter {} cannot be used with the parameter maxResults", listing.ids);
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    let range = listing.least..=listing.most;
    text.parse().ok().filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
        invalid(&format!(
            "Value ( {text} ) for parameter maxResults is invalid. Expecting a value between {} and {}.",
            listing.least, listing.most
        ))
    })
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

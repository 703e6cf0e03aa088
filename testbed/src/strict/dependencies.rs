//! Nothing that others still use can be deleted.

use xmltree::Element;

use crate::envelope::ApiError;
use crate::params::Params;
use crate::strict::view::View;
use crate::xml;

pub(crate) async fn check(view: &View<'_>) -> Result<(), ApiError> {
    if view.call.service != "ec2" {
        return Ok(());
    }
    match view.call.action.as_str() {
        "DeleteSecurityGroup" => security_group(view).await,
        "DeleteSubnet" => subnet(view).await,
        "DeleteVpc" => vpc(view).await,
        "DetachInternetGateway" => public_addresses(view).await,
        "ReleaseAddress" => address(view).await,
        _ => Ok(()),
    }
}

fn violation(message: String) -> ApiError {
    ApiError::new("DependencyViolation", message)
}

async fn security_group(view: &View<'_>) -> Result<(), ApiError> {
    let id = view.param("GroupId");
    let used = || Err(violation(format!("resource {id} has a dependent object")));
    for group in view.all("ec2", "DescribeSecurityGroups", "securityGroupInfo").await? {
        let own = xml::text(&group, "groupId");
        if own == id {
            if xml::text(&group, "groupName") == "default" {
                return Err(ApiError::new(
                    "CannotDelete",
                    format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
                ));
            }
            continue;
        }
        let references = ["ipPermissions", "ipPermissionsEgress"];
        if references
            .iter()
            .filter_map(|rules| xml::find(&group, rules))
            .any(|rules| mentions(rules, "groupId", id))
        {
            return used();
        }
    }
    if !interfaces(view, "group-id", id).await?.is_empty() {
        return used();
    }
    if instances(view, "instance.group-id", id).await? || is_balanced(view, id).await? {
        return used();
    }
    Ok(())
}

async fn subnet(view: &View<'_>) -> Result<(), ApiError> {
    let id = view.param("SubnetId");
    if !interfaces(view, "subnet-id", id).await?.is_empty()
        || instances(view, "subnet-id", id).await?
        || !gateways(view, "subnet-id", id).await?.is_empty()
        || is_balanced(view, id).await?
    {
        return Err(violation(format!("The subnet '{id}' has dependencies and cannot be deleted.")));
    }
    Ok(())
}

/// What of a VPC goes with it: the default security group, the main route table, the default ACL.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html>
async fn vpc(view: &View<'_>) -> Result<(), ApiError> {
    let id = view.param("VpcId");
    let mut left = Vec::new();
    left.extend(view.filtered("DescribeSubnets", "subnetSet", "vpc-id", id).await?);
    left.extend(
        view.filtered("DescribeInternetGateways", "internetGatewaySet", "attachment.vpc-id", id).await?,
    );
    left.extend(interfaces(view, "vpc-id", id).await?);
    left.extend(gateways(view, "vpc-id", id).await?);
    let groups = view.filtered("DescribeSecurityGroups", "securityGroupInfo", "vpc-id", id).await?;
    left.extend(groups.into_iter().filter(|group| xml::text(group, "groupName") != "default"));
    let tables = view.filtered("DescribeRouteTables", "routeTableSet", "vpc-id", id).await?;
    left.extend(tables.into_iter().filter(|table| !mentions(table, "main", "true")));
    if left.is_empty() {
        return Ok(());
    }
    Err(violation(format!("The vpc '{id}' has dependencies and cannot be deleted.")))
}

/// An internet gateway stays as long as public addresses are mapped through it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachInternetGateway.html>
async fn public_addresses(view: &View<'_>) -> Result<(), ApiError> {
    let vpc = view.param("VpcId");
    let mapped = interfaces(view, "vpc-id", vpc)
        .await?
        .iter()
        .any(|interface| xml::find(interface, "publicIp").is_some())
        || !gateways(view, "vpc-id", vpc).await?.is_empty()
        || is_balanced_publicly(view, vpc).await?;
    if mapped {
        return Err(violation(format!(
            "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        )));
    }
    Ok(())
}

async fn address(view: &View<'_>) -> Result<(), ApiError> {
    let id = view.param("AllocationId");
    let root = view.ask("ec2", "DescribeAddresses", Params::default().with("AllocationId.1", id)).await?;
    let of_gateway = view.all("ec2", "DescribeNatGateways", "natGatewaySet").await?;
    let used = xml::texts(&root, "associationId").iter().any(|id| !id.is_empty())
        || of_gateway.iter().any(|gateway| is_there(gateway) && mentions(gateway, "allocationId", id));
    if used {
        return Err(ApiError::new(
            "InvalidIPAddress.InUse",
            format!("Address with allocation id [{id}] is in use"),
        ));
    }
    Ok(())
}

/// Whether an element of this name, at any depth, has this text.
fn mentions(root: &Element, name: &str, value: &str) -> bool {
    xml::texts(root, name).iter().any(|text| text == value)
}

async fn interfaces(view: &View<'_>, filter: &str, value: &str) -> Result<Vec<Element>, ApiError> {
    view.filtered("DescribeNetworkInterfaces", "networkInterfaceSet", filter, value).await
}

/// Whether an instance that is not terminated is let through.
async fn instances(view: &View<'_>, filter: &str, value: &str) -> Result<bool, ApiError> {
    let reservations = view.filtered("DescribeInstances", "reservationSet", filter, value).await?;
    Ok(reservations
        .iter()
        .flat_map(|reservation| xml::items(reservation, "instancesSet"))
        .any(|instance| xml::text(instance, "instanceState/name") != "terminated"))
}

fn is_there(gateway: &Element) -> bool {
    xml::text(gateway, "state") != "deleted"
}

async fn gateways(view: &View<'_>, filter: &str, value: &str) -> Result<Vec<Element>, ApiError> {
    let gateways = view.filtered("DescribeNatGateways", "natGatewaySet", filter, value).await?;
    Ok(gateways.into_iter().filter(is_there).collect())
}

/// The load balancers of both kinds.
async fn balancers(view: &View<'_>) -> Result<Vec<Element>, ApiError> {
    let mut all = view.all("elb", "DescribeLoadBalancers", "LoadBalancerDescriptions").await?;
    all.extend(view.all("elbv2", "DescribeLoadBalancers", "LoadBalancers").await?);
    Ok(all)
}

/// Whether a load balancer uses a subnet or security group.
async fn is_balanced(view: &View<'_>, id: &str) -> Result<bool, ApiError> {
    Ok(balancers(view).await?.iter().any(|one| mentions(one, "member", id) || mentions(one, "SubnetId", id)))
}

/// Whether a load balancer has public addresses in a VPC.
async fn is_balanced_publicly(view: &View<'_>, vpc: &str) -> Result<bool, ApiError> {
    Ok(balancers(view).await?.iter().any(|one| {
        mentions(one, "Scheme", "internet-facing")
            && (mentions(one, "VPCId", vpc) || mentions(one, "VpcId", vpc))
    }))
}

//! What keeps something from being deleted, by name: EC2 says only that there is something.

use aws_sdk_ec2::types::Filter;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use super::names::name_tag;
use super::tag::filter;
use crate::resource::AwsResource;

/// The result of a delete, where what was gone counts as deleted, and a conflict names those who still use it.
pub(super) async fn deleted<T>(
    api: &Api,
    target: &Observed<AwsResource>,
    result: Result<T, CloudError>,
) -> Result<(), CloudError> {
    let error = match absent_is_fine(result) {
        Ok(_) => return Ok(()),
        Err(error) if error.class == ErrorClass::Conflict => error,
        Err(error) => return Err(error),
    };
    // Only for the words: when it fails, EC2's own have to do.
    let users = users(api, target).await.unwrap_or_default();
    if users.is_empty() {
        return Err(error);
    }
    let message = format!("{} is still used by {}: {}", target.handle, users.join(", "), error.message);
    Err(CloudError { message: message.into(), ..error })
}

async fn users(api: &Api, target: &Observed<AwsResource>) -> Result<Vec<String>, CloudError> {
    let handle = target.handle.as_str();
    match &target.resource {
        AwsResource::Vpc(_) => {
            let (subnets, groups, gateways, interfaces) = futures::try_join!(
                subnets(api, filter("vpc-id", handle)),
                groups(api, filter("vpc-id", handle)),
                gateways(api, filter("attachment.vpc-id", handle)),
                interfaces(api, filter("vpc-id", handle))
            )?;
            Ok([subnets, groups, gateways, interfaces].concat())
        }
        AwsResource::Subnet(_) => interfaces(api, filter("subnet-id", handle)).await,
        AwsResource::SecurityGroup(_) => {
            let (interfaces, groups) = futures::try_join!(
                interfaces(api, filter("group-id", handle)),
                groups(api, filter("ip-permission.group-id", handle))
            )?;
            Ok([interfaces, groups].concat())
        }
        AwsResource::RouteTable(_) => {
            let call = api.ec2.describe_route_tables().route_table_ids(handle).send();
            let tables = api.ec2(Purpose::OBSERVE, "ec2:DescribeRouteTables", call).await?;
            let tables = tables.route_tables.unwrap_or_default();
            let associations = tables.iter().flat_map(|table| table.associations());
            Ok(associations.filter_map(|it| it.subnet_id().map(ToOwned::to_owned)).collect())
        }
        AwsResource::DhcpOptions(_) => {
            let call = api.ec2.describe_vpcs().filters(filter("dhcp-options-id", handle)).send();
            let vpcs = api.ec2(Purpose::OBSERVE, "ec2:DescribeVpcs", call).await?.vpcs.unwrap_or_default();
            Ok(vpcs.iter().filter_map(|vpc| shown(vpc.vpc_id(), name_tag(vpc.tags()))).collect())
        }
        AwsResource::InternetGateway(_) => match target.uses.first() {
            Some(vpc) => with_public_addresses(api, vpc.as_str()).await,
            None => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}

fn shown(handle: Option<&str>, name: Option<&str>) -> Option<String> {
    match (handle?, name.filter(|name| !name.is_empty())) {
        (handle, Some(name)) if name != handle => Some(format!("{handle} ({name})")),
        (handle, _) => Some(handle.to_owned()),
    }
}

async fn subnets(api: &Api, of: Filter) -> Result<Vec<String>, CloudError> {
    let call = api.ec2.describe_subnets().filters(of).send();
    let found = api.ec2(Purpose::OBSERVE, "ec2:DescribeSubnets", call).await?.subnets.unwrap_or_default();
    Ok(found.iter().filter_map(|it| shown(it.subnet_id(), name_tag(it.tags()))).collect())
}

async fn groups(api: &Api, of: Filter) -> Result<Vec<String>, CloudError> {
    let call = api.ec2.describe_security_groups().filters(of).send();
    let found = api.ec2(Purpose::OBSERVE, "ec2:DescribeSecurityGroups", call).await?;
    let found = found.security_groups.unwrap_or_default();
    // The default group goes with its network.
    let others = found.iter().filter(|it| it.group_name() != Some("default"));
    Ok(others.filter_map(|it| shown(it.group_id(), it.group_name())).collect())
}

async fn gateways(api: &Api, of: Filter) -> Result<Vec<String>, CloudError> {
    let call = api.ec2.describe_internet_gateways().filters(of).send();
    let found = api.ec2(Purpose::OBSERVE, "ec2:DescribeInternetGateways", call).await?;
    let found = found.internet_gateways.unwrap_or_default();
    Ok(found.iter().filter_map(|it| shown(it.internet_gateway_id(), name_tag(it.tags()))).collect())
}

type Interface = aws_sdk_ec2::types::NetworkInterface;

async fn list_interfaces(api: &Api, of: Filter) -> Result<Vec<Interface>, CloudError> {
    let call = api.ec2.describe_network_interfaces().filters(of).send();
    let found = api.ec2(Purpose::OBSERVE, "ec2:DescribeNetworkInterfaces", call).await?;
    Ok(found.network_interfaces.unwrap_or_default())
}

/// Interfaces, by the instance that they belong to, or else by what their makers say of them (`ELB api-…`).
fn describe(interface: &Interface) -> Option<String> {
    let instance = interface.attachment().and_then(|attachment| attachment.instance_id());
    shown(interface.network_interface_id(), instance.or(interface.description()))
}

async fn interfaces(api: &Api, of: Filter) -> Result<Vec<String>, CloudError> {
    Ok(list_interfaces(api, of).await?.iter().filter_map(describe).collect())
}

async fn with_public_addresses(api: &Api, vpc: &str) -> Result<Vec<String>, CloudError> {
    let all = list_interfaces(api, filter("vpc-id", vpc)).await?;
    let public = all.iter().filter(|it| it.association().is_some_and(|it| it.public_ip().is_some()));
    Ok(public.filter_map(describe).collect())
}

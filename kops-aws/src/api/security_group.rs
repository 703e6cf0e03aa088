//! Security groups and their rules: one call reads both.

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, ResourceType, SecurityGroup as Ec2SecurityGroup,
    UserIdGroupPair,
};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::blocker::deleted;
use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::Names;
use super::tag;
use crate::names;
use crate::resource::{AwsResource, Peer, SecurityGroup, SecurityGroupRule, Traffic, kind};

pub(super) async fn read(
    api: &Api,
    scope: &Scope,
    reach: Reach,
) -> Result<Vec<Ec2SecurityGroup>, CloudError> {
    let reads = tag::searches(scope, reach).into_iter().map(|filter| {
        let pages = api
            .ec2
            .describe_security_groups()
            .filters(filter)
            .into_paginator()
            .page_size(1000)
            .items()
            .send();
        api.ec2(Purpose::OBSERVE, "ec2:DescribeSecurityGroups", pages.collect::<Result<Vec<_>, _>>())
    });
    let pages = futures::future::try_join_all(reads).await?;
    Ok(tag::merge(scope, pages, |group| group.group_id(), |group| group.tags()))
}

/// The cluster's own groups go by their names, those that its services made by their handles.
pub(super) fn learn(groups: &[Ec2SecurityGroup], scope: &Scope, names: &mut Names) {
    for group in groups {
        let (handle, name) = (group.group_id().unwrap_or_default(), group.group_name().unwrap_or_default());
        let name = if is_own(name, scope) { name } else { handle };
        names.learn(handle, name);
    }
}

/// Whether the security group of the bastions' load balancer is there.
pub(super) fn has_bastions(groups: &[Ec2SecurityGroup], scope: &Scope) -> bool {
    let name = format!("{}{}", names::BASTION_SECURITY_GROUP, scope.cluster);
    groups.iter().any(|group| group.group_name() == Some(&name))
}

fn is_own(name: &str, scope: &Scope) -> bool {
    let role = name.strip_suffix(scope.cluster.as_str()).and_then(|role| role.strip_suffix('.'));
    role.is_some_and(|role| matches!(role, "masters" | "nodes" | "bastion" | "api-elb" | "bastion-elb"))
}

pub(super) fn resources(
    groups: &[Ec2SecurityGroup],
    scope: &Scope,
    reach: Reach,
    names: &Names,
) -> Vec<Observed<AwsResource>> {
    let reached = groups
        .iter()
        .filter(|group| reach == Reach::Everything || is_own(group.group_name().unwrap_or_default(), scope));
    reached.flat_map(|group| of_group(group, scope, reach, names)).collect()
}

fn of_group(
    group: &Ec2SecurityGroup,
    scope: &Scope,
    reach: Reach,
    names: &Names,
) -> Vec<Observed<AwsResource>> {
    let (Some(handle), Some(vpc)) = (group.group_id(), group.vpc_id()) else { return Vec::new() };
    let own = is_own(group.group_name().unwrap_or_default(), scope);
    let itself = Observed {
        resource: AwsResource::SecurityGroup(SecurityGroup {
            name: names.of(handle),
            ownership: if own { Ownership::Managed } else { Ownership::Dependent },
            description: group.description().unwrap_or_default().to_owned(),
            vpc: names.of(vpc),
            tags: tag::from_ec2(group.tags()),
        }),
        handle: Handle(handle.to_owned()),
        uses: vec![Handle(vpc.to_owned())],
    };
    let ingress = group.ip_permissions().iter().map(|permission| (permission, false));
    let egress = group.ip_permissions_egress().iter().map(|permission| (permission, true));
    let rules = ingress.chain(egress).flat_map(|(permission, egress)| {
        let traffic = traffic(permission);
        let to_rule = move |(peer, other): (Peer, Option<String>)| {
            let rule = SecurityGroupRule {
                ownership: Ownership::Managed,
                security_group: names.of(handle),
                peer,
                traffic: traffic?,
                egress,
            };
            let managed = rule.is_managed(&scope.cluster);
            let ownership = if managed { Ownership::Managed } else { Ownership::Dependent };
            let rule = SecurityGroupRule { ownership, ..rule };
            let reached = managed || reach == Reach::Everything;
            let uses = std::iter::once(handle.to_owned()).chain(other).map(Handle).collect();
            let resource = AwsResource::SecurityGroupRule(rule);
            let handle = Handle(format!("{handle}/{}", resource.id().name));
            reached.then_some(Observed { resource, handle, uses })
        };
        peers(permission, names).into_iter().filter_map(to_rule)
    });
    std::iter::once(itself).chain(rules).collect()
}

fn traffic(permission: &IpPermission) -> Option<Traffic> {
    let protocol = permission.ip_protocol()?.parse().ok()?;
    Some(Traffic::new(protocol, permission.from_port().unwrap_or(-1), permission.to_port().unwrap_or(-1)))
}

/// The other sides of a permission, groups with their handles.
fn peers(permission: &IpPermission, names: &Names) -> Vec<(Peer, Option<String>)> {
    let ipv4 =
        permission.ip_ranges().iter().filter_map(|range| Some(Peer::Ipv4(range.cidr_ip()?.parse().ok()?)));
    let ipv6 = permission
        .ipv6_ranges()
        .iter()
        .filter_map(|range| Some(Peer::Ipv6(range.cidr_ipv6()?.parse().ok()?)));
    let lists = permission.prefix_list_ids().iter();
    let lists = lists.filter_map(|list| Some(Peer::PrefixList(list.prefix_list_id()?.to_owned())));
    let groups = permission.user_id_group_pairs().iter().filter_map(|pair| {
        let handle = pair.group_id()?;
        Some((Peer::Group(names.of(handle)), Some(handle.to_owned())))
    });
    ipv4.chain(ipv6).chain(lists).map(|peer| (peer, None)).chain(groups).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &SecurityGroup,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let vpc = request.bindings.resolve(&id, &ResourceId::new(kind::VPC, &desired.vpc))?;
    let found = match request.current {
        Some(current) => current.clone(),
        None => {
            let call = api
                .ec2
                .create_security_group()
                .group_name(&desired.name)
                .description(&desired.description)
                .vpc_id(vpc.as_str())
                .tag_specifications(tag::specification(ResourceType::SecurityGroup, &desired.tags))
                .send();
            match api.ec2(Purpose::create(&id), "ec2:CreateSecurityGroup", call).await {
                Ok(made) => {
                    let handle = made.group_id.ok_or_else(|| missing(Purpose::create(&id), "an id"))?;
                    return Ok(Ensured { handle: Handle(handle), outcome: Outcome::Created });
                }
                // Names are unique in a network: it is this very group, if it carries the cluster's tags.
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    let read = read(api, scope, Reach::Managed).await?;
                    let mut names = Names::default();
                    learn(&read, scope, &mut names);
                    let all = resources(&read, scope, Reach::Managed, &names);
                    let same =
                        all.into_iter().find(|o| o.resource.id() == id && o.uses.first() == Some(&vpc));
                    let same = same.ok_or_else(|| {
                        error.with_hint("a group of that name exists in the network without the cluster's tags: delete it, or choose another name for the cluster")
                    })?;
                    request.bindings.check_adoption(&id, &same.handle)?;
                    same
                }
                Err(error) => return Err(error),
            }
        }
    };
    let AwsResource::SecurityGroup(current) = &found.resource else {
        return Err(missing(Purpose::create(&id), "the group"));
    };
    let tagged = api.tag(&id, found.handle.as_str(), &desired.tags, &current.tags).await?;
    let outcome = if tagged { Outcome::Updated } else { Outcome::Unchanged };
    Ok(Ensured { handle: found.handle, outcome })
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.ec2.delete_security_group().group_id(target.handle.as_str()).send();
    let result = api.ec2(Purpose::delete(&id), "ec2:DeleteSecurityGroup", call).await;
    deleted(api, target, result).await
}

/// A permission with one other side. `group` is the handle of a peer that is a group.
fn permission(rule: &SecurityGroupRule, group: Option<&str>) -> IpPermission {
    let Traffic { protocol, from_port, to_port } = rule.traffic;
    let permission = IpPermission::builder().ip_protocol(protocol.for_ec2());
    let permission = match protocol.has_ports() {
        true => permission.from_port(from_port).to_port(to_port),
        false => permission,
    };
    match &rule.peer {
        Peer::Ipv4(range) => permission.ip_ranges(IpRange::builder().cidr_ip(range.to_string()).build()),
        Peer::Ipv6(range) => {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(range.to_string()).build())
        }
        Peer::PrefixList(list) => {
            permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(list).build())
        }
        Peer::Group(name) => {
            permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(group.unwrap_or(name)).build())
        }
    }
    .build()
}

pub(super) async fn ensure_rule(
    api: &Api,
    desired: &SecurityGroupRule,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let resolve = |name: &str| request.bindings.resolve(&id, &ResourceId::new(kind::SECURITY_GROUP, name));
    let group = resolve(&desired.security_group)?;
    let peer = match &desired.peer {
        Peer::Group(name) => Some(resolve(name)?),
        Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
    };
    let handle = Handle(format!("{group}/{}", id.name));
    if request.current.is_some_and(|current| current.handle == handle) {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    let permission = permission(desired, peer.as_ref().map(Handle::as_str));
    let purpose = Purpose::create(&id);
    let authorized = if desired.egress {
        let call = api
            .ec2
            .authorize_security_group_egress()
            .group_id(group.as_str())
            .ip_permissions(permission)
            .send();
        api.ec2(purpose, "ec2:AuthorizeSecurityGroupEgress", call).await.map(drop)
    } else {
        let call = api
            .ec2
            .authorize_security_group_ingress()
            .group_id(group.as_str())
            .ip_permissions(permission)
            .send();
        api.ec2(purpose, "ec2:AuthorizeSecurityGroupIngress", call).await.map(drop)
    };
    match authorized {
        Ok(()) => Ok(Ensured { handle, outcome: Outcome::Created }),
        // Every new group lets all IPv4 traffic out, and an answer may have been lost.
        Err(error) if error.class == ErrorClass::AlreadyExists => {
            Ok(Ensured { handle, outcome: Outcome::Unchanged })
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn delete_rule(
    api: &Api,
    target: &Observed<AwsResource>,
    rule: &SecurityGroupRule,
) -> Result<(), CloudError> {
    let id = target.resource.id();
    let Some(group) = target.uses.first() else { return Ok(()) };
    let permission = permission(rule, target.uses.get(1).map(Handle::as_str));
    let purpose = Purpose::delete(&id);
    let revoked = if rule.egress {
        let call =
            api.ec2.revoke_security_group_egress().group_id(group.as_str()).ip_permissions(permission).send();
        api.ec2(purpose, "ec2:RevokeSecurityGroupEgress", call).await.map(drop)
    } else {
        let call = api
            .ec2
            .revoke_security_group_ingress()
            .group_id(group.as_str())
            .ip_permissions(permission)
            .send();
        api.ec2(purpose, "ec2:RevokeSecurityGroupIngress", call).await.map(drop)
    };
    absent_is_fine(revoked).map(drop)
}

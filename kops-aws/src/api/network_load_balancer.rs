//! Load balancers of the newer generation, their listeners and target groups: the API's own, and those that the
//! cluster's services left.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, IpAddressType, Listener, LoadBalancer, LoadBalancerAddress,
    LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerTypeEnum, ProtocolEnum, SubnetMapping, Tag,
};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Kind, Ownership, Resource, ResourceId};

use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::Names;
use super::record::of_alias;
use super::tag;
use crate::resource::{
    AwsResource, BalancerAddress, LoadBalancerScheme, NetworkLoadBalancer, NetworkLoadBalancerListener, Tags,
    kind,
};
use crate::{names, tags};

/// How many resources' tags one call reads (Elastic Load Balancing API, DescribeTags).
const TAGS_AT_ONCE: usize = 20;
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

/// A load balancer with its tags and, if it is kops's own, its attributes and listeners.
#[derive(Debug)]
pub(super) struct Read {
    balancer: LoadBalancer,
    cross_zone: bool,
    listeners: Vec<Listener>,
    tags: Tags,
}

impl Read {
    fn arn(&self) -> &str {
        self.balancer.load_balancer_arn().unwrap_or_default()
    }

    fn is_own(&self, scope: &Scope) -> bool {
        self.purpose(scope).is_some()
    }

    /// What it is for, if it is one of kops's own.
    fn purpose(&self, scope: &Scope) -> Option<&'static str> {
        let name = self.balancer.load_balancer_name();
        ["api", "bastion"]
            .into_iter()
            .find(|purpose| name == Some(&names::load_balancer(purpose, &scope.cluster)))
    }

    fn name(&self, scope: &Scope) -> String {
        match self.purpose(scope) {
            Some(purpose) => format!("{purpose}.{}", scope.cluster),
            None => self.balancer.load_balancer_name().unwrap_or_default().to_owned(),
        }
    }
}

/// Reads one of kops's own by its name on AWS, or all. The tags of all others have to be read to find those of the cluster.
pub(super) async fn read(
    api: &Api,
    scope: &Scope,
    reach: Reach,
    name: &str,
) -> Result<Vec<Read>, CloudError> {
    let describe = api.elbv2.describe_load_balancers();
    let balancers: Vec<LoadBalancer> = match reach {
        Reach::Managed => {
            let call = describe.names(name).send();
            let answer = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancers", call).await;
            absent_is_fine(answer)?.and_then(|answer| answer.load_balancers).unwrap_or_default()
        }
        Reach::Everything => {
            let pages = describe.page_size(400).into_paginator().items().send();
            let pages = pages.collect::<Result<_, _>>();
            api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancers", pages).await?
        }
    };
    let arns: Vec<String> = balancers.iter().filter_map(|b| b.load_balancer_arn.clone()).collect();
    let mut all_tags = tags_of(api, &arns).await?;
    let owned = tags::ownership(&scope.cluster);
    let ours = balancers.into_iter().filter_map(|balancer| {
        let tags = all_tags.remove(balancer.load_balancer_arn()?).unwrap_or_default();
        let is_ours = tags.get(&owned).is_some_and(|value| value == tags::OWNED);
        is_ours.then_some(Read { balancer, cross_zone: false, listeners: Vec::new(), tags })
    });
    let with_details = ours.map(async |mut read| {
        if read.is_own(scope) {
            let (cross_zone, listeners) =
                futures::try_join!(cross_zone(api, read.arn()), listeners(api, read.arn()))?;
            (read.cross_zone, read.listeners) = (cross_zone, listeners);
        }
        Ok::<_, CloudError>(read)
    });
    futures::future::try_join_all(with_details).await
}

/// Tags by ARN.
pub(super) async fn tags_of(api: &Api, arns: &[String]) -> Result<BTreeMap<String, Tags>, CloudError> {
    let batches = arns.chunks(TAGS_AT_ONCE).map(async |batch| {
        let call = api.elbv2.describe_tags().set_resource_arns(Some(batch.to_vec())).send();
        let answer = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeTags", call).await?;
        Ok::<_, CloudError>(answer.tag_descriptions.unwrap_or_default())
    });
    let descriptions = futures::future::try_join_all(batches).await?.into_iter().flatten();
    let by_arn = descriptions.filter_map(|description| {
        let tags = description.tags().iter();
        let tags = tags.map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
        Some((description.resource_arn()?.to_owned(), tag::plain(tags)))
    });
    Ok(by_arn.collect())
}

async fn cross_zone(api: &Api, arn: &str) -> Result<bool, CloudError> {
    let call = api.elbv2.describe_load_balancer_attributes().load_balancer_arn(arn).send();
    let answer =
        api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancerAttributes", call).await?;
    Ok(answer.attributes().iter().any(|a| a.key() == Some(CROSS_ZONE) && a.value() == Some("true")))
}

async fn listeners(api: &Api, arn: &str) -> Result<Vec<Listener>, CloudError> {
    let pages = api.elbv2.describe_listeners().load_balancer_arn(arn).into_paginator().items().send();
    let pages = pages.collect::<Result<_, _>>();
    api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeListeners", pages).await
}

pub(super) fn learn(read: &[Read], scope: &Scope, names: &mut Names) {
    for balancer in read {
        names.learn(balancer.arn(), &balancer.name(scope));
    }
}

/// Under which names they are reached.
pub(super) fn addresses(
    read: &[Read],
    scope: &Scope,
) -> impl Iterator<Item = (String, (ResourceId, Handle))> {
    read.iter().filter_map(|one| {
        let id = ResourceId::new(kind::NETWORK_LOAD_BALANCER, one.name(scope));
        Some((of_alias(one.balancer.dns_name()?), (id, Handle(one.arn().to_owned()))))
    })
}

pub(super) fn resources(read: &[Read], scope: &Scope, names: &Names) -> Vec<Observed<AwsResource>> {
    read.iter().flat_map(|balancer| of_balancer(balancer, scope, names)).collect()
}

fn of_balancer(read: &Read, scope: &Scope, names: &Names) -> Vec<Observed<AwsResource>> {
    let balancer = &read.balancer;
    let name = read.name(scope);
    let zones = balancer.availability_zones().iter();
    let subnets: Vec<&str> = zones.filter_map(|zone| zone.subnet_id()).collect();
    let addresses: BTreeMap<&str, &LoadBalancerAddress> = balancer
        .availability_zones()
        .iter()
        .filter_map(|zone| Some((zone.subnet_id()?, zone.load_balancer_addresses().first()?)))
        .collect();
    let itself = AwsResource::NetworkLoadBalancer(NetworkLoadBalancer {
        addresses: addresses
            .iter()
            .filter_map(|(subnet, address)| Some((names.of(subnet), chosen(address, names)?)))
            .collect(),
        name: name.clone(),
        ownership: if read.is_own(scope) { Ownership::Managed } else { Ownership::Dependent },
        load_balancer_name: balancer.load_balancer_name().unwrap_or_default().to_owned(),
        subnets: subnets.iter().map(|subnet| names.of(subnet)).collect(),
        security_groups: balancer.security_groups().iter().map(|group| names.of(group)).collect(),
        scheme: match balancer.scheme() {
            Some(LoadBalancerSchemeEnum::Internal) => LoadBalancerScheme::Internal,
            _ => LoadBalancerScheme::InternetFacing,
        },
        cross_zone_load_balancing: read.cross_zone,
        ip_address_type: balancer.ip_address_type().map(|t| t.as_str().to_owned()).unwrap_or_default(),
        tags: read.tags.clone(),
        after: BTreeSet::new(),
    });
    let groups = balancer.security_groups().iter().map(String::as_str);
    let public = addresses.values().filter_map(|address| address.allocation_id());
    let uses =
        subnets.iter().copied().chain(groups).chain(public).map(|used| Handle(used.to_owned())).collect();
    let itself = Observed { resource: itself, handle: Handle(read.arn().to_owned()), uses };
    let listeners = read.listeners.iter().filter_map(|listener| {
        let port = u16::try_from(listener.port()?).ok()?;
        let target_group = listener.default_actions().iter().find_map(|action| action.target_group_arn());
        let resource = AwsResource::NetworkLoadBalancerListener(NetworkLoadBalancerListener {
            name: format!("{name}-{port}"),
            ownership: Ownership::Managed,
            network_load_balancer: name.clone(),
            port,
            protocol: listener.protocol().map(|p| p.as_str().to_owned()).unwrap_or_default(),
            target_group: target_group.map(|arn| names.of(arn)),
        });
        let uses =
            std::iter::once(read.arn()).chain(target_group).map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(listener.listener_arn()?.to_owned()), uses })
    });
    std::iter::once(itself).chain(listeners).collect()
}

/// The address that was chosen for a subnet. Those that nobody chose are not told.
fn chosen(address: &LoadBalancerAddress, names: &Names) -> Option<BalancerAddress> {
    let public = address.allocation_id().map(|id| BalancerAddress::ElasticIp(names.of(id)));
    public.or_else(|| Some(BalancerAddress::Private(address.private_ipv4_address()?.parse().ok()?)))
}

/// The subnets, each with the address that was chosen for it.
fn mappings(
    request: &Ensure<'_, AwsResource>,
    id: &ResourceId,
    desired: &NetworkLoadBalancer,
) -> Result<Vec<SubnetMapping>, CloudError> {
    let of = |kind: Kind, name: &String| request.bindings.resolve(id, &ResourceId::new(kind, name));
    let mapping = |subnet: &String| {
        let mapping = SubnetMapping::builder().subnet_id(of(kind::SUBNET, subnet)?.0);
        Ok(match desired.addresses.get(subnet) {
            Some(BalancerAddress::ElasticIp(name)) => mapping.allocation_id(of(kind::ELASTIC_IP, name)?.0),
            Some(BalancerAddress::Private(address)) => mapping.private_ipv4_address(address.to_string()),
            None => mapping,
        }
        .build())
    };
    desired.subnets.iter().map(mapping).collect()
}

pub(super) fn to_elbv2(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn bound(
    request: &Ensure<'_, AwsResource>,
    id: &ResourceId,
    kind: &Kind,
    names: &BTreeSet<String>,
) -> Result<Vec<String>, CloudError> {
    names
        .iter()
        .map(|name| Ok(request.bindings.resolve(id, &ResourceId::new(kind.clone(), name))?.0))
        .collect()
}

/// Names of what the request refers to.
pub(super) fn known(request: &Ensure<'_, AwsResource>) -> Names {
    let mut names = Names::default();
    for reference in request.desired.requires() {
        if let Some(handle) = request.bindings.get(&reference) {
            names.learn(handle.as_str(), &reference.name);
        }
    }
    names
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &NetworkLoadBalancer,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let subnets = mappings(request, &id, desired)?;
    let groups = bound(request, &id, &kind::SECURITY_GROUP, &desired.security_groups)?;
    let (handle, current, created) = match request.current {
        Some(Observed { resource: AwsResource::NetworkLoadBalancer(current), handle, .. }) => {
            (handle.clone(), current.clone(), false)
        }
        _ => {
            let scheme = match desired.scheme {
                LoadBalancerScheme::Internal => LoadBalancerSchemeEnum::Internal,
                LoadBalancerScheme::InternetFacing => LoadBalancerSchemeEnum::InternetFacing,
            };
            let call = api
                .elbv2
                .create_load_balancer()
                .name(&desired.load_balancer_name)
                .r#type(LoadBalancerTypeEnum::Network)
                .scheme(scheme)
                .ip_address_type(IpAddressType::from(desired.ip_address_type.as_str()))
                .set_subnet_mappings(Some(subnets.clone()))
                .set_security_groups(Some(groups.clone()))
                .set_tags(Some(to_elbv2(&desired.tags)))
                .send();
            match api.elb(Purpose::create(&id), "elasticloadbalancing:CreateLoadBalancer", call).await {
                Ok(made) => {
                    let arn = made.load_balancers().first().and_then(|balancer| balancer.load_balancer_arn());
                    let arn = arn.ok_or_else(|| missing(Purpose::create(&id), "an ARN"))?;
                    // New ones do not balance across zones (ELBv2 API, LoadBalancerAttribute).
                    let made = NetworkLoadBalancer { cross_zone_load_balancing: false, ..desired.clone() };
                    (Handle(arn.to_owned()), made, true)
                }
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    let (handle, current) = find(api, scope, request).await?.ok_or_else(|| {
                        error.with_hint("one of that name exists without the cluster's tags: delete it, or choose another name for the cluster")
                    })?;
                    request.bindings.check_adoption(&id, &handle)?;
                    (handle, current, false)
                }
                Err(error) => return Err(error),
            }
        }
    };
    let changed = change(api, &id, handle.as_str(), desired, &current, (subnets, groups)).await?;
    let outcome = match (created, changed) {
        (true, _) => Outcome::Created,
        (false, true) => Outcome::Updated,
        (false, false) => Outcome::Unchanged,
    };
    Ok(Ensured { handle, outcome })
}

async fn find(
    api: &Api,
    scope: &Scope,
    request: &Ensure<'_, AwsResource>,
) -> Result<Option<(Handle, NetworkLoadBalancer)>, CloudError> {
    let AwsResource::NetworkLoadBalancer(desired) = request.desired else { return Ok(None) };
    let read = read(api, scope, Reach::Managed, &desired.load_balancer_name).await?;
    Ok(resources(&read, scope, &known(request)).into_iter().find_map(|o| match o.resource {
        AwsResource::NetworkLoadBalancer(balancer) => Some((o.handle, balancer)),
        _ => None,
    }))
}

async fn change(
    api: &Api,
    id: &ResourceId,
    arn: &str,
    desired: &NetworkLoadBalancer,
    current: &NetworkLoadBalancer,
    (subnets, groups): (Vec<SubnetMapping>, Vec<String>),
) -> Result<bool, CloudError> {
    let purpose = Purpose::change(id);
    let mut changed = false;
    if desired.cross_zone_load_balancing != current.cross_zone_load_balancing {
        let value = desired.cross_zone_load_balancing.to_string();
        let attribute = LoadBalancerAttribute::builder().key(CROSS_ZONE).value(value).build();
        let call =
            api.elbv2.modify_load_balancer_attributes().load_balancer_arn(arn).attributes(attribute).send();
        api.elb(purpose, "elasticloadbalancing:ModifyLoadBalancerAttributes", call).await?;
        changed = true;
    }
    if desired.security_groups != current.security_groups {
        let call =
            api.elbv2.set_security_groups().load_balancer_arn(arn).set_security_groups(Some(groups)).send();
        api.elb(purpose, "elasticloadbalancing:SetSecurityGroups", call).await?;
        changed = true;
    }
    if desired.subnets != current.subnets {
        let call = api.elbv2.set_subnets().load_balancer_arn(arn).set_subnet_mappings(Some(subnets)).send();
        api.elb(purpose, "elasticloadbalancing:SetSubnets", call).await?;
        changed = true;
    }
    let wanting = tag::wanting(&desired.tags, &current.tags);
    if !wanting.is_empty() {
        let call = api.elbv2.add_tags().resource_arns(arn).set_tags(Some(to_elbv2(&wanting))).send();
        api.elb(purpose, "elasticloadbalancing:AddTags", call).await?;
        changed = true;
    }
    Ok(changed)
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.elbv2.delete_load_balancer().load_balancer_arn(target.handle.as_str()).send();
    absent_is_fine(api.elb(Purpose::delete(&id), "elasticloadbalancing:DeleteLoadBalancer", call).await)
        .map(drop)
}

pub(super) async fn ensure_listener(
    api: &Api,
    desired: &NetworkLoadBalancerListener,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let of = |kind, name: &String| request.bindings.resolve(&id, &ResourceId::new(kind, name));
    let balancer = of(kind::NETWORK_LOAD_BALANCER, &desired.network_load_balancer)?;
    let target = desired.target_group.as_ref().map(|name| of(kind::TARGET_GROUP, name)).transpose()?;
    let forward = target.as_ref().map(|target| {
        // An action with a type is complete.
        Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(target.as_str()).build()
    });
    let found = match request.current {
        Some(current) => current.clone(),
        None => {
            let call = api
                .elbv2
                .create_listener()
                .load_balancer_arn(balancer.as_str())
                .port(i32::from(desired.port))
                .protocol(ProtocolEnum::from(desired.protocol.as_str()))
                .set_default_actions(Some(forward.clone().into_iter().collect()))
                .send();
            match api.elb(Purpose::create(&id), "elasticloadbalancing:CreateListener", call).await {
                Ok(made) => {
                    let arn = made.listeners().first().and_then(|listener| listener.listener_arn());
                    let arn = arn.ok_or_else(|| missing(Purpose::create(&id), "an ARN"))?;
                    return Ok(Ensured { handle: Handle(arn.to_owned()), outcome: Outcome::Created });
                }
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    find_listener(api, desired, request, &balancer).await?.ok_or(error)?
                }
                Err(error) => return Err(error),
            }
        }
    };
    if found.uses.get(1) == target.as_ref() && found.resource == *request.desired {
        return Ok(Ensured { handle: found.handle, outcome: Outcome::Unchanged });
    }
    let call = api
        .elbv2
        .modify_listener()
        .listener_arn(found.handle.as_str())
        .port(i32::from(desired.port))
        .protocol(ProtocolEnum::from(desired.protocol.as_str()))
        .set_default_actions(Some(forward.into_iter().collect()))
        .send();
    api.elb(Purpose::change(&id), "elasticloadbalancing:ModifyListener", call).await?;
    Ok(Ensured { handle: found.handle, outcome: Outcome::Updated })
}

async fn find_listener(
    api: &Api,
    desired: &NetworkLoadBalancerListener,
    request: &Ensure<'_, AwsResource>,
    balancer: &Handle,
) -> Result<Option<Observed<AwsResource>>, CloudError> {
    let names = known(request);
    let all = listeners(api, balancer.as_str()).await?;
    let same = all.iter().find(|listener| listener.port() == Some(i32::from(desired.port)));
    Ok(same.and_then(|listener| {
        let target = listener.default_actions().iter().find_map(|action| action.target_group_arn());
        let resource = AwsResource::NetworkLoadBalancerListener(NetworkLoadBalancerListener {
            protocol: listener.protocol().map(|p| p.as_str().to_owned()).unwrap_or_default(),
            target_group: target.map(|arn| names.of(arn)),
            ..desired.clone()
        });
        let uses =
            std::iter::once(balancer.as_str()).chain(target).map(|used| Handle(used.to_owned())).collect();
        Some(Observed { resource, handle: Handle(listener.listener_arn()?.to_owned()), uses })
    }))
}

pub(super) async fn delete_listener(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.elbv2.delete_listener().listener_arn(target.handle.as_str()).send();
    absent_is_fine(api.elb(Purpose::delete(&id), "elasticloadbalancing:DeleteListener", call).await).map(drop)
}

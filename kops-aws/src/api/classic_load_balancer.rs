//! Classic load balancers: the API's own, and those that the cluster's services left.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancing::types::{
    ConnectionSettings, CrossZoneLoadBalancing, HealthCheck, Listener, LoadBalancerAttributes,
    LoadBalancerDescription, Tag,
};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use super::names::Names;
use super::record::of_alias;
use super::tag;
use crate::resource::{
    AwsResource, ClassicHealthCheck, ClassicListener, ClassicLoadBalancer, LoadBalancerScheme, Tags, kind,
};
use crate::{names, tags};

/// How many load balancers' tags one call reads (Elastic Load Balancing API, DescribeTags).
const TAGS_AT_ONCE: usize = 20;

/// A load balancer with its tags and, if it is the API's, its attributes.
#[derive(Debug)]
pub(super) struct Read {
    balancer: LoadBalancerDescription,
    attributes: Option<LoadBalancerAttributes>,
    tags: Tags,
}

impl Read {
    fn aws_name(&self) -> &str {
        self.balancer.load_balancer_name().unwrap_or_default()
    }
}

/// The API's own goes by its name. The tags of all others have to be read to find those of the cluster.
pub(super) async fn read(api: &Api, scope: &Scope, reach: Reach) -> Result<Vec<Read>, CloudError> {
    let own = names::load_balancer("api", &scope.cluster);
    let describe = api.elb.describe_load_balancers();
    let balancers: Vec<LoadBalancerDescription> = match reach {
        Reach::Managed => {
            let call = describe.load_balancer_names(&own).send();
            let answer = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancers", call).await;
            absent_is_fine(answer)?.and_then(|answer| answer.load_balancer_descriptions).unwrap_or_default()
        }
        Reach::Everything => {
            let pages = describe.page_size(400).into_paginator().items().send();
            let pages = pages.collect::<Result<_, _>>();
            api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancers", pages).await?
        }
    };
    let all_names: Vec<String> = balancers.iter().filter_map(|b| b.load_balancer_name.clone()).collect();
    let (mut all_tags, attributes) = futures::try_join!(tags_of(api, &all_names), async {
        match all_names.contains(&own) {
            true => attributes(api, &own).await,
            false => Ok(None),
        }
    })?;
    let ours =
        |tags: &Tags| tags.get(&tags::ownership(&scope.cluster)).is_some_and(|value| value == tags::OWNED);
    let read = balancers.into_iter().filter_map(|balancer| {
        let name = balancer.load_balancer_name()?;
        let tags = all_tags.remove(name).unwrap_or_default();
        let attributes = attributes.clone().filter(|_| name == own);
        ours(&tags).then_some(Read { attributes, tags, balancer })
    });
    Ok(read.collect())
}

async fn tags_of(api: &Api, names: &[String]) -> Result<BTreeMap<String, Tags>, CloudError> {
    let batches = names.chunks(TAGS_AT_ONCE).map(async |batch| {
        let call = api.elb.describe_tags().set_load_balancer_names(Some(batch.to_vec())).send();
        let answer = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeTags", call).await?;
        Ok::<_, CloudError>(answer.tag_descriptions.unwrap_or_default())
    });
    let descriptions = futures::future::try_join_all(batches).await?.into_iter().flatten();
    let named = descriptions.filter_map(|description| {
        let tags = description.tags().iter().map(|tag| (tag.key(), tag.value().unwrap_or_default()));
        Some((description.load_balancer_name()?.to_owned(), tag::plain(tags)))
    });
    Ok(named.collect())
}

async fn attributes(api: &Api, name: &str) -> Result<Option<LoadBalancerAttributes>, CloudError> {
    let call = api.elb.describe_load_balancer_attributes().load_balancer_name(name).send();
    let answer = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeLoadBalancerAttributes", call).await;
    Ok(absent_is_fine(answer)?.and_then(|answer| answer.load_balancer_attributes))
}

/// The API's goes by its `Name` tag, a service's by its name on AWS.
pub(super) fn learn(read: &[Read], scope: &Scope, names: &mut Names) {
    for balancer in read {
        names.learn(balancer.aws_name(), &name_of(balancer, scope));
    }
}

fn name_of(read: &Read, scope: &Scope) -> String {
    if read.aws_name() == names::load_balancer("api", &scope.cluster) {
        format!("api.{}", scope.cluster)
    } else {
        read.aws_name().to_owned()
    }
}

/// Under which names they are reached.
pub(super) fn addresses(
    read: &[Read],
    scope: &Scope,
) -> impl Iterator<Item = (String, (ResourceId, Handle))> {
    read.iter().filter_map(|one| {
        let id = ResourceId::new(kind::CLASSIC_LOAD_BALANCER, name_of(one, scope));
        Some((of_alias(one.balancer.dns_name()?), (id, Handle(one.aws_name().to_owned()))))
    })
}

pub(super) fn resources(read: &[Read], scope: &Scope, names: &Names) -> Vec<Observed<AwsResource>> {
    read.iter().map(|balancer| of_balancer(balancer, scope, names)).collect()
}

fn of_balancer(read: &Read, scope: &Scope, names: &Names) -> Observed<AwsResource> {
    let balancer = &read.balancer;
    let count = |value: i32| u32::try_from(value).unwrap_or_default();
    let port = |value: i32| u16::try_from(value).unwrap_or_default();
    let listeners = balancer.listener_descriptions().iter().filter_map(|description| {
        let listener = description.listener()?;
        Some(ClassicListener {
            protocol: listener.protocol().to_owned(),
            load_balancer_port: port(listener.load_balancer_port()),
            instance_protocol: listener.instance_protocol().unwrap_or_default().to_owned(),
            instance_port: port(listener.instance_port()),
        })
    });
    let check = balancer.health_check();
    let attributes = read.attributes.as_ref();
    let name = name_of(read, scope);
    let own = name != read.aws_name();
    let resource = AwsResource::ClassicLoadBalancer(ClassicLoadBalancer {
        name,
        ownership: if own { Ownership::Managed } else { Ownership::Dependent },
        load_balancer_name: read.aws_name().to_owned(),
        subnets: balancer.subnets().iter().map(|subnet| names.of(subnet)).collect(),
        security_groups: balancer.security_groups().iter().map(|group| names.of(group)).collect(),
        listeners: listeners.collect(),
        scheme: match balancer.scheme() {
            Some("internal") => LoadBalancerScheme::Internal,
            _ => LoadBalancerScheme::InternetFacing,
        },
        health_check: ClassicHealthCheck {
            target: check.map(|check| check.target().to_owned()).unwrap_or_default(),
            healthy_threshold: check.map(|check| count(check.healthy_threshold())).unwrap_or_default(),
            unhealthy_threshold: check.map(|check| count(check.unhealthy_threshold())).unwrap_or_default(),
            interval: check.map(|check| count(check.interval())).unwrap_or_default(),
            timeout: check.map(|check| count(check.timeout())).unwrap_or_default(),
        },
        idle_timeout: attributes
            .and_then(|a| a.connection_settings())
            .map(|settings| count(settings.idle_timeout()))
            .unwrap_or_default(),
        cross_zone_load_balancing: attributes
            .and_then(|a| a.cross_zone_load_balancing())
            .map(CrossZoneLoadBalancing::enabled)
            .unwrap_or_default(),
        tags: read.tags.clone(),
        after: BTreeSet::new(),
    });
    let uses = balancer.subnets().iter().chain(balancer.security_groups()).cloned().map(Handle).collect();
    Observed { resource, handle: Handle(read.aws_name().to_owned()), uses }
}

/// A desired load balancer with its references bound.
struct Bound<'a> {
    desired: &'a ClassicLoadBalancer,
    subnets: Vec<String>,
    security_groups: Vec<String>,
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &ClassicLoadBalancer,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let all =
        |kind: kops_core::resource::Kind, names: &BTreeSet<String>| -> Result<Vec<String>, CloudError> {
            names
                .iter()
                .map(|name| Ok(request.bindings.resolve(&id, &ResourceId::new(kind.clone(), name))?.0))
                .collect()
        };
    let bound = Bound {
        desired,
        subnets: all(kind::SUBNET, &desired.subnets)?,
        security_groups: all(kind::SECURITY_GROUP, &desired.security_groups)?,
    };
    let handle = Handle(desired.load_balancer_name.clone());
    let mut slot = api.locks.hold(&scope.cluster, &id).await;
    let (current, created) = match request.current {
        Some(Observed { resource: AwsResource::ClassicLoadBalancer(current), .. }) => {
            (current.clone(), false)
        }
        _ => {
            let fresh = create(api, &id, &bound).await?;
            // Creating one of the same name again is an error only where it would be another one.
            match fresh {
                Created::Made => {
                    slot.begin(&handle);
                    let health_check =
                        ClassicHealthCheck { target: String::new(), ..desired.health_check.clone() };
                    let made = ClassicLoadBalancer {
                        health_check,
                        idle_timeout: 60,
                        cross_zone_load_balancing: false,
                        ..desired.clone()
                    };
                    (made, true)
                }
                Created::Found => {
                    let found = find(api, scope, &id, request).await;
                    (found.map_err(|error| slot.unseen(error))?, false)
                }
            }
        }
    };
    let changed = change(api, &id, &bound, &current).await?;
    slot.finish();
    let outcome = match (created, changed) {
        (true, _) => Outcome::Created,
        (false, true) => Outcome::Updated,
        (false, false) => Outcome::Unchanged,
    };
    Ok(Ensured { handle, outcome })
}

enum Created {
    Made,
    Found,
}

async fn find(
    api: &Api,
    scope: &Scope,
    id: &ResourceId,
    request: &Ensure<'_, AwsResource>,
) -> Result<ClassicLoadBalancer, CloudError> {
    let read = read(api, scope, Reach::Managed).await?;
    let mut names = Names::default();
    for reference in request.desired.requires() {
        if let Some(handle) = request.bindings.get(&reference) {
            names.learn(handle.as_str(), &reference.name);
        }
    }
    let mut found = resources(&read, scope, &names).into_iter().map(|o| o.resource);
    found
        .find_map(|resource| match resource {
            AwsResource::ClassicLoadBalancer(balancer) => Some(balancer),
            _ => None,
        })
        .ok_or_else(|| {
            let message = "a load balancer of that name exists without the cluster's tags";
            let hint = "delete it, or choose another name for the cluster";
            Purpose::create(id).error(ErrorClass::AlreadyExists, message).with_hint(hint)
        })
}

fn to_elb(tags: &Tags) -> Vec<Tag> {
    // A tag with a key is complete.
    tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}

/// A listener with protocol and ports is complete.
fn listener(listener: &ClassicListener) -> Option<Listener> {
    Listener::builder()
        .protocol(&listener.protocol)
        .load_balancer_port(i32::from(listener.load_balancer_port))
        .instance_protocol(&listener.instance_protocol)
        .instance_port(i32::from(listener.instance_port))
        .build()
        .ok()
}

async fn create(api: &Api, id: &ResourceId, bound: &Bound<'_>) -> Result<Created, CloudError> {
    let desired = bound.desired;
    let internal = desired.scheme == LoadBalancerScheme::Internal;
    let call = api
        .elb
        .create_load_balancer()
        .load_balancer_name(&desired.load_balancer_name)
        .set_listeners(Some(desired.listeners.iter().filter_map(listener).collect()))
        .set_subnets(Some(bound.subnets.clone()))
        .set_security_groups(Some(bound.security_groups.clone()))
        .set_scheme(internal.then(|| "internal".to_owned()))
        .set_tags(Some(to_elb(&desired.tags)))
        .send();
    match api.elb(Purpose::create(id), "elasticloadbalancing:CreateLoadBalancer", call).await {
        Ok(_) => Ok(Created::Made),
        Err(error) if error.class == ErrorClass::AlreadyExists => Ok(Created::Found),
        Err(error) => Err(error),
    }
}

/// Brings an existing load balancer to what is desired. Says whether anything differed.
async fn change(
    api: &Api,
    id: &ResourceId,
    bound: &Bound<'_>,
    current: &ClassicLoadBalancer,
) -> Result<bool, CloudError> {
    let desired = bound.desired;
    let name = &desired.load_balancer_name;
    let purpose = Purpose::change(id);
    let mut changed = false;
    if desired.health_check != current.health_check {
        let count = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let check = HealthCheck::builder()
            .target(&desired.health_check.target)
            .healthy_threshold(count(desired.health_check.healthy_threshold))
            .unhealthy_threshold(count(desired.health_check.unhealthy_threshold))
            .interval(count(desired.health_check.interval))
            .timeout(count(desired.health_check.timeout))
            .build()
            .map_err(|error| {
                purpose.error(ErrorClass::Invalid, "its health check is not complete").with_source(error)
            })?;
        let call = api.elb.configure_health_check().load_balancer_name(name).health_check(check).send();
        api.elb(purpose, "elasticloadbalancing:ConfigureHealthCheck", call).await?;
        changed = true;
    }
    if (desired.idle_timeout, desired.cross_zone_load_balancing)
        != (current.idle_timeout, current.cross_zone_load_balancing)
    {
        let idle = i32::try_from(desired.idle_timeout).unwrap_or(i32::MAX);
        let attributes = LoadBalancerAttributes::builder()
            .set_connection_settings(ConnectionSettings::builder().idle_timeout(idle).build().ok())
            .cross_zone_load_balancing(
                CrossZoneLoadBalancing::builder().enabled(desired.cross_zone_load_balancing).build(),
            )
            .build();
        let modify = api.elb.modify_load_balancer_attributes().load_balancer_name(name);
        let call = modify.load_balancer_attributes(attributes).send();
        api.elb(purpose, "elasticloadbalancing:ModifyLoadBalancerAttributes", call).await?;
        changed = true;
    }
    if desired.security_groups != current.security_groups {
        let apply = api.elb.apply_security_groups_to_load_balancer().load_balancer_name(name);
        let call = apply.set_security_groups(Some(bound.security_groups.clone())).send();
        api.elb(purpose, "elasticloadbalancing:ApplySecurityGroupsToLoadBalancer", call).await?;
        changed = true;
    }
    changed |= change_listeners(api, purpose, desired, current).await?;
    changed |= change_subnets(api, purpose, bound, current).await?;
    let wanting = tag::wanting(&desired.tags, &current.tags);
    if !wanting.is_empty() {
        let call = api.elb.add_tags().load_balancer_names(name).set_tags(Some(to_elb(&wanting))).send();
        api.elb(purpose, "elasticloadbalancing:AddTags", call).await?;
        changed = true;
    }
    Ok(changed)
}

async fn change_listeners(
    api: &Api,
    purpose: Purpose<'_>,
    desired: &ClassicLoadBalancer,
    current: &ClassicLoadBalancer,
) -> Result<bool, CloudError> {
    let name = &desired.load_balancer_name;
    let surplus: Vec<i32> =
        current.listeners.difference(&desired.listeners).map(|l| i32::from(l.load_balancer_port)).collect();
    let wanting: Vec<Listener> =
        desired.listeners.difference(&current.listeners).filter_map(listener).collect();
    let changed = !surplus.is_empty() || !wanting.is_empty();
    if !surplus.is_empty() {
        let delete = api.elb.delete_load_balancer_listeners().load_balancer_name(name);
        let call = delete.set_load_balancer_ports(Some(surplus)).send();
        api.elb(purpose, "elasticloadbalancing:DeleteLoadBalancerListeners", call).await?;
    }
    if !wanting.is_empty() {
        let call = api
            .elb
            .create_load_balancer_listeners()
            .load_balancer_name(name)
            .set_listeners(Some(wanting))
            .send();
        api.elb(purpose, "elasticloadbalancing:CreateLoadBalancerListeners", call).await?;
    }
    Ok(changed)
}

async fn change_subnets(
    api: &Api,
    purpose: Purpose<'_>,
    bound: &Bound<'_>,
    current: &ClassicLoadBalancer,
) -> Result<bool, CloudError> {
    let desired = bound.desired;
    if desired.subnets == current.subnets {
        return Ok(false);
    }
    let name = &desired.load_balancer_name;
    let call = api.elb.describe_load_balancers().load_balancer_names(name).send();
    let found = api.elb(purpose, "elasticloadbalancing:DescribeLoadBalancers", call).await?;
    let held: Vec<String> =
        found.load_balancer_descriptions().iter().flat_map(|b| b.subnets().to_vec()).collect();
    let surplus: Vec<String> =
        held.iter().filter(|subnet| !bound.subnets.contains(subnet)).cloned().collect();
    let wanting: Vec<String> =
        bound.subnets.iter().filter(|subnet| !held.contains(subnet)).cloned().collect();
    if !wanting.is_empty() {
        let call = api
            .elb
            .attach_load_balancer_to_subnets()
            .load_balancer_name(name)
            .set_subnets(Some(wanting))
            .send();
        api.elb(purpose, "elasticloadbalancing:AttachLoadBalancerToSubnets", call).await?;
    }
    if !surplus.is_empty() {
        let detach = api.elb.detach_load_balancer_from_subnets().load_balancer_name(name);
        let call = detach.set_subnets(Some(surplus)).send();
        api.elb(purpose, "elasticloadbalancing:DetachLoadBalancerFromSubnets", call).await?;
    }
    Ok(true)
}

pub(super) async fn delete(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.elb.delete_load_balancer().load_balancer_name(target.handle.as_str()).send();
    absent_is_fine(api.elb(Purpose::delete(&id), "elasticloadbalancing:DeleteLoadBalancer", call).await)
        .map(drop)
}

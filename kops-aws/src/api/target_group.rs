//! Target groups: the API's own, and those that the cluster's services left.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{
    ProtocolEnum, TargetGroup as ElbTargetGroup, TargetGroupAttribute, TargetTypeEnum,
};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Reach, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

use super::call::{Purpose, absent_is_fine, missing};
use super::cloud::Api;
use super::names::Names;
use super::network_load_balancer::{known, tags_of, to_elbv2};
use super::tag;
use crate::resource::{AwsResource, Tags, TargetGroup, TargetHealthCheck, kind};
use crate::{names, tags};

/// A target group with its tags and, if it is kops's own, its attributes.
#[derive(Debug)]
pub(super) struct Read {
    group: ElbTargetGroup,
    attributes: BTreeMap<String, String>,
    tags: Tags,
}

impl Read {
    fn arn(&self) -> &str {
        self.group.target_group_arn().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.group.target_group_name().unwrap_or_default()
    }

    fn is_own(&self, scope: &Scope) -> bool {
        ["tcp", "bastion"]
            .into_iter()
            .any(|purpose| self.name() == names::load_balancer(purpose, &scope.cluster))
    }
}

pub(super) async fn read(
    api: &Api,
    scope: &Scope,
    reach: Reach,
    name: &str,
) -> Result<Vec<Read>, CloudError> {
    let describe = api.elbv2.describe_target_groups();
    let groups: Vec<ElbTargetGroup> = match reach {
        Reach::Managed => {
            let call = describe.names(name).send();
            let answer = api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeTargetGroups", call).await;
            absent_is_fine(answer)?.and_then(|answer| answer.target_groups).unwrap_or_default()
        }
        Reach::Everything => {
            let pages = describe.page_size(400).into_paginator().items().send();
            let pages = pages.collect::<Result<_, _>>();
            api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeTargetGroups", pages).await?
        }
    };
    let arns: Vec<String> = groups.iter().filter_map(|group| group.target_group_arn.clone()).collect();
    let mut all_tags = tags_of(api, &arns).await?;
    let owned = tags::ownership(&scope.cluster);
    let ours = groups.into_iter().filter_map(|group| {
        let tags = all_tags.remove(group.target_group_arn()?).unwrap_or_default();
        let is_ours = tags.get(&owned).is_some_and(|value| value == tags::OWNED);
        is_ours.then_some(Read { group, attributes: BTreeMap::new(), tags })
    });
    let with_attributes = ours.map(async |mut read| {
        if read.is_own(scope) {
            read.attributes = attributes(api, read.arn()).await?;
        }
        Ok::<_, CloudError>(read)
    });
    futures::future::try_join_all(with_attributes).await
}

async fn attributes(api: &Api, arn: &str) -> Result<BTreeMap<String, String>, CloudError> {
    let call = api.elbv2.describe_target_group_attributes().target_group_arn(arn).send();
    let answer =
        api.elb(Purpose::OBSERVE, "elasticloadbalancing:DescribeTargetGroupAttributes", call).await?;
    let pairs = answer.attributes().iter().filter_map(|a| Some((a.key()?.to_owned(), a.value()?.to_owned())));
    Ok(pairs.collect())
}

pub(super) fn learn(read: &[Read], names: &mut Names) {
    for group in read {
        names.learn(group.arn(), group.name());
    }
}

pub(super) fn resources(read: &[Read], scope: &Scope, names: &Names) -> Vec<Observed<AwsResource>> {
    let count = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    let one = |read: &Read| {
        let group = &read.group;
        let vpc = group.vpc_id()?;
        let resource = AwsResource::TargetGroup(TargetGroup {
            name: read.name().to_owned(),
            ownership: if read.is_own(scope) { Ownership::Managed } else { Ownership::Dependent },
            vpc: names.of(vpc),
            port: group.port().and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
            protocol: group.protocol().map(|p| p.as_str().to_owned()).unwrap_or_default(),
            health_check: TargetHealthCheck {
                protocol: group.health_check_protocol().map(|p| p.as_str().to_owned()).unwrap_or_default(),
                path: group.health_check_path().map(ToOwned::to_owned),
                interval: count(group.health_check_interval_seconds()),
                healthy_threshold: count(group.healthy_threshold_count()),
                unhealthy_threshold: count(group.unhealthy_threshold_count()),
            },
            attributes: read.attributes.clone(),
            tags: read.tags.clone(),
        });
        Some(Observed { resource, handle: Handle(read.arn().to_owned()), uses: vec![Handle(vpc.to_owned())] })
    };
    read.iter().filter_map(one).collect()
}

pub(super) async fn ensure(
    api: &Api,
    scope: &Scope,
    desired: &TargetGroup,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let vpc = request.bindings.resolve(&id, &ResourceId::new(kind::VPC, &desired.vpc))?;
    let count = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let check = &desired.health_check;
    let found = match request.current {
        Some(Observed { resource: AwsResource::TargetGroup(current), handle, .. }) => {
            Some((handle.clone(), current.clone()))
        }
        _ => None,
    };
    let (handle, current, created) = match found {
        Some((handle, current)) => (handle, current, false),
        None => {
            let call = api
                .elbv2
                .create_target_group()
                .name(&desired.name)
                .vpc_id(vpc.as_str())
                .port(i32::from(desired.port))
                .protocol(ProtocolEnum::from(desired.protocol.as_str()))
                .target_type(TargetTypeEnum::Instance)
                .health_check_protocol(ProtocolEnum::from(check.protocol.as_str()))
                .set_health_check_path(check.path.clone())
                .health_check_interval_seconds(count(check.interval))
                .healthy_threshold_count(count(check.healthy_threshold))
                .unhealthy_threshold_count(count(check.unhealthy_threshold))
                .set_tags(Some(to_elbv2(&desired.tags)))
                .send();
            match api.elb(Purpose::create(&id), "elasticloadbalancing:CreateTargetGroup", call).await {
                Ok(made) => {
                    let arn = made.target_groups().first().and_then(|group| group.target_group_arn());
                    let arn = arn.ok_or_else(|| missing(Purpose::create(&id), "an ARN"))?;
                    let made = TargetGroup { attributes: BTreeMap::new(), ..desired.clone() };
                    (Handle(arn.to_owned()), made, true)
                }
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    let read = read(api, scope, Reach::Managed, &desired.name).await?;
                    let same =
                        resources(&read, scope, &known(request)).into_iter().find_map(|o| match o.resource {
                            AwsResource::TargetGroup(group) => Some((o.handle, group)),
                            _ => None,
                        });
                    let (handle, current) = same.ok_or_else(|| {
                        error.with_hint("one of that name exists without the cluster's tags: delete it, or choose another name for the cluster")
                    })?;
                    request.bindings.check_adoption(&id, &handle)?;
                    (handle, current, false)
                }
                Err(error) => return Err(error),
            }
        }
    };
    let changed = change(api, &id, handle.as_str(), desired, &current).await?;
    let outcome = match (created, changed) {
        (true, _) => Outcome::Created,
        (false, true) => Outcome::Updated,
        (false, false) => Outcome::Unchanged,
    };
    Ok(Ensured { handle, outcome })
}

async fn change(
    api: &Api,
    id: &ResourceId,
    arn: &str,
    desired: &TargetGroup,
    current: &TargetGroup,
) -> Result<bool, CloudError> {
    let purpose = Purpose::change(id);
    let count = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut changed = false;
    if desired.health_check != current.health_check {
        let check = &desired.health_check;
        let call = api
            .elbv2
            .modify_target_group()
            .target_group_arn(arn)
            .health_check_protocol(ProtocolEnum::from(check.protocol.as_str()))
            .set_health_check_path(check.path.clone())
            .health_check_interval_seconds(count(check.interval))
            .healthy_threshold_count(count(check.healthy_threshold))
            .unhealthy_threshold_count(count(check.unhealthy_threshold))
            .send();
        api.elb(purpose, "elasticloadbalancing:ModifyTargetGroup", call).await?;
        changed = true;
    }
    let wanting = tag::wanting(&desired.attributes, &current.attributes);
    if !wanting.is_empty() {
        let attributes =
            wanting.iter().map(|(key, value)| TargetGroupAttribute::builder().key(key).value(value).build());
        let modify = api.elbv2.modify_target_group_attributes().target_group_arn(arn);
        let call = modify.set_attributes(Some(attributes.collect())).send();
        api.elb(purpose, "elasticloadbalancing:ModifyTargetGroupAttributes", call).await?;
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
    let call = api.elbv2.delete_target_group().target_group_arn(target.handle.as_str()).send();
    absent_is_fine(api.elb(Purpose::delete(&id), "elasticloadbalancing:DeleteTargetGroup", call).await)
        .map(drop)
}

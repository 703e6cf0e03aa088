//! Roles, their policies and instance profiles. Their number does not grow with that of instance groups.

use std::collections::BTreeSet;

use aws_sdk_iam::types::{InstanceProfile, Role as IamApiRole, Tag};
use kops_core::cloud::{CloudError, Ensure, Ensured, Outcome, Scope};
use kops_core::error::ErrorClass;
use kops_core::inventory::Observed;
use kops_core::manifest::Role;
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};
use serde_json::Value;

use super::call::{Purpose, absent_is_fine};
use super::cloud::Api;
use super::tag;
use crate::resource::{
    AwsResource, IamInstanceProfile, IamInstanceProfileRole, IamRole, IamRolePolicy, Tags, kind,
};
use crate::{names, tags};

/// What was read of one role of machines.
#[derive(Debug, Default)]
pub(super) struct Read {
    role: Option<IamApiRole>,
    policies: Vec<(String, Value)>,
    attached: BTreeSet<String>,
    profile: Option<InstanceProfile>,
}

/// Roles and profiles have fixed names, which is how they are found.
pub(super) async fn read(api: &Api, scope: &Scope) -> Result<Vec<Read>, CloudError> {
    let roles =
        [Role::ControlPlane, Role::Node, Role::Bastion].map(|role| names::iam_role(role, &scope.cluster));
    futures::future::try_join_all(roles.iter().map(|name| read_one(api, name))).await
}

async fn read_one(api: &Api, name: &str) -> Result<Read, CloudError> {
    let (role, profile) = futures::try_join!(role(api, name), profile(api, name))?;
    let Some(role) = role else { return Ok(Read { profile, ..Read::default() }) };
    let attached = api.iam.list_attached_role_policies().role_name(name).into_paginator().items().send();
    let attached =
        api.iam(Purpose::OBSERVE, "iam:ListAttachedRolePolicies", attached.collect::<Result<Vec<_>, _>>());
    let (policies, attached) = futures::try_join!(policies(api, name), attached)?;
    let attached = attached.into_iter().filter_map(|policy| policy.policy_arn).collect();
    Ok(Read { role: Some(role), policies, attached, profile })
}

async fn role(api: &Api, name: &str) -> Result<Option<IamApiRole>, CloudError> {
    let call = api.iam.get_role().role_name(name).send();
    let answer = absent_is_fine(api.iam(Purpose::OBSERVE, "iam:GetRole", call).await)?;
    Ok(answer.and_then(|answer| answer.role))
}

async fn profile(api: &Api, name: &str) -> Result<Option<InstanceProfile>, CloudError> {
    let call = api.iam.get_instance_profile().instance_profile_name(name).send();
    let answer = absent_is_fine(api.iam(Purpose::OBSERVE, "iam:GetInstanceProfile", call).await)?;
    Ok(answer.and_then(|answer| answer.instance_profile))
}

/// The policies inside a role: ours is always looked for, the additional one only if it is listed.
async fn policies(api: &Api, role: &str) -> Result<Vec<(String, Value)>, CloudError> {
    let names = api.iam.list_role_policies().role_name(role).into_paginator().items().send();
    let names: Vec<String> =
        api.iam(Purpose::OBSERVE, "iam:ListRolePolicies", names.collect::<Result<_, _>>()).await?;
    let read = names.into_iter().map(async |name| {
        let call = api.iam.get_role_policy().role_name(role).policy_name(&name).send();
        let answer = absent_is_fine(api.iam(Purpose::OBSERVE, "iam:GetRolePolicy", call).await)?;
        Ok::<_, CloudError>(answer.map(|answer| (name, document(&answer.policy_document))))
    });
    Ok(futures::future::try_join_all(read).await?.into_iter().flatten().collect())
}

/// IAM answers with documents encoded as in URLs (RFC 3986).
fn document(text: &str) -> Value {
    let plain = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    serde_json::from_str(&plain).unwrap_or_else(|_| Value::String(plain.into_owned()))
}

fn tags_of(tags: &[Tag]) -> Tags {
    tag::plain(tags.iter().map(|tag| (tag.key(), tag.value())))
}

/// Roles and profiles without the cluster's tags are somebody else's, whatever their names.
pub(super) fn resources(read: &[Read], scope: &Scope) -> Vec<Observed<AwsResource>> {
    let owned = tags::ownership(&scope.cluster);
    let is_ours = |tags: &[Tag]| tags.iter().any(|tag| tag.key() == owned && tag.value() == tags::OWNED);
    let of_ours = |read: &Read| {
        let role = read.role.as_ref().filter(|role| is_ours(role.tags()));
        let profile = read.profile.as_ref().filter(|profile| is_ours(profile.tags()));
        role.map(|role| of_role(role, read))
            .into_iter()
            .chain(profile.map(of_profile))
            .flatten()
            .collect::<Vec<_>>()
    };
    read.iter().flat_map(of_ours).collect()
}

fn named(resource: AwsResource) -> Observed<AwsResource> {
    let handle = Handle(resource.id().name);
    Observed { resource, handle, uses: Vec::new() }
}

fn to_role(role: &IamApiRole, attached: &BTreeSet<String>) -> IamRole {
    let boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
    IamRole {
        name: role.role_name().to_owned(),
        ownership: Ownership::Managed,
        role_policy_document: role.assume_role_policy_document().map(document).unwrap_or_default(),
        permissions_boundary: boundary.map(ToOwned::to_owned),
        external_policies: attached.clone(),
        tags: tags_of(role.tags()),
    }
}

fn of_role(role: &IamApiRole, read: &Read) -> Vec<Observed<AwsResource>> {
    let policies = read.policies.iter().map(|(name, document)| {
        named(AwsResource::IamRolePolicy(IamRolePolicy {
            name: name.clone(),
            ownership: Ownership::Managed,
            role: role.role_name().to_owned(),
            policy_document: document.clone(),
        }))
    });
    let itself = named(AwsResource::IamRole(to_role(role, &read.attached)));
    std::iter::once(itself).chain(policies).collect()
}

fn of_profile(profile: &InstanceProfile) -> Vec<Observed<AwsResource>> {
    let name = profile.instance_profile_name();
    let itself = named(AwsResource::IamInstanceProfile(IamInstanceProfile {
        name: name.to_owned(),
        ownership: Ownership::Managed,
        tags: tags_of(profile.tags()),
    }));
    let held = profile.roles().iter().map(|role| {
        named(AwsResource::IamInstanceProfileRole(IamInstanceProfileRole {
            name: name.to_owned(),
            ownership: Ownership::Managed,
            instance_profile: name.to_owned(),
            role: role.role_name().to_owned(),
        }))
    });
    std::iter::once(itself).chain(held).collect()
}

fn to_iam(tags: &Tags) -> Vec<Tag> {
    // A tag with key and value is complete.
    tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}

fn foreign(error: CloudError) -> CloudError {
    error.with_hint("one of that name exists without the cluster's tags: delete it, or choose another name for the cluster")
}

/// Whether tags read are those of the cluster's own.
fn is_ours(desired: &Tags, found: &Tags) -> bool {
    let key = |tags: &Tags| tags.get(tags::CLUSTER).cloned();
    key(found).is_none() || key(found) == key(desired)
}

pub(super) async fn ensure_role(
    api: &Api,
    desired: &IamRole,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let handle = Handle(desired.name.clone());
    let (current, mut outcome) = match request.current {
        Some(Observed { resource: AwsResource::IamRole(current), .. }) => {
            (current.clone(), Outcome::Unchanged)
        }
        _ => {
            let call = api
                .iam
                .create_role()
                .role_name(&desired.name)
                .assume_role_policy_document(desired.role_policy_document.to_string())
                .set_permissions_boundary(desired.permissions_boundary.clone())
                .set_tags(Some(to_iam(&desired.tags)))
                .send();
            match api.iam(Purpose::create(&id), "iam:CreateRole", call).await {
                Ok(_) => {
                    (IamRole { external_policies: BTreeSet::new(), ..desired.clone() }, Outcome::Created)
                }
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    let read = read_one(api, &desired.name).await?;
                    let current = read.role.as_ref().map(|role| to_role(role, &read.attached));
                    match current {
                        Some(current) if is_ours(&desired.tags, &current.tags) => {
                            (current, Outcome::Unchanged)
                        }
                        _ => return Err(foreign(error)),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    };
    if change_role(api, &id, desired, &current).await? && outcome == Outcome::Unchanged {
        outcome = Outcome::Updated;
    }
    Ok(Ensured { handle, outcome })
}

/// Brings an existing role to what is desired. Says whether anything differed.
async fn change_role(
    api: &Api,
    id: &ResourceId,
    desired: &IamRole,
    current: &IamRole,
) -> Result<bool, CloudError> {
    let purpose = Purpose::change(id);
    let name = &desired.name;
    let mut changed = false;
    if desired.role_policy_document != current.role_policy_document {
        let document = desired.role_policy_document.to_string();
        let call = api.iam.update_assume_role_policy().role_name(name).policy_document(document).send();
        api.iam(purpose, "iam:UpdateAssumeRolePolicy", call).await?;
        changed = true;
    }
    if desired.permissions_boundary != current.permissions_boundary {
        match &desired.permissions_boundary {
            Some(arn) => {
                let call =
                    api.iam.put_role_permissions_boundary().role_name(name).permissions_boundary(arn).send();
                api.iam(purpose, "iam:PutRolePermissionsBoundary", call).await.map(drop)?;
            }
            None => {
                let call = api.iam.delete_role_permissions_boundary().role_name(name).send();
                api.iam(purpose, "iam:DeleteRolePermissionsBoundary", call).await.map(drop)?;
            }
        }
        changed = true;
    }
    for arn in desired.external_policies.difference(&current.external_policies) {
        let call = api.iam.attach_role_policy().role_name(name).policy_arn(arn).send();
        api.iam(purpose, "iam:AttachRolePolicy", call).await?;
        changed = true;
    }
    for arn in current.external_policies.difference(&desired.external_policies) {
        let call = api.iam.detach_role_policy().role_name(name).policy_arn(arn).send();
        api.iam(purpose, "iam:DetachRolePolicy", call).await?;
        changed = true;
    }
    let wanting = tag::wanting(&desired.tags, &current.tags);
    if !wanting.is_empty() {
        let call = api.iam.tag_role().role_name(name).set_tags(Some(to_iam(&wanting))).send();
        api.iam(purpose, "iam:TagRole", call).await?;
        changed = true;
    }
    Ok(changed)
}

pub(super) async fn delete_role(
    api: &Api,
    target: &Observed<AwsResource>,
    role: &IamRole,
) -> Result<(), CloudError> {
    let id = target.resource.id();
    let purpose = Purpose::delete(&id);
    for arn in &role.external_policies {
        let call = api.iam.detach_role_policy().role_name(&role.name).policy_arn(arn).send();
        absent_is_fine(api.iam(purpose, "iam:DetachRolePolicy", call).await)?;
    }
    let call = api.iam.delete_role().role_name(&role.name).send();
    absent_is_fine(api.iam(purpose, "iam:DeleteRole", call).await).map(drop)
}

pub(super) async fn ensure_policy(
    api: &Api,
    desired: &IamRolePolicy,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let role = request.bindings.resolve(&id, &ResourceId::new(kind::IAM_ROLE, &desired.role))?;
    let handle = Handle(desired.name.clone());
    let current = request.current.map(|current| &current.resource);
    if current == Some(request.desired) {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    // Putting is creating and changing in one.
    let document = desired.policy_document.to_string();
    let put = api.iam.put_role_policy().role_name(role.as_str()).policy_name(&desired.name);
    let call = put.policy_document(document).send();
    api.iam(Purpose::create(&id), "iam:PutRolePolicy", call).await?;
    let outcome = if current.is_some() { Outcome::Updated } else { Outcome::Created };
    Ok(Ensured { handle, outcome })
}

pub(super) async fn delete_policy(
    api: &Api,
    target: &Observed<AwsResource>,
    policy: &IamRolePolicy,
) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.iam.delete_role_policy().role_name(&policy.role).policy_name(&policy.name).send();
    absent_is_fine(api.iam(Purpose::delete(&id), "iam:DeleteRolePolicy", call).await).map(drop)
}

pub(super) async fn ensure_profile(
    api: &Api,
    desired: &IamInstanceProfile,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let handle = Handle(desired.name.clone());
    let current = match request.current {
        Some(Observed { resource: AwsResource::IamInstanceProfile(current), .. }) => current.clone(),
        _ => {
            let create = api.iam.create_instance_profile().instance_profile_name(&desired.name);
            let call = create.set_tags(Some(to_iam(&desired.tags))).send();
            match api.iam(Purpose::create(&id), "iam:CreateInstanceProfile", call).await {
                Ok(_) => return Ok(Ensured { handle, outcome: Outcome::Created }),
                Err(error) if error.class == ErrorClass::AlreadyExists => {
                    let found = profile(api, &desired.name).await?;
                    let tags = found.map(|profile| tags_of(profile.tags())).unwrap_or_default();
                    if !is_ours(&desired.tags, &tags) {
                        return Err(foreign(error));
                    }
                    IamInstanceProfile { tags, ..desired.clone() }
                }
                Err(error) => return Err(error),
            }
        }
    };
    let wanting = tag::wanting(&desired.tags, &current.tags);
    if wanting.is_empty() {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    let tag = api.iam.tag_instance_profile().instance_profile_name(&desired.name);
    let call = tag.set_tags(Some(to_iam(&wanting))).send();
    api.iam(Purpose::change(&id), "iam:TagInstanceProfile", call).await?;
    Ok(Ensured { handle, outcome: Outcome::Updated })
}

pub(super) async fn delete_profile(api: &Api, target: &Observed<AwsResource>) -> Result<(), CloudError> {
    let id = target.resource.id();
    let call = api.iam.delete_instance_profile().instance_profile_name(target.handle.as_str()).send();
    absent_is_fine(api.iam(Purpose::delete(&id), "iam:DeleteInstanceProfile", call).await).map(drop)
}

pub(super) async fn ensure_profile_role(
    api: &Api,
    desired: &IamInstanceProfileRole,
    request: &Ensure<'_, AwsResource>,
) -> Result<Ensured, CloudError> {
    let id = request.desired.id();
    let bound = |kind, name| request.bindings.resolve(&id, &ResourceId::new(kind, name));
    let profile_handle = bound(kind::IAM_INSTANCE_PROFILE, &desired.instance_profile)?;
    let role = bound(kind::IAM_ROLE, &desired.role)?;
    let handle = Handle(desired.name.clone());
    if request.current.is_some_and(|current| current.resource == *request.desired) {
        return Ok(Ensured { handle, outcome: Outcome::Unchanged });
    }
    let add = api.iam.add_role_to_instance_profile().instance_profile_name(profile_handle.as_str());
    let call = add.role_name(role.as_str()).send();
    match api.iam(Purpose::create(&id), "iam:AddRoleToInstanceProfile", call).await {
        Ok(_) => Ok(Ensured { handle, outcome: Outcome::Created }),
        // A profile holds one role (`LimitExceeded`): perhaps this one.
        Err(error) if matches!(error.class, ErrorClass::Quota | ErrorClass::AlreadyExists) => {
            let found = profile(api, profile_handle.as_str()).await?;
            let held = found.and_then(|p| p.roles().first().map(|held| held.role_name().to_owned()));
            match held {
                Some(held) if held == role.as_str() => Ok(Ensured { handle, outcome: Outcome::Unchanged }),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn delete_profile_role(
    api: &Api,
    target: &Observed<AwsResource>,
    held: &IamInstanceProfileRole,
) -> Result<(), CloudError> {
    let id = target.resource.id();
    let remove = api.iam.remove_role_from_instance_profile().instance_profile_name(&held.instance_profile);
    let call = remove.role_name(&held.role).send();
    absent_is_fine(api.iam(Purpose::delete(&id), "iam:RemoveRoleFromInstanceProfile", call).await).map(drop)
}

//! Roles of machines, what they may do, and the profiles that give roles to machines.

use std::collections::BTreeSet;

use kops_core::manifest::{InstanceGroup, Role};
use kops_core::resource::{Ownership, ResourceId};
use serde_json::{Value, json};

use super::{Context, ModelError, named, policy};
use crate::resource::{
    AwsResource, IamInstanceProfile, IamInstanceProfileRole, IamRole, IamRolePolicy, kind,
};
use crate::{names, partition};

pub(super) fn build(context: &Context<'_>) -> Result<Vec<AwsResource>, ModelError> {
    let mut resources = Vec::new();
    for role in [Role::ControlPlane, Role::Node, Role::Bastion] {
        if context.completed.groups_of(role).any(|group| named::profile(group).is_none()) {
            resources.extend(of_role(context, role)?);
        }
    }
    Ok(resources)
}

/// The profile of a group's machines: a given one, or that of their role.
pub(super) fn profile(context: &Context<'_>, group: &InstanceGroup) -> String {
    named::profile(group).unwrap_or_else(|| names::iam_role(group.role(), context.cluster))
}

/// The roles that workers have: that of the cluster, and those in given profiles. Of a profile that may not be read, the role is taken to
/// be called as the profile is.
pub(super) fn worker_roles(context: &Context<'_>) -> BTreeSet<String> {
    let role = |group: &InstanceGroup| match named::profile(group) {
        Some(profile) => context.facts.profile_roles.get(&profile).cloned().unwrap_or(profile),
        None => names::iam_role(Role::Node, context.cluster),
    };
    context.completed.groups_of(Role::Node).map(role).collect()
}

/// What has to be in place for the machines of a group to have their permissions.
pub(super) fn needs(context: &Context<'_>, group: &InstanceGroup) -> Vec<ResourceId> {
    if named::profile(group).is_some() {
        return Vec::new();
    }
    let name = names::iam_role(group.role(), context.cluster);
    let policy = policy::of_role(context, group.role());
    let policy = (!policy.is_empty()).then(|| ResourceId::new(kind::IAM_ROLE_POLICY, &name));
    [ResourceId::new(kind::IAM_INSTANCE_PROFILE_ROLE, &name)].into_iter().chain(policy).collect()
}

/// What the manifest calls a role in `additionalPolicies` and `externalPolicies`.
fn manifest_name(role: Role) -> &'static str {
    match role {
        Role::ControlPlane => "master",
        Role::Node => "node",
        Role::Bastion => "bastion",
    }
}

fn of_role(context: &Context<'_>, role: Role) -> Result<Vec<AwsResource>, ModelError> {
    let name = names::iam_role(role, context.cluster);
    let ownership = Ownership::Managed;
    let tags = context.tags(&name);
    let external = context.spec.external_policies.get(manifest_name(role));
    let mut resources = vec![
        AwsResource::IamRole(IamRole {
            name: name.clone(),
            ownership,
            role_policy_document: document(vec![json!({
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": { "Service": partition::ec2(&context.facts.partition) },
            })]),
            permissions_boundary: context.spec.iam.as_ref().and_then(|iam| iam.permissions_boundary.clone()),
            external_policies: external.into_iter().flatten().cloned().collect(),
            tags: tags.clone(),
        }),
        AwsResource::IamInstanceProfile(IamInstanceProfile { name: name.clone(), ownership, tags }),
        AwsResource::IamInstanceProfileRole(IamInstanceProfileRole {
            name: name.clone(),
            ownership,
            instance_profile: name.clone(),
            role: name.clone(),
        }),
    ];
    let inline = |policy_name: String, statements| {
        AwsResource::IamRolePolicy(IamRolePolicy {
            name: policy_name,
            ownership,
            role: name.clone(),
            policy_document: document(statements),
        })
    };
    let statements = policy::of_role(context, role);
    if !statements.is_empty() {
        resources.push(inline(name.clone(), statements));
    }
    if let Some(text) = context.spec.additional_policies.get(manifest_name(role)) {
        let statements = serde_json::from_str::<Vec<Value>>(text)
            .map_err(|source| ModelError::AdditionalPolicy { role: manifest_name(role), source })?;
        resources.push(inline(format!("additional.{name}"), statements));
    }
    Ok(resources)
}

fn document(statements: Vec<Value>) -> Value {
    let mut document = json!({ "Statement": statements, "Version": "2012-10-17" });
    // Documents are compared as values, but shown and hashed as text.
    document.sort_all_objects();
    document
}

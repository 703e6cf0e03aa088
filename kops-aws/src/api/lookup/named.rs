//! What the manifests name and somebody else has made: the key pair, security groups and instance profiles.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::SecurityGroup;
use futures::future::try_join_all;
use kops_core::cloud::CloudError;
use kops_core::error::ErrorClass;
use kops_core::manifest::{CompletedCluster, InstanceGroup, Violation};

use super::PLAN;
use crate::api::call::absent_is_fine;
use crate::api::cloud::Api;
use crate::api::tag::{filter, filters_any};
use crate::model::profile;

/// Finds what is not there, or not where the cluster is: one call for a key pair that is named, one for security groups, and one
/// for each instance profile.
pub(super) async fn named(api: &Api, completed: &CompletedCluster) -> Result<Named, CloudError> {
    let (key_pair, groups, profiles) = futures::try_join!(
        key_pair(api, completed),
        security_groups(api, completed),
        instance_profiles(api, completed)
    )?;
    let missing = key_pair.into_iter().chain(groups).chain(profiles.missing).collect();
    Ok(Named { missing, ..profiles })
}

/// What was found of it.
pub(super) struct Named {
    /// The role in each instance profile.
    pub(super) profile_roles: BTreeMap<String, String>,
    /// What is not there, or not where the cluster is.
    pub(super) missing: Vec<Violation>,
}

async fn instance_profiles(api: &Api, completed: &CompletedCluster) -> Result<Named, CloudError> {
    let names: BTreeSet<String> = completed.groups.iter().filter_map(profile).collect();
    let reads = names.into_iter().map(async |name| {
        let call = api.iam.get_instance_profile().instance_profile_name(&name).send();
        match absent_is_fine(api.iam(PLAN, "iam:GetInstanceProfile", call).await) {
            Ok(found) => {
                let found = found.and_then(|found| found.instance_profile);
                let role = found.and_then(|profile| Some(profile.roles().first()?.role_name().to_owned()));
                Ok((name, role.is_some(), role))
            }
            // Who may not read it may still use it.
            Err(error) if error.class == ErrorClass::Denied => Ok((name, true, None)),
            Err(error) => Err(error),
        }
    });
    let found = try_join_all(reads).await?;
    let is_usable: BTreeMap<&str, bool> =
        found.iter().map(|(name, is_usable, _)| (name.as_str(), *is_usable)).collect();
    let unusable = |group: &InstanceGroup| {
        let name = profile(group).filter(|name| is_usable.get(name.as_str()) == Some(&false))?;
        let hint =
            "give it a role with the permissions of the group's machines, or remove the field".to_owned();
        Some(Violation {
            path: format!("instanceGroup[{}].spec.iam.profile", group.name()),
            message: format!("there is no instance profile `{name}` that holds a role"),
            hint: Some(hint),
        })
    };
    let missing = completed.groups.iter().filter_map(unusable).collect();
    let profile_roles = found.iter().filter_map(|(name, _, role)| Some((name.clone(), role.clone()?)));
    Ok(Named { profile_roles: profile_roles.collect(), missing })
}

async fn key_pair(api: &Api, completed: &CompletedCluster) -> Result<Option<Violation>, CloudError> {
    let Some(name) = completed.cluster.spec.ssh_key_name.as_ref().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let call = api.ec2.describe_key_pairs().filters(filter("key-name", name)).send();
    let found = api.ec2(PLAN, "ec2:DescribeKeyPairs", call).await?;
    let is_there = found.key_pairs().iter().any(|pair| pair.key_name() == Some(name));
    Ok((!is_there).then(|| Violation {
        path: "cluster.spec.sshKeyName".to_owned(),
        message: format!("there is no key pair `{name}` in {}", api.region()),
        hint: Some(
            "import it, or leave out the field to have one made of the cluster's SSH public key".to_owned(),
        ),
    }))
}

async fn security_groups(api: &Api, completed: &CompletedCluster) -> Result<Vec<Violation>, CloudError> {
    let named = named_groups(completed);
    let ids: BTreeSet<&str> = named.iter().map(|(_, id)| id.as_str()).collect();
    let reads = filters_any("group-id", ids).into_iter().map(|filter| {
        let pages = api.ec2.describe_security_groups().filters(filter).into_paginator().items().send();
        api.ec2(PLAN, "ec2:DescribeSecurityGroups", pages.collect::<Result<Vec<_>, _>>())
    });
    let found: Vec<SecurityGroup> = try_join_all(reads).await?.into_iter().flatten().collect();
    let networks: BTreeMap<&str, Option<&str>> =
        found.iter().filter_map(|group| Some((group.group_id()?, group.vpc_id()))).collect();
    let wanted = completed.cluster.spec.network_id.as_deref();
    let fault = |(path, id): (String, String)| {
        let message = match networks.get(id.as_str()) {
            None => format!("there is no security group {id} in {}", api.region()),
            Some(Some(network)) if wanted.is_some_and(|wanted| wanted != *network) => {
                format!("the security group {id} is in {network}, not in {}", wanted.unwrap_or_default())
            }
            Some(_) => return None,
        };
        Some(Violation { path, message, hint: None })
    };
    Ok(named.into_iter().filter_map(fault).collect())
}

/// The security groups that the manifests name, with the fields that do.
fn named_groups(completed: &CompletedCluster) -> Vec<(String, String)> {
    let of_machines = completed.groups.iter().flat_map(|group| {
        let path = format!("instanceGroup[{}].spec.additionalSecurityGroups", group.name());
        numbered(path, &group.spec.additional_security_groups)
    });
    let balancer = completed.load_balancer().map(|balancer| &balancer.additional_security_groups);
    let path = "cluster.spec.api.loadBalancer.additionalSecurityGroups";
    let of_balancer = balancer.into_iter().flat_map(|ids| numbered(path.to_owned(), ids));
    let instead = completed.load_balancer().and_then(|balancer| balancer.security_group_override.clone());
    let instead = instead.map(|id| ("cluster.spec.api.loadBalancer.securityGroupOverride".to_owned(), id));
    of_machines.chain(of_balancer).chain(instead).collect()
}

fn numbered(path: String, ids: &[String]) -> impl Iterator<Item = (String, String)> {
    ids.iter().enumerate().map(move |(index, id)| (format!("{path}[{index}]"), id.clone()))
}

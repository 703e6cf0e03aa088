//! From the completed manifests and the facts to every AWS resource of the cluster.
//!
//! [`model`] is pure: the same inputs give the same resources, byte for byte. It decides names, tags and contents as
//! kops does; `docs/differences.md` lists where it does not, and why.

mod addons;
mod api;
mod bastion;
mod error;
mod groups;
mod iam;
mod named;
mod network;
mod policy;
mod security;
#[cfg(test)]
mod tests;
mod user_data;

pub(crate) use user_data::kubernetes_version;
mod volumes;
mod zone;

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use kops_core::etcd::EtcdBacked;
use kops_core::manifest::{ClusterSpec, CompletedCluster, Manifest, Subnet, write};
use kops_core::node::Source;
use kops_core::pki::keyset_names;
use kops_core::resource::{Ownership, Resource};
use kops_core::state::layout;
use kops_core::state_object::StateObject;

pub use error::ModelError;
pub use named::named;
#[cfg(feature = "sdk")]
pub(crate) use named::profile;

use crate::facts::{Facts, StateLocation};
use crate::names;
use crate::resource::{AwsResource, Keypair, ManagedFile, Secret, Tags};
use crate::tags;

/// Everything that the cluster is made of, sorted by id.
///
/// # Errors
/// When a manifest is incomplete or contradicts the facts.
pub fn model(completed: &CompletedCluster, facts: &Facts) -> Result<Vec<AwsResource>, ModelError> {
    let context = Context { completed, facts, cluster: completed.name(), spec: &completed.cluster.spec };
    let mut resources = named(completed);
    resources.extend(network::build(&context)?);
    resources.extend(security::build(&context));
    resources.extend(iam::build(&context)?);
    resources.extend(volumes::build(&context)?);
    resources.extend(api::build(&context));
    resources.extend(bastion::build(&context));
    resources.extend(zone::build(&context));
    resources.extend(groups::build(&context)?);
    resources.extend(addons::build(&context)?);
    resources.extend(keypairs(&context));
    resources.extend(gossip_key(&context));
    resources.push(completed_manifest(&context, &resources)?);
    resources.sort_by_cached_key(Resource::id);
    Ok(resources)
}

/// What people should know of the machines before they are made.
pub fn warnings(completed: &CompletedCluster, facts: &Facts) -> Vec<String> {
    let mut found = machines_without_programs(completed, facts);
    let undrained = completed.groups.iter().filter(|group| groups::may_lose_machines(group));
    let names: Vec<&str> = undrained.map(|group| group.name()).collect();
    if !names.is_empty() {
        found.push(format!(
            "EC2 or Auto Scaling may take away machines of {} at any time (spot, or a longest lifetime), and nothing drains \
             them first",
            names.join(", ")
        ));
    }
    if let Some(zone) = facts.hosted_zone()
        && let Some(above) = &zone.undelegated_by
    {
        found.push(format!(
            "the hosted zone {above} does not lead to {}: nobody will find the names there, until {above} has its name \
             servers as a record of type NS",
            zone.name
        ));
    }
    found
}

fn machines_without_programs(completed: &CompletedCluster, facts: &Facts) -> Vec<String> {
    if let StateLocation::Unreachable(place) = &facts.state {
        return vec![format!(
            "the state is in {place}, which machines on AWS cannot reach: they will boot, but not become nodes"
        )];
    }
    let missing = completed.groups.iter().filter(|group| {
        facts.image(group).is_some_and(|image| !facts.node_programs.contains_key(&image.architecture))
    });
    let names: Vec<&str> = missing.map(|group| group.name()).collect();
    let mut warnings = hashes(completed, facts);
    if !names.is_empty() {
        warnings.push(format!(
            "no kops-node program is published for the machines of {}: they will boot, but not become nodes; publish one \
             with `kops create assets`",
            names.join(", ")
        ));
    }
    warnings
}

/// Tells which programs images must have, since nobody knows their hashes, and which hashes only their makers know.
fn hashes(completed: &CompletedCluster, facts: &Facts) -> Vec<String> {
    let programs = &facts.programs;
    let (mut lacking, mut read) = (BTreeSet::new(), BTreeSet::new());
    for group in &completed.groups {
        let Some(architecture) = facts.architecture(group) else { continue };
        lacking.extend(programs.lacking(completed, group, architecture));
        let assets = programs.assets(completed, group, architecture).into_iter();
        read.extend(assets.filter_map(|asset| match asset.source {
            Source::Url(url) if programs.checksums.contains_key(&url) => Some(asset.name),
            Source::Url(_) | Source::Key(_) => None,
        }));
    }
    let mut warnings = Vec::new();
    if !lacking.is_empty() {
        warnings.push(format!(
            "machines must have {} in their image: they cannot fetch what has no known checksum; \
             `kops create assets --kubernetes-version {} FILE…` publishes programs for them",
            lacking.into_iter().collect::<Vec<_>>().join(", "),
            completed.cluster.spec.kubernetes_version.as_deref().unwrap_or_default(),
        ));
    }
    if !read.is_empty() {
        warnings.push(format!(
            "the checksums of {} are not known to this version of kops: they were read from the makers now, and machines \
             fetch nothing else",
            read.into_iter().collect::<Vec<_>>().join(", "),
        ));
    }
    warnings
}

/// What the parts of the model share.
#[derive(Clone, Copy)]
struct Context<'a> {
    completed: &'a CompletedCluster,
    facts: &'a Facts,
    cluster: &'a str,
    spec: &'a ClusterSpec,
}

impl Context<'_> {
    /// The tags of what the cluster owns and calls `name`.
    fn tags(&self, name: &str) -> Tags {
        let mut all = self.spec.cloud_labels.clone();
        all.extend(tags::owned(self.cluster, name));
        all
    }

    /// The network's name.
    fn vpc(&self) -> String {
        self.spec.network_id.clone().unwrap_or_else(|| self.cluster.to_owned())
    }

    /// The internet gateway's name, if the network has one.
    fn internet_gateway(&self) -> Option<String> {
        match &self.spec.network_id {
            None => Some(self.cluster.to_owned()),
            Some(_) => self.facts.vpc.as_ref()?.internet_gateway.clone(),
        }
    }

    /// A subnet's name.
    fn subnet(&self, subnet: &Subnet) -> String {
        subnet.id.clone().unwrap_or_else(|| format!("{}.{}", subnet.name, self.cluster))
    }

    /// A subnet's range: the one in the manifest, or that of the existing subnet.
    fn range(&self, subnet: &Subnet) -> Option<Ipv4Net> {
        subnet.cidr.or_else(|| Some(self.facts.subnets.get(&subnet.name)?.cidr))
    }

    /// The key pair's name: a given one, or that of the public key. Nothing when machines have none.
    fn key_pair(&self) -> Option<String> {
        match &self.spec.ssh_key_name {
            Some(name) => Some(name.clone()).filter(|name| !name.is_empty()),
            None => self.facts.ssh_public_key.as_ref().map(|key| names::key_pair(self.cluster, key)),
        }
    }
}

/// What everything in the cluster is signed with.
fn keypairs(context: &Context<'_>) -> impl Iterator<Item = AwsResource> {
    let names = keyset_names(context.spec.etcd_clusters.iter().map(|etcd| etcd.name.as_str())).into_iter();
    names.map(|name| AwsResource::Keypair(Keypair { name, ownership: Ownership::Managed }))
}

/// What seals the gossip of the machines, if they gossip.
fn gossip_key(context: &Context<'_>) -> Option<AwsResource> {
    let name = layout::GOSSIP_KEY.to_owned();
    let key = AwsResource::Secret(Secret { name, ownership: Ownership::Managed });
    context.completed.gossips().then_some(key)
}

/// The completed manifest of the cluster, kept for people and for kops's tools. A preview shows how it changes, so what
/// users put on machines is not in it. Once it is there, so were the volumes of etcd's members: one that is missing then
/// has been lost.
fn completed_manifest(context: &Context<'_>, made: &[AwsResource]) -> Result<AwsResource, ModelError> {
    let key = layout::completed(context.cluster)?;
    let root = layout::cluster(context.cluster)?;
    let manifest = Manifest::from(context.completed.cluster.without_contents());
    let object = StateObject {
        location: root.rest(&key).unwrap_or_default().to_owned(),
        contents: write([&manifest])?,
        content_addressed: false,
    };
    let after = made.iter().filter(|resource| resource.etcd_member().is_some()).map(Resource::id).collect();
    Ok(AwsResource::ManagedFile(ManagedFile { ownership: Ownership::Managed, object, after }))
}

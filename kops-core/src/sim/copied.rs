//! A copy of a cluster that runs elsewhere: what a rolling update would do can be seen before it does it.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cloud::SimCloud;
use super::group::Member;
use super::kubernetes::Kubernetes;
use super::world::Adopted;
use super::{SimOptions, Simulated};
use crate::fleet::{Balancing, GroupSpec, InstanceState, Membership, Scaling, ScalingGroup};
use crate::manifest::Role;
use crate::observation::{ClusterView, Observation};
use crate::resource::{FieldRule, Handle, Kind, NewIds, Ownership, Relation, Resource, ResourceId, Tie};

/// The version of a template that outdated instances were made from, and the current one.
const VERSIONS: [u64; 2] = [1, 2];

/// How long pods take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodTimes {
    /// From being scheduled to being ready.
    pub start: Duration,
    /// From being told to end to being gone.
    pub grace: Duration,
}

/// A piece of a copied cluster: only what instances come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Copied {
    /// A scaling group.
    Group(GroupSpec),
    /// What its instances are made from.
    Template {
        /// The instance group.
        group: String,
        /// Its version.
        version: u64,
    },
    /// An instance.
    Machine(Handle),
}

impl SimCloud<Copied> {
    /// A cloud with a copy of that cluster in it: scaling groups, instances, nodes, pods and budgets as they were seen.
    /// `role` says what the machines of an instance group are for.
    pub fn copy_of(
        cluster: &str,
        seen: &Observation,
        role: impl Fn(&str) -> Role,
        times: PodTimes,
        options: SimOptions,
    ) -> Self {
        let now = options.clock.now();
        let cloud = Self::new(options);
        let mut roles = BTreeMap::new();
        for scaling in &seen.groups {
            let role = role(&scaling.instance_group);
            roles.extend(scaling.instances.iter().map(|instance| (instance.id.clone(), role)));
            let spec = GroupSpec {
                instance_group: scaling.instance_group.clone(),
                role,
                min: scaling.min,
                max: scaling.max,
                template: template(&scaling.instance_group),
                zones: scaling.zones.clone(),
                balances: scaling.balancing == Balancing::Free,
            };
            cloud.adopt(cluster, adopted(scaling, spec));
        }
        if let ClusterView::Seen(snapshot) = &seen.cluster {
            let (nodes, pods, budgets) = (&snapshot.nodes, &snapshot.pods, &snapshot.budgets);
            let copy =
                Kubernetes::copy(nodes, pods, budgets, |instance| roles.get(instance).copied(), times, now);
            cloud.adopt_kubernetes(cluster, copy);
        }
        cloud
    }
}

fn adopted(scaling: &ScalingGroup, spec: GroupSpec) -> Adopted<Copied> {
    let [before, current] =
        VERSIONS.map(|version| Copied::Template { group: scaling.instance_group.clone(), version });
    let [old_version, new_version] = VERSIONS;
    let template = Handle(format!("{} template", scaling.handle));
    let members = scaling.instances.iter().map(|instance| Member {
        handle: instance.id.clone(),
        group: scaling.instance_group.clone(),
        template_version: if instance.outdated.is_some() { old_version } else { new_version },
        launched: instance.launched,
        terminated: (instance.state == InstanceState::Terminating).then_some(instance.launched),
        detached: instance.membership == Membership::Detached,
        zone: instance.zone.clone(),
        address: None,
        uses: vec![scaling.handle.clone(), template.clone()],
    });
    Adopted {
        members: members.collect(),
        template: (template, current, new_version, BTreeMap::from([(old_version, before)])),
        group: (scaling.handle.clone(), Copied::Group(spec.clone())),
        desired: scaling.desired,
        spec,
    }
}

fn template(group: &str) -> ResourceId {
    ResourceId::new(Kind::new("Template"), group)
}

impl Resource for Copied {
    fn id(&self) -> ResourceId {
        match self {
            Self::Group(spec) => ResourceId::new(Kind::new("Group"), &spec.instance_group),
            Self::Template { group, .. } => template(group),
            Self::Machine(handle) => ResourceId::new(Kind::new("Machine"), handle.as_str()),
        }
    }

    fn requires(&self) -> Vec<ResourceId> {
        match self {
            Self::Group(spec) => vec![spec.template.clone()],
            Self::Template { .. } | Self::Machine(_) => Vec::new(),
        }
    }

    fn tie(&self, _: &ResourceId) -> Tie {
        Tie::Loose
    }

    fn relation(&self, _: &ResourceId) -> Relation {
        Relation::Uses
    }

    fn range(&self) -> Option<(ResourceId, Ipv4Net)> {
        None
    }

    /// Nothing else knows copies, so nobody names one otherwise.
    fn renamed(self, _: &NewIds) -> Self {
        self
    }

    fn ownership(&self) -> Ownership {
        Ownership::Shared
    }

    fn fields(&self) -> Map<String, Value> {
        match self {
            Self::Template { version, .. } => Map::from_iter([("version".to_owned(), json!(version))]),
            Self::Group(_) | Self::Machine(_) => Map::new(),
        }
    }

    fn rule(&self, _: &str) -> FieldRule {
        FieldRule::NEW_VERSION
    }

    fn holds_data(&self) -> Option<&'static str> {
        None
    }
}

impl Scaling for Copied {
    fn group(&self) -> Option<GroupSpec> {
        match self {
            Self::Group(spec) => Some(spec.clone()),
            Self::Template { .. } | Self::Machine(_) => None,
        }
    }
}

impl Simulated for Copied {
    fn kubernetes_version(&self) -> Option<String> {
        None
    }

    fn with_zones_held(&self) -> Self {
        self.clone()
    }

    fn member(_: &Self, _: Option<&Self>, member: &Member) -> Self {
        Self::Machine(member.handle.clone())
    }
}

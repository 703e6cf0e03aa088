//! The state of the simulated cloud and the rules it enforces. Synchronous and deterministic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::{Size, Spread};
use super::kubernetes::{Kubernetes, Machine};
use super::{Member, Place, SimOptions, Simulated, place};
use crate::clock::Timestamp;
use crate::cloud::{CloudError, Deletion, Ensure, Ensured, Outcome, Reach, Scope};
use crate::error::ErrorClass;
use crate::fleet::GroupSpec;
use crate::inventory::{Inventory, Observed};
use crate::manifest::Role;
use crate::plan::diff;
use crate::resource::{Change, Handle, NewIds, Ownership, ResourceId, Tie};

/// What all handles made here have in them.
const ISSUED: &str = "-sim";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record<R> {
    cluster: String,
    pub(super) resource: R,
    bound: BTreeMap<ResourceId, Handle>,
    version: u64,
    /// What earlier versions were, as far as fields that make new versions have changed.
    #[serde(default = "BTreeMap::new")]
    past: BTreeMap<u64, R>,
    /// A scaling group that is going: it launches nothing more, and is gone when its instances are.
    going: bool,
    /// The number of the first call that sees it.
    visible_from: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct World<R> {
    pub(super) records: BTreeMap<Handle, Record<R>>,
    /// Handles by cluster and id.
    ids: BTreeMap<String, BTreeMap<ResourceId, Handle>>,
    pub(super) members: BTreeMap<Handle, Member>,
    /// How many instances groups are to have.
    #[serde(default)]
    sizes: BTreeMap<Handle, Size>,
    /// Groups that a run keeps from moving instances between zones.
    #[serde(default)]
    pub(super) held: BTreeSet<Handle>,
    /// What runs in clusters.
    #[serde(default)]
    pub(super) kubernetes: BTreeMap<String, Kubernetes>,
    named: u64,
    pub(super) calls: u64,
    /// When the groups were last moved on; none when something has changed since.
    #[serde(skip)]
    moved: Option<Timestamp>,
    /// When what runs in clusters was last moved on, for others than those who look at it.
    #[serde(skip)]
    clusters_moved: Option<Timestamp>,
}

/// A scaling group with the instances that it has already.
pub(super) struct Adopted<R> {
    pub(super) spec: GroupSpec,
    pub(super) desired: u32,
    pub(super) group: (Handle, R),
    /// What its instances are made from: the current version, and what earlier ones were.
    pub(super) template: (Handle, R, u64, BTreeMap<u64, R>),
    pub(super) members: Vec<Member>,
}

impl<R: Simulated> Record<R> {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn refers_to(&self, handle: &Handle) -> bool {
        self.bound.values().any(|bound| bound == handle)
    }

    /// Takes over the ids under which others know what it refers to.
    fn refer_as(&mut self, bound: &BTreeMap<ResourceId, Handle>) {
        let old = |new: &ResourceId, handle: &Handle| {
            let same = |(old, its): &(&ResourceId, &Handle)| *its == handle && old.kind == new.kind;
            self.bound.iter().find(same).map(|(old, _)| old.clone())
        };
        let names = bound.iter().filter_map(|(new, handle)| Some((old(new, handle)?, new.clone())));
        let names: NewIds = names.filter(|(old, new)| old != new).collect();
        for (old, new) in &names {
            if let Some(handle) = self.bound.remove(old) {
                self.bound.insert(new.clone(), handle);
            }
        }
        for resource in self.past.values_mut().chain([&mut self.resource]) {
            *resource = resource.clone().renamed(&names);
        }
    }

    /// What it was at a version, as far as that is still known.
    fn at(&self, version: u64) -> &R {
        self.past.range(version..).next().map_or(&self.resource, |(_, past)| past)
    }

    /// The fields that have changed since a version, as far as that version is still known.
    pub(super) fn changed_since(&self, version: u64) -> Vec<String> {
        diff(&self.resource, self.at(version)).into_iter().map(|change| change.field).collect()
    }
}

impl<R> Default for World<R> {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            ids: BTreeMap::new(),
            members: BTreeMap::new(),
            sizes: BTreeMap::new(),
            held: BTreeSet::new(),
            kubernetes: BTreeMap::new(),
            named: 0,
            calls: 0,
            moved: None,
            clusters_moved: None,
        }
    }
}

impl<R: Simulated> World<R> {
    fn new_handle(&mut self, prefix: &str) -> Handle {
        self.named += 1;
        Handle(format!("{}{ISSUED}{:05}", prefix.to_lowercase(), self.named))
    }

    fn find(&self, cluster: &str, id: &ResourceId) -> Option<&Handle> {
        self.ids.get(cluster)?.get(id)
    }

    pub(super) fn observe(&self, scope: &Scope, reach: Reach) -> Inventory<R> {
        let ours = self.records.iter().filter(|(_, r)| r.cluster == scope.cluster);
        let visible = ours.filter(|(_, r)| r.visible_from <= self.calls);
        let reached = visible
            .filter(|(_, r)| reach == Reach::Everything || r.resource.ownership() != Ownership::Dependent);
        let mut observed: Vec<_> = reached
            .map(|(handle, record)| Observed {
                resource: match self.held.contains(handle) {
                    true => record.resource.with_zones_held(),
                    false => record.resource.clone(),
                },
                handle: handle.clone(),
                uses: record.bound.values().cloned().collect(),
            })
            .collect();
        if reach == Reach::Everything {
            observed.extend(self.members.iter().filter_map(|(handle, member)| {
                let (_, group) = member.uses.first().and_then(|handle| self.records.get_key_value(handle))?;
                let template =
                    group.resource.group().and_then(|spec| self.find(&scope.cluster, &spec.template));
                let template = template.and_then(|handle| self.records.get(handle)).map(|r| &r.resource);
                (group.cluster == scope.cluster).then(|| Observed {
                    resource: R::member(&group.resource, template, member),
                    handle: handle.clone(),
                    uses: member.uses.clone(),
                })
            }));
        }
        Inventory::new(observed, Vec::new())
    }

    pub(super) fn ensure(
        &mut self,
        scope: &Scope,
        request: &Ensure<'_, R>,
        visible_from: u64,
    ) -> Result<Ensured, CloudError> {
        let id = request.desired.id();
        if request.desired.ownership() == Ownership::Shared {
            let message = "it belongs to somebody else and is never changed";
            return Err(CloudError::new(ErrorClass::Denied, "change", id, message));
        }
        let bound = self.bind(&id, request)?;
        if let Some(handle) = self.find(&scope.cluster, &id).cloned() {
            if request.current.is_none() {
                request.bindings.check_adoption(&id, &handle)?;
            }
            return self.change(&id, handle, request.desired, bound);
        }
        self.check_range(request.desired, &bound)?;
        let handle = self.add(&scope.cluster, request.desired.clone(), bound, visible_from);
        Ok(Ensured { handle, outcome: Outcome::Created })
    }

    /// Every reference has to resolve to something that exists, or that is not kept here: somebody else's, or a file in
    /// the state store.
    fn bind(
        &self,
        id: &ResourceId,
        request: &Ensure<'_, R>,
    ) -> Result<BTreeMap<ResourceId, Handle>, CloudError> {
        let requires = request.desired.requires().into_iter();
        requires
            .map(|to| {
                let handle = request.bindings.resolve(id, &to)?;
                if self.records.contains_key(&handle) || !is_issued(&handle) {
                    return Ok((to, handle));
                }
                let message = format!("it refers to {to} ({handle}), which is gone");
                Err(CloudError::new(ErrorClass::NotFound, "create", id.clone(), message))
            })
            .collect()
    }

    /// A range is given once.
    fn check_range(&self, desired: &R, bound: &BTreeMap<ResourceId, Handle>) -> Result<(), CloudError> {
        let Some((place, range)) = desired.range() else { return Ok(()) };
        let place = bound.get(&place);
        let holder = self.records.iter().find(|(_, record)| {
            record.resource.range().is_some_and(|(its_place, its_range)| {
                record.bound.get(&its_place) == place
                    && (its_range.contains(&range) || range.contains(&its_range))
            })
        });
        holder.map_or(Ok(()), |(handle, _)| {
            let message = format!("its range {range} conflicts with that of {handle}");
            Err(CloudError::new(ErrorClass::Conflict, "create", desired.id(), message))
        })
    }

    fn change(
        &mut self,
        id: &ResourceId,
        handle: Handle,
        desired: &R,
        bound: BTreeMap<ResourceId, Handle>,
    ) -> Result<Ensured, CloudError> {
        self.touch();
        let Some(record) = self.records.get_mut(&handle) else {
            return Err(CloudError::new(ErrorClass::NotFound, "change", id.clone(), "it does not exist"));
        };
        if record.going {
            return Err(CloudError::new(ErrorClass::Conflict, "change", id.clone(), "it is being deleted"));
        }
        record.refer_as(&bound);
        let changes = diff(desired, &record.resource);
        let zones = |resource: &R| resource.group().map(|group| group.zones);
        // As it is desired, nobody holds it; unless its instances have to move first.
        let let_go = zones(desired) == zones(&record.resource) && self.held.remove(&handle);
        if changes.is_empty() && record.bound == bound {
            let outcome = if let_go { Outcome::Updated } else { Outcome::Unchanged };
            return Ok(Ensured { handle, outcome });
        }
        if let Some(fixed) = changes.iter().find(|c| matches!(c.change, Change::Replace | Change::Refuse)) {
            let message = format!("{} of an existing one cannot be changed", fixed.field);
            return Err(CloudError::new(ErrorClass::Invalid, "change", id.clone(), message));
        }
        let before = std::mem::replace(&mut record.resource, desired.clone());
        if changes.iter().any(|c| c.change == Change::NewVersion) {
            record.past.insert(record.version, before);
        }
        record.bound = bound;
        record.version += 1;
        Ok(Ensured { handle, outcome: Outcome::Updated })
    }

    /// Deletes what can go. Instances hold on to their network until they are really gone.
    pub(super) fn delete(
        &mut self,
        scope: &Scope,
        target: &Observed<R>,
        now: Timestamp,
    ) -> Result<Deletion, CloudError> {
        self.touch();
        let id = target.resource.id();
        if target.resource.ownership() == Ownership::Shared {
            let message = "it belongs to somebody else and is never deleted";
            return Err(CloudError::new(ErrorClass::Denied, "delete", id, message));
        }
        if let Some(member) = self.members.get_mut(&target.handle) {
            member.terminated.get_or_insert(now);
            return Ok(Deletion::Going);
        }
        let Some(record) = self.records.get_mut(&target.handle) else { return Ok(Deletion::Gone) };
        if record.cluster != scope.cluster {
            let message = format!("{} does not belong to the cluster {}", target.handle, scope.cluster);
            return Err(CloudError::new(ErrorClass::Denied, "delete", id, message));
        }
        if record.resource.group().is_some() {
            record.going = true;
            for member in self.members.values_mut().filter(|m| m.uses.first() == Some(&target.handle)) {
                member.terminated.get_or_insert(now);
            }
            return Ok(Deletion::Going);
        }
        let users = self.users(&id, &target.handle);
        if !users.is_empty() {
            let message = format!("{} is still used by {}", target.handle, users.join(", "));
            return Err(CloudError::new(ErrorClass::Conflict, "delete", id, message));
        }
        self.forget(&target.handle);
        Ok(Deletion::Gone)
    }

    /// Returns what those of the targets do that are still there.
    pub(super) fn going(&self, targets: &[Observed<R>]) -> BTreeMap<Handle, String> {
        let doing = |target: &Observed<R>| {
            let handle = &target.handle;
            if self.members.contains_key(handle) {
                return Some((handle.clone(), "it is shutting down".to_owned()));
            }
            let left = self.members.values().filter(|member| member.uses.first() == Some(handle)).count();
            let there = self.records.contains_key(handle);
            there.then(|| (handle.clone(), format!("{left} of its instances are shutting down")))
        };
        targets.iter().filter_map(doing).collect()
    }

    fn forget(&mut self, handle: &Handle) {
        let Some(record) = self.records.remove(handle) else { return };
        let id = record.resource.id();
        if let Some(ids) = self.ids.get_mut(&record.cluster)
            && ids.get(&id) == Some(handle)
        {
            ids.remove(&id);
        }
        self.sizes.remove(handle);
        self.held.remove(handle);
    }

    fn users(&self, id: &ResourceId, handle: &Handle) -> Vec<String> {
        let holds = |r: &&Record<R>| r.bound.get(id) == Some(handle) && r.resource.tie(id) == Tie::Firm;
        let records = self.records.values().filter(holds);
        let members = self.members.values().filter(|m| m.uses.iter().skip(1).any(|h| h == handle));
        records.map(|r| r.resource.id().to_string()).chain(members.map(|m| m.handle.to_string())).collect()
    }

    /// Lets scaling groups do their work: what should be gone goes, what is missing is launched.
    pub(super) fn advance(&mut self, now: Timestamp, options: &SimOptions) {
        if self.moved != Some(now) {
            self.advance_groups(now, options.terminate_time);
            self.moved = Some(now);
        }
        if self.clusters_moved != Some(now) {
            self.advance_clusters(now, options);
            self.clusters_moved = Some(now);
        }
    }

    /// Something has changed that groups may have to act on.
    pub(super) fn touch(&mut self) {
        self.moved = None;
    }

    fn advance_groups(&mut self, now: Timestamp, terminate_time: Duration) {
        self.members.retain(|_, member| member.gone_at(terminate_time).is_none_or(|gone| now < gone));
        let busy: BTreeSet<&Handle> = self.members.values().filter_map(|m| m.uses.first()).collect();
        let gone = self.records.iter().filter(|(handle, r)| r.going && !busy.contains(handle));
        for handle in gone.map(|(handle, _)| handle.clone()).collect::<Vec<_>>() {
            self.forget(&handle);
        }
        let groups: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| !record.going)
            .filter_map(|(handle, record)| {
                let spec = record.resource.group()?;
                let template = record.bound.get(&spec.template)?;
                let template = self.records.get(template)?;
                let name = record.resource.id().name;
                let holds = record.bound.values().chain(template.bound.values()).cloned();
                let uses: Vec<Handle> = std::iter::once(handle.clone()).chain(holds).collect();
                Some((handle.clone(), name, spec, template.version, uses))
            })
            .collect();
        for (group, name, spec, template_version, uses) in groups {
            let counted =
                |m: &&Member| m.uses.first() == Some(&group) && m.terminated.is_none() && !m.detached;
            let alive: Vec<Handle> =
                self.members.values().filter(counted).map(|m| m.handle.clone()).collect();
            let size = self.sizes.entry(group.clone()).or_insert_with(|| Size::of(&spec));
            size.follow(&spec);
            let (alive_now, desired) = (alive.len(), to_usize(size.desired));
            let (zones, places) = (self.zones(&group, &spec), self.places(&group));
            let mut spread = Spread::new(&zones, alive.iter().filter_map(|id| self.members.get(id)));
            for _ in desired..alive_now {
                self.take_from_fullest(&group, &mut spread, now);
            }
            let launch = |world: &mut Self, spread: &mut Spread| {
                let (handle, zone) = (world.new_handle("i"), spread.emptiest(&zones));
                let address = place::address(&places, zone.as_deref(), world.members.values());
                spread.add(zone.clone());
                let member = Member {
                    handle: handle.clone(),
                    group: name.clone(),
                    template_version,
                    launched: now,
                    terminated: None,
                    detached: false,
                    zone,
                    address,
                    uses: uses.clone(),
                };
                world.members.insert(handle, member);
            };
            for _ in alive_now..desired {
                launch(self, &mut spread);
            }
            if !spec.balances || zones.is_empty() || self.held.contains(&group) {
                continue;
            }
            while self.is_unbalanced(&group, &zones, &spread) {
                self.take_from_fullest(&group, &mut spread, now);
                launch(self, &mut spread);
            }
        }
    }

    /// Returns where the instances of a group run, as far as its resources say so.
    fn places(&self, group: &Handle) -> Vec<Place> {
        let bound = self.records.get(group).into_iter().flat_map(|record| record.bound.values());
        bound.filter_map(|handle| self.records.get(handle)?.resource.place()).collect()
    }

    /// Returns the zones of a group: those of its places, or else those it names.
    pub(super) fn zones(&self, group: &Handle, spec: &GroupSpec) -> BTreeSet<String> {
        let zones: BTreeSet<String> = self.places(group).into_iter().map(|place| place.zone).collect();
        if zones.is_empty() { spec.zones.clone() } else { zones }
    }

    fn counted(&self, group: &Handle) -> impl Iterator<Item = &Member> {
        self.members
            .values()
            .filter(move |m| m.uses.first() == Some(group) && m.terminated.is_none() && !m.detached)
    }

    /// Returns whether an instance is where the group has no zone, or where there are two more than elsewhere.
    fn is_unbalanced(&self, group: &Handle, zones: &BTreeSet<String>, spread: &Spread) -> bool {
        let least = zones.iter().map(|zone| spread.count(&Some(zone.clone()))).min().unwrap_or_default();
        self.counted(group).any(|member| match &member.zone {
            Some(zone) if zones.contains(zone) => spread.count(&member.zone) > least + 1,
            _ => true,
        })
    }

    /// Terminates the newest instance of the fullest zone: nobody has drained it.
    fn take_from_fullest(&mut self, group: &Handle, spread: &mut Spread, now: Timestamp) {
        let zones = |world: &Self| {
            let spec = world.records.get(group).and_then(|record| record.resource.group());
            spec.map(|spec| world.zones(group, &spec)).unwrap_or_default()
        };
        let zones = zones(self);
        let fullest = self.counted(group).max_by_key(|member| {
            let foreign = member.zone.as_ref().is_none_or(|zone| !zones.contains(zone));
            (foreign, spread.count(&member.zone), member.handle.clone())
        });
        let Some((handle, zone)) = fullest.map(|member| (member.handle.clone(), member.zone.clone())) else {
            return;
        };
        spread.take(&zone);
        if let Some(member) = self.members.get_mut(&handle) {
            member.terminated = Some(now);
        }
    }

    /// Lets what runs in clusters follow its machines.
    pub(super) fn advance_clusters(&mut self, now: Timestamp, options: &SimOptions) {
        let going = self.members.values().filter(|member| member.terminated.is_some()).count();
        let machines = (self.named, self.members.len(), going);
        let mut kubernetes = std::mem::take(&mut self.kubernetes);
        for (cluster, kubernetes) in &mut kubernetes {
            if kubernetes.is_current(now, machines) {
                continue;
            }
            let groups = self.groups(cluster);
            let role = |member: &Member| {
                let group = groups.iter().find(|(handle, ..)| member.uses.first() == Some(*handle));
                group.map(|(_, spec, ..)| spec.role)
            };
            let version = |member: &Member| {
                let group = groups.iter().find(|(handle, ..)| member.uses.first() == Some(*handle));
                group.and_then(|(.., template, _)| {
                    template.as_ref()?.at(member.template_version).kubernetes_version()
                })
            };
            let machine = |member| Some(Machine { member, role: role(member)?, version: &version });
            let there: Vec<Machine<'_>> = self.members.values().filter_map(machine).collect();
            let members = groups.iter().filter(|(_, spec, ..)| spec.role == Role::ControlPlane);
            let members = members.map(|(.., desired)| to_usize(*desired)).sum();
            kubernetes.advance(&there, members, now, options);
            kubernetes.note(machines);
        }
        self.kubernetes = kubernetes;
    }

    /// The cluster's scaling groups: handle, what it keeps, its template and how many instances it is to have.
    pub(super) fn groups(&self, cluster: &str) -> Vec<(&Handle, GroupSpec, Option<&Record<R>>, u32)> {
        let ours = self.records.iter().filter(|(_, record)| record.cluster == cluster && !record.going);
        let groups = ours.filter_map(|(handle, record)| {
            let spec = record.resource.group()?;
            let template = record.bound.get(&spec.template).and_then(|handle| self.records.get(handle));
            let desired = self.sizes.get(handle).map_or(spec.min, |size| size.desired);
            Some((handle, spec, template, desired))
        });
        groups.collect()
    }

    /// An instance of a group of the cluster, to be changed.
    pub(super) fn member(&mut self, cluster: &str, group: &Handle, instance: &Handle) -> Option<&mut Member> {
        self.touch();
        let ours = self.records.get(group).is_some_and(|record| record.cluster == cluster);
        let member = self.members.get_mut(instance)?;
        (ours && member.uses.first() == Some(group)).then_some(member)
    }

    /// Lets a group be one smaller.
    pub(super) fn shrink(&mut self, group: &Handle) {
        if let Some(size) = self.sizes.get_mut(group) {
            size.desired = size.desired.saturating_sub(1);
        }
    }

    pub(super) fn adopt(&mut self, cluster: &str, adopted: Adopted<R>) {
        self.touch();
        let (template, resource, version, past) = adopted.template;
        let (group, of_group) = adopted.group;
        let bound = BTreeMap::from([(adopted.spec.template.clone(), template.clone())]);
        let record = |resource, bound, version, past| Record {
            cluster: cluster.to_owned(),
            resource,
            bound,
            version,
            past,
            going: false,
            visible_from: 0,
        };
        self.records.insert(template, record(resource, BTreeMap::new(), version, past));
        self.records.insert(group.clone(), record(of_group, bound, 1, BTreeMap::new()));
        let mut size = Size::of(&adopted.spec);
        size.desired = adopted.desired;
        self.sizes.insert(group, size);
        self.members.extend(adopted.members.into_iter().map(|member| (member.handle.clone(), member)));
    }

    /// Puts a resource there under a new handle.
    pub(super) fn add(
        &mut self,
        cluster: &str,
        resource: R,
        bound: BTreeMap<ResourceId, Handle>,
        visible_from: u64,
    ) -> Handle {
        self.touch();
        let id = resource.id();
        let handle = self.new_handle(id.kind.as_str());
        self.ids.entry(cluster.to_owned()).or_default().entry(id).or_insert_with(|| handle.clone());
        let record = Record {
            cluster: cluster.to_owned(),
            resource,
            bound,
            version: 1,
            past: BTreeMap::new(),
            going: false,
            visible_from,
        };
        self.records.insert(handle.clone(), record);
        handle
    }
}

/// Whether the handle was made here.
fn is_issued(handle: &Handle) -> bool {
    handle.as_str().contains(ISSUED)
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

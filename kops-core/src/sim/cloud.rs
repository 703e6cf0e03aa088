//! The simulated world as a [`Cloud`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::fault;
use super::file::Saved;
use super::kubernetes::Kubernetes;
use super::world::{Adopted, World};
use super::{Fault, Faults, MemberState, OpenSimError, SimCluster, SimOptions, Simulated, Workload};
use crate::cloud::{Bindings, Cloud, CloudError, Deletion, Ensure, Ensured, Reach, Scope};
use crate::error::ErrorClass;
use crate::inventory::{Inventory, Observed};
use crate::resource::{Handle, ResourceId};

/// A cloud that exists only in memory, or in one file. See [the module](super).
#[derive(Debug)]
pub struct SimCloud<R> {
    options: SimOptions,
    inner: Mutex<Inner<R>>,
    saved: Option<Saved>,
}

#[derive(Debug)]
struct Inner<R> {
    world: World<R>,
    faults: Faults,
    /// The number of calls made before the faults were set.
    faults_since: u64,
}

impl<R: Simulated> SimCloud<R> {
    /// An empty cloud in memory.
    pub fn new(options: SimOptions) -> Self {
        Self { options, inner: Mutex::new(Inner::of(World::default())), saved: None }
    }

    /// The cloud kept in `directory`, empty if there is none yet. Every change is on disk before the call that
    /// made it returns, so a killed process loses nothing. One process at a time.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process has it open.
    pub fn open(directory: &Path, options: SimOptions) -> Result<Self, OpenSimError> {
        let (saved, world) = Saved::open(directory)?;
        Ok(Self { options, inner: Mutex::new(Inner::of(world)), saved: Some(saved) })
    }

    /// From now on, calls go wrong like this. Counting starts at 1 again.
    pub fn set_faults(&self, faults: Faults) {
        let mut inner = self.lock();
        inner.faults_since = inner.world.calls;
        inner.faults = faults;
    }

    /// How many calls have been made, observations included.
    pub fn calls(&self) -> u64 {
        self.lock().world.calls
    }

    /// Puts a resource there as if somebody else had made it: a service's load balancer, a foreign network.
    pub fn plant(&self, cluster: &str, resource: R, bound: BTreeMap<ResourceId, Handle>) -> Handle {
        self.lock().world.add(cluster, resource, bound, 0)
    }

    /// Changes a resource by hand, behind the planner's back. Says whether there was one of that handle.
    pub fn tamper(&self, handle: &Handle, change: impl FnOnce(&mut R)) -> bool {
        let mut inner = self.lock();
        inner.world.touch();
        let record = inner.world.records.get_mut(handle);
        record.map(|record| change(&mut record.resource)).is_some()
    }

    /// All that exists, whoever owns it: by handle.
    pub fn everything(&self) -> BTreeMap<Handle, R> {
        let inner = self.lock();
        inner.world.records.iter().map(|(handle, record)| (handle.clone(), record.resource.clone())).collect()
    }

    /// All that refers to a resource, whoever owns it: by handle.
    pub fn referring_to(&self, handle: &Handle) -> BTreeMap<Handle, R> {
        let inner = self.lock();
        let referring = inner.world.records.iter().filter(|(_, record)| record.refers_to(handle));
        referring.map(|(handle, record)| (handle.clone(), record.resource.clone())).collect()
    }

    /// The instances that exist now, with what they are doing.
    pub fn members(&self) -> Vec<(super::Member, MemberState)> {
        let now = self.options.clock.now();
        let mut inner = self.lock();
        inner.world.advance(now, &self.options);
        let members = inner.world.members.values();
        members.map(|member| (member.clone(), member.state(now, self.options.boot_time))).collect()
    }

    pub(super) fn adopt(&self, cluster: &str, adopted: Adopted<R>) {
        self.lock().world.adopt(cluster, adopted);
    }

    pub(super) fn adopt_kubernetes(&self, cluster: &str, kubernetes: Kubernetes) {
        self.lock().world.kubernetes.insert(cluster.to_owned(), kubernetes);
    }

    /// Runs a workload in a cluster, as if somebody had applied its manifests. One of the same name is replaced.
    pub fn deploy(&self, cluster: &str, workload: Workload) {
        let mut inner = self.lock();
        inner.world.kubernetes.entry(cluster.to_owned()).or_default().deploy(workload);
    }

    /// Lets the machines of a cluster become nodes, with the DNS servers that every cluster has, unless something is
    /// deployed in it already. Does nothing as long as it has no machines.
    pub fn start_cluster(&self, cluster: &str) {
        let mut inner = self.lock();
        if !inner.world.groups(cluster).is_empty() && !inner.world.kubernetes.contains_key(cluster) {
            inner.world.kubernetes.entry(cluster.to_owned()).or_default().deploy(Workload::dns());
        }
    }

    /// Lets an instance die, as a broken host does: nothing is drained, and its group replaces it.
    pub fn kill(&self, instance: &Handle) {
        let now = self.options.clock.now();
        let mut inner = self.lock();
        inner.world.touch();
        if let Some(member) = inner.world.members.get_mut(instance) {
            member.terminated.get_or_insert(now);
        }
    }

    /// Lets the kubelet of a node fall silent, or speak again.
    pub fn silence(&self, cluster: &str, node: &str, silent: bool) {
        let now = self.options.clock.now();
        if let Some(kubernetes) = self.lock().world.kubernetes.get_mut(cluster) {
            kubernetes.silence(node, silent, now);
        }
    }

    /// The Kubernetes API of a cluster.
    pub fn cluster<'a>(&'a self, scope: &'a Scope) -> SimCluster<'a, R> {
        SimCluster::new(self, scope)
    }

    pub(super) fn options(&self) -> &SimOptions {
        &self.options
    }

    fn lock(&self) -> MutexGuard<'_, Inner<R>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: it may take time, fail, or lose its answer. `effect` happens at one instant, or not at all.
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        id: Option<&ResourceId>,
        effect: impl FnOnce(&mut World<R>, u64) -> Result<T, CloudError> + Send,
    ) -> Result<T, CloudError> {
        self.wait().await;
        let (result, fault) = {
            let mut inner = self.lock();
            inner.world.calls += 1;
            let call = inner.world.calls;
            let fault = inner.faults.of_call(call - inner.faults_since);
            match fault {
                Some(Fault::Crash) => return Err(fault::crashed(operation, id)),
                Some(Fault::Fail(class)) => return Err(fault::error(class, operation, id)),
                Some(Fault::LoseResponse | Fault::DelayVisibility(_)) | None => {}
            }
            let visible_from = match fault {
                Some(Fault::DelayVisibility(calls)) => call + calls,
                _ => call,
            };
            let now = self.options.clock.now();
            inner.world.advance(now, &self.options);
            let result = effect(&mut inner.world, visible_from);
            inner.world.advance(now, &self.options);
            if let Some(saved) = &self.saved {
                saved.save(&inner.world).map_err(|error| {
                    fault::error(ErrorClass::Unavailable, operation, id).maybe_applied().with_source(error)
                })?;
            }
            (result, fault)
        };
        self.wait().await;
        match fault {
            Some(Fault::LoseResponse) if result.is_ok() => {
                Err(fault::error(ErrorClass::Unavailable, operation, id).maybe_applied())
            }
            _ => result,
        }
    }

    async fn wait(&self) {
        if !self.options.latency.is_zero() {
            self.options.clock.sleep(self.options.latency / 2).await;
        }
    }
}

impl<R> Inner<R> {
    fn of(world: World<R>) -> Self {
        let faults_since = world.calls;
        Self { world, faults: Faults::none(), faults_since }
    }
}

impl<R> fmt::Display for SimCloud<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated cloud")
    }
}

#[async_trait]
impl<R: Simulated> Cloud for SimCloud<R> {
    type Resource = R;

    async fn observe(&self, scope: &Scope, reach: Reach) -> Result<Inventory<R>, CloudError> {
        self.call("observe", None, |world, _| Ok(world.observe(scope, reach))).await
    }

    async fn ensure(&self, scope: &Scope, request: Ensure<'_, R>) -> Result<Ensured, CloudError> {
        let id = request.desired.id();
        self.call("create", Some(&id), |world, visible| world.ensure(scope, &request, visible)).await
    }

    async fn delete(
        &self,
        scope: &Scope,
        target: &Observed<R>,
        _: &Bindings,
    ) -> Result<Deletion, CloudError> {
        let id = target.resource.id();
        let now = self.options.clock.now();
        self.call("delete", Some(&id), |world, _| world.delete(scope, target, now)).await
    }

    async fn going(
        &self,
        _: &Scope,
        targets: &[Observed<R>],
    ) -> Result<BTreeMap<Handle, String>, CloudError> {
        self.call("observe", None, |world, _| Ok(world.going(targets))).await
    }
}

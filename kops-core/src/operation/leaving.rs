//! Members of etcd are taken out by the machines before a machine or a disk goes, so that the others never count on one
//! that is gone. The completed manifest in the state store says who is to stay; the machine whose member leads takes out
//! the others, one by one, and says so.

use std::time::Duration;

use super::{Drain, EventKind, Kops, OperationError, Run};
use crate::apply::PlanEvent;
use crate::clock::later;
use crate::cloud::Scope;
use crate::etcd::{EtcdBacked, EtcdError, Life, Wanted};
use crate::fleet::Scaling;
use crate::manifest::Role;
use crate::plan::{Action, Step};
use crate::provider::Provider;
use crate::resource::ResourceId;

/// Returns whether members of etcd run on a resource, or have their data there.
pub(super) fn holds_members<R: Scaling + EtcdBacked>(resource: &R) -> bool {
    resource.etcd_member().is_some() || resource.group().is_some_and(|group| group.role == Role::ControlPlane)
}

/// Returns whether a step takes members of etcd away.
pub(super) fn takes_members<R: Scaling + EtcdBacked>(step: &Step<R>) -> bool {
    matches!(&step.action, Action::Delete { current } if holds_members(&current.resource))
}

/// The members that are still there, of one etcd cluster.
struct Left {
    etcd: String,
    members: Vec<String>,
    reason: String,
}

impl<P: Provider> Kops<P> {
    /// Waits until no etcd cluster has a member that the last update does not want.
    pub(super) async fn wait_for_members_to_go(
        &self,
        scope: &Scope,
        id: &ResourceId,
        drain: Drain,
        run: Run<'_>,
    ) -> Result<(), OperationError> {
        // Simulated machines run no etcd.
        if self.provider.own_cluster(scope).is_some() {
            return Ok(());
        }
        let until = later(self.clock.now(), drain.members);
        let mut told = String::new();
        loop {
            let Some(Left { etcd, members, reason }) = self.members_left(&scope.cluster).await? else {
                return Ok(());
            };
            if self.clock.now() >= until {
                return Err(EtcdError::Unsettled { etcd, members, reason, waited: drain.members }.into());
            }
            let reason = format!("etcd {etcd}: {reason}");
            if reason != told {
                let within = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
                let waiting = PlanEvent::StepWaiting { id: id.clone(), within, reason: reason.clone() };
                self.voice(&scope.cluster, run).say(EventKind::Plan(waiting));
                told = reason;
            }
            tokio::select! {
                () = self.clock.sleep(drain.poll) => {}
                () = run.cancel.cancelled() => return Err(OperationError::Cancelled),
            }
        }
    }

    async fn members_left(&self, cluster: &str) -> Result<Option<Left>, OperationError> {
        let store = self.registry.store().as_ref();
        let Some(wanted) = Wanted::read(store, cluster).await? else { return Ok(None) };
        for etcd in wanted.etcd_clusters() {
            let life = Life::new(store, cluster, etcd)?;
            let Some(stay) = wanted.of(etcd) else { continue };
            let seen = life.attendance().await?;
            if seen.is_none() && !life.has_begun().await? {
                continue;
            }
            let left = |members: Vec<String>, reason: String| Left { etcd: etcd.to_owned(), members, reason };
            // What was said before the update is no answer to it.
            let Some(seen) = seen.filter(|seen| seen.record == wanted.record) else {
                let reason = "the machine whose member leads has not looked yet who is to go";
                return Ok(Some(left(Vec::new(), reason.to_owned())));
            };
            let members: Vec<String> = seen.members.difference(stay).cloned().collect();
            if !members.is_empty() {
                let reason =
                    seen.waiting.unwrap_or_else(|| format!("{} still takes part", members.join(", ")));
                return Ok(Some(left(members, reason)));
            }
        }
        Ok(None)
    }
}

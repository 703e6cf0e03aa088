//! Who takes part in etcd, its backups, and their restore: what is asked of the machine is in the state store
//! (`kops_core::etcd`).

mod backup;
mod ctl;
mod gzip;
mod membership;
mod restore;

use futures::future::join_all;
use kops_core::node::render::{Etcd, MEMBER_FILE, NodePlan};

use crate::error::{Done, NodeError};
use crate::files::Root;
use crate::node::Node;

impl Node {
    /// Takes out members of etcd clusters that are to go, where the member here leads, and says who takes part. Returns
    /// what could not be done. Safe beside everything else.
    pub async fn keep_members(&self) -> Vec<NodeError> {
        let plan = match self.plan().await {
            Ok((_, plan)) => plan,
            Err(error) => return vec![error],
        };
        let results = join_all(plan.etcd.iter().map(|etcd| membership::keep(etcd, self))).await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Takes backups of the etcd clusters whose member here leads, where it is time for one or somebody has asked.
    /// Returns what could not be done. Safe beside everything else.
    pub async fn back_up(&self) -> Vec<NodeError> {
        let plan = match self.plan().await {
            Ok((_, plan)) => plan,
            Err(error) => return vec![error],
        };
        let results = join_all(plan.etcd.iter().map(|etcd| backup::ensure(etcd, self))).await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// The restores that are asked of the machine and not done: [`configure`](Self::configure) does them.
    pub async fn restores_asked(&self) -> Vec<NodeError> {
        let plan = match self.plan().await {
            Ok((_, plan)) => plan,
            Err(error) => return vec![error],
        };
        let results = join_all(plan.etcd.iter().map(|etcd| restore::check(etcd, self))).await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Makes sure that members may start. Where one may not, etcd must not be started.
    pub(crate) async fn admit(&self, plan: &NodePlan) -> Vec<NodeError> {
        let results = join_all(plan.etcd.iter().map(|etcd| membership::ensure(etcd, self))).await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Lets members vote that have joined.
    pub(crate) async fn promote(&self, plan: &NodePlan) -> Vec<NodeError> {
        let results = join_all(plan.etcd.iter().map(|etcd| membership::promote(etcd, self))).await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Does what is asked of restores. What has been restored runs only once its units are started.
    pub(crate) async fn restore(&self, plan: &NodePlan) -> Vec<NodeError> {
        let mut problems = Vec::new();
        for etcd in &plan.etcd {
            problems.extend(restore::ensure(etcd, self).await.err());
        }
        problems
    }
}

/// The member whose disk the machine has; none while there is no disk.
fn member(etcd: &Etcd, root: &Root) -> Option<String> {
    let text = String::from_utf8(root.read(&format!("{}/{MEMBER_FILE}", etcd.mount))?).ok()?;
    text.lines().find_map(|line| line.strip_prefix("MEMBER=")).map(str::to_owned)
}

/// Makes sure that one of etcd's own programs is there. A machine becomes a node without them.
async fn program(step: &str, name: &str, node: &Node) -> Done {
    let found = node.downloads.ensure(&node.config, node.store.as_ref(), &node.root, name).await;
    found.map_err(|error| {
        let version = &node.config.kubernetes_version;
        let publish = format!("publish it with `kops create assets {name} --kubernetes-version {version}`");
        let hint = format!("{publish}, then update the cluster and replace its control plane");
        let reason = format!("{}: {}", error.step, error.reason);
        NodeError { step: step.to_owned(), reason, hint: error.hint.or(Some(hint)), ..error }
    })
}

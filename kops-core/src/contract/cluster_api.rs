//! The laws of [`ClusterApi`], K1 to K6, as one run over a cluster with a few pods.

use super::{Broken, law};
use crate::cluster_api::{ClusterApi, ClusterApiError, Eviction, Node, NodePatch, Pod, PodRef};
use crate::manifest::{Taint, TaintEffect};

const MARK: &str = "kops.k8s.io/contract";

/// Tries the laws of [`ClusterApi`] on a cluster that has a node, a pod whose disruption budget allows no disruption, and
/// two pods without a budget. Evicts one of these two and deletes the other.
///
/// # Errors
/// Returns the first law that does not hold.
pub async fn cluster_api<A: ClusterApi + ?Sized>(api: &A) -> Result<(), Broken> {
    let bench = Bench { api };
    bench.k2_a_patch_changes_what_it_names().await?;
    bench.k3_a_budget_blocks_an_eviction().await?;
    bench.k4_only_the_pod_that_was_meant_goes().await?;
    bench.k5_evicted_and_deleted_pods_go().await?;
    bench.k6_what_is_gone_is_fine().await
}

struct Bench<'a, A: ?Sized> {
    api: &'a A,
}

impl<A: ClusterApi + ?Sized> Bench<'_, A> {
    async fn node(&self) -> Result<Node, Broken> {
        let nodes = asked("K1", self.api.nodes().await)?;
        nodes.into_iter().next().ok_or_else(|| Broken::new("K1", "the cluster shows no node"))
    }

    async fn pods(&self) -> Result<Vec<Pod>, Broken> {
        asked("K1", self.api.pods().await)
    }

    /// The pods that a budget keeps, and those that no budget covers.
    async fn kept_and_free(&self) -> Result<(Vec<Pod>, Vec<Pod>), Broken> {
        let budgets = asked("K1", self.api.disruption_budgets().await)?;
        let pods = self.pods().await?.into_iter().filter(|pod| pod.is_drained() && !pod.deleting);
        let (covered, free): (Vec<_>, Vec<_>) =
            pods.partition(|pod| budgets.iter().any(|budget| budget.covers(pod)));
        let is_kept = |pod: &Pod| {
            let mut covering = budgets.iter().filter(|budget| budget.covers(pod));
            covering.all(|budget| budget.disruptions_allowed == 0)
        };
        Ok((covered.into_iter().filter(is_kept).collect(), free))
    }

    async fn k2_a_patch_changes_what_it_names(&self) -> Result<(), Broken> {
        let before = self.node().await?;
        let taint = |value: &str| Taint {
            key: MARK.to_owned(),
            value: value.to_owned(),
            effect: TaintEffect::PreferNoSchedule,
        };
        let cordon = |value: &str| NodePatch {
            unschedulable: Some(true),
            annotations: [(MARK.to_owned(), Some(value.to_owned()))].into(),
            add_taints: vec![taint(value)],
            remove_taints: Vec::new(),
        };
        // The last one says what is there.
        for value in ["first", "second", "second"] {
            asked("K2", self.api.patch_node(&before.name, &cordon(value)).await)?;
        }
        let cordoned = self.node().await?;
        law("K2", cordoned.unschedulable, || format!("a cordon does not show: {cordoned:?}"))?;
        let mark = cordoned.annotations.get(MARK).map(String::as_str);
        law("K2", mark == Some("second"), || format!("an annotation is {mark:?}, not what was set last"))?;
        let ours: Vec<_> = cordoned.taints.iter().filter(|one| one.key == MARK).collect();
        law("K2", ours == [&taint("second")], || {
            format!("a taint of the same key and effect was not replaced: {ours:?}")
        })?;
        self.nothing_else_changed(&before, &cordoned)?;

        let uncordon = NodePatch {
            unschedulable: Some(before.unschedulable),
            annotations: [(MARK.to_owned(), None)].into(),
            add_taints: Vec::new(),
            remove_taints: vec![MARK.to_owned()],
        };
        for _ in 0..2 {
            asked("K2", self.api.patch_node(&before.name, &uncordon).await)?;
        }
        let after = self.node().await?;
        let clean = !after.annotations.contains_key(MARK) && after.taints.iter().all(|one| one.key != MARK);
        law("K2", clean && after.unschedulable == before.unschedulable, || {
            format!("what a patch takes away is still there: {after:?}")
        })?;
        self.nothing_else_changed(&before, &after)
    }

    fn nothing_else_changed(&self, before: &Node, after: &Node) -> Result<(), Broken> {
        let annotations =
            before.annotations.iter().all(|(key, value)| after.annotations.get(key) == Some(value));
        let taints = before.taints.iter().all(|taint| after.taints.contains(taint));
        law("K2", annotations && taints && before.labels == after.labels, || {
            format!(
                "a patch of {self_} changed what it does not name: {before:?}, then {after:?}",
                self_ = self.api
            )
        })
    }

    async fn k3_a_budget_blocks_an_eviction(&self) -> Result<(), Broken> {
        let (kept, _) = self.kept_and_free().await?;
        let Some(pod) = kept.first() else {
            return Err(Broken::new("K3", "the cluster has no pod that a disruption budget keeps"));
        };
        let evicted = asked("K3", self.api.evict(&pod.id).await)?;
        let told = matches!(&evicted, Eviction::Blocked { message } if !message.is_empty());
        law("K3", told, || {
            format!("{} has a budget that allows no disruption, and yet: {evicted:?}", pod.id)
        })?;
        self.stays("K3", &pod.id).await
    }

    async fn k4_only_the_pod_that_was_meant_goes(&self) -> Result<(), Broken> {
        let (_, free) = self.kept_and_free().await?;
        let Some(pod) = free.first() else {
            return Err(Broken::new("K4", "the cluster has no pod without a budget"));
        };
        let successor = PodRef { uid: "of-another".to_owned(), ..pod.id.clone() };
        let evicted = asked("K4", self.api.evict(&successor).await)?;
        law("K4", evicted == Eviction::Gone, || {
            format!("evicting another pod of the same name: {evicted:?}")
        })?;
        asked("K4", self.api.delete_pod(&successor).await)?;
        self.stays("K4", &pod.id).await
    }

    async fn k5_evicted_and_deleted_pods_go(&self) -> Result<(), Broken> {
        let (_, free) = self.kept_and_free().await?;
        let [evicted, deleted, ..] = free.as_slice() else {
            return Err(Broken::new("K5", "the cluster has fewer than two pods without a budget"));
        };
        let answer = asked("K5", self.api.evict(&evicted.id).await)?;
        law("K5", answer == Eviction::Accepted, || format!("evicting {}: {answer:?}", evicted.id))?;
        for _ in 0..2 {
            asked("K5", self.api.delete_pod(&deleted.id).await)?;
        }
        for gone in [&evicted.id, &deleted.id] {
            let still = self.pods().await?.into_iter().find(|pod| pod.id == *gone);
            law("K5", still.as_ref().is_none_or(|pod| pod.deleting), || {
                format!("{gone} is not on its way out: {still:?}")
            })?;
        }
        Ok(())
    }

    async fn k6_what_is_gone_is_fine(&self) -> Result<(), Broken> {
        let nobody = PodRef { namespace: "default".into(), name: "nobody".into(), uid: "nobody".into() };
        let evicted = asked("K6", self.api.evict(&nobody).await)?;
        law("K6", evicted == Eviction::Gone, || format!("evicting a pod that is not there: {evicted:?}"))?;
        asked("K6", self.api.delete_pod(&nobody).await)?;
        asked("K6", self.api.patch_node("nobody", &NodePatch::default()).await)?;
        asked("K6", self.api.delete_node("nobody").await)
    }

    async fn stays(&self, number: &'static str, pod: &PodRef) -> Result<(), Broken> {
        let found = self.pods().await?.into_iter().find(|other| other.id == *pod);
        law(number, found.as_ref().is_some_and(|pod| !pod.deleting), || {
            format!("{pod} should have stayed: {found:?}")
        })
    }
}

fn asked<T>(number: &'static str, answer: Result<T, ClusterApiError>) -> Result<T, Broken> {
    answer.map_err(|error| Broken::new(number, "the API did not answer as it should").because(error))
}

//! Which pods may be evicted now, and which never.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use super::census::{self, Fate};
use super::{Policy, State};
use crate::clock::Timestamp;
use crate::cluster_api::{DisruptionBudget, Pod};
use crate::observation::{ClusterView, Observation};

/// What budgets allow, less what this decision has asked for already. The server has the last word.
pub(super) struct Evictions<'a> {
    budgets: HashMap<&'a str, Vec<(&'a DisruptionBudget, u32)>>,
}

impl<'a> Evictions<'a> {
    pub(super) fn new(seen: &'a Observation) -> Self {
        let mut budgets: HashMap<&str, Vec<_>> = HashMap::new();
        if let ClusterView::Seen(cluster) = &seen.cluster {
            for budget in &cluster.budgets {
                let of_namespace = budgets.entry(budget.namespace.as_str()).or_default();
                of_namespace.push((budget, budget.disruptions_allowed));
            }
        }
        Self { budgets }
    }

    /// Whether the pod may be evicted now; if not, the budgets in the way.
    ///
    /// As the server decides: a pod that is not ready does not count for its budget as long as enough others are
    /// ready, and no pod that two budgets cover can be evicted at all.
    pub(super) fn ask(&mut self, pod: &Pod) -> Result<(), Vec<String>> {
        let of_namespace = self.budgets.get_mut(pod.id.namespace.as_str());
        let mut covering: Vec<_> =
            of_namespace.into_iter().flatten().filter(|(budget, _)| budget.covers(pod)).collect();
        match covering.as_mut_slice() {
            [] => Ok(()),
            [(budget, allowed)] => {
                let spared = budget.evicts_unready
                    || (budget.current_healthy >= budget.desired_healthy && budget.desired_healthy > 0);
                if !pod.ready && spared {
                    Ok(())
                } else if let Some(less) = allowed.checked_sub(1) {
                    *allowed = less;
                    Ok(())
                } else {
                    Err(vec![budget.to_string()])
                }
            }
            several => Err(several.iter().map(|(budget, _)| budget.to_string()).collect()),
        }
    }

    /// What keeps pods on their node, in words.
    pub(super) fn why_not(&mut self, pods: &[&Pod]) -> String {
        let reasons = pods.iter().map(|pod| match self.ask(pod) {
            _ if pod.deleting => format!("pod {} takes long to end", pod.id),
            Ok(()) => format!("pod {} is still there", pod.id),
            Err(budgets) => format!("the disruption budget {} keeps pod {}", budgets.join(" and "), pod.id),
        });
        reasons.collect::<Vec<_>>().join("; ")
    }
}

/// Pods that can never be evicted as things stand, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NeverMet {
    /// The budgets in the way.
    pub budgets: Vec<String>,
    /// The pods behind them, on nodes that are to be drained.
    pub pods: Vec<String>,
    /// What is wrong.
    pub why: NeverMetReason,
}

/// What is wrong with a budget that can never be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeverMetReason {
    /// It wants all of its pods to be there at all times.
    WantsAll,
    /// Pods are covered by several budgets: Kubernetes evicts no such pod.
    Overlap,
}

impl fmt::Display for NeverMet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (budgets, pods) = (self.budgets.join(" and "), self.pods.join(", "));
        match self.why {
            NeverMetReason::WantsAll => write!(
                f,
                "the disruption budget {budgets} wants all of its pods at all times, so {pods} can never be evicted; lower its minAvailable, raise its maxUnavailable or run more pods"
            ),
            NeverMetReason::Overlap => write!(
                f,
                "the disruption budgets {budgets} overlap, so {pods} can never be evicted; let one budget cover each pod"
            ),
        }
    }
}

/// The budgets that can never be met and so will stop the update, with the pods behind them: to be said before it
/// starts.
pub fn never_met(seen: &Observation, policy: &Policy, now: Timestamp) -> Vec<NeverMet> {
    let ClusterView::Seen(cluster) = &seen.cluster else { return Vec::new() };
    let census = census::take(&State::default(), seen, policy, now);
    let members = census.groups.iter().flat_map(|group| &group.members);
    let leaving = members.filter(|member| member.fate != Fate::Keep && !member.going);
    let nodes: std::collections::HashSet<&str> =
        leaving.filter_map(|member| Some(member.node?.name.as_str())).collect();
    let mut found: std::collections::BTreeMap<(Vec<String>, NeverMetReason), Vec<String>> =
        Default::default();
    let on_leaving = |pod: &&Pod| pod.node.as_deref().is_some_and(|node| nodes.contains(node));
    for pod in cluster.pods.iter().filter(|pod| pod.is_drained() && !pod.deleting).filter(on_leaving) {
        let covering: Vec<_> = cluster.budgets.iter().filter(|budget| budget.covers(pod)).collect();
        let why = match covering.as_slice() {
            [] => continue,
            [budget] if budget.is_never_met() && (pod.ready || !budget.evicts_unready) => {
                NeverMetReason::WantsAll
            }
            [_] => continue,
            _ => NeverMetReason::Overlap,
        };
        let budgets = covering.iter().map(ToString::to_string).collect();
        found.entry((budgets, why)).or_default().push(pod.id.to_string());
    }
    found.into_iter().map(|((budgets, why), pods)| NeverMet { budgets, pods, why }).collect()
}

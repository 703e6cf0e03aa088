use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Pod;

/// A disruption budget: how many of the pods it covers may be evicted now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisruptionBudget {
    /// The namespace of the budget and of the pods.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pods it covers.
    pub selector: LabelSelector,
    /// How many ready pods may be evicted now (`status.disruptionsAllowed`).
    pub disruptions_allowed: u32,
    /// How many are ready (`status.currentHealthy`).
    pub current_healthy: u32,
    /// How many have to be (`status.desiredHealthy`).
    pub desired_healthy: u32,
    /// How many there should be (`status.expectedPods`).
    pub expected_pods: u32,
    /// Whether pods that are not ready may always be evicted (`unhealthyPodEvictionPolicy: AlwaysAllow`).
    pub evicts_unready: bool,
}

impl DisruptionBudget {
    /// Whether it covers the pod.
    pub fn covers(&self, pod: &Pod) -> bool {
        self.namespace == pod.id.namespace && self.selector.matches(&pod.labels)
    }

    /// Whether it allows no disruption even when every pod is ready.
    pub fn is_never_met(&self) -> bool {
        self.expected_pods > 0 && self.desired_healthy >= self.expected_pods
    }
}

impl fmt::Display for DisruptionBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A label selector: every requirement has to hold. An empty one selects everything, as in `policy/v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels with the values they must have.
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what, where the operator needs it.
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a requirement compares a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether labels fulfil it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let exact = self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        exact
            && self.match_expressions.iter().all(|requirement| {
                let value = labels.get(&requirement.key);
                let listed = value.is_some_and(|value| requirement.values.contains(value));
                match requirement.operator {
                    Operator::In => listed,
                    Operator::NotIn => !listed,
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_as_kubernetes_documents() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let with = |key: &str, operator, values: &[&str]| LabelSelector {
            match_expressions: vec![Requirement {
                key: key.to_owned(),
                operator,
                values: values.iter().map(|&v| v.to_owned()).collect(),
            }],
            ..LabelSelector::default()
        };
        assert!(LabelSelector::default().matches(&labels));
        assert!(with("app", Operator::In, &["api", "web"]).matches(&labels));
        assert!(!with("app", Operator::NotIn, &["web"]).matches(&labels));
        assert!(with("tier", Operator::NotIn, &["web"]).matches(&labels));
        assert!(!with("tier", Operator::Exists, &[]).matches(&labels));
        assert!(with("tier", Operator::DoesNotExist, &[]).matches(&labels));
        let exact = LabelSelector { match_labels: labels.clone(), ..LabelSelector::default() };
        assert!(exact.matches(&labels) && !exact.matches(&BTreeMap::new()));
    }
}

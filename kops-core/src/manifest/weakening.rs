use serde_json::Value;

use super::{Authorization, CompletedCluster, HttpTokens, Settings, Warning};

/// A setting that takes a protection away, if it has such a value.
struct Weakening {
    setting: &'static str,
    weakens: fn(&Value) -> bool,
    message: &'static str,
}

const API_SERVER: [Weakening; 5] = [
    Weakening {
        setting: "anonymousAuth",
        weakens: is_true,
        message: "requests without any credentials reach the API's authorization",
    },
    Weakening {
        setting: "authorizationMode",
        weakens: allows_all,
        message: "everybody who has any credentials may do everything",
    },
    Weakening {
        setting: "disableAdmissionPlugins",
        weakens: |value| names(value, "NodeRestriction"),
        message: "without NodeRestriction, a stolen machine can change every node and read every secret",
    },
    Weakening {
        setting: "tokenAuthFile",
        weakens: is_set,
        message: "tokens in a file are kept in the clear and never expire",
    },
    Weakening {
        setting: "enableProfiling",
        weakens: is_true,
        message: "profiling tells of the program's inside, and costs its speed",
    },
];

const KUBELET: [Weakening; 3] = [
    Weakening {
        setting: "anonymousAuth",
        weakens: is_true,
        message: "requests without any credentials reach the kubelet's authorization",
    },
    Weakening {
        setting: "authorizationMode",
        weakens: allows_all,
        message: "everybody who reaches a kubelet may run commands in every pod of its machine",
    },
    Weakening {
        setting: "readOnlyPort",
        weakens: |value| value.as_i64().is_some_and(|port| port != 0),
        message: "everybody who reaches a machine can read what its pods are",
    },
];

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

fn is_set(value: &Value) -> bool {
    !value.is_null()
}

fn names(value: &Value, name: &str) -> bool {
    let is = |value: &Value| value.as_str().is_some_and(|text| text.split(',').any(|part| part == name));
    is(value) || value.as_array().is_some_and(|items| items.iter().any(is))
}

fn allows_all(value: &Value) -> bool {
    names(value, "AlwaysAllow")
}

/// Warns of every setting that takes a protection away, which a cluster has unless its manifests say otherwise.
pub fn weakened(completed: &CompletedCluster) -> Vec<Warning> {
    let spec = &completed.cluster.spec;
    let mut found = Vec::new();
    let mut look = |path: &str, settings: Option<&Settings>, weakenings: &[Weakening]| {
        for weakening in weakenings {
            let value = settings.and_then(|settings| settings.get(weakening.setting));
            if value.is_some_and(weakening.weakens) {
                found.push(warning(format!("{path}.{}", weakening.setting), weakening.message));
            }
        }
    };
    look("spec.kubeAPIServer", spec.kube_api_server.as_ref(), &API_SERVER);
    look("spec.kubelet", spec.kubelet.as_ref(), &KUBELET);
    look("spec.masterKubelet", spec.master_kubelet.as_ref(), &KUBELET);
    for group in &completed.groups {
        let of_group = format!("instanceGroup[{}].spec", group.name());
        look(&format!("{of_group}.kubelet"), group.spec.kubelet.as_ref(), &KUBELET);
    }
    for group in &completed.groups {
        let Some(metadata) = group.spec.instance_metadata else { continue };
        let of_group = format!("instanceGroup[{}].spec.instanceMetadata", group.name());
        if metadata.http_tokens == Some(HttpTokens::Optional) {
            let message =
                "a pod that can be made to send a request can be made to fetch the machine's credentials";
            found.push(warning(format!("{of_group}.httpTokens"), message));
        }
        if metadata.http_put_response_hop_limit.is_some_and(|hops| hops > 1) {
            let message = "pods can fetch the machine's credentials";
            found.push(warning(format!("{of_group}.httpPutResponseHopLimit"), message));
        }
    }
    if matches!(spec.authorization, Some(Authorization::AlwaysAllow(_))) {
        found.push(Warning {
            hint: Some("write `rbac: {}`".to_owned()),
            ..warning(
                "spec.authorization.alwaysAllow".to_owned(),
                "nothing is done about this setting: roles decide (RBAC)",
            )
        });
    }
    found
}

fn warning(path: String, message: &str) -> Warning {
    Warning { place: None, path, message: message.to_owned(), hint: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::{
        Cluster, ClusterSpec, Empty, InstanceGroup, InstanceGroupSpec, InstanceMetadata, Metadata,
    };

    fn warnings(spec: ClusterSpec, group: InstanceGroupSpec) -> String {
        let group = InstanceGroup { metadata: Metadata::named("nodes"), spec: group };
        let completed = CompletedCluster {
            cluster: Cluster { metadata: Metadata::named("demo"), spec },
            groups: vec![group],
        };
        weakened(&completed).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_takes_a_protection_away_is_said() {
        let spec = ClusterSpec {
            kube_api_server: Some(Settings::from([
                ("anonymousAuth", json!(true)),
                ("authorizationMode", json!("Node,AlwaysAllow")),
                ("disableAdmissionPlugins", json!(["NodeRestriction"])),
            ])),
            kubelet: Some(Settings::from([("readOnlyPort", json!(10255)), ("anonymousAuth", json!(false))])),
            authorization: Some(Authorization::AlwaysAllow(Empty {})),
            ..ClusterSpec::default()
        };
        let metadata = InstanceMetadata {
            http_put_response_hop_limit: Some(2),
            http_tokens: Some(HttpTokens::Optional),
        };
        let group = InstanceGroupSpec { instance_metadata: Some(metadata), ..InstanceGroupSpec::default() };
        insta::assert_snapshot!(warnings(spec, group));
    }

    #[test]
    fn what_protects_is_not() {
        let spec = ClusterSpec {
            kube_api_server: Some(Settings::from([
                ("anonymousAuth", json!(false)),
                ("enableProfiling", json!(false)),
            ])),
            kubelet: Some(Settings::from([
                ("readOnlyPort", json!(0)),
                ("authorizationMode", json!("Webhook")),
            ])),
            authorization: Some(Authorization::Rbac(Empty {})),
            ..ClusterSpec::default()
        };
        assert_eq!(warnings(spec, InstanceGroupSpec::default()), "");
    }
}

//! What carrying out ingresses needs beside the rest.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{AGENT, OPERATOR};
use crate::addon::SYSTEM;
use crate::addon::parts::{metadata, rule};
use crate::manifest::CiliumIngress;

/// The service of the shared load balancer, as Cilium calls it.
const SHARED: &str = "cilium-ingress";
const GROUP: &str = "networking.k8s.io";

pub(super) fn configure(ingress: &CiliumIngress, entries: &mut BTreeMap<String, String>) {
    for (name, value) in [
        ("enable-envoy-config", "true"),
        ("enable-ingress-controller", "true"),
        ("enable-ingress-proxy-protocol", "false"),
        ("envoy-config-retry-interval", "15s"),
        ("envoy-secrets-namespace", SYSTEM),
        ("ingress-hostnetwork-enabled", "false"),
        ("ingress-hostnetwork-nodelabelselector", ""),
        ("ingress-hostnetwork-shared-listener-port", "8080"),
        ("ingress-secrets-namespace", SYSTEM),
    ] {
        entries.insert(name.to_owned(), value.to_owned());
    }
    for (name, value) in [
        ("enable-ingress-secrets-sync", ingress.enable_secrets_sync.map(|on| on.to_string())),
        ("enforce-ingress-https", ingress.enforce_https.map(|on| on.to_string())),
        ("ingress-default-lb-mode", ingress.default_load_balancer_mode.clone()),
        ("ingress-lb-annotation-prefixes", ingress.load_balancer_annotation_prefixes.clone()),
        ("ingress-shared-lb-service-name", ingress.shared_load_balancer_service_name.clone()),
    ] {
        entries.extend(value.map(|value| (name.to_owned(), value)));
    }
}

/// What the operator may do beside the rest.
pub(super) fn rules() -> [Value; 2] {
    [
        rule(GROUP, &["ingresses", "ingressclasses"], &["get", "list", "watch"]),
        rule(GROUP, &["ingresses/finalizers", "ingresses/status"], &["update"]),
    ]
}

pub(super) fn objects(ingress: &CiliumIngress) -> Vec<Value> {
    let read = [rule("", &["secrets"], &["get", "list", "watch"])];
    let written = [rule("", &["secrets"], &["create", "delete", "patch", "update"])];
    let roles = [
        AGENT.role("cilium-ingress-secrets", &read),
        AGENT.role("cilium-envoy-config-secrets", &read),
        OPERATOR.role("cilium-operator-ingress-secrets", &written),
    ];
    let mut objects: Vec<_> = roles.into_iter().flatten().collect();
    objects.push(json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "IngressClass",
        "metadata": { "name": "cilium" },
        "spec": { "controller": "cilium.io/ingress-controller" },
    }));
    if ingress.default_load_balancer_mode.as_deref() != Some("dedicated") {
        objects.extend(shared(ingress.shared_load_balancer_service_name.as_deref().unwrap_or(SHARED)));
    }
    objects
}

/// The load balancer that ingresses share. Its only endpoint stands for agents, which take the traffic on its way.
fn shared(name: &str) -> [Value; 2] {
    let port = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "TCP" });
    let mut service = metadata(name, Some(SYSTEM));
    service["labels"] = json!({ "app.kubernetes.io/part-of": "cilium", "cilium.io/ingress": "true" });
    [
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            "spec": {
                "externalTrafficPolicy": "Cluster",
                "ports": [port("http", 80), port("https", 443)],
                "type": "LoadBalancer",
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": metadata(name, Some(SYSTEM)),
            "subsets": [{ "addresses": [{ "ip": "192.192.192.192" }], "ports": [{ "port": 9999 }] }],
        }),
    ]
}

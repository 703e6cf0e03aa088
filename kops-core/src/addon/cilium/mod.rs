//! Cilium, which connects pods and carries out policies in the kernel: what kops installs
//! (`upup/models/cloudup/resources/addons/networking.cilium.io`), with the settings of `spec.networking.cilium`. The
//! operator brings the definitions of its own kinds.

mod agent;
mod config;
mod ingress;
mod operator;
mod roles;

use serde_json::{Value, json};

use super::parts::{Account, metadata};
use super::release::AddonRelease;
use super::{Addon, AddonError, SYSTEM};
use crate::cluster_api::Server;
use crate::manifest::{Cilium, CompletedCluster, Networking, Role};
use crate::node::render::API_PORT;

const NAME: &str = "networking.cilium.io";
const AGENT: Account<'_> = Account { namespace: SYSTEM, name: "cilium" };
const OPERATOR: Account<'_> = Account { namespace: SYSTEM, name: "cilium-operator" };
const CONFIG: &str = "cilium-config";
/// Where the configuration is mounted.
const CONFIG_DIRECTORY: &str = "/tmp/cilium/config-map";
/// It works with every version of Kubernetes from 1.21 on.
const VERSION: &str = "v1.18.12";
const REGISTRY: &str = "quay.io";
/// Where the operator answers for its health.
const OPERATOR_HEALTH: u16 = 9234;
/// Where the operator tells its metrics.
const OPERATOR_METRICS: u16 = 9963;

/// What the objects are made of.
struct Parts<'a> {
    settings: &'a Cilium,
    cluster: &'a str,
    masters: usize,
    policy: &'static str,
}

/// The add-on; none where pods are connected otherwise, or where the user brings it.
pub(super) fn addon(completed: &CompletedCluster) -> Result<Option<Addon>, AddonError> {
    let spec = &completed.cluster.spec;
    let Some(Networking::Cilium(settings)) = &spec.networking else { return Ok(None) };
    if spec.brings("cilium") {
        return Ok(None);
    }
    let release = AddonRelease::of(completed.kubernetes_version()?);
    let groups = completed.groups.iter().filter(|group| group.role() == Role::ControlPlane);
    let masters = groups.map(|group| group.spec.min_size.unwrap_or(1) as usize).sum();
    let parts = Parts { settings, cluster: completed.name(), masters, policy: release.policy };
    let mut objects = vec![AGENT.object(), OPERATOR.object(), config::map(settings)];
    objects.extend(roles::all(settings));
    objects.extend([agent::daemon_set(&parts)]);
    objects.extend(operator::all(&parts));
    objects.extend(settings.used_ingress().into_iter().flat_map(ingress::objects));
    Ok(Some(Addon::new(NAME, objects)))
}

impl Parts<'_> {
    fn image(&self, name: &str) -> String {
        let registry = self.settings.registry.as_deref().unwrap_or(REGISTRY);
        let version = self.settings.version.as_deref().unwrap_or(VERSION);
        format!("{registry}/cilium/{name}:{version}")
    }

    /// Where the API is: nobody has made the way to services before Cilium runs.
    fn api(&self) -> [Value; 2] {
        [
            json!({ "name": "KUBERNETES_SERVICE_HOST", "value": Server::internal_name(self.cluster) }),
            json!({ "name": "KUBERNETES_SERVICE_PORT", "value": API_PORT.to_string() }),
        ]
    }

    fn requests(&self) -> Value {
        let or =
            |setting: &Option<String>, default: &str| setting.clone().unwrap_or_else(|| default.to_owned());
        let (cpu, memory) = (&self.settings.cpu_request, &self.settings.memory_request);
        json!({ "requests": { "cpu": or(cpu, "25m"), "memory": or(memory, "128Mi") } })
    }
}

/// What a pod knows of itself.
fn own(name: &str, field: &str) -> Value {
    json!({ "name": name, "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": field } } })
}

/// An entry of the configuration, if it is there.
fn configured(name: &str, key: &str) -> Value {
    let reference = json!({ "name": CONFIG, "key": key, "optional": true });
    json!({ "name": name, "valueFrom": { "configMapKeyRef": reference } })
}

/// An object of the add-on, with labels beside its name.
fn labelled(name: &str, labels: &Value) -> Value {
    let mut metadata = metadata(name, Some(SYSTEM));
    metadata["labels"] = labels.clone();
    metadata
}

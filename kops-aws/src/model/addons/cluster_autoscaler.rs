//! The cluster autoscaler, which gives groups of workers the size that pods need: what kops installs
//! (`upup/models/cloudup/resources/addons/cluster-autoscaler.addons.k8s.io`), on machines of the control plane, which have
//! the permissions for it.

use std::collections::BTreeMap;

use kops_core::addon::parts::{Account, disruption_budget, metadata, rule};
use kops_core::addon::{Addon, REGISTRY, SYSTEM};
use kops_core::manifest::{ClusterAutoscaler, InstanceGroup, Role};
use serde_json::{Value, json};

use super::release::AddonRelease;
use super::{CONTROL_PLANE, OLD_CONTROL_PLANE};
use crate::model::Context;
use crate::names;

const NAME: &str = "cluster-autoscaler.addons.k8s.io";
const AUTOSCALER: &str = "cluster-autoscaler";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: AUTOSCALER };
const PORT: u16 = 8085;
const PRIORITY: &str = "priority";

/// The settings, if it is to be installed.
pub(in crate::model) fn settings<'a>(context: &Context<'a>) -> Option<&'a ClusterAutoscaler> {
    context.spec.cluster_autoscaler.as_ref().filter(|settings| settings.enabled == Some(true))
}

/// The add-on; none unless `spec.clusterAutoscaler.enabled` is on.
pub(super) fn addon(context: &Context<'_>, release: &AddonRelease) -> Option<Addon> {
    let settings = settings(context)?;
    let mut objects = vec![ACCOUNT.object()];
    objects.extend(roles());
    objects.push(service());
    if settings.expander.as_deref().unwrap_or_default().split(',').any(|expander| expander == PRIORITY) {
        objects.push(priorities(context, settings));
    }
    objects.push(deployment(context, settings, release));
    objects.push(disruption_budget(release.policy, AUTOSCALER, json!({ "maxUnavailable": 1 }), &labels()));
    Some(Addon::new(NAME, objects))
}

fn labels() -> Value {
    json!({ "k8s-app": AUTOSCALER })
}

/// The groups of workers whose size it changes.
fn groups<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a InstanceGroup> {
    context.completed.groups_of(Role::Node).filter(|group| group.spec.autoscale != Some(false))
}

fn roles() -> Vec<Value> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    let only = |mut rule: Value, name: &str| {
        rule["resourceNames"] = json!([name]);
        rule
    };
    let cluster = [
        rule("", &["events", "endpoints"], &["create", "patch"]),
        rule("", &["pods/eviction"], &["create"]),
        rule("", &["pods/status"], &["update"]),
        only(rule("", &["endpoints"], &["get", "update"]), AUTOSCALER),
        rule("", &["nodes"], &["get", "list", "update", "watch"]),
        rule("resource.k8s.io", &["resourceslices", "deviceclasses", "resourceclaims"], &READ),
        rule(
            "",
            &[
                "namespaces",
                "pods",
                "services",
                "replicationcontrollers",
                "persistentvolumeclaims",
                "persistentvolumes",
            ],
            &READ,
        ),
        rule("batch", &["jobs", "cronjobs"], &READ),
        rule("batch", &["jobs"], &["patch"]),
        rule("policy", &["poddisruptionbudgets"], &["list", "watch"]),
        rule("apps", &["daemonsets", "replicasets", "statefulsets"], &READ),
        rule(
            "storage.k8s.io",
            &["storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"],
            &READ,
        ),
        rule("", &["configmaps"], &READ),
        rule("coordination.k8s.io", &["leases"], &["create"]),
        only(rule("coordination.k8s.io", &["leases"], &["get", "update"]), AUTOSCALER),
    ];
    let own = [
        rule("", &["configmaps"], &["create"]),
        only(rule("", &["configmaps"], &["delete", "get", "update"]), "cluster-autoscaler-status"),
    ];
    let mut objects = Vec::from(ACCOUNT.cluster_role(AUTOSCALER, &cluster));
    objects.extend(ACCOUNT.role(AUTOSCALER, &own));
    objects
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(AUTOSCALER, Some(SYSTEM)),
        "spec": {
            "ports": [{ "name": "http", "port": PORT, "protocol": "TCP", "targetPort": PORT }],
            "selector": labels(),
        },
    })
}

/// Which groups the expander `priority` likes better: those that the manifest lists, or each by its own priority.
fn priorities(context: &Context<'_>, settings: &ClusterAutoscaler) -> Value {
    let mut all: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for (priority, patterns) in &settings.custom_priority_expander_config {
        // Validation says which are no numbers.
        all.entry(priority.parse().unwrap_or_default()).or_default().extend(patterns.iter().cloned());
    }
    if all.is_empty() {
        for group in groups(context) {
            // It is read as a regular expression, which would also match longer names.
            let name =
                names::autoscaling_group(Role::Node, group.name(), context.cluster).replace('.', "\\.");
            let priority = group.spec.autoscale_priority.unwrap_or_default();
            all.entry(priority).or_default().push(format!("^{name}$"));
        }
    }
    let text: String = all
        .into_iter()
        .map(|(priority, patterns)| {
            let lines: String = patterns.iter().map(|pattern| format!("- {}\n", json!(pattern))).collect();
            format!("{priority}:\n{lines}")
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata("cluster-autoscaler-priority-expander", Some(SYSTEM)),
        "data": { "priorities": text },
    })
}

fn command(context: &Context<'_>, settings: &ClusterAutoscaler) -> Vec<String> {
    let flag =
        |name: &str, setting: Option<bool>, default: bool| format!("--{name}={}", setting.unwrap_or(default));
    let text = |name: &str, setting: &Option<String>, default: &str| {
        format!("--{name}={}", setting.as_deref().unwrap_or(default))
    };
    let nodes = groups(context).map(|group| {
        let (min, max) = (group.spec.min_size.unwrap_or_default(), group.spec.max_size.unwrap_or_default());
        format!("--nodes={min}:{max}:{}", names::autoscaling_group(Role::Node, group.name(), context.cluster))
    });
    let mut all = vec![
        "./cluster-autoscaler".to_owned(),
        flag("balance-similar-node-groups", settings.balance_similar_node_groups, false),
        flag("emit-per-nodegroup-metrics", settings.emit_per_nodegroup_metrics, false),
        "--cloud-provider=aws".to_owned(),
        flag("aws-use-static-instance-list", settings.aws_use_static_instance_list, false),
        text("expander", &settings.expander, "random"),
    ];
    all.extend(nodes);
    all.extend([
        flag("ignore-daemonsets-utilization", settings.ignore_daemon_sets_utilization, false),
        text("scale-down-utilization-threshold", &settings.scale_down_utilization_threshold, "0.5"),
        flag("skip-nodes-with-custom-controller-pods", settings.skip_nodes_with_custom_controller_pods, true),
        flag("skip-nodes-with-local-storage", settings.skip_nodes_with_local_storage, true),
        flag("skip-nodes-with-system-pods", settings.skip_nodes_with_system_pods, true),
        text("scale-down-delay-after-add", &settings.scale_down_delay_after_add, "10m0s"),
        text("scale-down-unneeded-time", &settings.scale_down_unneeded_time, "10m0s"),
        text("scale-down-unready-time", &settings.scale_down_unready_time, "20m0s"),
        text("new-pod-scale-up-delay", &settings.new_pod_scale_up_delay, "0s"),
        text("max-node-provision-time", &settings.max_node_provision_time, "15m0s"),
        flag("cordon-node-before-terminating", settings.cordon_node_before_terminating, true),
        "--logtostderr=true".to_owned(),
        "--stderrthreshold=info".to_owned(),
        "--v=4".to_owned(),
    ]);
    all
}

fn deployment(context: &Context<'_>, settings: &ClusterAutoscaler, release: &AddonRelease) -> Value {
    let image = format!("{REGISTRY}/autoscaling/cluster-autoscaler:{}", release.cluster_autoscaler);
    let or = |setting: &Option<String>, default: &str| setting.clone().unwrap_or_else(|| default.to_owned());
    let mut annotations = json!({ "prometheus.io/port": PORT.to_string(), "prometheus.io/scrape": "true" });
    for (key, value) in &settings.pod_annotations {
        annotations[key] = json!(value);
    }
    let spread = |key: &str, otherwise: &str| {
        json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": otherwise,
            "labelSelector": { "matchLabels": labels() },
        })
    };
    let container = json!({
        "name": AUTOSCALER,
        "image": or(&settings.image, &image),
        "command": command(context, settings),
        "env": [{ "name": "AWS_REGION", "value": context.facts.region }],
        "livenessProbe": { "failureThreshold": 3, "httpGet": { "path": "/health-check", "port": "http" } },
        "ports": [{ "name": "http", "containerPort": PORT, "protocol": "TCP" }],
        "resources": {
            "requests": { "cpu": or(&settings.cpu_request, "100m"), "memory": or(&settings.memory_request, "300Mi") },
        },
    });
    let pod = json!({
        // The metadata service, which knows the credentials of the control plane's role, answers the machine alone.
        "hostNetwork": true,
        "dnsPolicy": "ClusterFirst",
        "nodeSelector": { CONTROL_PLANE: "" },
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": AUTOSCALER,
        "tolerations": [
            { "key": CONTROL_PLANE, "operator": "Exists" },
            { "key": OLD_CONTROL_PLANE, "operator": "Exists" },
        ],
        "topologySpreadConstraints": [
            spread("topology.kubernetes.io/zone", "ScheduleAnyway"),
            spread("kubernetes.io/hostname", "DoNotSchedule"),
        ],
        "containers": [container],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(AUTOSCALER, Some(SYSTEM)),
        "spec": {
            "replicas": super::controllers(context),
            "selector": { "matchLabels": labels() },
            // A second one would find the port taken on the only machine of the control plane.
            "strategy": { "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } },
            "template": { "metadata": { "labels": labels(), "annotations": annotations }, "spec": pod },
        },
    })
}

//! The EBS CSI driver, which makes, attaches and mounts the volumes of pods: what kops installs, without snapshots.
//! `spec.cloudConfig.awsEBSCSIDriver` changes it.

use kops_core::addon::parts::{Account, disruption_budget, metadata, rule};
use kops_core::addon::{Addon, REGISTRY, SYSTEM};
use serde_json::{Value, json};

use super::CONTROL_PLANE;
use super::release::{AddonRelease, EbsCsiDriver};
use crate::model::Context;
use crate::tags;

const NAME: &str = "aws-ebs-csi-driver.addons.k8s.io";
/// What the driver calls itself.
pub(super) const DRIVER: &str = "ebs.csi.aws.com";
const CONTROLLER: &str = "ebs-csi-controller";
const NODE: &str = "ebs-csi-node";
const CONTROLLER_ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: "ebs-csi-controller-sa" };
const NODE_ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: "ebs-csi-node-sa" };
/// Where the driver's health is asked, on the machine: on one of the control plane both parts run.
const CONTROLLER_HEALTH: u16 = 9808;
const NODE_HEALTH: u16 = 9809;
const KUBELET: &str = "/var/lib/kubelet";
/// Where the sidecars find the driver.
const SOCKET: &str = "/csi/csi.sock";

/// A setting of `spec.cloudConfig.awsEBSCSIDriver`.
fn setting<'a>(context: &Context<'a>, name: &str) -> Option<&'a Value> {
    context.spec.cloud_config.as_ref()?.get("awsEBSCSIDriver")?.get(name)
}

fn is_off(context: &Context<'_>, name: &str) -> bool {
    setting(context, name) == Some(&Value::Bool(false))
}

/// Whether the cluster has the driver, be it kops's or one of its users'.
pub(super) fn is_enabled(context: &Context<'_>, release: &AddonRelease) -> bool {
    release.ebs_csi_driver.is_some() && !is_off(context, "enabled")
}

/// The add-on; none where it is not `enabled` or not `managed`, or where there is none for the version.
pub(super) fn addon(context: &Context<'_>, release: &AddonRelease) -> Option<Addon> {
    let images =
        release.ebs_csi_driver.filter(|_| is_enabled(context, release) && !is_off(context, "managed"))?;
    let mut objects = vec![CONTROLLER_ACCOUNT.object(), NODE_ACCOUNT.object()];
    objects.extend(roles());
    let limit = json!({ "maxUnavailable": 1 });
    let budget = disruption_budget(release.policy, CONTROLLER, limit, &labels(CONTROLLER));
    objects.extend([driver(), controller(context, images), budget, node(context, images)]);
    Some(Addon::new(NAME, objects))
}

fn roles() -> Vec<Value> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    let storage = |resource: &str| rule("storage.k8s.io", &[resource], &READ);
    let events = || rule("", &["events"], &["create", "list", "patch", "update", "watch"]);
    let attacher = [
        rule("", &["persistentvolumes"], &["get", "list", "patch", "watch"]),
        storage("csinodes"),
        rule("storage.k8s.io", &["volumeattachments"], &["get", "list", "patch", "watch"]),
        rule("storage.k8s.io", &["volumeattachments/status"], &["patch"]),
    ];
    let provisioner = [
        rule("", &["persistentvolumes"], &["create", "delete", "get", "list", "patch", "watch"]),
        rule("", &["persistentvolumeclaims"], &["get", "list", "update", "watch"]),
        rule("", &["nodes"], &READ),
        storage("storageclasses"),
        storage("csinodes"),
        storage("volumeattachments"),
        events(),
    ];
    let resizer = [
        rule("", &["persistentvolumes"], &["get", "list", "patch", "watch"]),
        rule("", &["persistentvolumeclaims", "pods"], &READ),
        rule("", &["persistentvolumeclaims/status"], &["patch"]),
        events(),
    ];
    let leases =
        [rule("coordination.k8s.io", &["leases"], &["create", "delete", "get", "list", "update", "watch"])];
    // Nodes have no taint of the driver's, so that it need not take one away.
    let node = [storage("volumeattachments"), storage("csinodes"), rule("", &["nodes"], &READ)];
    let mut objects = Vec::new();
    objects.extend(CONTROLLER_ACCOUNT.cluster_role("ebs-external-attacher-role", &attacher));
    objects.extend(CONTROLLER_ACCOUNT.cluster_role("ebs-external-provisioner-role", &provisioner));
    objects.extend(CONTROLLER_ACCOUNT.cluster_role("ebs-external-resizer-role", &resizer));
    objects.extend(CONTROLLER_ACCOUNT.role("ebs-csi-leases-role", &leases));
    objects.extend(NODE_ACCOUNT.cluster_role("ebs-csi-node-role", &node));
    objects
}

fn driver() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": metadata(DRIVER, None),
        "spec": { "attachRequired": true, "podInfoOnMount": false },
    })
}

fn labels(app: &str) -> Value {
    json!({ "app": app, "app.kubernetes.io/name": "aws-ebs-csi-driver" })
}

/// The tags of volumes: by that of the cluster the driver may change them, and they go with the cluster.
fn tags_of_volumes(context: &Context<'_>) -> String {
    let mut all = context.spec.cloud_labels.clone();
    all.insert(tags::CLUSTER.to_owned(), context.cluster.to_owned());
    let pairs: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

fn plugin(context: &Context<'_>, images: &EbsCsiDriver, args: &[String], health: u16) -> Value {
    let version = setting(context, "version").and_then(Value::as_str).unwrap_or(images.driver);
    let probe = |timeout: u32| {
        json!({
            "httpGet": { "path": "/healthz", "port": health },
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": timeout,
            "failureThreshold": 5,
        })
    };
    let mut all = args.to_vec();
    all.extend([format!("--endpoint=unix:{SOCKET}"), "--v=2".to_owned()]);
    json!({
        "name": "ebs-plugin",
        "image": format!("{REGISTRY}/provider-aws/aws-ebs-csi-driver:{version}"),
        "args": all,
        "env": [
            { "name": "AWS_REGION", "value": context.facts.region },
            { "name": "CSI_NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
        ],
        "ports": [{ "name": "healthz", "containerPort": health, "protocol": "TCP" }],
        "livenessProbe": probe(60),
        "readinessProbe": probe(60),
        "resources": resources(),
        "securityContext": unprivileged(),
        "volumeMounts": [{ "name": "socket", "mountPath": "/csi" }],
    })
}

fn sidecar(name: &str, version: &str, args: &[&str]) -> Value {
    let address = format!("--csi-address={SOCKET}");
    let args: Vec<&str> = std::iter::once(address.as_str()).chain(args.iter().copied()).collect();
    json!({
        "name": name,
        "image": format!("{REGISTRY}/sig-storage/{name}:{version}"),
        "args": args,
        "resources": resources(),
        "securityContext": unprivileged(),
        "volumeMounts": [{ "name": "socket", "mountPath": "/csi" }],
    })
}

fn resources() -> Value {
    json!({ "limits": { "memory": "256Mi" }, "requests": { "cpu": "10m", "memory": "40Mi" } })
}

fn unprivileged() -> Value {
    json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true })
}

fn controller(context: &Context<'_>, images: &EbsCsiDriver) -> Value {
    const CALLS: [&str; 4] = ["--leader-election=true", "--kube-api-qps=20", "--kube-api-burst=100", "--v=2"];
    let args = [
        "controller".to_owned(),
        format!("--k8s-tag-cluster-id={}", context.cluster),
        format!("--extra-tags={}", tags_of_volumes(context)),
        "--batching=true".to_owned(),
    ];
    let with = |more: &[&'static str]| [&CALLS[..], more].concat();
    let provisioner = with(&[
        "--timeout=60s",
        "--feature-gates=Topology=true",
        "--feature-gates=VolumeAttributesClass=false",
        "--extra-create-metadata",
        "--default-fstype=ext4",
        "--worker-threads=100",
        "--retry-interval-max=30m",
    ]);
    let attacher = with(&["--timeout=6m", "--worker-threads=100", "--retry-interval-max=5m"]);
    let resizer = with(&[
        "--timeout=60s",
        "--feature-gates=VolumeAttributesClass=false",
        "--handle-volume-inuse-error=false",
        "--workers=100",
        "--retry-interval-max=30m",
    ]);
    let health = format!("--health-port={CONTROLLER_HEALTH}");
    let apart = json!({
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": { "matchLabels": labels(CONTROLLER) },
            "topologyKey": "kubernetes.io/hostname",
        },
    });
    let pod = json!({
        // The metadata service, which knows the credentials of the control plane's role, answers the machine alone.
        "hostNetwork": true,
        "nodeSelector": { CONTROL_PLANE: "" },
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": CONTROLLER_ACCOUNT.name,
        "tolerations": [{ "operator": "Exists" }],
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [apart] } },
        "securityContext": { "fsGroup": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "runAsUser": 1000 },
        "containers": [
            plugin(context, images, &args, CONTROLLER_HEALTH),
            sidecar("csi-provisioner", images.provisioner, &provisioner),
            sidecar("csi-attacher", images.attacher, &attacher),
            sidecar("csi-resizer", images.resizer, &resizer),
            sidecar("livenessprobe", images.liveness_probe, &["--probe-timeout=60s", &health]),
        ],
        "volumes": [{ "name": "socket", "emptyDir": {} }],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(CONTROLLER, Some(SYSTEM)),
        "spec": {
            "replicas": super::controllers(context),
            "selector": { "matchLabels": labels(CONTROLLER) },
            "strategy": { "rollingUpdate": { "maxUnavailable": 1 } },
            "template": { "metadata": template(context, CONTROLLER), "spec": pod },
        },
    })
}

fn template(context: &Context<'_>, app: &str) -> Value {
    let mut metadata = json!({ "labels": labels(app) });
    if let Some(annotations) = setting(context, "podAnnotations") {
        metadata["annotations"] = annotations.clone();
    }
    metadata
}

fn node(context: &Context<'_>, images: &EbsCsiDriver) -> Value {
    let mounts = format!("{KUBELET}/plugins/kubernetes.io/csi/{DRIVER}/");
    let mut args = vec!["node".to_owned(), format!("--csi-mount-point-prefix={mounts}")];
    args.extend(setting(context, "volumeAttachLimit").map(|limit| format!("--volume-attach-limit={limit}")));
    let mut plugin = plugin(context, images, &args, NODE_HEALTH);
    // It mounts what is in `/dev` where pods see it.
    plugin["securityContext"] = json!({ "privileged": true, "readOnlyRootFilesystem": true });
    plugin["volumeMounts"] = json!([
        { "name": "socket", "mountPath": "/csi" },
        { "name": "kubelet", "mountPath": KUBELET, "mountPropagation": "Bidirectional" },
        { "name": "devices", "mountPath": "/dev" },
    ]);
    let stop = json!({ "exec": { "command": ["/bin/aws-ebs-csi-driver", "pre-stop-hook"] } });
    plugin["lifecycle"] = json!({ "preStop": stop });
    let place = format!("--kubelet-registration-path={KUBELET}/plugins/{DRIVER}/csi.sock");
    let mut registrar = sidecar("csi-node-driver-registrar", images.registrar, &[&place, "--v=2"]);
    registrar["volumeMounts"] = json!([
        { "name": "socket", "mountPath": "/csi" },
        { "name": "registration", "mountPath": "/registration" },
    ]);
    let health = format!("--health-port={NODE_HEALTH}");
    let host = |name: &str, path: &str, kind: &str| json!({ "name": name, "hostPath": { "path": path, "type": kind } });
    let pod = json!({
        // As above; and volumes need no network of pods.
        "hostNetwork": true,
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NODE_ACCOUNT.name,
        "tolerations": [{ "operator": "Exists" }],
        "securityContext": { "fsGroup": 0, "runAsGroup": 0, "runAsNonRoot": false, "runAsUser": 0 },
        "containers": [plugin, registrar, sidecar("livenessprobe", images.liveness_probe, &[&health])],
        "volumes": [
            host("socket", &format!("{KUBELET}/plugins/{DRIVER}/"), "DirectoryOrCreate"),
            host("registration", &format!("{KUBELET}/plugins_registry/"), "Directory"),
            host("kubelet", KUBELET, "Directory"),
            host("devices", "/dev", "Directory"),
        ],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(NODE, Some(SYSTEM)),
        "spec": {
            "selector": { "matchLabels": labels(NODE) },
            "updateStrategy": { "rollingUpdate": { "maxUnavailable": "10%" } },
            "template": { "metadata": template(context, NODE), "spec": pod },
        },
    })
}

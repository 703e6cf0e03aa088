//! The AWS cloud controller, of which only the part for services runs: it gives services of the type `LoadBalancer` their
//! load balancers. Nodes, their labels and the routes to their pods are kops-node's, so that no node waits for an image.
//!
//! It finds the machines of nodes by their provider ids, which kubelets set here without it
//! (`pkg/providers/v1/aws_loadbalancer.go`, `findInstancesForELB`).

use kops_core::addon::parts::{Account, metadata, rule};
use kops_core::addon::{Addon, REGISTRY, SYSTEM};
use kops_core::flags::{Flags, Program};
use serde_json::{Value, json};

use super::release::AddonRelease;
use super::{CONTROL_PLANE, is_off};
use crate::model::{Context, ModelError};

const NAME: &str = "aws-cloud-controller.addons.k8s.io";
const CONTROLLER: &str = "aws-cloud-controller-manager";
const ACCOUNT: Account<'_> = Account { namespace: SYSTEM, name: CONTROLLER };

/// The add-on; none where `spec.cloudControllerManager.enabled` is off.
pub(super) fn addon(context: &Context<'_>, release: &AddonRelease) -> Result<Option<Addon>, ModelError> {
    if is_off(context.spec.cloud_controller_manager.as_ref(), "enabled") {
        return Ok(None);
    }
    let rules = [
        rule("", &["events"], &["create", "patch", "update"]),
        rule("", &["nodes"], &["get", "list", "watch"]),
        rule("", &["services"], &["get", "list", "patch", "update", "watch"]),
        rule("", &["services/status"], &["patch", "update"]),
    ];
    let leases = [rule("coordination.k8s.io", &["leases"], &["create", "get", "update"])];
    let mut objects = vec![ACCOUNT.object()];
    objects.extend(ACCOUNT.cluster_role("system:cloud-controller-manager", &rules));
    objects.extend(ACCOUNT.role("system:cloud-controller-manager", &leases));
    objects.push(ACCOUNT.given_role(
        "cloud-controller-manager:apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
    ));
    objects.push(daemon_set(context, release)?);
    Ok(Some(Addon::new(NAME, objects)))
}

fn flags(context: &Context<'_>, release: &AddonRelease) -> Result<Flags, ModelError> {
    let mut flags = Flags::new(
        CONTROLLER,
        [
            ("cloud-provider", "aws".to_owned()),
            ("cluster-name", context.cluster.to_owned()),
            ("configure-cloud-routes", "false".to_owned()),
            ("controllers", release.service_controller.to_owned()),
            ("leader-elect", "true".to_owned()),
            ("use-service-account-credentials", "false".to_owned()),
            ("v", "2".to_owned()),
        ],
    );
    let version = context.completed.kubernetes_version().map_err(kops_core::addon::AddonError::from)?;
    flags
        .overlay(Program::CloudControllerManager, context.spec.cloud_controller_manager.as_ref(), version)
        .map_err(kops_core::addon::AddonError::from)?;
    Ok(flags)
}

fn daemon_set(context: &Context<'_>, release: &AddonRelease) -> Result<Value, ModelError> {
    let settings = context.spec.cloud_controller_manager.as_ref();
    let setting = |name: &str, default: String| {
        settings.and_then(|settings| settings.get(name)).cloned().unwrap_or_else(|| default.into())
    };
    let image = format!("{REGISTRY}/provider-aws/cloud-controller-manager:{}", release.cloud_controller);
    let labels = json!({ "k8s-app": CONTROLLER });
    let container = json!({
        "name": CONTROLLER,
        "image": setting("image", image),
        "args": flags(context, release)?.arguments().collect::<Vec<_>>(),
        // The API of the machine itself: no way to services is needed.
        "env": [{ "name": "KUBERNETES_SERVICE_HOST", "value": "127.0.0.1" }],
        "resources": { "requests": { "cpu": setting("cpuRequest", "200m".to_owned()) } },
    });
    let pod = json!({
        // The metadata service answers the machine alone.
        "hostNetwork": true,
        "nodeSelector": { CONTROL_PLANE: "" },
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": CONTROLLER,
        "tolerations": [{ "operator": "Exists" }],
        "containers": [container],
    });
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(CONTROLLER, Some(SYSTEM)),
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    }))
}

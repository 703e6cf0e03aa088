//! What pods get that ask for a volume without saying of which kind: encrypted, and in the zone of the first pod.

use kops_core::addon::Addon;
use serde_json::json;

use super::release::AddonRelease;
use super::{ebs_csi_driver, is_off};
use crate::model::Context;

const NAME: &str = "storage-aws.addons.k8s.io";
/// As kops calls it.
const CLASS: &str = "kops-csi-1-21";

/// The add-on; none without the driver, or where `spec.cloudConfig.manageStorageClasses` is off.
pub(super) fn addon(context: &Context<'_>, release: &AddonRelease) -> Option<Addon> {
    let is_left_out = is_off(context.spec.cloud_config.as_ref(), "manageStorageClasses");
    if is_left_out || !ebs_csi_driver::is_enabled(context, release) {
        return None;
    }
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": ebs_csi_driver::DRIVER,
        "parameters": { "encrypted": "true", "type": "gp3" },
        "allowVolumeExpansion": true,
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    Some(Addon::new(NAME, vec![class]))
}

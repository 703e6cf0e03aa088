//! Add-ons: Kubernetes objects that the control plane applies to its cluster, in groups that go by a name.
//!
//! Those that every cluster has are made here ([`essential`]); a cloud adds its own, and users theirs (`spec.addons`).
//! Each is kept in the state store under the hash of its content, and one small file, the [`Channel`], says which
//! content of which add-on holds. The control plane reads that file again and again: another add-on needs no other
//! machine.

mod changes;
mod channel;
mod cilium;
mod coredns;
mod flannel;
mod metrics_server;
mod node_local_dns;
mod node_problem_detector;
mod object;
pub mod parts;
mod rbac;
mod read;
mod release;
#[cfg(test)]
pub(crate) mod tests;

use serde_json::{Value, json};

pub use changes::changes;
pub use channel::{Channel, Entry, state_objects};
pub use object::ObjectId;
pub use read::read;

use crate::flags::SettingError;
use crate::manifest::CompletedCluster;
use crate::manifest::versions::VersionError;
use crate::state::InvalidKey;
use crate::yaml::WriteError;

/// The label that holds the name of an object's add-on, as kops writes it.
pub const NAME_LABEL: &str = "addon.kops.k8s.io/name";
/// The label that says who takes care of an object.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kops");
/// The namespace of what is made here.
pub const SYSTEM: &str = "kube-system";
/// Where images come from.
pub const REGISTRY: &str = "registry.k8s.io";

/// Kubernetes objects that are applied together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addon {
    /// What it is called; no other add-on of the cluster is.
    pub name: String,
    /// The objects, in the order in which they are applied.
    pub objects: Vec<Value>,
}

/// Why add-ons cannot be made of manifests.
#[derive(Debug, thiserror::Error)]
pub enum AddonError {
    /// The manifests lack something.
    #[error("the add-on {addon} needs {field}")]
    Missing {
        /// The add-on.
        addon: &'static str,
        /// The field of the manifest.
        field: &'static str,
    },
    /// The version of Kubernetes is none.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A setting that cannot be carried out.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A name gives no key in the state store.
    #[error("the add-on's name gives no key in the state store")]
    Key(#[from] InvalidKey),
    /// An object has no form in YAML.
    #[error("an add-on cannot be written")]
    Write(#[from] WriteError),
}

impl Addon {
    /// The objects under a name, which they carry as a label.
    pub fn new(name: impl Into<String>, mut objects: Vec<Value>) -> Self {
        let name = name.into();
        objects.iter_mut().for_each(|object| label(object, &name));
        Self { name, objects }
    }
}

fn label(object: &mut Value, addon: &str) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let labels = metadata.entry("labels").or_insert(Value::Null);
    if labels.is_null() {
        *labels = json!({});
    }
    let Some(labels) = labels.as_object_mut() else { return };
    labels.insert(NAME_LABEL.to_owned(), json!(addon));
    let (key, value) = MANAGED_BY;
    labels.entry(key).or_insert_with(|| json!(value));
}

/// What a cluster has on any cloud: first what it needs so that machines can join it, that pods find services, and that they
/// reach each other; then what its manifest asks for.
///
/// # Errors
/// The manifests lack what the add-ons are made from, which validation says too.
pub fn essential(completed: &CompletedCluster) -> Result<Vec<Addon>, AddonError> {
    let all = [
        Some(rbac::addon()),
        coredns::addon(completed)?,
        node_local_dns::addon(completed)?,
        flannel::addon(completed)?,
        cilium::addon(completed)?,
        metrics_server::addon(completed)?,
        node_problem_detector::addon(completed),
    ];
    Ok(all.into_iter().flatten().collect())
}

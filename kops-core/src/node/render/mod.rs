//! What a machine must have on it to be a node: pure, so that it can be read before any machine boots.

mod certificates;
mod containerd;
mod control_plane;
mod etcd;
mod hooks;
mod kernel;
mod kubelet;
mod masquerade;
mod names;
#[cfg(test)]
mod tests;
mod token;
mod unit;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::release::NodeRelease;
use super::{Machine, NodeConfig};
use crate::flags::SettingError;
use crate::manifest::BackupPolicy;
use crate::manifest::Role;
use crate::manifest::versions::{KubernetesVersion, VersionError};
use crate::pki::Leaf;
use crate::yaml::WriteError;

pub use certificates::{admin_certificate, admin_key};
pub use names::{Member, api_in_hosts, hosts_block, update_hosts};
pub use token::{TOKEN_GROUP, bootstrap_token};

/// Where programs from the state store are put.
pub const PROGRAMS: &str = "/opt/kops/bin";
/// Where a worker's kubelet finds its certificate and its key, the first ones and those that it gets later.
pub const KUBELET_CREDENTIAL: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// The administrator's kubeconfig on machines of the control plane.
pub const ADMIN_KUBECONFIG: &str = "/etc/kubernetes/admin.kubeconfig";
/// The settings of the kernel that users ask for.
pub const SYSCTL_PARAMETERS: &str = "/etc/sysctl.d/99-manifest.conf";

/// The file on a member's disk that says which member it is: `MEMBER=a`.
pub const MEMBER_FILE: &str = "member.env";
/// The file on a member's disk that says with whom etcd starts if the disk holds no data yet; etcd does not start without.
pub const START_FILE: &str = "start.env";
/// The file on a member's disk that says that the member has begun to join the others, and does not vote yet.
pub const JOINING_FILE: &str = "joining";
/// Where the certificates of the authority lie that the API proves itself by.
pub const AUTHORITY: &str = "/etc/kubernetes/pki/kubernetes-ca.crt";
/// The port of the API.
pub const API_PORT: u16 = 443;

/// All that a machine must have on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePlan {
    /// Kernel modules. One that is not there may be built in: only what needs it can tell.
    pub modules: Vec<String>,
    /// The names of programs that are fetched to [`PROGRAMS`].
    pub programs: Vec<String>,
    /// The disks of etcd members.
    pub volumes: Vec<Volume>,
    /// The etcd clusters of which it runs a member.
    pub etcd: Vec<Etcd>,
    /// Certificate authorities, and key pairs as they are.
    pub keysets: Vec<Keyset>,
    /// Certificates that are issued on the machine.
    pub certificates: Vec<Certificate>,
    /// Files.
    pub files: Vec<File>,
    /// What systemd starts.
    pub units: Vec<Unit>,
}

/// The disk of an etcd member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The etcd cluster.
    pub cluster: String,
    /// The members that the machine may take, one of them.
    pub members: Vec<String>,
    /// The device name that is asked of the cloud.
    pub device: String,
    /// Where it is mounted.
    pub mount: String,
}

/// An etcd cluster of which the machine runs a member: how to reach it, and what its backups and restores go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    /// Its name.
    pub cluster: String,
    /// The version of etcd.
    pub version: String,
    /// Where the machine's own member answers clients.
    pub endpoint: String,
    /// The file of the authority of servers and clients.
    pub authority: String,
    /// The file of a client's certificate.
    pub certificate: String,
    /// The file of its key.
    pub key: String,
    /// The unit that runs the member.
    pub unit: String,
    /// Where the member's disk is mounted.
    pub mount: String,
    /// Where other members reach each member that the configuration names.
    pub peers: BTreeMap<String, String>,
    /// The port at which members answer clients.
    pub client_port: u16,
    /// The port at which members answer each other.
    pub peer_port: u16,
    /// When backups are taken, and which are kept.
    pub backups: BackupPolicy,
}

impl Etcd {
    /// What the directory of the member's data is called on its disk.
    pub const DATA: &str = "data";

    /// The directory of the member's data.
    pub fn data(&self) -> String {
        Self::data_of(&self.mount)
    }

    /// The directory of a member's data on the disk that is mounted there.
    pub fn data_of(mount: &str) -> String {
        format!("{mount}/{}", Self::DATA)
    }

    /// What [`START_FILE`] says for an etcd cluster of these members (by name, with the places where others reach them):
    /// a new one, or one that runs already.
    pub fn start<'a>(&self, members: impl IntoIterator<Item = (&'a str, &'a str)>, is_new: bool) -> String {
        let members = members.into_iter().map(|(member, url)| format!("{}={url}", self.member_name(member)));
        let state = if is_new { "new" } else { "existing" };
        format!("INITIAL_CLUSTER={}\nINITIAL_CLUSTER_STATE={state}\n", members.collect::<Vec<_>>().join(","))
    }

    /// What etcd calls a member.
    pub fn member_name(&self, member: &str) -> String {
        format!("etcd-{}-{member}", self.cluster)
    }
}

/// A keyset of the cluster, as files on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Keyset {
    /// Its name in the state store.
    pub name: String,
    /// Where the certificates of all trusted items go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<String>,
    /// Where the public keys of all trusted items go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_keys: Option<String>,
    /// Where the primary item's certificate goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Where the primary item's private key goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A certificate to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The files, without `.crt` and `.key`.
    pub path: String,
    /// The keyset of the authority.
    pub authority: String,
    /// What it says.
    pub leaf: Leaf,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its path.
    pub path: String,
    /// Its permissions, such as `0o644`.
    pub mode: u32,
    /// What it says; mostly text.
    #[serde(serialize_with = "as_text")]
    pub contents: Vec<u8>,
}

fn as_text<S: Serializer>(contents: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(contents))
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unit {
    /// Its name with its kind (`.service`).
    pub name: String,
    /// Its file, or `None` for a unit that the image brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    /// Who starts it, and when.
    pub start: Start,
    /// Files whose change restarts it; beside its own.
    pub inputs: Vec<String>,
}

/// Who starts a unit, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Start {
    /// Systemd at boot, and kops-node whenever it does not run.
    AtBoot,
    /// kops-node alone, whenever it does not run: what it needs is not there before.
    WhenReady,
    /// kops-node, once for each text of it. What starts it at boot is a file of the plan.
    Once,
    /// Nobody: it is stopped, and switched off.
    Never,
}

/// Why a configuration cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The version of Kubernetes is none.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A setting has no form in YAML.
    #[error("a file of the machine cannot be written")]
    Write(#[from] WriteError),
    /// The configuration lacks something.
    #[error("the configuration of group {group} has no {field}")]
    Missing {
        /// The instance group.
        group: String,
        /// What is missing.
        field: &'static str,
    },
    /// A setting that cannot be carried out.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// What the parts of the rendering share.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    config: &'a NodeConfig,
    machine: &'a Machine,
    version: KubernetesVersion,
    release: &'static NodeRelease,
}

/// What `machine`, one of the group that `config` is for, must have on it. The same for the same arguments.
///
/// # Errors
/// The configuration asks for what cannot be carried out.
pub fn render(config: &NodeConfig, machine: &Machine) -> Result<NodePlan, RenderError> {
    let version: KubernetesVersion = config.kubernetes_version.parse()?;
    let context = Context { config, machine, version, release: NodeRelease::of(version) };
    let mut plan = NodePlan {
        modules: Vec::new(),
        programs: Vec::new(),
        volumes: Vec::new(),
        etcd: Vec::new(),
        keysets: Vec::new(),
        certificates: Vec::new(),
        files: Vec::new(),
        units: Vec::new(),
    };
    if config.role == Role::Bastion {
        return Ok(plan);
    }
    kernel::render(&context, &mut plan);
    file_assets(&context, &mut plan)?;
    hooks::render(&context, &mut plan);
    let (first, later) = hooks::units(&context);
    plan.units.extend(first);
    containerd::render(&context, &mut plan)?;
    plan.units.extend(later);
    masquerade::render(&context, &mut plan);
    if config.role == Role::ControlPlane {
        etcd::render(&context, &mut plan)?;
        control_plane::render(&context, &mut plan)?;
    }
    kubelet::render(&context, &mut plan)?;
    Ok(plan)
}

/// Files that users put on the machine.
fn file_assets(context: &Context<'_>, plan: &mut NodePlan) -> Result<(), RenderError> {
    for asset in &context.config.file_assets {
        let wrong = |reason| SettingError { component: "fileAssets", setting: asset.name.clone(), reason };
        plan.files.push(File {
            path: asset.path(),
            mode: asset.mode().ok_or_else(|| wrong("its mode is none"))?,
            contents: asset.bytes().ok_or_else(|| wrong("its content is not Base64"))?,
        });
    }
    Ok(())
}

impl Context<'_> {
    fn is_control_plane(&self) -> bool {
        self.config.role == Role::ControlPlane
    }

    fn missing(&self, field: &'static str) -> RenderError {
        RenderError::Missing { group: self.config.group.clone(), field }
    }

    /// The API as this machine reaches it.
    fn api(&self) -> String {
        if self.is_control_plane() {
            format!("https://127.0.0.1:{API_PORT}")
        } else {
            format!("https://{}:{API_PORT}", self.config.internal_api_name())
        }
    }
}

impl File {
    /// A file that everybody may read.
    fn public(path: &str, contents: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), mode: 0o644, contents: contents.into() }
    }
}

/// A program's path.
fn program(name: &str) -> String {
    format!("{PROGRAMS}/{name}")
}

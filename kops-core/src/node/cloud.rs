use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;

use super::admission::{Instance, Prover};
use super::{Host, Machine};
use crate::clock::{SignedDuration, Timestamp};
use crate::cloud::CloudError;
use crate::manifest::Role;

/// What a machine asks of the cloud that it runs in.
///
/// Every call reads, but for [`attach`](Self::attach), [`route_pods`](Self::route_pods) and [`publish`](Self::publish). Dropping a future is safe at any point.
#[async_trait]
pub trait MachineCloud: Send + Sync + fmt::Debug {
    /// Which machine this is.
    ///
    /// # Errors
    /// When the instance's metadata cannot be had.
    async fn machine(&self, host: Host) -> Result<Machine, CloudError>;

    /// By how much the machine's clock is ahead of the cloud's (negative: behind), by the last answer of
    /// [`peers`](Self::peers). Nothing while that is not known.
    fn clock_ahead(&self) -> Option<SignedDuration>;

    /// The disks of the cluster's etcd members, in all zones.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn volumes(&self, cluster: &str) -> Result<Vec<MemberVolume>, CloudError>;

    /// Attaches a disk that is attached nowhere.
    ///
    /// # Errors
    /// `Conflict` when another machine was faster, or its last holder has not let go yet.
    async fn attach(&self, volume: &str, machine: &str, device: &str) -> Result<(), CloudError>;

    /// The cluster's machines that run or are about to, bastions left out.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn peers(&self, cluster: &str) -> Result<Vec<Peer>, CloudError>;

    /// The addresses inside the network of the API's load balancer; none as long as it has none.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn load_balancer(&self, cluster: &str) -> Result<BTreeSet<Ipv4Addr>, CloudError>;

    /// Which of these machines, as `spec.providerID` of their nodes has them, are gone. One that the cloud cannot have is
    /// not among them.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn departed(
        &self,
        provider_ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Departure>, CloudError>;

    /// Makes a proof that this machine, of this cluster, has the key with this hash: what the cloud confirms to
    /// [`prover`](Self::prover) and to nobody for another key or cluster.
    ///
    /// # Errors
    /// When the machine has no credentials of the cloud.
    async fn prove(&self, cluster: &str, key: &str) -> Result<String, CloudError>;

    /// Who made a proof for this cluster and this key, as the cloud says; nobody if it does not confirm the proof.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn prover(&self, cluster: &str, key: &str, proof: &str) -> Result<Option<Prover>, CloudError>;

    /// A machine, of any cluster; none if the cloud does not know it, or not yet.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    async fn instance(&self, id: &str) -> Result<Option<Instance>, CloudError>;

    /// Makes the network send what is for a range of pods to its machine, and lets these machines receive what is not
    /// for themselves. Other ways to machines within `pods` are removed.
    ///
    /// # Errors
    /// When the cloud cannot be asked, or refuses.
    async fn route_pods(
        &self,
        cluster: &str,
        pods: Ipv4Net,
        ways: &BTreeMap<Ipv4Net, String>,
    ) -> Result<(), CloudError>;

    /// Makes names of a hosted zone lead to these addresses: all of them or none. Other names stay as they are.
    ///
    /// # Errors
    /// When the cloud cannot be asked, or refuses.
    async fn publish(
        &self,
        zone: &str,
        names: &BTreeMap<String, BTreeSet<Ipv4Addr>>,
    ) -> Result<(), CloudError>;
}

/// In which way a machine is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The cloud says that it will never run again.
    Terminated,
    /// The cloud does not know it: it has forgotten it, or does not know it yet.
    Unknown,
}

/// The disk of an etcd member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberVolume {
    /// What the cloud calls it.
    pub id: String,
    /// The zone it is in, the only one whose machines can attach it.
    pub zone: String,
    /// The etcd cluster.
    pub cluster: String,
    /// The member.
    pub member: String,
    /// Who has it.
    pub attachment: Option<Attachment>,
}

/// Who has a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The machine.
    pub machine: String,
    /// The device name that was asked for.
    pub device: String,
    /// Whether the machine can use it now; otherwise it is coming or going.
    pub is_usable: bool,
    /// Since when the machine has it: as long as this stays the same, nobody else had it.
    pub since: Option<Timestamp>,
}

/// Another machine of the cluster, or this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What the cloud calls it; the name of its node.
    pub id: String,
    /// Its role.
    pub role: Role,
    /// Its address inside the network.
    pub address: Ipv4Addr,
    /// Its address on the internet.
    pub public_address: Option<Ipv4Addr>,
    /// The labels that the cloud says its node has. Unlike what a node says of itself, nobody on the machine can change
    /// them.
    pub labels: BTreeMap<String, String>,
}

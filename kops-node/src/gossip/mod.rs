//! What the cluster's machines tell each other: who lives, and on the control plane, who holds which etcd member.
//!
//! chitchat spreads it (every second each machine compares notes with three others) and finds out who is silent. Every
//! datagram is sealed with the cluster's key. What is heard is a hint where to look, and no more: any machine with the
//! key could say anything.

mod network;
mod seal;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, spawn_chitchat,
};
use kops_core::clock::Timestamp;
use kops_core::node::Machine;
use kops_core::state::registry::Secret;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::NodeError;
pub use network::{Network, Port, Udp};
use seal::Seal;
use transport::Sealed;

pub(crate) const STEP: &str = "gossip";
/// How many bytes the key has.
pub(crate) const KEY: usize = 32;
/// The UDP port, as in kops.
const PORT: u16 = 3999;
/// What a machine of the control plane says of itself, and in which version.
const HOLDS: &str = "control-plane/1";
/// How many times longer than usual a machine has to be silent to count as dead.
const PATIENCE: f64 = 12.0;
/// How many of a machine's last signs of life say what is usual.
const SIGNS: usize = 100;
/// After how much time the dead are forgotten. Who was only cut off has to be met again then.
const MEMORY: Duration = Duration::from_secs(600);

/// How often machines talk.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm(pub Duration);

impl Default for Rhythm {
    fn default() -> Self {
        Self(Duration::from_secs(1))
    }
}

/// An etcd member that a machine holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Holding {
    /// The etcd cluster.
    pub(crate) cluster: String,
    /// The member.
    pub(crate) member: String,
}

/// What the living say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Whether anybody lives but this machine.
    pub(crate) has_company: bool,
    /// The machines that say that they are of the control plane, and what they hold.
    pub(crate) control_plane: BTreeMap<Ipv4Addr, BTreeSet<Holding>>,
}

/// This machine's part in the gossip; it ends when this is dropped.
pub(crate) struct Gossip {
    me: ChitchatId,
    handle: ChitchatHandle,
    living: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
    refused: Arc<AtomicU64>,
}

impl Gossip {
    /// Starts to listen. It knows nobody until it has [met](Self::meet) somebody, or somebody has met it.
    pub(crate) async fn start(
        cluster: &str,
        machine: &Machine,
        key: Secret,
        network: Arc<dyn Network>,
        rhythm: Rhythm,
        now: Timestamp,
    ) -> Result<Self, NodeError> {
        let address = SocketAddr::from((machine.address, PORT));
        // Another number at each start, by which the others tell this life from an earlier one.
        let life = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let me = ChitchatId::new(machine.id.as_str(), life, address);
        let config = ChitchatConfig {
            chitchat_id: me.clone(),
            cluster_id: cluster.to_owned(),
            gossip_interval: rhythm.0,
            listen_addr: address,
            seed_nodes: Vec::new(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PATIENCE,
                sampling_window_size: SIGNS,
                max_interval: rhythm.0 * 10,
                initial_interval: rhythm.0,
                dead_node_grace_period: MEMORY,
            },
            marked_for_deletion_grace_period: MEMORY,
            catchup_callback: None,
            extra_liveness_predicate: None,
        };
        let refused = Arc::new(AtomicU64::new(0));
        let transport = Sealed { network, seal: Seal::new(cluster, key), refused: refused.clone() };
        let handle = spawn_chitchat(config, Vec::new(), &transport).await;
        let handle = handle.map_err(|error| {
            let reason = format!("UDP port {PORT} of {} cannot be used: {error}", machine.address);
            NodeError::waiting(STEP, reason).with_hint("no other program may listen there")
        })?;
        let living = handle.with_chitchat(|chitchat| chitchat.live_nodes_watcher()).await;
        Ok(Self { me, handle, living, refused })
    }

    /// Tells the others that this machine is of the control plane, and what it holds.
    pub(crate) async fn announce(&self, holds: &BTreeSet<Holding>) {
        // Nothing but strings: it always serialises.
        let text = serde_json::to_string(holds).unwrap_or_default();
        self.handle.with_chitchat(|chitchat| chitchat.self_node_state().set(HOLDS, &text)).await;
    }

    /// What this machine is called.
    pub(crate) fn machine(&self) -> &str {
        &self.me.node_id
    }

    /// Talks to those of whom nothing is heard.
    pub(crate) fn meet(&self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        let known: BTreeSet<SocketAddr> =
            self.living.borrow().keys().map(|other| other.gossip_advertise_addr).collect();
        let addresses = addresses.into_iter().map(|address| SocketAddr::from((address, PORT)));
        for address in addresses.filter(|address| *address != self.me.gossip_advertise_addr) {
            if !known.contains(&address) {
                // It fails only once the gossip has ended.
                let _ = self.handle.gossip(address);
            }
        }
    }

    /// What the living say now.
    pub(crate) fn heard(&self) -> Heard {
        self.sum_up(&self.living.borrow())
    }

    /// Returns once they say anything else than `known`.
    pub(crate) async fn changed(&self, known: &Heard) {
        let mut living = self.living.clone();
        // The sender lives as long as the gossip does.
        let _ = living.wait_for(|living| self.sum_up(living) != *known).await;
    }

    /// How many datagrams could not be opened.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn sum_up(&self, living: &BTreeMap<ChitchatId, NodeState>) -> Heard {
        let others = || living.iter().filter(|(id, _)| id.node_id != self.me.node_id);
        // By life, so that of two of one machine the later one counts.
        let control_plane = others().filter_map(|(id, state)| {
            let IpAddr::V4(address) = id.gossip_advertise_addr.ip() else { return None };
            Some((address, serde_json::from_str(state.get(HOLDS)?).ok()?))
        });
        Heard { has_company: others().next().is_some(), control_plane: control_plane.collect() }
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

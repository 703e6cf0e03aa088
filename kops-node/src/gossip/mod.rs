//! What the cluster's machines tell each other: who lives of the control plane, and who holds which etcd member.
//!
//! Every second each machine asks two or three others what they know, and they answer ([`view`]): the control plane's
//! statements, which are few, and some addresses to talk to next. So a message has one size, however many machines there
//! are. Every datagram is sealed with the cluster's key. What is heard is a hint where to look, and no more: any machine
//! with the key could say anything.

mod message;
mod network;
mod seal;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::Ipv4Net;
use kops_core::clock::Timestamp;
use kops_core::node::Machine;
use kops_core::state::registry::Secret;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::NodeError;
use message::Message;
pub use network::{Network, Port, Udp};
use seal::{Seal, Way};
use view::View;

pub(crate) const STEP: &str = "gossip";
/// The UDP port, as in kops.
const PORT: u16 = 3999;
/// The most bytes of a UDP datagram over IPv4.
const LONGEST: usize = 65_507;
/// How long a network that fails is left alone.
const PAUSE: Duration = Duration::from_secs(1);

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
    machine: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the task that talks shares with those who ask.
struct Shared {
    view: Mutex<View>,
    begun: Instant,
    heard: watch::Sender<Heard>,
    seal: Mutex<Seal>,
    refused: AtomicU64,
}

impl Gossip {
    /// Starts to listen. It knows nobody until it has [met](Self::meet) somebody, or somebody has met it. Machines outside of
    /// the ranges `within` are not heard, if there are any ranges.
    pub(crate) async fn start(
        cluster: &str,
        machine: &Machine,
        keys: &[Secret],
        within: Vec<Ipv4Net>,
        network: &dyn Network,
        rhythm: Rhythm,
        now: Timestamp,
    ) -> Result<Self, NodeError> {
        let port = network.open(SocketAddr::from((machine.address, PORT))).await.map_err(|error| {
            let reason = format!("UDP port {PORT} of {} cannot be used: {error}", machine.address);
            NodeError::waiting(STEP, reason).with_hint("no other program may listen there")
        })?;
        // Another number at each start, by which the others tell this life from an earlier one.
        let life = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let shared = Arc::new(Shared {
            view: Mutex::new(View::new(machine.address, life, within, rhythm.0)),
            begun: Instant::now(),
            heard: watch::Sender::default(),
            seal: Mutex::new(Seal::new(cluster, keys)),
            refused: AtomicU64::new(0),
        });
        let talk = Talk { address: machine.address, port, shared: shared.clone() };
        let task = tokio::spawn(talk.go_on(rhythm));
        Ok(Self { machine: machine.id.clone(), shared, task })
    }

    /// Takes the keys that the cluster has now.
    pub(crate) fn renew(&self, keys: &[Secret]) {
        self.shared.seal().renew(keys);
    }

    /// Tells the others that this machine is of the control plane, and what it holds.
    pub(crate) fn announce(&self, holds: &BTreeSet<Holding>) {
        self.shared.view().announce(holds.clone());
    }

    /// Returns this machine's id.
    pub(crate) fn machine(&self) -> &str {
        &self.machine
    }

    /// Remembers machines to talk to.
    pub(crate) fn meet(&self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        let mut view = self.shared.view();
        addresses.into_iter().for_each(|address| view.meet(address));
    }

    /// Returns what the living say now.
    pub(crate) fn heard(&self) -> Heard {
        self.shared.view().heard(self.shared.begun.elapsed())
    }

    /// Returns once they say anything else than `known`.
    pub(crate) async fn changed(&self, known: &Heard) {
        let mut heard = self.shared.heard.subscribe();
        // The sender lives as long as the gossip does.
        let _ = heard.wait_for(|heard| heard != known).await;
    }

    /// Returns how many datagrams were not what a machine of the cluster sends.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Returns whether it has ended by itself, which only a fault of this program can bring about.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// A panic in the middle of a change leaves a view that is still one.
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seal(&self) -> MutexGuard<'_, Seal> {
        self.seal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that talks.
struct Talk {
    address: Ipv4Addr,
    port: Box<dyn Port>,
    shared: Arc<Shared>,
}

impl Talk {
    async fn go_on(self, rhythm: Rhythm) {
        let mut rounds = interval(rhythm.0.max(Duration::from_millis(1)));
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = vec![0; LONGEST];
        loop {
            tokio::select! {
                _ = rounds.tick() => {
                    let (partners, message) = self.shared.view().round(self.shared.begun.elapsed());
                    for partner in partners {
                        self.send(partner, &message).await;
                    }
                }
                received = self.port.receive(&mut buffer) => match received {
                    Ok((length, from)) => self.hear(&mut buffer[..length], from).await,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
            }
            let heard = self.shared.view().heard(self.shared.begun.elapsed());
            self.shared.heard.send_if_modified(|known| {
                let is_new = *known != heard;
                *known = heard;
                is_new
            });
        }
    }

    /// Takes a datagram. One that is not of the cluster gets no answer.
    async fn hear(&self, datagram: &mut [u8], from: SocketAddr) {
        let way = Way { from, to: SocketAddr::from((self.address, PORT)) };
        let message = self.shared.seal().open(datagram, way).and_then(Message::from_bytes);
        let (Some(message), IpAddr::V4(address), PORT) = (message, from.ip(), from.port()) else {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let answer = self.shared.view().hear(address, message, self.shared.begun.elapsed());
        if let Some(answer) = answer {
            self.send(address, &answer).await;
        }
    }

    /// Sends a datagram, which may be lost on the way as well as here.
    async fn send(&self, to: Ipv4Addr, message: &Message) {
        let way = Way { from: SocketAddr::from((self.address, PORT)), to: SocketAddr::from((to, PORT)) };
        let datagram = self.shared.seal().close(&message.to_bytes(), way);
        if let Some(datagram) = datagram {
            let _ = self.port.send(way.to, &datagram).await;
        }
    }
}

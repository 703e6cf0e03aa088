//! Where the API and the etcd members are, written to `/etc/hosts`.
//!
//! Machines learn from each other who lives, and ask the cloud only for a beginning and for what nobody told. What they
//! learn counts once it is proved: the API by its certificate, etcd members by the attachments of their disks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kops_core::clock::{Timestamp, later};
use kops_core::manifest::Role;
use kops_core::node::render::{self, Member};
use kops_core::node::{ApiAddresses, Discovery, Machine, MemberVolume, Peer};
use kops_core::state::layout;
use kops_core::state::registry::GossipKeys;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use crate::clock;
use crate::error::{Done, NodeError};
use crate::gossip::{self, Gossip, Heard, Holding, Network, Rhythm, Udp};
use crate::join;
use crate::node::Node;
use crate::pace::Pace;
use crate::probe::{Handshake, Probe};

const STEP: &str = "names";
const HOSTS: &str = "/etc/hosts";
/// How long a proof counts while nothing changes: a thousand workers that ask for it every few seconds would be a load.
const PROOF: Duration = Duration::from_secs(60);
/// How many other machines are met beside the control plane's, which may all be new.
const OTHERS: usize = 3;
/// How many of gossip's rounds it takes at least from one look that it causes to the next: any machine can say something new
/// at any time.
const NEWS: u32 = 10;
/// How long the keys of the gossip are taken to be what they were. All is looked at every ten minutes at least.
const KEYS: Duration = Duration::from_secs(240);
/// How long the API of a machine that was heard of is waited for, and how long it takes until that is done again.
const HURRY: Duration = Duration::from_secs(60);
const CALM: Duration = Duration::from_secs(300);
/// How long to wait before a gossip that has ended by itself is begun again; twice as long after each time.
const AGAIN: Duration = Duration::from_secs(10);
const LATEST: Duration = Duration::from_secs(600);

/// What a machine knows of where the others are, from one round to the next.
pub struct Names {
    network: Arc<dyn Network>,
    probe: Arc<dyn Probe>,
    rhythm: Rhythm,
    gossip: RwLock<Option<Gossip>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    pace: Pace,
    heard: Heard,
    said: BTreeSet<Ipv4Addr>,
    /// Where the API is proved to be, and since when.
    proofs: BTreeMap<Ipv4Addr, Timestamp>,
    /// Where it last was; nothing until the file has been read.
    last: Option<BTreeSet<Ipv4Addr>>,
    /// When the keys of the gossip were last read.
    keys_read: Option<Timestamp>,
    /// When gossip last caused a look.
    news: Option<Instant>,
    /// When the API of a machine that was heard of was last begun to be waited for.
    hurry: Option<Instant>,
    /// Where clients are sent, as far as it was written.
    chosen: BTreeSet<Ipv4Addr>,
    /// What was last published, and when.
    published: Option<(BTreeMap<String, BTreeSet<Ipv4Addr>>, Timestamp)>,
    /// How often the gossip has ended by itself, and when it may begin again.
    ended: Option<(u32, Timestamp)>,
}

impl Default for Names {
    fn default() -> Self {
        Self::new(Arc::new(Udp), Arc::new(Handshake::default()), Rhythm::default())
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { network, probe, rhythm, .. } = self;
        f.debug_struct("Names")
            .field("network", network)
            .field("probe", probe)
            .field("rhythm", rhythm)
            .finish()
    }
}

impl Names {
    /// Nothing is known yet.
    pub fn new(network: Arc<dyn Network>, probe: Arc<dyn Probe>, rhythm: Rhythm) -> Self {
        Self { network, probe, rhythm, gossip: RwLock::default(), memory: Mutex::default() }
    }

    /// Returns once the machines say anything new, though not at once after the last time; never if they do not gossip.
    pub async fn changed(&self) {
        let (known, last) = {
            let memory = self.memory.lock().await;
            (memory.heard.clone(), memory.news)
        };
        if let Some(last) = last {
            tokio::time::sleep_until(last + self.rhythm.0 * NEWS).await;
        }
        match &*self.gossip.read().await {
            Some(gossip) => gossip.changed(&known).await,
            None => std::future::pending().await,
        }
        self.memory.lock().await.news = Some(Instant::now());
    }

    /// Whether the machines have said anything new since names were last written.
    pub(crate) async fn have_news(&self) -> bool {
        let Some(heard) = self.gossip.read().await.as_ref().map(Gossip::heard) else { return false };
        self.memory.lock().await.heard != heard
    }

    /// Whether a machine of the control plane lives whose API does not answer yet: it will soon. Who says so may lie, so it is
    /// believed for a minute, and then not again for some.
    pub async fn are_about_to_change(&self) -> bool {
        let mut memory = self.memory.lock().await;
        if memory.heard.control_plane.keys().all(|address| memory.proofs.contains_key(address)) {
            return false;
        }
        let now = Instant::now();
        let begun = memory.hurry.filter(|begun| now < *begun + CALM).unwrap_or(now);
        memory.hurry = Some(begun);
        now < begun + HURRY
    }

    /// How many datagrams were dropped that no machine of the cluster can have sent.
    pub async fn refused(&self) -> u64 {
        self.gossip.read().await.as_ref().map_or(0, Gossip::refused)
    }

    /// Makes sure that the machine takes part in the gossip, if there is any. One that has ended by itself is begun again,
    /// after a pause that grows.
    pub(crate) async fn take_part(&self, node: &Node, machine: &Machine) -> Done {
        if node.config.discovery != Discovery::Gossip || node.config.role == Role::Bastion {
            return Ok(());
        }
        let mut gossip = self.gossip.write().await;
        if let Some(gossip) = gossip.as_ref().filter(|gossip| !gossip.has_ended()) {
            return self.renew(gossip, node).await;
        }
        if gossip.take().is_some() {
            let mut memory = self.memory.lock().await;
            let times = memory.ended.map_or(0, |(times, _)| times);
            let pause = AGAIN.saturating_mul(1 << times.min(6)).min(LATEST);
            memory.ended = Some((times + 1, later(node.clock.now(), pause)));
        }
        if let Some((times, until)) = self.memory.lock().await.ended
            && node.clock.now() < until
        {
            let reason = format!("it has ended by itself {times} times, and begins again at {until}");
            return Err(NodeError::waiting(gossip::STEP, reason)
                .with_hint("until then the cloud is asked; please report what the journal says of a panic"));
        }
        let (keys, now) = (keys(node).await?, node.clock.now());
        self.memory.lock().await.keys_read = Some(now);
        let (cluster, within) = (&node.config.cluster, node.config.networks.of_machines());
        let started =
            Gossip::start(cluster, machine, keys.keys(), within, &*self.network, self.rhythm, now).await?;
        *gossip = Some(started);
        Ok(())
    }

    /// Reads the cluster's keys again from time to time: they may have been made anew.
    async fn renew(&self, gossip: &Gossip, node: &Node) -> Done {
        let mut memory = self.memory.lock().await;
        let now = node.clock.now();
        if memory.keys_read.is_some_and(|read| read <= now && now < later(read, KEYS)) {
            return Ok(());
        }
        gossip.renew(keys(node).await?.keys());
        memory.keys_read = Some(now);
        Ok(())
    }

    /// Writes the names on a machine of the control plane, which asks the cloud each time for other reasons.
    pub(crate) async fn lead(&self, node: &Node, peers: &[Peer], volumes: &[MemberVolume]) -> Done {
        let gossip = self.gossip.read().await;
        let mut memory = self.memory.lock().await;
        memory.hear(gossip.as_ref());
        memory.say(control_plane(peers).collect());
        let held = volumes.iter().filter_map(|volume| {
            let machine = &volume.attachment.as_ref()?.machine;
            let address = peers.iter().find(|peer| peer.id == *machine)?.address;
            let holding = Holding { cluster: volume.cluster.clone(), member: volume.member.clone() };
            Some((machine, address, holding))
        });
        let held: Vec<(&String, Ipv4Addr, Holding)> = held.collect();
        if let Some(gossip) = &*gossip {
            gossip.meet(control_plane(peers));
            let ours = held.iter().filter(|(machine, ..)| *machine == gossip.machine());
            gossip.announce(&ours.map(|(.., holding)| holding.clone()).collect());
        }
        let members = held.into_iter().map(|(_, address, Holding { cluster, member })| Member {
            cluster,
            member,
            address,
        });
        self.write(node, &mut memory, &members.collect()).await
    }

    /// Keeps the names in the hosted zone, if there is one. All machines of the control plane do: who is alone may be wrong.
    /// Looks again from time to time, since anybody may change a zone.
    pub(crate) async fn publish(&self, node: &Node, peers: &[Peer]) -> Done {
        let Some(zone) = &node.config.zone else { return Ok(()) };
        let mut memory = self.memory.lock().await;
        let inside = memory.chosen.clone();
        if inside.is_empty() {
            return Ok(());
        }
        let outside = control_plane_peers(peers).filter(|peer| inside.contains(&peer.address));
        let outside = outside.map(|peer| peer.public_address.unwrap_or(peer.address)).collect();
        let mut names = BTreeMap::from([(node.config.internal_api_name(), inside)]);
        if zone.with_api_name {
            names.insert(node.config.api_name.clone(), outside);
        }
        names.retain(|_, addresses| !addresses.is_empty());
        let now = node.clock.now();
        let is_kept = |(last, at): &(_, Timestamp)| *last == names && *at <= now && now < later(*at, CALM);
        if memory.published.as_ref().is_some_and(is_kept) {
            return Ok(());
        }
        let published = node.cloud.publish(&zone.id, &names).await;
        published.map_err(|error| NodeError::of_cloud("hosted zone", error))?;
        memory.published = Some((names, now));
        Ok(())
    }

    /// Writes the names on a worker. Those of a hosted zone it asks the network for.
    pub(crate) async fn follow(&self, node: &Node) -> Done {
        if node.config.discovery == Discovery::HostedZone {
            return Ok(());
        }
        let gossip = self.gossip.read().await;
        let mut memory = self.memory.lock().await;
        memory.hear(gossip.as_ref());
        let is_well = match node.config.discovery {
            Discovery::Gossip => memory.heard.has_company && !memory.said.is_empty(),
            Discovery::LoadBalancer | Discovery::HostedZone => !memory.proofs.is_empty(),
        };
        // A wrong clock is known to be right again only by another answer.
        let is_well = is_well && clock::check(node.cloud.as_ref()).is_ok();
        let mut asked = Ok(());
        if memory.pace.is_due(node.clock.now(), is_well) {
            asked = ask(node, gossip.as_ref()).await.map(|said| memory.say(said));
        }
        let written = self.write(node, &mut memory, &BTreeSet::new()).await;
        // Whoever knows where the API is can do without an answer.
        if memory.proofs.is_empty() { asked.and(written) } else { written }
    }

    async fn write(&self, node: &Node, memory: &mut Memory, members: &BTreeSet<Member>) -> Done {
        let file = node.root.read(HOSTS).unwrap_or_default();
        let file = String::from_utf8_lossy(&file);
        let last = memory.last.take().unwrap_or_else(|| render::api_in_hosts(&file, &node.config));
        let heard = memory.heard.control_plane.keys().copied().collect();
        let mut known = ApiAddresses { said: memory.said.clone(), heard, proved: BTreeSet::new(), last };
        known.proved = self.prove(node, memory, &known.candidates()).await;
        let chosen = known.chosen();
        memory.last = Some(if known.proved.is_empty() { known.last } else { known.proved });
        if chosen.is_empty() {
            return Err(NodeError::waiting(STEP, "no machine of the control plane runs yet"));
        }
        memory.chosen.clone_from(&chosen);
        let block = render::hosts_block(&node.config, &chosen, members);
        let new = render::update_hosts(&file, &node.config, &block);
        node.root.write(STEP, HOSTS, new.as_bytes(), 0o644).map(drop)
    }

    /// Those of the addresses at which the API proves itself.
    async fn prove(
        &self,
        node: &Node,
        memory: &mut Memory,
        tried: &BTreeSet<Ipv4Addr>,
    ) -> BTreeSet<Ipv4Addr> {
        let now = node.clock.now();
        memory.proofs.retain(|address, since| {
            // A clock that is put back makes proofs of the future.
            tried.contains(address) && *since <= now && now < later(*since, PROOF)
        });
        // A worker that has not joined yet does not know the authority.
        if let Some(authority) = node.root.read(render::AUTHORITY) {
            let name = node.config.internal_api_name();
            let open: Vec<Ipv4Addr> =
                tried.iter().filter(|address| !memory.proofs.contains_key(address)).copied().collect();
            let proved =
                join_all(open.iter().map(|address| self.probe.proves(*address, &name, &authority))).await;
            let proved = open.into_iter().zip(proved).filter(|(_, proved)| *proved);
            memory.proofs.extend(proved.map(|(address, _)| (address, now)));
        }
        memory.proofs.keys().copied().collect()
    }
}

impl Memory {
    /// Whenever somebody comes or goes, proofs are old.
    fn hear(&mut self, gossip: Option<&Gossip>) {
        let heard = gossip.map(Gossip::heard).unwrap_or_default();
        if heard != self.heard {
            self.proofs.clear();
            self.heard = heard;
        }
    }

    /// An answer that names nobody is none: old addresses are better.
    fn say(&mut self, said: BTreeSet<Ipv4Addr>) {
        if !said.is_empty() {
            self.said = said;
        }
    }
}

/// Where the control plane is, for one who has not been told.
async fn ask(node: &Node, gossip: Option<&Gossip>) -> Result<BTreeSet<Ipv4Addr>, NodeError> {
    if node.config.discovery == Discovery::LoadBalancer {
        return Ok(join::read(&node.config, node.store.as_ref()).await?.api);
    }
    let peers = node.cloud.peers(&node.config.cluster).await;
    let peers = peers.map_err(|error| NodeError::of_cloud(STEP, error))?;
    if let Some(gossip) = gossip {
        let others =
            peers.iter().filter(|peer| peer.role != Role::ControlPlane && peer.id != gossip.machine());
        gossip.meet(control_plane(&peers).chain(others.map(|peer| peer.address).take(OTHERS)));
    }
    Ok(control_plane(&peers).collect())
}

fn control_plane(peers: &[Peer]) -> impl Iterator<Item = Ipv4Addr> {
    control_plane_peers(peers).map(|peer| peer.address)
}

fn control_plane_peers(peers: &[Peer]) -> impl Iterator<Item = &Peer> {
    peers.iter().filter(|peer| peer.role == Role::ControlPlane)
}

/// What seals the gossip.
async fn keys(node: &Node) -> Result<GossipKeys, NodeError> {
    const STEP: &str = gossip::STEP;
    let key = layout::gossip_key(&node.config.cluster);
    let key = key.map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
    let object = node.store.get(&key).await.map_err(|error| NodeError::of_store(STEP, error))?;
    let hint = "run `kops update cluster`";
    let object = object.ok_or_else(|| {
        NodeError::lasting(STEP, format!("{}/{key} is not there", node.store)).with_hint(hint)
    })?;
    GossipKeys::from_stored(object.bytes)
        .ok_or_else(|| NodeError::lasting(STEP, format!("{}/{key} is no key", node.store)))
}

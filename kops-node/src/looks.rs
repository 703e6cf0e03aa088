//! When a machine of the control plane asks the cloud again: all clusters of an account share one allowance of calls.
//!
//! What changes shows elsewhere first. Machines tell each other who lives, and the cluster's API has the nodes; the cloud is
//! asked when they tell of something that is not explained yet, and from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::Ipv4Net;
use kops_core::clock::{Timestamp, later};
use kops_core::node::{Discovery, MemberVolume, Peer};

use crate::api::ApiNode;
use crate::pace::Pace;

/// While all is as it should be, and machines tell each other what changes.
const RARELY: Duration = Duration::from_secs(60);
/// The same where nobody tells.
const UNTOLD: Duration = Duration::from_secs(30);
/// How long routes are taken to lead where they were made to lead.
const ROUTED: Duration = Duration::from_secs(300);

/// What the cloud was seen to have, and when it was asked.
#[derive(Debug, Default)]
pub struct Looks(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    pace: Option<Pace>,
    seen: Option<Seen>,
    routed: Option<(BTreeMap<Ipv4Net, String>, Timestamp)>,
}

/// The cluster's machines, and the disks of its etcd members.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) peers: Vec<Peer>,
    pub(crate) volumes: Vec<MemberVolume>,
}

impl Looks {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to ask again, which is then done.
    pub(crate) fn is_due(&self, now: Timestamp, discovery: Discovery, is_well: bool) -> bool {
        let rarely = if discovery == Discovery::Gossip { RARELY } else { UNTOLD };
        self.memory().pace.get_or_insert_with(|| Pace::with(rarely)).is_due(now, is_well)
    }

    /// Remembers what was seen.
    pub(crate) fn see(&self, peers: &[Peer], volumes: &[MemberVolume]) {
        self.memory().seen = Some(Seen { peers: peers.to_vec(), volumes: volumes.to_vec() });
    }

    /// What was seen last.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.memory().seen.clone()
    }

    /// Whether what was seen explains these nodes: each is ready, has a machine and its labels, and its pods are routed; and
    /// a machine holds each disk.
    pub(crate) fn explain(&self, nodes: &[ApiNode], routes_pods: bool) -> bool {
        let memory = self.memory();
        let Some(seen) = &memory.seen else { return false };
        let routed: BTreeSet<&Ipv4Net> = memory.routed.iter().flat_map(|(ways, _)| ways.keys()).collect();
        let machine = |id: &str| seen.peers.iter().find(|peer| peer.id == id);
        let is_known = |node: &ApiNode| {
            let is_labelled =
                |peer: &Peer| peer.labels.iter().all(|(key, value)| node.labels.get(key) == Some(value));
            let is_routed = node.pods.as_ref().is_none_or(|pods| !routes_pods || routed.contains(pods));
            node.is_ready && machine(&node.name).is_some_and(is_labelled) && is_routed
        };
        let is_held = |volume: &MemberVolume| {
            volume.attachment.as_ref().is_some_and(|held| held.is_usable && machine(&held.machine).is_some())
        };
        seen.volumes.iter().all(is_held) && nodes.iter().all(is_known)
    }

    /// Whether routes were made to lead so not long ago.
    pub(crate) fn are_routed(&self, ways: &BTreeMap<Ipv4Net, String>, now: Timestamp) -> bool {
        let memory = self.memory();
        memory
            .routed
            .as_ref()
            .is_some_and(|(known, at)| known == ways && *at <= now && now < later(*at, ROUTED))
    }

    /// Remembers how routes were made to lead.
    pub(crate) fn route(&self, ways: BTreeMap<Ipv4Net, String>, now: Timestamp) {
        self.memory().routed = Some((ways, now));
    }
}

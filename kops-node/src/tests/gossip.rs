//! Machines that tell each other who they are, over a network that does what it likes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use kops_core::clock::Timestamp;
use kops_core::state::registry::Secret;

use super::air::Datagram;
use super::control_plane::CLUSTER;
use super::*;
use crate::gossip::{Gossip, Heard, Holding};

/// No wait of these tests is as long, unless something is wrong.
const LONG: Duration = Duration::from_secs(30);

pub(super) fn key() -> Secret {
    Secret::new([7; 32])
}

/// Starts a machine's gossip.
pub(super) async fn start(network: &impl Network, address: Ipv4Addr, key: Secret) -> Gossip {
    start_at(RHYTHM, network, address, key).await
}

/// Each life is later than those before.
async fn start_at(rhythm: Rhythm, network: &impl Network, address: Ipv4Addr, key: Secret) -> Gossip {
    static LIFE: AtomicI64 = AtomicI64::new(1_000_000);
    let now = Timestamp::from_second(LIFE.fetch_add(1, Ordering::Relaxed)).unwrap();
    let machine = Machine { id: format!("i-{address}"), address, ..machine(host::detect(&Root::new("/"))) };
    Gossip::start(CLUSTER, &machine, &[key], Vec::new(), network, rhythm, now).await.unwrap()
}

pub(super) fn holding(member: &str) -> BTreeSet<Holding> {
    BTreeSet::from([Holding { cluster: "main".to_owned(), member: member.to_owned() }])
}

/// A machine of the control plane that holds a member.
pub(super) async fn master(network: &impl Network, address: Ipv4Addr, member: &str) -> Gossip {
    let gossip = start(network, address, key()).await;
    gossip.announce(&holding(member));
    gossip
}

pub(super) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < LONG, "{what}: never");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_heard(gossip: &Gossip, what: &str, is: impl Fn(&Heard) -> bool) {
    until(what, async || is(&gossip.heard())).await;
}

fn control_plane(of: &[(Ipv4Addr, &str)]) -> BTreeMap<Ipv4Addr, BTreeSet<Holding>> {
    of.iter().map(|(address, member)| (*address, holding(member))).collect()
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// An address of this machine that no other run of these tests uses.
pub(super) fn local(test: u8, last: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high & 0x7f | 0x40, low, test * 10 + last)
}

#[tokio::test]
async fn a_replaced_master_is_heard_of_over_udp() {
    let [old, new, worker] = [1, 2, 3].map(|last| local(0, last));
    let listener = start(&Udp, worker, key()).await;
    let first = master(&Udp, old, "a").await;
    listener.meet([old]);
    until_heard(&listener, "the master", |heard| heard.control_plane == control_plane(&[(old, "a")])).await;
    let known = listener.heard();
    drop(first);
    let second = master(&Udp, new, "a").await;
    second.meet([worker]);
    tokio::time::timeout(LONG, listener.changed(&known)).await.unwrap();
    let is_told = |heard: &Heard| heard.control_plane == control_plane(&[(new, "a")]);
    until_heard(&listener, "the new master, and not the old one", is_told).await;
}

#[tokio::test]
async fn who_restarts_says_what_it_holds_now() {
    let air = Air::default();
    let listener = start(&air, address(1), key()).await;
    let first = master(&air, address(2), "a").await;
    listener.meet([address(2)]);
    until_heard(&listener, "the master", |heard| heard.control_plane == control_plane(&[(address(2), "a")]))
        .await;
    drop(first);
    until("its port is free", async || air.open((address(2), 3999).into()).await.is_ok()).await;
    let _second = master(&air, address(2), "b").await;
    listener.meet([address(2)]);
    until_heard(&listener, "what is new", |heard| heard.control_plane == control_plane(&[(address(2), "b")]))
        .await;
}

#[tokio::test]
async fn another_key_and_garbage_are_passed_over_without_an_answer() {
    let air = Air::default();
    let listener = start(&air, address(1), key()).await;
    let stranger = start(&air, address(66), Secret::new([8; 32])).await;
    stranger.announce(&holding("a"));
    stranger.meet([address(1)]);
    let to = SocketAddr::from((address(1), 3999));
    for bytes in [vec![], vec![1], vec![0; 3], vec![1; 1000], vec![255; 65_507]] {
        air.deliver(Datagram { from: (address(66), 3999).into(), to, bytes });
    }
    until("all are refused", async || listener.refused() >= 6).await;
    let friend = master(&air, address(2), "a").await;
    listener.meet([address(2)]);
    until_heard(&listener, "a friend", |heard| heard.control_plane == control_plane(&[(address(2), "a")]))
        .await;
    assert_eq!((stranger.heard(), friend.refused()), (Heard::default(), 0));
    assert!(air.tape().iter().all(|datagram| datagram.to != (address(66), 3999).into()), "no answer");
}

#[tokio::test]
async fn what_is_repeated_or_sent_on_brings_nobody_back() {
    let air = Air::default();
    let listener = start(&air, address(1), key()).await;
    let dead = master(&air, address(2), "a").await;
    listener.meet([address(2)]);
    until_heard(&listener, "the master", |heard| heard.control_plane.contains_key(&address(2))).await;
    drop(dead);
    until_heard(&listener, "its death", |heard| !heard.has_company).await;
    let said: Vec<Datagram> =
        air.tape().into_iter().filter(|datagram| datagram.from.ip() == address(2)).collect();
    let (refused, known) = (listener.refused(), listener.heard());
    for datagram in &said {
        air.deliver(datagram.clone());
        air.deliver(Datagram { from: (address(3), 3999).into(), ..datagram.clone() });
    }
    until("what others send on is refused", async || listener.refused() == refused + said.len() as u64).await;
    let _other = master(&air, address(4), "b").await;
    listener.meet([address(4)]);
    listener.changed(&known).await;
    until_heard(&listener, "the other", |heard| heard.control_plane == control_plane(&[(address(4), "b")]))
        .await;
}

#[tokio::test]
async fn who_was_cut_off_is_heard_again() {
    let air = Air::default();
    let all: Vec<Ipv4Addr> = (1..=4).map(address).collect();
    let listeners = futures::future::join_all(all.iter().map(|at| master(&air, *at, "a"))).await;
    listeners.iter().for_each(|listener| listener.meet(all.clone()));
    let all_hear = async |count: usize| {
        for listener in &listeners {
            until_heard(listener, "the others", |heard| heard.control_plane.len() == count).await;
        }
    };
    all_hear(3).await;
    air.wall([address(1), address(2)]);
    all_hear(1).await;
    air.wall([]);
    all_hear(3).await;
}

#[tokio::test]
async fn bad_weather_delays_but_keeps_nothing_back() {
    let air = Air::default();
    air.set_bad_weather(3);
    let all: Vec<Ipv4Addr> = (1..=8).map(address).collect();
    let machines = futures::future::join_all(all.iter().map(|at| master(&air, *at, "a"))).await;
    // Each knows but one.
    let meet = || machines.iter().zip(all.iter().skip(1)).for_each(|(machine, next)| machine.meet([*next]));
    for (machine, at) in machines.iter().zip(&all) {
        until("the others", async || {
            meet();
            machine.heard().control_plane.len() == all.len() - 1
        })
        .await;
        assert!(!machine.heard().control_plane.contains_key(at));
    }
    assert!(machines.iter().all(|machine| machine.refused() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_machines_know_each_other() {
    let air = Air::default();
    let all: Vec<Ipv4Addr> = (1..=50).map(address).collect();
    let machines =
        futures::future::join_all(all.iter().map(|at| start_at(Rhythm::default(), &air, *at, key()))).await;
    machines[0].announce(&holding("a"));
    machines.iter().for_each(|machine| machine.meet([address(1)]));
    for machine in &machines[1..] {
        until_heard(machine, "the master", |heard| {
            heard.control_plane == control_plane(&[(address(1), "a")])
        })
        .await;
    }
}

#[tokio::test]
async fn a_machine_reads_the_keys_again() {
    let bench = bench();
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    let new = Secret::new([8; 32]);
    let object = kops_core::state::layout::gossip_key(CLUSTER).unwrap();
    bench.put(object.as_str(), new.to_stored().as_bytes()).await;
    let other = start(&bench.air, MASTER, new).await;
    other.meet([ADDRESS]);
    until("the new key is not known", async || bench.node.names.refused().await > 0).await;
    assert!(!other.heard().has_company);
    bench.clock.advance(Duration::from_mins(5));
    assert_eq!(bench.problems().await, "");
    until_heard(&other, "the machine", |heard| heard.has_company).await;
}

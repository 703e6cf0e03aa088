//! What one machine believes of the others, and whom it talks to next: pure, so that no order of messages surprises it.
//!
//! Every table has a limit. What a machine says of itself counts more than what others say of it, so that nobody who has
//! the key can hide a machine of the control plane from those who talk to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::message::{Message, OTHERS, STATEMENTS, Statement};
use super::{Heard, Holding};

/// After how many rounds of silence a machine counts as dead.
const PATIENCE: u32 = 12;
/// After how many rounds the dead are forgotten. Until then nothing that they once said brings them back.
const MEMORY: u32 = 600;
/// How many machines are remembered to talk to.
const PEERS: usize = 64;
/// Every how many rounds one of the silent is asked: it may only have been cut off.
const RETRY: u64 = 4;

/// What was last said of a machine of the control plane.
#[derive(Debug)]
struct Belief {
    statement: Statement,
    /// When it last said anything new.
    since: Duration,
    /// When it last said so itself.
    first_hand: Option<Duration>,
}

/// What a machine knows, at times that are counted from any beginning.
#[derive(Debug)]
pub(super) struct View {
    me: Ipv4Addr,
    /// Its own statement; a worker has none.
    own: Option<Statement>,
    life: u64,
    /// The addresses that machines of the cluster can have; all, if that is not known.
    within: Vec<Ipv4Net>,
    rhythm: Duration,
    beliefs: BTreeMap<Ipv4Addr, Belief>,
    /// The machines to talk to, and the last that they said, if they said anything.
    peers: BTreeMap<Ipv4Addr, Option<LastWord>>,
    rounds: u64,
    /// How many messages this machine has written.
    written: u64,
}

/// The last message of a machine.
#[derive(Clone, Copy, Debug)]
struct LastWord {
    at: Duration,
    number: (u64, u64),
}

impl View {
    pub(super) fn new(me: Ipv4Addr, life: u64, within: Vec<Ipv4Net>, rhythm: Duration) -> Self {
        let (beliefs, peers) = (BTreeMap::new(), BTreeMap::new());
        Self { me, own: None, life, within, rhythm, beliefs, peers, rounds: 0, written: 0 }
    }

    /// Makes this machine one of the control plane, and sets what it holds.
    pub(super) fn announce(&mut self, holds: BTreeSet<Holding>) {
        let beat = self.own.as_ref().map_or(0, |own| own.beat);
        self.own = Some(Statement { address: self.me, life: self.life, beat, holds });
    }

    /// Remembers a machine to talk to, for as long as there is room.
    pub(super) fn meet(&mut self, address: Ipv4Addr) {
        if self.can_be_of_the_cluster(address) && self.peers.len() < PEERS {
            self.peers.entry(address).or_default();
        }
    }

    fn can_be_of_the_cluster(&self, address: Ipv4Addr) -> bool {
        let is_inside = self.within.is_empty() || self.within.iter().any(|range| range.contains(&address));
        is_inside && address != self.me
    }

    fn patience(&self) -> Duration {
        self.rhythm * PATIENCE
    }

    fn lives(&self, since: Duration, now: Duration) -> bool {
        now.saturating_sub(since) < self.patience()
    }

    /// Takes what `from` says at `now`, and returns the answer if one is wanted. Returns `None` for a stranger, and for a copy
    /// of what was said before.
    pub(super) fn hear(&mut self, from: Ipv4Addr, message: Message, now: Duration) -> Option<Message> {
        if !self.can_be_of_the_cluster(from) || !self.greet(from, message.number, now) {
            return None;
        }
        for statement in message.statements {
            self.believe(from, statement, now);
        }
        message.others.into_iter().for_each(|other| self.meet(other));
        message.asks.then(|| self.message(false, now))
    }

    /// Remembers that a machine spoke, and returns whether it said anything new. Where there is no room, the one that has been
    /// silent longest makes it.
    fn greet(&mut self, from: Ipv4Addr, number: (u64, u64), now: Duration) -> bool {
        if self.peers.get(&from).is_some_and(|last| last.is_some_and(|last| number <= last.number)) {
            return false;
        }
        if self.peers.len() >= PEERS && !self.peers.contains_key(&from) {
            let silent = self.peers.iter().min_by_key(|(_, last)| last.map(|last| last.at));
            let silent = silent.map(|(address, _)| *address);
            silent.and_then(|address| self.peers.remove(&address));
        }
        self.peers.insert(from, Some(LastWord { at: now, number }));
        true
    }

    fn believe(&mut self, from: Ipv4Addr, statement: Statement, now: Duration) {
        if !self.can_be_of_the_cluster(statement.address) {
            return;
        }
        let first_hand = (from == statement.address).then_some(now);
        let patience = self.patience();
        let order = |statement: &Statement| (statement.life, statement.beat);
        let has_room = self.beliefs.len() < STATEMENTS;
        match self.beliefs.get_mut(&statement.address) {
            Some(known) => {
                let speaks = known.first_hand.is_some_and(|at| now.saturating_sub(at) < patience);
                let is_new = order(&statement) > order(&known.statement);
                // Whatever others said of it, it knows best. Only its own old words do not count again.
                let corrects = first_hand.is_some() && known.first_hand.is_none();
                if corrects || is_new && (first_hand.is_some() || !speaks) {
                    *known = Belief { statement, since: now, first_hand: first_hand.or(known.first_hand) };
                }
            }
            None if has_room => {
                self.beliefs.insert(statement.address, Belief { statement, since: now, first_hand });
            }
            // One who speaks for itself takes the place of one of whom others spoke.
            None if first_hand.is_some() => {
                let hearsay = self.beliefs.iter().find(|(_, known)| known.first_hand.is_none());
                if let Some(address) = hearsay.map(|(address, _)| *address) {
                    self.beliefs.remove(&address);
                    self.beliefs.insert(statement.address, Belief { statement, since: now, first_hand });
                }
            }
            None => {}
        }
    }

    /// Begins a round: returns whom to send what.
    pub(super) fn round(&mut self, now: Duration) -> (Vec<Ipv4Addr>, Message) {
        self.rounds += 1;
        if let Some(own) = &mut self.own {
            own.beat += 1;
        }
        let memory = self.rhythm * MEMORY;
        self.beliefs.retain(|_, known| now.saturating_sub(known.since) < memory);
        self.peers.retain(|_, last| last.is_none_or(|last| now.saturating_sub(last.at) < memory));
        (self.partners(now), self.message(true, now))
    }

    /// Chooses a machine of the control plane, one of those that live, and now and then one that is silent. Everybody goes
    /// round the same lists from another beginning.
    fn partners(&self, now: Duration) -> Vec<Ipv4Addr> {
        let turn = |list: &[Ipv4Addr]| {
            let beginning = u64::from(self.me.to_bits()).wrapping_add(self.rounds);
            let length = u64::try_from(list.len()).ok().filter(|length| *length > 0)?;
            list.get(usize::try_from(beginning % length).ok()?).copied()
        };
        let leading: Vec<Ipv4Addr> = self.believed(now).map(|known| known.statement.address).collect();
        let (living, silent): (Vec<Ipv4Addr>, Vec<Ipv4Addr>) =
            self.peers.keys().partition(|address| self.has_spoken(self.peers[*address], now));
        let is_time = living.is_empty() || self.rounds.is_multiple_of(RETRY);
        let chosen = [turn(&leading), turn(&living), turn(&silent).filter(|_| is_time)];
        chosen.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn message(&mut self, asks: bool, now: Duration) -> Message {
        self.written += 1;
        let statements = self.own.iter().chain(self.believed(now).map(|known| &known.statement));
        let lately = self.peers.iter().filter(|(_, last)| self.has_spoken(**last, now));
        let lately: Vec<Ipv4Addr> = lately.map(|(address, _)| *address).collect();
        let beginning = usize::try_from(self.rounds).unwrap_or_default() % lately.len().max(1);
        let others = lately.iter().cycle().skip(beginning).take(lately.len().min(OTHERS));
        Message {
            number: (self.life, self.written),
            asks,
            statements: statements.take(STATEMENTS).cloned().collect(),
            others: others.copied().collect(),
        }
    }

    fn has_spoken(&self, last: Option<LastWord>, now: Duration) -> bool {
        last.is_some_and(|last| self.lives(last.at, now))
    }

    fn believed(&self, now: Duration) -> impl Iterator<Item = &Belief> {
        self.beliefs.values().filter(move |known| self.lives(known.since, now))
    }

    /// Returns what the living say.
    pub(super) fn heard(&self, now: Duration) -> Heard {
        let has_company = self.peers.values().any(|last| self.has_spoken(*last, now));
        let said = self.believed(now).map(|known| (known.statement.address, known.statement.holds.clone()));
        Heard { has_company, control_plane: said.collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    const RHYTHM: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    fn listener() -> View {
        View::new(address(1), 1, vec!["10.0.0.0/16".parse().unwrap()], RHYTHM)
    }

    fn held(member: &str) -> BTreeSet<Holding> {
        BTreeSet::from([Holding { cluster: "main".to_owned(), member: member.to_owned() }])
    }

    fn of(last: u8, life: u64, beat: u64, member: &str) -> Statement {
        Statement { address: address(last), life, beat, holds: held(member) }
    }

    /// A message that is later than all before.
    fn say(statements: impl IntoIterator<Item = Statement>) -> Message {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = (1, NUMBER.fetch_add(1, Ordering::Relaxed));
        Message { number, asks: false, statements: statements.into_iter().collect(), others: Vec::new() }
    }

    fn members(view: &View, now: Duration) -> Vec<(u8, String)> {
        let heard = view.heard(now).control_plane.into_iter();
        heard.flat_map(|(at, holds)| holds.into_iter().map(move |h| (at.octets()[3], h.member))).collect()
    }

    #[test]
    fn nobody_hides_a_machine_that_speaks_for_itself() {
        let mut view = listener();
        view.hear(address(2), say([of(2, 5, 1, "a")]), at(1));
        view.hear(address(9), say([of(2, u64::MAX, u64::MAX, "lie")]), at(2));
        assert_eq!(members(&view, at(2)), [(2, "a".to_owned())]);
        let mut view = listener();
        view.hear(address(9), say([of(2, u64::MAX, u64::MAX, "lie")]), at(1));
        view.hear(address(2), say([of(2, 5, 1, "a")]), at(2));
        assert_eq!(members(&view, at(2)), [(2, "a".to_owned())], "a lie that came first is corrected");
    }

    #[test]
    fn lies_leave_room_for_those_who_speak_for_themselves() {
        let mut view = listener();
        view.hear(address(9), say((100..116).map(|last| of(last, 1, 1, "lie"))), at(1));
        view.hear(address(2), say([of(2, 5, 1, "a")]), at(1));
        assert!(members(&view, at(1)).contains(&(2, "a".to_owned())));
        assert_eq!(view.beliefs.len(), STATEMENTS);
    }

    #[test]
    fn strangers_are_neither_heard_nor_talked_to() {
        let mut view = listener();
        let outside = Ipv4Addr::new(192, 0, 2, 1);
        let message = Message { asks: true, others: vec![outside], ..say([of(2, 1, 1, "a")]) };
        assert_eq!(view.hear(outside, message.clone(), at(1)), None);
        assert_eq!(view.heard(at(1)), Heard::default());
        let mut told = message;
        told.statements = vec![Statement { address: outside, ..of(2, 1, 1, "a") }];
        assert!(view.hear(address(3), told, at(1)).is_some());
        assert!(view.heard(at(1)).control_plane.is_empty());
        let talked: BTreeSet<Ipv4Addr> = (2..40).flat_map(|second| view.round(at(second)).0).collect();
        assert_eq!(talked, BTreeSet::from([address(3)]));
    }

    #[test]
    fn the_dead_stay_dead_whatever_is_repeated() {
        let mut view = listener();
        let word = say([of(2, 5, 1, "a")]);
        view.hear(address(2), word.clone(), at(1));
        assert_eq!(view.heard(at(20)), Heard::default());
        view.hear(address(2), word, at(20));
        assert_eq!(view.heard(at(20)), Heard::default(), "a copy is no sign of life");
        view.hear(address(3), say([of(2, 5, 1, "a")]), at(20));
        assert_eq!(members(&view, at(20)), []);
        view.hear(address(2), say([of(2, 6, 1, "b")]), at(21));
        assert_eq!(members(&view, at(21)), [(2, "b".to_owned())], "another life is another matter");
    }

    #[test]
    fn what_others_tell_of_the_living_keeps_them_alive() {
        let mut view = listener();
        for beat in 1..100 {
            view.hear(address(3), say([of(2, 5, beat, "a")]), at(beat));
        }
        assert_eq!(members(&view, at(99)), [(2, "a".to_owned())]);
    }

    /// Lets everybody talk for some rounds, and returns how many datagrams the busiest machine took in one of them.
    fn talk(views: &mut BTreeMap<Ipv4Addr, View>, rounds: std::ops::Range<u64>) -> usize {
        let all: Vec<Ipv4Addr> = views.keys().copied().collect();
        let mut busiest = 0;
        for now in rounds.map(at) {
            let mut taken: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
            for from in &all {
                let (partners, message) = views.get_mut(from).unwrap().round(now);
                for to in partners {
                    *taken.entry(to).or_default() += 1;
                    assert!(message.to_bytes().len() < 1400, "a datagram fits in one packet");
                    let Some(other) = views.get_mut(&to) else { continue };
                    if let Some(answer) = other.hear(*from, message.clone(), now) {
                        views.get_mut(from).unwrap().hear(to, answer, now);
                    }
                }
            }
            busiest = busiest.max(taken.into_values().max().unwrap_or_default());
        }
        busiest
    }

    fn cluster(size: u32) -> BTreeMap<Ipv4Addr, View> {
        let first = Ipv4Addr::new(10, 0, 1, 0).to_bits();
        let mut views: BTreeMap<Ipv4Addr, View> = (0..size)
            .map(|n| Ipv4Addr::from_bits(first + n))
            .map(|at| (at, View::new(at, 1, Vec::new(), RHYTHM)))
            .collect();
        let leading: Vec<Ipv4Addr> = views.keys().take(3).copied().collect();
        for view in views.values_mut() {
            leading.iter().for_each(|leader| view.meet(*leader));
        }
        leading.iter().for_each(|leader| views.get_mut(leader).unwrap().announce(held("a")));
        views
    }

    #[test]
    fn no_number_of_machines_is_too_many() {
        for size in [1, 2, 1_080, 1_091, 1_100, 3_000] {
            let mut views = cluster(size);
            let busiest = talk(&mut views, 1..6);
            let leaders = usize::try_from(size.min(3)).unwrap();
            for (at_address, view) in &views {
                let others = leaders - usize::from(view.own.is_some());
                assert_eq!(view.heard(at(5)).control_plane.len(), others, "{at_address} of {size}");
                assert!(view.peers.len() <= PEERS && view.beliefs.len() <= STATEMENTS);
            }
            assert!(busiest <= usize::try_from(size).unwrap(), "{busiest} of {size}");
        }
    }

    #[test]
    fn a_new_leader_is_known_to_all_within_seconds_and_a_dead_one_forgotten() {
        let mut views = cluster(200);
        talk(&mut views, 1..6);
        let (dead, new) = (*views.keys().next().unwrap(), Ipv4Addr::new(10, 0, 9, 9));
        views.remove(&dead);
        let mut leader = View::new(new, 2, Vec::new(), RHYTHM);
        leader.announce(held("b"));
        views.keys().take(2).for_each(|other| leader.meet(*other));
        views.insert(new, leader);
        talk(&mut views, 6..30);
        for view in views.values().filter(|view| view.own.is_none()) {
            let heard = view.heard(at(29)).control_plane;
            assert!(heard.contains_key(&new) && !heard.contains_key(&dead), "{:?}", view.me);
        }
    }

    prop_compose! {
        fn messages()(number: (u64, u64), asks: bool, said in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..STATEMENTS),
            others in prop::collection::vec(any::<u32>(), 0..OTHERS)) -> Message {
            let statement = |(address, life, beat): (u32, u64, u64)| Statement {
                address: Ipv4Addr::from_bits(address), life, beat, holds: held("x"),
            };
            let others = others.into_iter().map(Ipv4Addr::from_bits).collect();
            Message { number, asks, statements: said.into_iter().map(statement).collect(), others }
        }
    }

    proptest! {
        #[test]
        fn no_message_fills_the_memory_or_ends_the_program(
            said in prop::collection::vec((any::<u32>(), messages(), any::<u32>()), 0..100)
        ) {
            let mut view = View::new(address(1), u64::MAX, Vec::new(), RHYTHM);
            view.announce(held("a"));
            for (from, message, now) in said {
                let now = at(now.into());
                if let Some(answer) = view.hear(Ipv4Addr::from_bits(from), message, now) {
                    prop_assert!(Message::from_bytes(&answer.to_bytes()).is_some());
                }
                let (partners, message) = view.round(now);
                prop_assert!(partners.len() <= 3 && !partners.contains(&address(1)));
                prop_assert!(Message::from_bytes(&message.to_bytes()).is_some());
                prop_assert!(view.peers.len() <= PEERS && view.beliefs.len() <= STATEMENTS);
            }
        }
    }
}

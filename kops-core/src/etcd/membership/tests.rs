use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn set(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// `a` votes and answers, `-a` votes and is silent, `?a` gets data, `!a` was added and has never run, `.a` would vote and
/// has never run. The first leads.
fn seen(members: &str) -> Membership {
    let listed = |(id, word): (usize, &str)| {
        let name = word.trim_start_matches(['-', '?', '!', '.']);
        Listed {
            id: id.try_into().unwrap(),
            name: Some(name.to_owned()),
            url: format!("https://{name}"),
            is_learner: word.starts_with(['?', '!']),
            has_started: !word.starts_with(['!', '.']),
            answers: !word.starts_with(['-', '!', '.']),
        }
    };
    let members: Vec<Listed> = members.split_whitespace().enumerate().map(listed).collect();
    let leader = members.iter().find(|member| member.answers).map(|member| member.id);
    Membership { members, leader }
}

fn admitted(member: &str, wanted: &str, has_data: bool, has_lived: bool, others: &str) -> Admission {
    let (wanted, others) = (set(wanted), seen(others));
    let others = Some(&others).filter(|others| !others.members.is_empty());
    admit(Applicant { member, wanted: &wanted, has_data, has_lived, others })
}

#[test]
fn a_new_cluster_starts_together_and_one_that_has_lived_never_starts_empty() {
    assert_eq!(admitted("a", "a", false, false, ""), Admission::Bootstrap);
    assert_eq!(admitted("a", "a b c", false, false, "-b -c"), Admission::Bootstrap);
    assert_eq!(admitted("a", "a", false, true, ""), Admission::Wait(Waiting::Lost));
    assert_eq!(admitted("a", "a b c", false, true, "b -c -a"), Admission::Wait(Waiting::Lost));
    assert_eq!(admitted("b", "a", false, false, ""), Admission::Wait(Waiting::NotWanted));
    assert_eq!(admitted("a", "a b c", true, true, ""), Admission::Start);
    assert_eq!(admitted("a", "a b c", true, true, "b -a -c"), Admission::Start, "its vote is needed");
}

#[test]
fn an_empty_disk_beside_a_living_cluster_joins_it() {
    for has_lived in [false, true] {
        assert_eq!(admitted("b", "a b c", false, has_lived, "a"), Admission::Add);
        assert_eq!(admitted("b", "a b c", false, has_lived, "a !b"), Admission::Join);
        assert_eq!(
            admitted("c", "a b c", false, has_lived, "a b .c"),
            Admission::Join,
            "slow at the beginning"
        );
        assert_eq!(admitted("d", "d", false, has_lived, "a"), Admission::Add, "all others are replaced");
    }
    let joining = Admission::Wait(Waiting::Joining("b".to_owned()));
    assert_eq!(admitted("c", "a b c", false, true, "a !b"), joining);
    assert_eq!(admitted("c", "a b c", false, true, "a ?b"), joining);
    let silent = Admission::Wait(Waiting::Silent(vec!["c".to_owned()]));
    assert_eq!(admitted("d", "a b c d e", false, true, "a b -c"), silent);
    assert_eq!(admitted("b", "a", false, true, "a"), Admission::Wait(Waiting::NotWanted));
}

#[test]
fn a_member_that_lost_its_disk_is_taken_out_and_added_again() {
    assert_eq!(admitted("c", "a b c", false, true, "a b -c"), Admission::Remove(2));
    assert_eq!(admitted("c", "a b c", false, true, "a b"), Admission::Add);
    assert_eq!(admitted("b", "a b", false, true, "a ?b"), Admission::Wait(Waiting::Taken));
    assert_eq!(admitted("c", "a b c", false, true, "a b c"), Admission::Wait(Waiting::Taken));
    assert_eq!(admitted("d", "a b c d e", false, true, "a b c -d -e"), Admission::Remove(3));
    let mut learner = seen("a b ?c");
    learner.members[2].answers = false;
    let wanted = set("a b c");
    let applicant =
        Applicant { member: "c", wanted: &wanted, has_data: false, has_lived: true, others: Some(&learner) };
    assert_eq!(admit(applicant), Admission::Remove(2), "a learner has promised nothing");
}

#[test]
fn data_of_a_member_that_was_taken_out_is_put_aside_only_to_join_again() {
    assert_eq!(admitted("c", "a b c", true, true, "a b"), Admission::SetAside);
    assert_eq!(admitted("c", "a b", true, true, "a b"), Admission::Wait(Waiting::NotWanted));
    assert_eq!(admitted("c", "a b", true, true, "a b -c"), Admission::Start, "it is still counted on");
}

#[test]
fn learners_are_promoted_if_they_are_to_stay() {
    assert_eq!(promotes("b", &set("a b c"), &seen("a ?b")), Some(1));
    assert_eq!(promotes("b", &set("a"), &seen("a ?b")), None);
    assert_eq!(promotes("b", &set("a b c"), &seen("a b")), None);
}

#[test]
fn members_that_are_not_wanted_go_one_by_one_and_who_leads_goes_last() {
    let tended = |wanted: &str, members: &str| tend(&set(wanted), &seen(members));
    assert_eq!(tended("a", "a b c"), Upkeep::Remove(1));
    assert_eq!(tended("a", "a c"), Upkeep::Remove(1));
    assert_eq!(tended("a", "a"), Upkeep::Settled);
    assert_eq!(tended("b", "a b c"), Upkeep::Remove(2));
    assert_eq!(tended("b", "a b"), Upkeep::MoveLeader(1));
    assert_eq!(tended("a", "a ?b c"), Upkeep::Remove(1), "a learner costs nothing");
    assert_eq!(tended("a", "a -b c"), Upkeep::Remove(1), "nor does one that is gone");
    assert_eq!(tended("a b d", "a b -c"), Upkeep::Remove(2), "which makes room for another");
    assert_eq!(
        tended("a d e", "a b c"),
        Upkeep::Wait(Waiting::Missing(vec!["d".to_owned(), "e".to_owned()]))
    );
    assert_eq!(tended("b", "a -b c"), Upkeep::Wait(Waiting::Missing(vec!["b".to_owned()])));
    let mut foreign = seen("a b -x");
    foreign.members[2].name = None;
    assert_eq!(tend(&set("a b"), &foreign), Upkeep::Settled, "nobody of the cluster can have it");
    assert_eq!(tend(&set("a"), &foreign), Upkeep::Wait(Waiting::Silent(vec!["https://x".to_owned()])));
}

/// Machines with disks, and the etcd cluster that their members make up. etcd's own refusals are left out: what is decided
/// has to be safe without them.
#[derive(Debug)]
struct Model {
    wanted: BTreeSet<String>,
    machines: BTreeMap<&'static str, Machine>,
    members: Vec<Entry>,
    has_lived: bool,
    ids: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Machine {
    runs: bool,
    /// The member that its disk has the data of.
    data: Option<u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    name: &'static str,
    is_learner: bool,
    has_started: bool,
}

#[derive(Clone, Debug)]
enum Event {
    /// The machine looks, and does one thing.
    Looks(usize),
    /// The machine whose member leads does one thing.
    Tends,
    Fails(usize),
    Returns(usize),
    LosesDisk(usize),
    Wants(usize),
}

impl Model {
    fn new(count: usize) -> Self {
        let machine = |name: &&'static str| (*name, Machine { runs: true, data: None });
        Self {
            wanted: NAMES[..count].iter().map(|name| (*name).to_owned()).collect(),
            machines: NAMES.iter().map(machine).collect(),
            members: Vec::new(),
            has_lived: false,
            ids: 0,
        }
    }

    fn answers(&self, entry: &Entry) -> bool {
        self.machines[entry.name].runs && self.machines[entry.name].data == Some(entry.id)
    }

    fn seen(&self) -> Membership {
        let listed = |entry: &Entry| Listed {
            id: entry.id,
            name: Some(entry.name.to_owned()),
            url: entry.name.to_owned(),
            is_learner: entry.is_learner,
            has_started: entry.has_started,
            answers: self.answers(entry),
        };
        let mut seen = Membership { members: self.members.iter().map(listed).collect(), leader: None };
        if seen.has_quorum_without(None) {
            let leader = seen.voters().find(|member| member.answers).map(|member| member.id);
            seen.leader = leader;
        }
        // Without a leader, nobody knows one.
        if seen.leader.is_none() {
            seen.members.iter_mut().for_each(|member| member.answers = false);
        }
        seen
    }

    fn has_quorum(&self) -> bool {
        self.seen().has_quorum()
    }

    fn happen(&mut self, event: &Event) {
        let had_quorum = self.has_quorum();
        match *event {
            Event::Looks(who) => self.look(NAMES[who]),
            Event::Tends => drop(self.tend()),
            Event::Fails(who) => self.machine(who).runs = false,
            Event::Returns(who) => self.machine(who).runs = true,
            Event::LosesDisk(who) => *self.machine(who) = Machine { runs: true, data: None },
            // What the manifests say before there is a cluster is not tried here.
            Event::Wants(which) if self.has_lived => {
                let wanted = ["a", "b", "a b c", "a d e", "c d e", "a b c d e"][which];
                self.wanted = set(wanted);
            }
            Event::Wants(_) => {}
        }
        if had_quorum && matches!(event, Event::Looks(_) | Event::Tends) {
            assert!(self.has_quorum(), "lost its quorum by {event:?}: {self:?}");
        }
        self.has_lived |= self.has_quorum();
    }

    fn machine(&mut self, who: usize) -> &mut Machine {
        self.machines.get_mut(NAMES[who]).unwrap()
    }

    /// Returns whether it did anything.
    fn look(&mut self, name: &'static str) {
        let machine = self.machines[name];
        if !machine.runs {
            return;
        }
        let seen = self.seen();
        let index = NAMES.iter().position(|other| *other == name).unwrap();
        if seen.has_quorum() && seen.find(name).is_some_and(|entry| entry.answers) {
            if let Some(id) = promotes(name, &self.wanted, &seen) {
                self.members.iter_mut().find(|entry| entry.id == id).unwrap().is_learner = false;
            }
            return;
        }
        let applicant = Applicant {
            member: name,
            wanted: &self.wanted,
            has_data: machine.data.is_some(),
            has_lived: self.has_lived,
            others: seen.members.iter().any(|member| member.answers).then_some(&seen),
        };
        match admit(applicant) {
            Admission::Start | Admission::Wait(_) => {}
            Admission::Bootstrap => {
                assert!(!self.has_lived, "{name} starts another cluster: {self:?}");
                for wanted in NAMES.iter().filter(|other| self.wanted.contains(**other)) {
                    if !self.members.iter().any(|entry| entry.name == *wanted) {
                        self.ids += 1;
                        let entry =
                            Entry { id: self.ids, name: wanted, is_learner: false, has_started: false };
                        self.members.push(entry);
                    }
                }
                let entry = self.members.iter_mut().find(|entry| entry.name == name).unwrap();
                entry.has_started = true;
                let id = entry.id;
                *self.machine(index) = Machine { runs: true, data: Some(id) };
            }
            Admission::Add => {
                self.ids += 1;
                self.members.push(Entry { id: self.ids, name, is_learner: true, has_started: false });
            }
            Admission::Remove(id) => self.members.retain(|entry| entry.id != id),
            Admission::Join => {
                let entry = self.members.iter_mut().find(|entry| entry.name == name).unwrap();
                assert!(!entry.has_started, "{name} votes twice: it has forgotten its first vote");
                entry.has_started = true;
                let id = entry.id;
                self.machine(index).data = Some(id);
            }
            Admission::SetAside => {
                assert!(
                    !self.members.iter().any(|entry| entry.name == name),
                    "its data is counted on: {self:?}"
                );
                self.machine(index).data = None;
            }
        }
    }

    fn tend(&mut self) -> bool {
        let seen = self.seen();
        if !seen.has_quorum() {
            return false;
        }
        match tend(&self.wanted, &seen) {
            Upkeep::Remove(id) => {
                assert_ne!(seen.leader, Some(id), "who leads takes itself out");
                self.members.retain(|entry| entry.id != id);
                true
            }
            // The member that answers first leads in this model: the heir is put first.
            Upkeep::MoveLeader(id) => {
                let position = self.members.iter().position(|entry| entry.id == id).unwrap();
                let heir = self.members.remove(position);
                self.members.insert(0, heir);
                true
            }
            Upkeep::Settled | Upkeep::Wait(_) => false,
        }
    }

    fn names(&self) -> BTreeSet<String> {
        self.members.iter().filter(|entry| !entry.is_learner).map(|entry| entry.name.to_owned()).collect()
    }
}

fn event() -> impl Strategy<Value = Event> {
    let who = 0..NAMES.len();
    prop_oneof![
        6 => who.clone().prop_map(Event::Looks),
        3 => Just(Event::Tends),
        1 => who.clone().prop_map(Event::Fails),
        2 => who.clone().prop_map(Event::Returns),
        1 => who.prop_map(Event::LosesDisk),
        1 => (0..6_usize).prop_map(Event::Wants),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// L5 of etcd: nothing that is decided costs the quorum, makes a second cluster, or lets a member vote twice; and as
    /// long as there is a quorum, all comes to what is wanted once the machines run.
    #[test]
    fn a_quorum_is_never_given_away_and_the_end_is_what_is_wanted(
        count in prop_oneof![Just(1_usize), Just(3)],
        events in proptest::collection::vec(event(), 0..80),
    ) {
        let mut model = Model::new(count);
        for event in &events {
            model.happen(event);
        }
        NAMES.iter().enumerate().for_each(|(who, _)| model.happen(&Event::Returns(who)));
        for _ in 0..60 {
            (0..NAMES.len()).for_each(|who| model.happen(&Event::Looks(who)));
            model.happen(&Event::Tends);
        }
        if model.has_quorum() {
            prop_assert_eq!(model.names(), model.wanted.clone(), "{:?}", model);
            prop_assert_eq!(model.members.len(), model.wanted.len(), "{:?}", model);
        } else {
            prop_assert!(model.has_lived, "a new cluster comes up: {:?}", model);
        }
    }
}

//! Who belongs to an etcd cluster, and what is done about it: decided purely, from what its members say.
//!
//! A member comes and goes one step at a time, and only while the others keep their quorum:
//!
//! - Who comes in asks for itself ([`admit`]): it is added as a learner, which counts for no quorum, gets the data of the
//!   others, and is promoted once it has caught up. A member that has lost its disk is taken out first, since it has
//!   forgotten what it has promised the others.
//! - Who has to go is taken out by the machine whose member leads ([`tend`]), after all that are to stay take part.
//! - An etcd cluster that has lived is never made anew: without a quorum, nothing starts until a backup is restored.

use std::collections::BTreeSet;
use std::fmt;

/// A member as the others list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What etcd calls it.
    pub id: u64,
    /// The member's name; none if it is not a name that machines of the cluster have.
    pub name: Option<String>,
    /// Where other members reach it.
    pub url: String,
    /// Whether it gets the data and has no vote yet.
    pub is_learner: bool,
    /// Whether it has ever run.
    pub has_started: bool,
    /// Whether it answers now, and knows who leads.
    pub answers: bool,
}

/// The members of a running etcd cluster, as one of them lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// All of them.
    pub members: Vec<Listed>,
    /// The member that leads.
    pub leader: Option<u64>,
}

/// A machine that would start a member.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The member that it would be.
    pub member: &'a str,
    /// The members that there are to be.
    pub wanted: &'a BTreeSet<String>,
    /// Whether the member's disk holds data.
    pub has_data: bool,
    /// Whether the etcd cluster has ever run.
    pub has_lived: bool,
    /// What the others say, if any of them answers.
    pub others: Option<&'a Membership>,
}

/// What a machine does that would start a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Starts with the data it has.
    Start,
    /// Starts a new etcd cluster together with the other members.
    Bootstrap,
    /// Asks the others to add it as a learner.
    Add,
    /// Takes out the member that it was before it lost its disk.
    Remove(u64),
    /// Starts as a member that gets its data from the others.
    Join,
    /// Puts the data aside: the others have taken out the member that it was of.
    SetAside,
    /// Starts nothing yet.
    Wait(Waiting),
}

/// What is done about members that have to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// There are the members that there are to be.
    Settled,
    /// Lets another member lead.
    MoveLeader(u64),
    /// Takes a member out.
    Remove(u64),
    /// Nothing yet.
    Wait(Waiting),
}

/// What membership waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The member is not to be there.
    NotWanted,
    /// Another member joins first.
    Joining(String),
    /// Members do not answer, and the others could not do without one more.
    Silent(Vec<String>),
    /// These have to take part first.
    Missing(Vec<String>),
    /// Another machine runs the member.
    Taken,
    /// No quorum answers of an etcd cluster that has lived.
    Lost,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWanted => f.write_str("the last update wants no such member"),
            Self::Joining(other) => write!(f, "member {other} joins first"),
            Self::Silent(members) => write!(f, "{} not answer, and etcd needs all others", those(members, "does", "do")),
            Self::Missing(members) => write!(f, "{} to take part first", those(members, "has", "have")),
            Self::Taken => f.write_str("another machine runs the member"),
            Self::Lost => f.write_str(
                "the disk of the member is empty, and no quorum of the others answers: an etcd cluster that has lived is \
                 not started empty",
            ),
        }
    }
}

fn those(members: &[String], one: &str, several: &str) -> String {
    match members {
        [member] => format!("member {member} {one}"),
        members => format!("members {} {several}", members.join(", ")),
    }
}

impl Membership {
    fn find(&self, name: &str) -> Option<&Listed> {
        self.members.iter().find(|member| member.name.as_deref() == Some(name))
    }

    fn voters(&self) -> impl Iterator<Item = &Listed> {
        self.members.iter().filter(|member| !member.is_learner)
    }

    /// Whether more than half of those who vote answer.
    pub fn has_quorum(&self) -> bool {
        self.leader.is_some() && self.has_quorum_without(None)
    }

    /// Whether those who vote, without one, would have a quorum.
    fn has_quorum_without(&self, left_out: Option<u64>) -> bool {
        let voters: Vec<&Listed> = self.voters().filter(|member| Some(member.id) != left_out).collect();
        let answering = voters.iter().filter(|member| member.answers).count();
        answering * 2 > voters.len()
    }

    /// Those who vote and do not answer, by name.
    fn silent(&self) -> Vec<String> {
        self.voters().filter(|member| !member.answers).map(Listed::to_string).collect()
    }

    /// Whether a member takes part: it votes, and answers.
    fn takes_part(&self, name: &str) -> bool {
        self.find(name).is_some_and(|member| !member.is_learner && member.answers)
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or(&self.url))
    }
}

/// Decides what a machine does that would start a member. Pure.
pub fn admit(applicant: Applicant<'_>) -> Admission {
    let Applicant { member, wanted, has_data, has_lived, others } = applicant;
    let is_wanted = wanted.contains(member);
    let quorum = others.filter(|others| others.has_quorum());
    let Some(others) = quorum else {
        return match (has_data, has_lived) {
            // A member that has data and hears of nobody is all there is of the etcd cluster.
            (true, _) => Admission::Start,
            (false, true) => Admission::Wait(Waiting::Lost),
            (false, false) if is_wanted => Admission::Bootstrap,
            (false, false) => Admission::Wait(Waiting::NotWanted),
        };
    };
    let entry = others.find(member);
    match (has_data, entry) {
        (true, Some(_)) => return Admission::Start,
        (_, None) if !is_wanted => return Admission::Wait(Waiting::NotWanted),
        (true, None) => return Admission::SetAside,
        (false, _) if !is_wanted => return Admission::Wait(Waiting::NotWanted),
        (false, _) => {}
    }
    match entry {
        Some(entry) if entry.answers => Admission::Wait(Waiting::Taken),
        Some(entry) if !entry.has_started => Admission::Join,
        Some(entry) if entry.is_learner || others.has_quorum_without(Some(entry.id)) => {
            Admission::Remove(entry.id)
        }
        Some(_) => Admission::Wait(Waiting::Silent(others.silent())),
        None => match others.members.iter().find(|other| other.is_learner) {
            Some(other) => Admission::Wait(Waiting::Joining(other.to_string())),
            // etcd itself adds nobody while a member is away: it could not do without the next.
            None if !others.silent().is_empty() => Admission::Wait(Waiting::Silent(others.silent())),
            None => Admission::Add,
        },
    }
}

/// Returns the learner that `member` is, if it is one that is to take part.
pub fn promotes(member: &str, wanted: &BTreeSet<String>, seen: &Membership) -> Option<u64> {
    let entry = seen.find(member).filter(|entry| entry.is_learner)?;
    wanted.contains(member).then_some(entry.id)
}

/// Decides what the machine whose member leads does about members that are not wanted. Pure.
///
/// Members that nobody of the cluster can have are left alone.
pub fn tend(wanted: &BTreeSet<String>, seen: &Membership) -> Upkeep {
    let is_surplus = |member: &&Listed| member.name.as_ref().is_some_and(|name| !wanted.contains(name));
    let mut surplus: Vec<&Listed> = seen.members.iter().filter(is_surplus).collect();
    // What costs no quorum goes first: learners, then those that do not answer; who leads goes last.
    surplus.sort_by_key(|member| {
        (!member.is_learner, member.answers, seen.leader == Some(member.id), member.id)
    });
    let Some(next) = surplus.first() else { return Upkeep::Settled };
    if next.is_learner {
        return Upkeep::Remove(next.id);
    }
    let missing: Vec<String> = wanted.iter().filter(|name| !seen.takes_part(name)).cloned().collect();
    if next.answers && !missing.is_empty() {
        return Upkeep::Wait(Waiting::Missing(missing));
    }
    if !seen.has_quorum_without(Some(next.id)) {
        return Upkeep::Wait(Waiting::Silent(seen.silent()));
    }
    if seen.leader != Some(next.id) {
        return Upkeep::Remove(next.id);
    }
    let heir = seen
        .voters()
        .find(|member| member.answers && member.name.as_ref().is_some_and(|name| wanted.contains(name)));
    heir.map_or(Upkeep::Wait(Waiting::Missing(missing)), |heir| Upkeep::MoveLeader(heir.id))
}

#[cfg(test)]
mod tests;

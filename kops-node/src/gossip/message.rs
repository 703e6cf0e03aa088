//! What one machine says to another: small, with a limit to everything in it, whatever the number of machines.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Holding;

/// The most bytes of a message that is read. Those that are written are far shorter.
const LONGEST: usize = 16 * 1024;
/// The most statements in a message: a control plane has five machines, and some that are being replaced.
pub(super) const STATEMENTS: usize = 16;
/// The most addresses of other machines in a message.
pub(super) const OTHERS: usize = 8;
/// The most etcd members that a machine holds.
const HOLDINGS: usize = 8;
/// The most bytes of a name.
const NAME: usize = 128;

/// What a machine of the control plane says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    pub(super) address: Ipv4Addr,
    /// Greater at each start of the machine's program.
    pub(super) life: u64,
    /// Greater each time it says this: a sign that it lives.
    pub(super) beat: u64,
    /// The etcd members whose disks it has.
    pub(super) holds: BTreeSet<Holding>,
}

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    /// When the sender's program started, and the number of this message since then: one that is not later than the last is
    /// a copy.
    pub(super) number: (u64, u64),
    /// Whether an answer is wanted. Answers want none.
    pub(super) asks: bool,
    /// What machines of the control plane said, the sender's own first.
    pub(super) statements: Vec<Statement>,
    /// Some other machines that lately said anything.
    pub(super) others: Vec<Ipv4Addr>,
}

impl Message {
    /// Returns the message's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Keys are strings and no value can fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a message. Returns `None` if it is none, or one that is larger in any part than a machine of the cluster would
    /// write.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        let message: Self = serde_json::from_slice(bytes).ok()?;
        let is_short = |holding: &Holding| holding.cluster.len() <= NAME && holding.member.len() <= NAME;
        let fits =
            |statement: &Statement| statement.holds.len() <= HOLDINGS && statement.holds.iter().all(is_short);
        let all_fit = message.statements.len() <= STATEMENTS
            && message.others.len() <= OTHERS
            && message.statements.iter().all(fits);
        all_fit.then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn statement(holds: usize, name: usize) -> Statement {
        let holding = |n| Holding { cluster: "main".to_owned(), member: format!("{n}{}", "x".repeat(name)) };
        Statement {
            address: Ipv4Addr::new(10, 0, 0, 1),
            life: u64::MAX,
            beat: u64::MAX,
            holds: (0..holds).map(holding).collect(),
        }
    }

    fn message(statements: usize, holds: usize, name: usize, others: usize) -> Message {
        Message {
            number: (u64::MAX, u64::MAX),
            asks: true,
            statements: vec![statement(holds, name); statements],
            others: vec![Ipv4Addr::LOCALHOST; others],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let largest = message(STATEMENTS, HOLDINGS, 60, OTHERS);
        assert_eq!(Message::from_bytes(&largest.to_bytes()), Some(largest));
    }

    #[test]
    fn what_is_larger_than_a_machine_would_write_is_refused() {
        for large in [
            message(STATEMENTS + 1, 1, 1, 1),
            message(1, HOLDINGS + 1, 1, 1),
            message(1, 1, NAME, 1),
            message(1, 1, 1, OTHERS + 1),
        ] {
            assert_eq!(Message::from_bytes(&large.to_bytes()), None);
        }
        let padded = [message(1, 1, 1, 1).to_bytes(), vec![b' '; LONGEST]].concat();
        assert_eq!(Message::from_bytes(&padded), None);
    }

    proptest! {
        #[test]
        fn no_bytes_end_the_program(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Message::from_bytes(&bytes);
        }
    }
}

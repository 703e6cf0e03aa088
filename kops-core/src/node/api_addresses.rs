use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// How many addresses are tried at most: whoever may gossip can invent any number.
const TRIED: usize = 64;

/// What a machine knows of where the API is, by how it knows it.
///
/// Whoever holds the key of the cluster's gossip can say anything, so what is heard is a hint where to look. An address
/// counts once whoever answers there has proved with a certificate of the cluster's authority to be the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiAddresses {
    /// Where the cloud says that the control plane, or its load balancer, is.
    pub said: BTreeSet<Ipv4Addr>,
    /// Where gossip says that machines of the control plane live.
    pub heard: BTreeSet<Ipv4Addr>,
    /// Where the API has proved itself.
    pub proved: BTreeSet<Ipv4Addr>,
    /// Where it last had; after a start, what is written.
    pub last: BTreeSet<Ipv4Addr>,
}

impl ApiAddresses {
    /// The addresses worth a try. What was good, or is said by the cloud, is never crowded out by what is heard.
    pub fn candidates(&self) -> BTreeSet<Ipv4Addr> {
        let mut tried = BTreeSet::new();
        for address in self.last.iter().chain(&self.said).chain(&self.heard) {
            if tried.len() < TRIED {
                tried.insert(*address);
            }
        }
        tried
    }

    /// The addresses that clients are given. While none proves itself: those that last did, and those that the cloud
    /// names, since a cluster's first machines have to start with some, and clients demand the proof themselves.
    pub fn chosen(&self) -> BTreeSet<Ipv4Addr> {
        match self.proved.is_empty() {
            true => self.last.union(&self.said).copied().collect(),
            false => self.proved.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn addresses() -> impl Strategy<Value = BTreeSet<Ipv4Addr>> {
        btree_set((0..12u8).prop_map(|last| Ipv4Addr::new(10, 0, 0, last)), 0..5)
    }

    prop_compose! {
        fn knowledge()(said in addresses(), heard in addresses(), last in addresses(), answers in addresses())
            -> ApiAddresses {
            let mut all = ApiAddresses { said, heard, last, proved: BTreeSet::new() };
            all.proved = all.candidates().intersection(&answers).copied().collect();
            all
        }
    }

    proptest! {
        #[test]
        fn what_is_only_heard_is_never_chosen(all in knowledge()) {
            let trusted: BTreeSet<_> = [&all.said, &all.last, &all.proved].into_iter().flatten().copied().collect();
            prop_assert!(all.chosen().is_subset(&trusted));
        }

        #[test]
        fn what_has_proved_itself_is_chosen_and_displaces_all_else(all in knowledge()) {
            prop_assert!(all.chosen().is_superset(&all.proved));
            prop_assert!(all.proved.is_empty() || all.chosen() == all.proved);
        }

        #[test]
        fn some_address_stays_once_there_is_one(all in knowledge()) {
            prop_assert!(all.chosen().is_superset(&all.last) || !all.proved.is_empty());
            prop_assert_eq!(all.chosen().is_empty(), all.said.is_empty() && all.last.is_empty() && all.proved.is_empty());
        }

        #[test]
        fn no_lie_keeps_a_good_address_from_being_tried(mut all in knowledge(), lies in btree_set(any::<u32>(), 500)) {
            all.heard = lies.into_iter().map(Ipv4Addr::from_bits).collect();
            let tried = all.candidates();
            prop_assert!(tried.len() <= TRIED && tried.is_superset(&all.said) && tried.is_superset(&all.last));
        }
    }
}

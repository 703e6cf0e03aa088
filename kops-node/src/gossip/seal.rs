//! Datagrams that only those can make and read who have the cluster's key.
//!
//! Each is `version (1) | salt (32) | ciphertext | tag (16)`, AES-256-GCM under a key of its own (HKDF-SHA-256 of the
//! cluster's key and the salt), so that no number of machines and datagrams wears a key out. The key is derived from
//! sender and receiver, too: a copy that comes from or goes to anybody else cannot be opened.

use std::net::SocketAddr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use kops_core::state::registry::Secret;

const VERSION: u8 = 1;
const SALT: usize = 32;

/// From whom to whom a datagram goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
}

/// The keys of a cluster: one, and another while it is made anew.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    cluster: String,
    /// The first seals, all of them open.
    keys: Vec<Secret>,
    /// What was read last, without what was known before.
    read: Vec<Secret>,
}

impl Seal {
    pub(super) fn new(cluster: &str, keys: &[Secret]) -> Self {
        Self { cluster: cluster.to_owned(), keys: keys.to_vec(), read: keys.to_vec() }
    }

    /// Takes these keys. Those that were read before go on opening until the next time: not all machines read at once.
    pub(super) fn renew(&mut self, keys: &[Secret]) {
        let before = std::mem::replace(&mut self.read, keys.to_vec());
        self.keys = keys.to_vec();
        self.keys.extend(before.into_iter().filter(|key| !keys.contains(key)));
    }

    /// The datagram; none if the machine has no randomness.
    pub(super) fn close(&self, contents: &[u8], way: Way) -> Option<Vec<u8>> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt).ok()?;
        let mut sealed = contents.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        self.key(self.keys.first()?, &salt, way)?
            .seal_in_place_append_tag(nonce, Aad::from([VERSION]), &mut sealed)
            .ok()?;
        Some([&[VERSION][..], &salt, &sealed].concat())
    }

    /// What is in a datagram; none if it was not sealed with this key for this way, or has been changed.
    pub(super) fn open<'a>(&self, datagram: &'a mut [u8], way: Way) -> Option<&'a [u8]> {
        let (head, sealed) = datagram.split_at_mut_checked(1 + SALT)?;
        let (version, salt) = head.split_first()?;
        if *version != VERSION {
            return None;
        }
        // What a key does not open, it leaves in disorder.
        let opened = self.keys.iter().find_map(|key| {
            let mut copy = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
            let opened = self.key(key, salt, way)?.open_in_place(nonce, Aad::from([VERSION]), &mut copy);
            opened.ok().map(|contents| contents.to_vec())
        })?;
        let contents = sealed.get_mut(..opened.len())?;
        contents.copy_from_slice(&opened);
        Some(contents)
    }

    fn key(&self, key: &Secret, salt: &[u8], way: Way) -> Option<LessSafeKey> {
        let extracted = Salt::new(HKDF_SHA256, salt).extract(key.value());
        let purpose = format!("kops gossip\n{}\n{}\n{}", self.cluster, way.from, way.to);
        let info = [purpose.as_bytes()];
        let key: UnboundKey = extracted.expand(&info, &AES_256_GCM).ok()?.into();
        Some(LessSafeKey::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENTS: &[u8] = b"10.0.0.1 is a master";

    fn way(from: u8, to: u8) -> Way {
        let address = |last| SocketAddr::from(([10, 0, 0, last], 3999));
        Way { from: address(from), to: address(to) }
    }

    fn seal(cluster: &str, key: u8) -> Seal {
        Seal::new(cluster, &[Secret::new([key; 32])])
    }

    #[test]
    fn what_was_sealed_is_opened_and_never_looks_the_same() {
        let seal = seal("demo.k8s.local", 1);
        let [mut one, other] = [(), ()].map(|()| seal.close(CONTENTS, way(1, 2)).unwrap());
        assert_ne!(one, other);
        assert!(!one.windows(8).any(|part| CONTENTS.windows(8).any(|plain| plain == part)));
        assert_eq!(seal.open(&mut one, way(1, 2)), Some(CONTENTS));
    }

    #[test]
    fn another_key_cluster_or_way_opens_nothing() {
        let sealed = seal("demo.k8s.local", 1).close(CONTENTS, way(1, 2)).unwrap();
        for (other, way) in [
            (seal("demo.k8s.local", 2), way(1, 2)),
            (seal("other.k8s.local", 1), way(1, 2)),
            (seal("demo.k8s.local", 1), way(3, 2)),
            (seal("demo.k8s.local", 1), way(1, 3)),
            (seal("demo.k8s.local", 1), way(2, 1)),
        ] {
            assert_eq!(other.open(&mut sealed.clone(), way), None, "{other:?} {way:?}");
        }
    }

    #[test]
    fn a_key_is_made_anew_and_nobody_goes_deaf() {
        let [old, new] = [1, 2].map(|key| Secret::new([key; 32]));
        let steps = [vec![old.clone()], vec![old, new.clone()], vec![new.clone()]];
        // Two machines are never more than a step apart.
        for (ahead, behind) in [(1, 0), (2, 1)] {
            let mut first = Seal::new("demo.k8s.local", &steps[behind]);
            let second = first.clone();
            first.renew(&steps[ahead]);
            for (from, to) in [(&first, &second), (&second, &first)] {
                let mut sealed = from.close(CONTENTS, way(1, 2)).unwrap();
                assert_eq!(to.open(&mut sealed, way(1, 2)), Some(CONTENTS), "{ahead} {behind}");
            }
        }
        let mut last = Seal::new("demo.k8s.local", &steps[1]);
        last.renew(&steps[2]);
        last.renew(&steps[2]);
        let mut old = seal("demo.k8s.local", 1).close(CONTENTS, way(1, 2)).unwrap();
        assert_eq!(last.open(&mut old, way(1, 2)), None, "in the end the old key is worth nothing");
    }

    #[test]
    fn whatever_is_changed_or_cut_is_refused() {
        let seal = seal("demo.k8s.local", 1);
        let sealed = seal.close(CONTENTS, way(1, 2)).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&mut changed, way(1, 2)), None, "{at}");
            assert_eq!(seal.open(&mut sealed.clone()[..at], way(1, 2)), None, "{at}");
        }
    }
}

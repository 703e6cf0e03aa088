//! The names of a cluster without a hosted zone: a guarded block in the machine's `/etc/hosts`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::cluster_api::Server;
use crate::node::NodeConfig;

const BEGIN: &str = "# Begin host entries managed by kops - do not edit";
const END: &str = "# End host entries managed by kops";

/// An etcd member and where it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The etcd cluster.
    pub cluster: String,
    /// The member's name.
    pub member: String,
    /// Its machine's address.
    pub address: Ipv4Addr,
}

impl NodeConfig {
    /// The name by which machines reach the API.
    pub fn internal_api_name(&self) -> String {
        Server::internal_name(&self.cluster)
    }

    /// The name of an etcd member.
    pub fn member_name(&self, cluster: &str, member: &str) -> String {
        let cluster = if cluster == "main" { String::new() } else { format!("{cluster}-") };
        format!("etcd-{cluster}{member}.internal.{}", self.cluster)
    }
}

/// The lines of the block: the API at `api` and the etcd members, sorted.
pub fn hosts_block(config: &NodeConfig, api: &BTreeSet<Ipv4Addr>, members: &BTreeSet<Member>) -> String {
    let mut names: BTreeMap<Ipv4Addr, Vec<String>> = BTreeMap::new();
    for address in api {
        names.entry(*address).or_default().push(config.internal_api_name());
    }
    for member in members {
        names.entry(member.address).or_default().push(config.member_name(&member.cluster, &member.member));
    }
    names.iter().map(|(address, names)| format!("{address}\t{}\n", names.join(" "))).collect()
}

/// The file with its guarded block replaced, or added at the end; everything else stays byte for byte.
pub fn update_hosts(file: &str, block: &str) -> String {
    let guarded = format!("{BEGIN}\n{block}{END}\n");
    let found = file.find(BEGIN).and_then(|start| {
        let after = start + file[start..].find(END)? + END.len();
        Some((start, after + usize::from(file[after..].starts_with('\n'))))
    });
    match found {
        Some((start, end)) => format!("{}{guarded}{}", &file[..start], &file[end..]),
        None if file.is_empty() || file.ends_with('\n') => format!("{file}{guarded}"),
        None => format!("{file}\n{guarded}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_block_is_replaced() {
        let first = update_hosts("127.0.0.1 localhost", "10.0.0.1\ta\n");
        let second = update_hosts(&format!("{first}10.9.9.9 mine\n"), "10.0.0.2\ta\n");
        insta::assert_snapshot!(second, @r"
        127.0.0.1 localhost
        # Begin host entries managed by kops - do not edit
        10.0.0.2	a
        # End host entries managed by kops
        10.9.9.9 mine
        ");
    }

    proptest! {
        #[test]
        fn the_same_block_again_changes_nothing(file in "([ -~]{0,12}\n){0,4}[ -~]{0,5}", block in "([a-z]{1,9}\n){0,3}") {
            let once = update_hosts(&file, &block);
            prop_assert_eq!(update_hosts(&once, &block), once.clone());
            let without = once.replace(&format!("{BEGIN}\n{block}{END}\n"), "");
            prop_assert_eq!(without.trim_end_matches('\n'), file.trim_end_matches('\n'));
        }
    }
}

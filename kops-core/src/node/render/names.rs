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

    /// The member that is reached at `url`, if it is one of the cluster.
    pub fn member_at<'a>(&self, cluster: &str, url: &'a str) -> Option<&'a str> {
        let host = url.split_once("://")?.1.rsplit_once(':')?.0;
        let start = if cluster == "main" { "etcd-".to_owned() } else { format!("etcd-{cluster}-") };
        host.strip_prefix(&start)?.strip_suffix(&format!(".internal.{}", self.cluster))
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

/// The file with its guarded block replaced, or added at the end. Of what stands between the guards, or beside one whose
/// other half somebody has cut, only lines of the cluster's names go; everything else stays byte for byte.
pub fn update_hosts(file: &str, config: &NodeConfig, block: &str) -> String {
    let lines: Vec<&str> = file.split_inclusive('\n').collect();
    let is = |guard: &'static str| move |line: &&str| line.trim_end() == guard;
    let is_ours = |line: &&str| is_of_cluster(line, config);
    let mut kept: Vec<&str> = Vec::new();
    let mut place = None;
    let mut rest = lines.as_slice();
    while let Some((line, after)) = rest.split_first() {
        rest = after;
        if is(BEGIN)(line) {
            let guarded = rest.iter().position(|line| is(BEGIN)(line) || is(END)(line));
            match guarded.filter(|end| is(END)(&rest[*end])) {
                Some(end) => {
                    place.get_or_insert(kept.len());
                    kept.extend(rest[..end].iter().filter(|line| !is_ours(line)));
                    rest = &rest[end + 1..];
                }
                None => {
                    // Without an end of its line, it is the rest of a write that was torn.
                    let is_cut = |line: &&&str| is_ours(line) || !line.ends_with('\n');
                    rest = &rest[rest.iter().take_while(is_cut).count()..];
                    place.get_or_insert(kept.len());
                }
            }
        } else if is(END)(line) {
            while kept.pop_if(|line| is_ours(&*line)).is_some() {}
            place.get_or_insert(kept.len());
        } else {
            kept.push(line);
        }
    }
    let (before, after) = kept.split_at(place.unwrap_or(kept.len()).min(kept.len()));
    let before = before.concat();
    let separator = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    format!("{before}{separator}{BEGIN}\n{block}{END}\n{}", after.concat())
}

/// Whether a line names hosts of the cluster, and no other.
fn is_of_cluster(line: &str, config: &NodeConfig) -> bool {
    let mut names = line.split_whitespace().skip(1).peekable();
    let is_ours = |name: &str| name.strip_suffix(&config.cluster).is_some_and(|rest| rest.ends_with('.'));
    names.peek().is_some() && names.all(is_ours)
}

/// Where the file says that the API is.
pub fn api_in_hosts(file: &str, config: &NodeConfig) -> BTreeSet<Ipv4Addr> {
    let name = config.internal_api_name();
    let address = |line: &str| {
        let (address, names) = line.split_once(char::is_whitespace)?;
        names.split_whitespace().any(|other| other == name).then(|| address.parse().ok())?
    };
    file.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> NodeConfig {
        let text = "{cluster: c.local, group: g, role: Node, kubernetesVersion: 1.35.7, apiName: a, networks: {clusterDomain: d}}";
        NodeConfig::read(text).unwrap()
    }

    fn update(file: &str, block: &str) -> String {
        update_hosts(file, &config(), block)
    }

    #[test]
    fn only_the_block_is_replaced() {
        let first = update("127.0.0.1 localhost", "10.0.0.1\tapi.internal.c.local\n");
        assert_eq!(api_in_hosts(&first, &config()), BTreeSet::from([Ipv4Addr::new(10, 0, 0, 1)]));
        let second = update(&format!("{first}10.9.9.9 mine\n"), "10.0.0.2\tapi.internal.c.local\n");
        insta::assert_snapshot!(second, @r"
        127.0.0.1 localhost
        # Begin host entries managed by kops - do not edit
        10.0.0.2	api.internal.c.local
        # End host entries managed by kops
        10.9.9.9 mine
        ");
    }

    #[test]
    fn members_are_known_by_their_place() {
        for (cluster, member) in [("main", "a"), ("events", "us-x-1b")] {
            let url = format!("https://{}:2380", config().member_name(cluster, member));
            assert_eq!(config().member_at(cluster, &url), Some(member), "{url}");
        }
        for foreign in
            ["https://etcd-a.internal.other:2380", "https://10.0.0.1:2380", "etcd-a.internal.c.local", ""]
        {
            assert_eq!(config().member_at("main", foreign), None, "{foreign}");
        }
    }

    const OLD: &str =
        "10.0.0.1\tapi.internal.c.local etcd-a.internal.c.local\n10.0.0.2\tapi.internal.c.local\n";
    const NEW: &str = "10.0.0.3\tapi.internal.c.local\n";

    #[test]
    fn of_a_block_that_was_cut_nothing_stale_stays_and_nothing_foreign_goes() {
        let foreign = "10.9.9.9 mine\n10.9.9.8 mine api.internal.c.local\n";
        let whole = format!("{BEGIN}\n{NEW}{END}\n");
        for cut in [
            format!("{BEGIN}\n{OLD}{foreign}"),
            format!("{foreign}{OLD}{END}\n"),
            format!("{BEGIN}\n{OLD}{foreign}{END}\n"),
            format!("{BEGIN}\n{OLD}{foreign}{BEGIN}\n{OLD}{END}\n"),
            format!("{BEGIN}\n{OLD}{END}\n{foreign}{OLD}{END}\n"),
            format!("{foreign}{BEGIN}\n{OLD}10.0.0.9\tapi.inter"),
            format!("{foreign}{BEGIN}"),
        ] {
            let mended = update(&cut, NEW);
            assert_eq!(mended.matches(&whole).count(), 1, "{mended}");
            assert_eq!(mended.replace(&whole, ""), foreign, "{cut}");
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let ours = "10.0.0.[1-9]\t(api|etcd-[ab])\\.internal\\.c\\.local\n";
        prop_oneof![ours, Just(format!("{BEGIN}\n")), Just(format!("{END}\n")), "[ -~]{0,12}\n"]
    }

    proptest! {
        #[test]
        fn the_same_block_again_changes_nothing(file in "([ -~]{0,12}\n){0,4}[ -~]{0,5}") {
            let once = update(&file, OLD);
            prop_assert_eq!(update(&once, OLD), once.clone());
            let without = once.replace(&format!("{BEGIN}\n{OLD}{END}\n"), "");
            prop_assert_eq!(without.trim_end_matches('\n'), file.trim_end_matches('\n'));
        }

        #[test]
        fn whatever_was_done_to_the_file_there_is_one_block_and_no_foreign_line_is_lost(
            lines in proptest::collection::vec(line(), 0..12),
        ) {
            let mended = update(&lines.concat(), NEW);
            prop_assert_eq!(update(&mended, NEW), mended.clone());
            prop_assert_eq!((mended.matches(BEGIN).count(), mended.matches(END).count()), (1, 1));
            let foreign = |text: &str| -> Vec<String> {
                let lines = text.split_inclusive('\n').filter(|line| {
                    !is_of_cluster(line, &config()) && ![BEGIN, END].contains(&line.trim_end())
                });
                lines.map(str::to_owned).collect()
            };
            prop_assert_eq!(foreign(&mended), foreign(&lines.concat()));
        }
    }
}

//! etcd's own programs: `etcdctl` asks members, and works on snapshots unless `etcdutl` does.

use std::collections::BTreeMap;

use kops_core::manifest::EtcdVersion;
use kops_core::node::render::{Etcd, PROGRAMS};
use serde::Deserialize;

use crate::error::{Done, NodeError};
use crate::system::System;

/// The program that asks members.
pub(super) const CONTROL: &str = "etcdctl";
/// What etcd's programs are asked to do.
const VERBS: [&str; 4] = ["endpoint", "member", "move-leader", "snapshot"];
/// By how much a restore moves revisions on, so that none is given twice, as etcd's manual has it
/// (<https://etcd.io/docs/v3.6/op-guide/recovery/>).
const BUMP: &str = "1000000000";

/// For how long a member may be silent that is asked.
const PATIENCE: [&str; 4] = ["--dial-timeout", "2s", "--command-timeout", "5s"];

/// The member of the machine and the others, as etcd's programs show them. Every failure may pass by itself: members come and go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ctl<'a> {
    pub(super) step: &'a str,
    pub(super) etcd: &'a Etcd,
    pub(super) system: &'a dyn System,
}

/// What a member says of itself.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) version: String,
    pub(super) cluster: u64,
    pub(super) member: u64,
    /// The member that leads; 0 while it knows none.
    pub(super) leader: u64,
    pub(super) is_learner: bool,
}

impl Standing {
    pub(super) fn leads(&self) -> bool {
        self.leader != 0 && self.leader == self.member
    }
}

/// A member as others list it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ListedMember {
    #[serde(rename = "ID")]
    pub(super) id: u64,
    #[serde(rename = "peerURLs", default)]
    pub(super) peer_urls: Vec<String>,
    #[serde(rename = "clientURLs", default)]
    pub(super) client_urls: Vec<String>,
    #[serde(rename = "isLearner", default)]
    pub(super) is_learner: bool,
}

/// The program that works on snapshots.
pub(super) fn snapshot_program(etcd: &Etcd) -> &'static str {
    EtcdVersion::parse(&etcd.version).map_or(CONTROL, EtcdVersion::snapshot_program)
}

impl Ctl<'_> {
    /// What the member of the machine says of itself.
    pub(super) async fn standing(&self) -> Result<Standing, NodeError> {
        self.standing_of(&self.etcd.endpoint).await
    }

    /// What the member at `url` says of itself.
    pub(super) async fn standing_of(&self, url: &str) -> Result<Standing, NodeError> {
        let text = self.ask(url, &["endpoint", "status", "--write-out", "json"]).await?;
        let endpoints: Vec<Endpoint> = serde_json::from_str(&text).unwrap_or_default();
        let [Endpoint { status }] = endpoints.as_slice() else {
            return Err(NodeError::waiting(self.step, "etcdctl does not say how the member is"));
        };
        Ok(Standing {
            version: status.version.clone(),
            cluster: status.header.cluster_id,
            member: status.header.member_id,
            leader: status.leader,
            is_learner: status.is_learner,
        })
    }

    /// The members, as the one at `url` lists them.
    pub(super) async fn members(&self, url: &str) -> Result<Vec<ListedMember>, NodeError> {
        let text = self.ask(url, &["member", "list", "--write-out", "json"]).await?;
        let list: Result<MemberList, _> = serde_json::from_str(&text);
        let unknown =
            |error| NodeError::waiting(self.step, format!("etcdctl does not list the members: {error}"));
        list.map(|list| list.members).map_err(unknown)
    }

    /// Adds a member that gets the data, and has no vote yet.
    pub(super) async fn add(&self, url: &str, member: &str, peer_url: &str) -> Done {
        let name = self.etcd.member_name(member);
        self.ask(url, &["member", "add", &name, "--learner", "--peer-urls", peer_url]).await.map(drop)
    }

    /// Lets a member vote. etcd refuses while it does not have the data.
    pub(super) async fn promote(&self, url: &str, id: u64) -> Done {
        self.ask(url, &["member", "promote", &format!("{id:x}")]).await.map(drop)
    }

    /// Takes a member out.
    pub(super) async fn remove(&self, url: &str, id: u64) -> Done {
        self.ask(url, &["member", "remove", &format!("{id:x}")]).await.map(drop)
    }

    /// Lets another member lead instead of the machine's own.
    pub(super) async fn move_leader(&self, id: u64) -> Done {
        self.ask(&self.etcd.endpoint, &["move-leader", &format!("{id:x}")]).await.map(drop)
    }

    /// Saves a snapshot of the member.
    pub(super) async fn save(&self, file: &str) -> Done {
        self.ask_for_long(&self.etcd.endpoint, &["snapshot", "save", file]).await.map(drop)
    }

    /// Reads a snapshot to its end.
    pub(super) async fn check(&self, file: &str) -> Done {
        self.run(snapshot_program(self.etcd), &["snapshot", "status", file]).await.map(drop)
    }

    /// Makes the data of `member` from a snapshot, for a cluster of these members (by name, with the places where others
    /// reach them) that knows itself by `token`.
    pub(super) async fn restore(
        &self,
        file: &str,
        directory: &str,
        member: &str,
        members: &BTreeMap<String, String>,
        token: &str,
    ) -> Done {
        let etcd = self.etcd;
        let url = members.get(member).map(String::as_str).unwrap_or_default();
        let peers = members.iter().map(|(member, url)| format!("{}={url}", etcd.member_name(member)));
        let (name, peers) = (etcd.member_name(member), peers.collect::<Vec<_>>().join(","));
        let mut arguments = vec![
            "snapshot",
            "restore",
            file,
            "--data-dir",
            directory,
            "--name",
            &name,
            "--initial-advertise-peer-urls",
            url,
            "--initial-cluster",
            &peers,
            "--initial-cluster-token",
            token,
        ];
        if EtcdVersion::parse(&etcd.version).is_some_and(EtcdVersion::bumps_revisions) {
            arguments.extend(["--bump-revision", BUMP, "--mark-compacted"]);
        }
        self.run(snapshot_program(etcd), &arguments).await.map(drop)
    }

    async fn ask(&self, url: &str, arguments: &[&str]) -> Result<String, NodeError> {
        self.ask_for_long(url, &[&PATIENCE[..], arguments].concat()).await
    }

    async fn ask_for_long(&self, url: &str, arguments: &[&str]) -> Result<String, NodeError> {
        let Etcd { authority, certificate, key, .. } = self.etcd;
        let who = ["--endpoints", url, "--cacert", authority, "--cert", certificate, "--key", key];
        self.run(CONTROL, &[&who[..], arguments].concat()).await
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, NodeError> {
        let verbs = arguments.iter().skip_while(|word| !VERBS.contains(word));
        let verb = verbs.take(2).copied().collect::<Vec<_>>().join(" ");
        match self.system.run(&format!("{PROGRAMS}/{program}"), arguments, "").await {
            Ok(output) if output.is_ok() => Ok(output.stdout),
            Ok(output) => {
                let said = output.stderr.trim().lines().last().unwrap_or("no reason given").to_owned();
                Err(NodeError::waiting(self.step, format!("{program} {verb} failed: {said}")))
            }
            Err(error) => Err(NodeError::lasting(self.step, format!("{program} cannot be run: {error}"))),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    header: Header,
    version: String,
    #[serde(default)]
    leader: u64,
    #[serde(rename = "isLearner", default)]
    is_learner: bool,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    cluster_id: u64,
    member_id: u64,
}

#[derive(Deserialize)]
struct MemberList {
    members: Vec<ListedMember>,
}

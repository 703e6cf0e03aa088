//! etcd's own programs: `etcdctl` asks members, and works on snapshots unless `etcdutl` does.

use kops_core::etcd::EtcdVersion;
use kops_core::node::render::{Etcd, PROGRAMS};
use serde::Deserialize;

use crate::error::{Done, NodeError};
use crate::system::System;

/// The program that asks members.
pub(super) const CONTROL: &str = "etcdctl";
/// By how much a restore moves revisions on, so that none is given twice, as etcd's manual has it
/// (<https://etcd.io/docs/v3.6/op-guide/recovery/>).
const BUMP: &str = "1000000000";

/// The member of the machine, as its programs show it. Every failure may pass by itself: members come and go.
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
    pub(super) leads: bool,
}

/// The program that works on snapshots.
pub(super) fn snapshot_program(etcd: &Etcd) -> &'static str {
    EtcdVersion::parse(&etcd.version).map_or(CONTROL, EtcdVersion::snapshot_program)
}

impl Ctl<'_> {
    /// What the member says of itself.
    pub(super) async fn standing(&self) -> Result<Standing, NodeError> {
        let text = self.ask(&["endpoint", "status", "--write-out", "json"]).await?;
        let endpoints: Vec<Endpoint> = serde_json::from_str(&text).unwrap_or_default();
        let [Endpoint { status }] = endpoints.as_slice() else {
            return Err(NodeError::waiting(self.step, "etcdctl does not say how the member is"));
        };
        Ok(Standing { version: status.version.clone(), leads: status.leader == status.header.member_id })
    }

    /// Saves a snapshot of the member.
    pub(super) async fn save(&self, file: &str) -> Done {
        self.ask(&["snapshot", "save", file]).await.map(drop)
    }

    /// Reads a snapshot to its end.
    pub(super) async fn check(&self, file: &str) -> Done {
        self.run(snapshot_program(self.etcd), &["snapshot", "status", file]).await.map(drop)
    }

    /// Makes the data of `member` from a snapshot, for a cluster that knows itself by `token`.
    pub(super) async fn restore(&self, file: &str, directory: &str, member: &str, token: &str) -> Done {
        let etcd = self.etcd;
        let url = etcd.peers.get(member).map(String::as_str).unwrap_or_default();
        let peers = etcd.peers.iter().map(|(member, url)| format!("{}={url}", etcd.member_name(member)));
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

    async fn ask(&self, arguments: &[&str]) -> Result<String, NodeError> {
        let Etcd { endpoint, authority, certificate, key, .. } = self.etcd;
        let who = ["--endpoints", endpoint, "--cacert", authority, "--cert", certificate, "--key", key];
        self.run(CONTROL, &[&who[..], arguments].concat()).await
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, NodeError> {
        let verbs = arguments.iter().skip_while(|word| word.starts_with('-') || word.contains('/'));
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
    leader: u64,
}

#[derive(Deserialize)]
struct Header {
    member_id: u64,
}

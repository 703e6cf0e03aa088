//! A stand-in for etcd's programs and the member behind them. A database is a text here.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::Output;

/// Where a member keeps its database, below the directory of its data.
pub(super) const DATABASE: &str = "member/snap/db";

#[derive(Debug, Default)]
pub(super) struct Etcdctl {
    /// Where the machine's files are.
    pub(super) root: PathBuf,
    /// Whether another member leads.
    pub(super) follows: bool,
    /// A verb that fails.
    pub(super) refused: Option<&'static str>,
    /// Whether snapshots come out broken.
    pub(super) writes_rubbish: bool,
    /// What the member holds.
    pub(super) database: String,
    /// The last restore as it was asked for.
    pub(super) restored: Vec<String>,
    /// The etcd cluster of several machines, and the member that this one runs.
    pub(super) shared: Option<(Arc<Mutex<Shared>>, &'static str)>,
}

/// An etcd cluster as its members know it. Entries are by member; ids count up.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) members: Vec<Entry>,
    /// The members that run.
    pub(super) running: BTreeSet<&'static str>,
    pub(super) leader: Option<u64>,
    /// Whether learners have not caught up.
    pub(super) is_behind: bool,
    pub(super) ids: u64,
    /// What was changed.
    pub(super) log: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) member: String,
    pub(super) is_learner: bool,
    pub(super) has_started: bool,
}

impl Shared {
    pub(super) fn add(&mut self, member: &str, is_learner: bool) -> u64 {
        self.ids += 1;
        let entry = Entry { id: self.ids, member: member.to_owned(), is_learner, has_started: false };
        self.members.push(entry);
        self.ids
    }

    pub(super) fn entry(&mut self, member: &str) -> Option<&mut Entry> {
        self.members.iter_mut().find(|entry| entry.member == member)
    }

    /// As many vote as are needed.
    fn elect(&mut self) {
        let voters: Vec<&Entry> = self.members.iter().filter(|entry| !entry.is_learner).collect();
        let up = |entry: &&&Entry| entry.has_started && self.running.contains(entry.member.as_str());
        let running: Vec<u64> = voters.iter().filter(up).map(|entry| entry.id).collect();
        self.leader = match running.len() * 2 > voters.len() {
            true => self.leader.filter(|id| running.contains(id)).or(running.first().copied()),
            false => None,
        };
    }

    fn run(&mut self, own: &str, url: &str, what: &[&str]) -> Result<String, String> {
        self.elect();
        let member = match url.strip_prefix("https://etcd-") {
            Some(rest) => rest.split('.').next().unwrap().to_owned(),
            None => own.to_owned(),
        };
        let asked = self.members.iter().find(|entry| entry.member == member).cloned();
        let Some(asked) =
            asked.filter(|entry| entry.has_started && self.running.contains(entry.member.as_str()))
        else {
            return Err("connection refused".to_owned());
        };
        let id = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let no_leader = || "etcdserver: no leader".to_owned();
        match what {
            ["endpoint", "status", ..] => Ok(serde_json::json!([{"Endpoint": url, "Status": {
                "header": {"cluster_id": 7, "member_id": asked.id}, "version": "3.6.12",
                "leader": self.leader.unwrap_or(0), "isLearner": asked.is_learner,
            }}])
            .to_string()),
            _ if asked.is_learner => Err("etcdserver: rpc not supported for learner".to_owned()),
            ["member", "list", ..] => {
                let listed = |entry: &Entry| {
                    let host = format!("https://etcd-{}.internal.demo.k8s.local", entry.member);
                    let clients = if entry.has_started { vec![format!("{host}:4001")] } else { Vec::new() };
                    let mut listed = serde_json::json!({
                        "ID": entry.id, "peerURLs": [format!("{host}:2380")], "clientURLs": clients,
                    });
                    if entry.is_learner {
                        listed["isLearner"] = true.into();
                    }
                    listed
                };
                let members: Vec<_> = self.members.iter().map(listed).collect();
                Ok(serde_json::json!({"header": {"cluster_id": 7}, "members": members}).to_string())
            }
            _ if self.leader.is_none() => Err(no_leader()),
            ["member", "add", name, "--learner", "--peer-urls", _] => {
                if self.members.iter().any(|entry| entry.is_learner) {
                    return Err("etcdserver: too many learner members in cluster".to_owned());
                }
                let member = name.strip_prefix("etcd-main-").unwrap();
                assert!(self.entry(member).is_none(), "{member} is added twice");
                self.log.push(format!("add {member}"));
                self.add(member, true);
                Ok(String::new())
            }
            ["member", "promote", learner] => {
                if self.is_behind {
                    return Err("etcdserver: can only promote a learner member which is in sync with leader"
                        .to_owned());
                }
                let entry = self.members.iter_mut().find(|entry| entry.id == id(learner)).unwrap();
                assert!(entry.is_learner && entry.has_started);
                entry.is_learner = false;
                self.log.push(format!("promote {}", entry.member));
                Ok(String::new())
            }
            ["member", "remove", gone] => {
                let position = self.members.iter().position(|entry| entry.id == id(gone)).unwrap();
                let gone = self.members.remove(position);
                self.log.push(format!("remove {}", gone.member));
                self.elect();
                assert!(self.leader.is_some(), "the quorum is lost with {gone:?}");
                Ok(String::new())
            }
            ["move-leader", heir] => {
                assert_eq!(self.leader, Some(asked.id), "only who leads can let go");
                self.leader = Some(id(heir));
                self.log
                    .push(format!("lead {}", self.members.iter().find(|m| m.id == id(heir)).unwrap().member));
                Ok(String::new())
            }
            _ => panic!("{what:?}"),
        }
    }
}

impl Etcdctl {
    pub(super) fn run(&mut self, program: &str, arguments: &[&str]) -> Output {
        let verbs = ["endpoint", "snapshot", "member", "move-leader"];
        let start = arguments.iter().position(|word| verbs.contains(word)).unwrap();
        let (who, what) = arguments.split_at(start);
        let url = who.iter().skip_while(|word| **word != "--endpoints").nth(1).copied().unwrap_or_default();
        let shared = self.shared.clone().filter(|_| what[0] != "snapshot");
        if let Some((shared, own)) = shared {
            assert!(program == "etcdctl" && who.contains(&"--cacert") && who.contains(&"--key"), "{who:?}");
            let said = shared.lock().unwrap().run(own, url, what);
            return output(said);
        }
        let said = match what {
            [_, verb, ..] if self.refused == Some(*verb) => {
                Err(format!("{{\"level\":\"warn\"}}\nno {verb} today"))
            }
            ["member", "list", ..] => Ok(r#"{"members":[{"ID":18446744073709551615,"peerURLs":["https://etcd-a.internal.demo.k8s.local:2380"],"clientURLs":["https://etcd-a.internal.demo.k8s.local:4001"]}]}"#.to_owned()),
            ["endpoint", "status", ..] => {
                assert!(
                    program == "etcdctl" && who.contains(&"--cacert") && who.contains(&"--key"),
                    "{who:?}"
                );
                let leader = if self.follows { 2 } else { u64::MAX };
                Ok(format!(
                    r#"[{{"Endpoint":"x","Status":{{"header":{{"member_id":{}}},"version":"3.6.12","leader":{leader}}}}}]"#,
                    u64::MAX
                ))
            }
            ["snapshot", "save", file] => {
                assert!(program == "etcdctl" && who.contains(&"--cacert"));
                std::fs::write(self.path(file), &self.database).unwrap();
                Ok(String::new())
            }
            ["snapshot", "status", file] => {
                assert_eq!((program, who.len()), ("etcdutl", 0));
                assert!(self.path(file).exists());
                if self.writes_rubbish {
                    Err("snapshot file integrity check failed".to_owned())
                } else {
                    Ok(String::new())
                }
            }
            ["snapshot", "restore", file, "--data-dir", directory, ..] => {
                assert_eq!((program, who.len()), ("etcdutl", 0));
                let database = self.path(directory).join(DATABASE);
                assert!(!self.path(directory).exists(), "etcd refuses to write over data");
                std::fs::create_dir_all(database.parent().unwrap()).unwrap();
                std::fs::copy(self.path(file), database).unwrap();
                self.restored = what.iter().map(|word| (*word).to_owned()).collect();
                Ok(String::new())
            }
            _ => panic!("{what:?}"),
        };
        output(said)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

fn output(said: Result<String, String>) -> Output {
    match said {
        Ok(stdout) => Output { code: Some(0), stdout, stderr: String::new() },
        Err(stderr) => Output { code: Some(1), stdout: String::new(), stderr },
    }
}

//! A stand-in for etcd's programs and the member behind them. A database is a text here.

use std::path::PathBuf;

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
}

impl Etcdctl {
    pub(super) fn run(&mut self, program: &str, arguments: &[&str]) -> Output {
        let start = arguments.iter().position(|word| ["endpoint", "snapshot"].contains(word)).unwrap();
        let (who, what) = arguments.split_at(start);
        let said = match what {
            [_, verb, ..] if self.refused == Some(*verb) => {
                Err(format!("{{\"level\":\"warn\"}}\nno {verb} today"))
            }
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
        match said {
            Ok(stdout) => Output { code: Some(0), stdout, stderr: String::new() },
            Err(stderr) => Output { code: Some(1), stdout: String::new(), stderr },
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

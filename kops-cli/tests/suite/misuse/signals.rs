//! A run that is ended by a signal lets go of the cluster.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::{NAME, ending_signals};
use crate::support::Bench;

/// Starts a rolling update, sends the signal as soon as it says that it replaces something, and returns its exit status.
fn roll_and_signal(bench: &Bench, signal: &str) -> Option<i32> {
    let roll = ["rolling-update", "cluster", NAME, "--yes", "--force", "--cloudonly"];
    let mut child = bench.command(&roll).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("terminate")).unwrap();
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    lines.for_each(drop);
    child.wait().unwrap().code()
}

#[test]
fn every_signal_lets_go_of_the_lease() {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24", "--node-count", "3"];
    bench.kops(&[&["create", "cluster", NAME, "--yes"], &zones[..]].concat()).ok();
    for (signal, _) in ending_signals() {
        assert_eq!(roll_and_signal(&bench, signal), Some(1), "{signal}");
        let status = bench.kops(&["lock", "status", NAME]).ok();
        assert!(status.stdout.contains("Free"), "{signal}: {status}");
    }
}

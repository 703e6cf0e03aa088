//! The command in clumsy hands and bad company: options that contradict each other, streams that break, signals, editors.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test should say where")]

mod edit;
mod options;
mod signals;
mod streams;
use crate::support::Bench;

const NAME: &str = "demo.k8s.local";

/// The signals that end a run, but for those that the tests were started to ignore.
fn ending_signals() -> Vec<(&'static str, i32)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let is_ignored =
        |number: i32| (u64::from_str_radix(ignored.trim(), 16).unwrap() >> (number - 1)) & 1 == 1;
    let hang_up = (!is_ignored(1)).then_some(("HUP", 1));
    [("TERM", 15), ("INT", 2)].into_iter().chain(hang_up).collect()
}

/// Manifests as nobody has stored them yet.
fn without_time(text: &str) -> String {
    text.lines().filter(|line| !line.contains("creationTimestamp")).map(|line| format!("{line}\n")).collect()
}

/// A cluster that is stored, and not made yet.
fn stored() -> Bench {
    let bench = Bench::new();
    bench
        .kops(&["create", "cluster", NAME, "--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"])
        .ok();
    bench
}

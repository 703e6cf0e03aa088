//! Who is changing a cluster: what people read, as snapshots.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use crate::support::{Bench, Said, screens};

const NAME: &str = "demo.k8s.local";

fn cluster() -> Bench {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    bench
}

/// Puts a lease there that was renewed last in that year.
fn leave_lease(bench: &Bench, year: u32) {
    leave_lease_of(bench, "alice", year);
}

fn leave_lease_of(bench: &Bench, name: &str, year: u32) {
    let lease = format!(
        r#"{{"format":1,"holder":{{"name":"{name}","host":"laptop"}},"purpose":"rolling-update",
            "since":"{year}-11-23T07:00:00Z","heartbeat":"{year}-11-23T07:05:00Z","renewals":60,"expirySeconds":60,
            "nonce":"0"}}"#
    );
    write_lease(bench, &lease);
}

fn write_lease(bench: &Bench, text: &str) {
    let directory = format!(".kops-sim/state/{NAME}/manifests");
    std::fs::create_dir_all(bench.path(&directory)).unwrap();
    bench.write(&format!("{directory}/lease.json"), text);
}

fn lock(bench: &Bench, arguments: &[&str]) -> Said {
    bench.kops(&[&["lock"], arguments, &["--name", NAME]].concat())
}

#[test]
fn a_lease_that_nobody_holds() {
    let bench = cluster();
    insta::assert_snapshot!(screens([
        lock(&bench, &["status"]).ok(),
        lock(&bench, &["status", "-o", "json"]).ok(),
        lock(&bench, &["release", "--yes"]).ok(),
        bench.kops(&["lock", "status", "dem.k8s.local"]),
    ]));
}

#[test]
fn the_lease_of_a_dead_run() {
    let bench = cluster();
    leave_lease(&bench, 2020);
    insta::assert_snapshot!(screens([
        lock(&bench, &["status"]).ok(),
        lock(&bench, &["release"]).ok(),
        lock(&bench, &["release", "--yes"]).ok(),
        lock(&bench, &["status", "-o", "yaml"]).ok(),
    ]));
}

#[test]
fn the_lease_of_a_run_that_is_alive() {
    let bench = cluster();
    leave_lease(&bench, 2999);
    insta::assert_snapshot!(screens([
        lock(&bench, &["release"]).ok(),
        lock(&bench, &["release", "--yes"]),
        lock(&bench, &["release", "--yes", "--force"]).ok(),
    ]));
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
}

#[test]
fn a_holder_cannot_speak_to_the_terminal() {
    let bench = cluster();
    leave_lease_of(&bench, r"al\u001b]0;owned\u0007ice\nhint: give --force\u202e", 2999);
    for said in [lock(&bench, &["status"]), lock(&bench, &["release", "--yes"])] {
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains("owned"), "{all}");
        assert!(!all.contains(['\u{1b}', '\u{7}']), "{all}");
        assert!(!all.lines().any(|line| line.starts_with("hint: give --force")), "{all}");
    }
    let refused = lock(&bench, &["release", "--yes"]);
    assert!(!refused.stderr.contains('\u{202e}'), "{refused}");
}

#[test]
fn what_is_no_lease() {
    let bench = cluster();
    write_lease(&bench, "rubbish");
    insta::assert_snapshot!(lock(&bench, &["release", "--yes"]));
    lock(&bench, &["release", "--yes", "--force"]).ok();
}

//! Backups of etcd: what people read, as snapshots. That machines take and restore them is tried elsewhere.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use crate::support::{Bench, Said, screens};

const NAME: &str = "demo.k8s.local";

fn cluster() -> Bench {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    bench
}

/// Puts a backup there, as machines do.
fn leave_backup(bench: &Bench, etcd: &str, name: &str, size: usize) {
    let directory = format!(".kops-sim/state/{NAME}/backups/etcd/{etcd}/{name}");
    std::fs::create_dir_all(bench.path(&directory)).unwrap();
    bench.write(&format!("{directory}/etcd.backup.gz"), &"x".repeat(size));
    let info = r#"{"etcdVersion": "3.6.12", "timestamp": "0", "clusterSpec": {"memberCount": 1, "etcdVersion": "3.6.12"}}"#;
    bench.write(&format!("{directory}/_etcd_backup.meta"), info);
}

fn etcd(bench: &Bench, arguments: &[&str]) -> Said {
    bench.kops(&[&["etcd"], arguments, &["--name", NAME]].concat())
}

#[test]
fn backups_are_listed() {
    let bench = cluster();
    let none = etcd(&bench, &["list"]).ok();
    leave_backup(&bench, "main", "2026-01-15T12:00:00Z-000000", 123_456);
    leave_backup(&bench, "main", "2026-01-15T12:15:00Z-000000", 2_345);
    leave_backup(&bench, "events", "2026-01-15T12:00:01Z-000000", 99);
    insta::assert_snapshot!(screens([
        none,
        etcd(&bench, &["list"]).ok(),
        etcd(&bench, &["list", "--etcd", "events", "-o", "yaml"]).ok(),
        bench.kops(&["etcd", "list", "dem.k8s.local"]),
    ]));
    let json = etcd(&bench, &["list", "-o", "json"]).ok().stdout;
    assert_eq!(json.matches("\"name\"").count(), 3);
}

#[test]
fn a_restore_is_shown_and_simulated_machines_have_no_etcd() {
    let bench = cluster();
    leave_backup(&bench, "main", "2026-01-15T12:00:00Z-000000", 1);
    let backup = "2026-01-15T12:00:00Z-000000";
    insta::with_settings!({ filters => [(r"\d+h( \d+m)?", "[AGE]")] }, {
        insta::assert_snapshot!(screens([
            etcd(&bench, &["restore", backup]).ok(),
            etcd(&bench, &["restore", backup, "--yes"]),
            etcd(&bench, &["restore", "yesterday"]),
            etcd(&bench, &["restore", "2026-01-15T12:00:00Z-000001"]),
            etcd(&bench, &["backup"]),
        ]));
    });
}

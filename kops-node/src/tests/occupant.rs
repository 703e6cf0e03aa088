//! etcd never starts empty on a disk that holds anybody's data.

use super::control_plane::updated;
use super::*;

const MOUNT: &str = "/mnt/etcd-main";

/// What a machine says about a disk with these files.
async fn said(files: &[&str]) -> String {
    let bench = bench();
    bench.system.answer("mountpoint", 0, "");
    bench.node.root.write("test", "/dev/xvdu", &[0; 4096], 0o600).unwrap();
    for file in files {
        bench.node.root.write("test", &format!("{MOUNT}/{file}"), b"", 0o600).unwrap();
    }
    let result = disk(&bench, member(Some(("i-1", true)))).await;
    let is_named = bench.node.root.read(&format!("{MOUNT}/member.env")).is_some();
    assert_eq!(is_named, result.is_ok(), "etcd starts only where its member is named");
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn data_of_others_keeps_etcd_from_starting_beside_it() {
    let token = "data/XFOxYTUrGF3Rn2HGhg0VYQ/member/snap/db";
    let trashed = "data-trashcan/XFOxYTUrGF3Rn2HGhg0VYQ/member/snap/db";
    for (files, whose) in [
        // As etcd-manager leaves it, and as it is without a part of it.
        (&["state", "myid", "pki/XFOxYTUrGF3Rn2HGhg0VYQ/etcd.crt", token][..], "etcd-manager"),
        (&["state"], "etcd-manager"),
        (&[trashed], "etcd-manager"),
        // kops before etcd-manager.
        (&["var/etcd/data/member/snap/db", "k8s.io/manifests/etcd.manifest"], "etcd-manager"),
        (&[token], "somebody else"),
        (&["lost+found/x", "notes.txt"], "somebody else"),
        (&["etcd/member/wal/0.wal"], "somebody else"),
    ] {
        let said = said(files).await;
        assert!(said.contains(&format!("holds data of {whose} (")), "{files:?}: {said}");
    }
    let said = said(&["state", "myid", token, "data/x"]).await;
    insta::assert_snapshot!(said, @"disk of etcd main: volume vol-1 holds data of etcd-manager (myid, state, data/XFOxYTUrGF3Rn2HGhg0VYQ, data/x), beside which etcd would start empty");
}

#[tokio::test]
async fn what_machines_leave_themselves_is_in_nobodys_way() {
    for files in [
        &[][..],
        &["lost+found/x"],
        &[".kops-member.env.part"],
        // A restore that was cut short.
        &["restore.db", "before-2026-01-15T12:00:00Z-000000/member/snap/db"],
        // etcd has its data: it does not start empty, whatever else is there.
        &["data/member/snap/db", "state", "myid"],
    ] {
        assert_eq!(said(files).await, "", "{files:?}");
    }
}

#[tokio::test]
async fn the_machine_says_so_and_waits() {
    let bench = updated().await;
    bench.node.root.write("test", &format!("{MOUNT}/state"), b"", 0o600).unwrap();
    for _ in 0..2 {
        let problems = bench.problems().await;
        assert!(problems.contains("disk of etcd main: volume"), "{problems}");
    }
    assert!(bench.system.ran("systemctl start etcd").is_empty());
    let started = bench.system.ran("systemctl");
    assert!(!started.iter().any(|line| line.contains("kube-apiserver")), "{started:?}");
    std::fs::remove_file(bench.node.root.path(&format!("{MOUNT}/state"))).unwrap();
    assert_eq!(bench.problems().await, "");
}

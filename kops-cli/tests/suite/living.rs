//! Clusters that run, and clusters that kops made: what the command refuses, and what it takes.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Bench, screens};

const KOPS: &str = "m.k8s.local";

/// Copies a directory, and returns the files in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A manifest as it was shown, without the time, which is hidden.
fn undated(shown: &str) -> String {
    let lines = shown.split_inclusive('\n').filter(|line| !line.contains("creationTimestamp"));
    lines.collect()
}

fn contents(of: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            _ if path.ends_with(".kops-lock") => {}
            true => found.extend(contents(&path)),
            false => drop(found.insert(path.display().to_string(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn a_cluster_that_kops_made_is_shown_and_not_changed() {
    let bench = Bench::new();
    let state = bench.path(".kops-sim/state");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kops-aws/tests/fixtures/made-by-kops");
    copy(&fixture, &state.join(KOPS));
    let before = contents(&state);
    let shown = bench.kops(&["get", "ig", "--name", KOPS]).ok();
    assert!(
        shown.stdout.contains("control-plane-us-east-1a") && shown.stdout.contains("nodes-us-east-1b"),
        "{shown}"
    );
    for command in [
        &["get", "cluster", KOPS, "-o", "yaml"][..],
        &["get", "all", KOPS],
        &["get", "keypairs", "--name", KOPS],
        &["get", "secrets", "--name", KOPS],
        &["get", "sshpublickeys", "--name", KOPS],
        &["get", "instances", "--name", KOPS, "--cloudonly"],
        &["rolling-update", "cluster", KOPS, "--cloudonly"],
        &["toolbox", "dump", KOPS],
        &["etcd", "list", KOPS],
        &["delete", "cluster", KOPS],
    ] {
        bench.kops(command).ok();
    }
    let preview = bench.kops(&["update", "cluster", KOPS]).ok();
    assert!(
        preview.stderr.contains("kops made the cluster m.k8s.local (kops-version.txt shows it)"),
        "{preview}"
    );
    for command in [
        &["update", "cluster", KOPS, "--yes"][..],
        &["reconcile", "cluster", KOPS, "--yes"],
        &["delete", "ig", "nodes-us-east-1b", "--name", KOPS, "--yes"],
        &["upgrade", "cluster", KOPS, "--yes"],
        &["create", "keypair", "kubernetes-ca", "--name", KOPS],
    ] {
        let refused = bench.kops(command);
        assert_eq!(refused.status, Some(1), "{refused}");
        assert!(
            refused.stderr.starts_with("error: kops made the cluster")
                || refused.stderr.contains("\nerror: kops made the cluster"),
            "{refused}"
        );
        assert!(refused.stderr.contains("hint: change it with kops"), "{refused}");
    }
    assert_eq!(contents(&state), before);
    bench.kops(&["delete", "cluster", KOPS, "--yes"]).ok();
    assert!(contents(&state).is_empty());
}

#[test]
fn what_breaks_a_running_cluster_takes_a_flag() {
    let bench = Bench::new();
    let create = [
        "create",
        "cluster",
        "demo",
        "--dns",
        "none",
        "--zones",
        "us-east-1a",
        "--admin-access=203.0.113.0/24",
    ];
    bench.kops(&[&create[..], &["--kubernetes-version", "1.34.10", "--yes"]].concat()).ok();
    let manifest = bench.kops(&["get", "cluster", "demo", "-o", "yaml"]).ok().stdout;
    let changed = undated(&manifest).replace("1.34.10", "1.36.3");
    bench.kops(&["replace", "-f", &bench.write("cluster.yaml", &changed)]).ok();
    let refused = bench.kops(&["update", "cluster", "demo", "--yes"]);
    assert_eq!(refused.status, Some(1), "{refused}");
    insta::assert_snapshot!(refused.stderr, @r"
    error: this would break the running cluster, and nothing was changed:
    cluster.spec.kubernetesVersion: this cannot go from 1.34.10 to 1.36.3 while the cluster runs: Kubernetes goes from one minor version to the next (go to 1.35 first, with `reconcile cluster`)
    hint: take the changes back, or make them nevertheless with --allow-breaking-changes
    ");
    let reconciled = bench.kops(&["reconcile", "cluster", "demo", "--yes"]);
    assert!(reconciled.stderr.contains("cluster.spec.kubernetesVersion"), "{reconciled}");
    let allowed = bench.kops(&["update", "cluster", "demo", "--allow-breaking-changes"]).ok();
    assert!(allowed.stderr.contains("warning: cluster.spec.kubernetesVersion"), "{allowed}");
    bench.kops(&["update", "cluster", "demo", "--yes", "--allow-breaking-changes"]).ok();
}

#[test]
fn names_that_kops_takes_live_and_die() {
    let bench = Bench::new();
    let create = [
        "create",
        "cluster",
        "demo",
        "--dns",
        "none",
        "--zones",
        "us-east-1a",
        "--admin-access=203.0.113.0/24",
    ];
    bench.kops(&create).ok();
    let groups = bench.kops(&["get", "ig", "--name", "demo", "-o", "yaml"]).ok().stdout;
    let nodes = groups.split("---\n").find(|group| group.contains("role: Node")).unwrap();
    let name = nodes.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
    let dotted = nodes
        .replace(name, "spot.nodes")
        .replace("spec:\n", "spec:\n  cloudLabels: {kubernetes.io/cluster/demo: owned}\n");
    bench.kops(&["create", "-f", &bench.write("group.yaml", &undated(&dotted))]).ok();
    bench.kops(&["update", "cluster", "demo", "--yes"]).ok();
    let again = bench.kops(&["update", "cluster", "demo"]).ok();
    assert!(again.stderr.contains("No changes need to be applied"), "{again}");
    bench.kops(&["delete", "ig", "spot.nodes", "--name", "demo", "--yes"]).ok();
    bench.kops(&["delete", "cluster", "demo", "--yes"]).ok();
    let range = bench.kops(&[
        "create",
        "cluster",
        "x.k8s.local",
        "--zones",
        "us-east-1a",
        "--network-cidr",
        "2001:db8::/56",
    ]);
    let upper = bench.kops(&["create", "cluster", "Demo.k8s.local", "--zones", "us-east-1a"]);
    insta::assert_snapshot!(screens([range, upper]), @r"
    $ kops create cluster x.k8s.local --zones us-east-1a --network-cidr 2001:db8::/56
    --- standard error
    error: invalid value '2001:db8::/56' for '--network-cidr <CIDR>': IPv6 ranges are not supported yet (write an address range such as 10.0.0.0/16)

    For more information, try '--help'.
    --- exit status 1

    $ kops create cluster Demo.k8s.local --zones us-east-1a
    --- standard error
    error: these options do not make a valid cluster:
      cluster.metadata.name: `Demo.k8s.local` has upper-case letters, which names of clusters have not (write demo.k8s.local)
    --- exit status 1
    ");
}

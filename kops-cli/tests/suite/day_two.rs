//! Looking after a running cluster, on the simulated cloud: what people read, as snapshots.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Bench, screens};

const NAME: &str = "demo.k8s.local";
const ROLL: [&str; 7] = ["rolling-update", "cluster", NAME, "--yes", "--min-ready", "0s", "--force"];

/// A cluster whose machines are nodes.
fn running() -> Bench {
    let bench = started();
    bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
    bench
}

/// A cluster whose machines are booting.
fn started() -> Bench {
    let bench = Bench::new();
    let create =
        ["create", "cluster", NAME, "--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24", "--yes"];
    bench.kops(&create).ok();
    bench
}

fn change_nodes(bench: &Bench, from: &str, to: &str) {
    let manifest = bench.kops(&["get", "ig", "nodes", "--name", NAME, "-o", "yaml"]).ok().stdout;
    assert!(manifest.contains(from), "{manifest}");
    let time =
        manifest.lines().find(|line| line.contains("creationTimestamp")).unwrap_or_default().to_owned();
    let file = bench.write("nodes.yaml", &manifest.replace(&time, "").replace(from, to));
    bench.kops(&["replace", "-f", &file]).ok();
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
}

#[test]
fn health_is_told_apart_from_what_cannot_be_told() {
    let bench = started();
    let silent = bench.kops(&["validate", "cluster", NAME]);
    assert_eq!(silent.status, Some(1), "{silent}");
    insta::assert_snapshot!("nobody_answers", silent);

    let healthy = bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
    assert_eq!(healthy.stdout.matches("  True\n").count(), 3, "{healthy}");
    assert!(healthy.stdout.ends_with("Your cluster demo.k8s.local is ready\n"), "{healthy}");
    let json = bench.kops(&["validate", "cluster", NAME, "-o", "json"]).ok();
    let parsed: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(parsed["nodes"].as_array().map(Vec::len), Some(3), "{json}");
    assert_eq!(json.stderr, "");

    change_nodes(&bench, "Size: 2", "Size: 3");
    let unhealthy = bench.kops(&["validate", "cluster", NAME, "-o", "json"]);
    assert_eq!(unhealthy.status, Some(2), "{unhealthy}");
    let parsed: serde_json::Value = serde_json::from_str(&unhealthy.stdout).unwrap();
    assert_eq!(parsed["failures"][0]["type"], "Machine", "{unhealthy}");
    let tolerant = bench.kops(&["validate", "cluster", NAME, "--max-unready-nodes", "1"]);
    assert_eq!(tolerant.status, Some(0), "{tolerant}");
}

#[test]
fn a_rolling_update_replaces_what_is_out_of_date_and_nothing_else() {
    let bench = running();
    insta::assert_snapshot!("nothing_to_roll", bench.kops(&["rolling-update", "cluster", NAME]).ok());
    change_nodes(&bench, "t3.medium", "m5.large");
    insta::assert_snapshot!("roll_preview", bench.kops(&["rolling-update", "cluster", NAME]).ok());

    let simulated = bench.kops(&["simulate", "rolling-update", NAME]).ok();
    assert_eq!(simulated.stdout.matches("  terminate instance ").count(), 2, "{simulated}");
    assert!(simulated.stdout.starts_with("AFTER       STEP\n"), "{simulated}");
    assert!(simulated.stderr.contains("2 instances would be replaced"), "{simulated}");
    let json = bench.kops(&["simulate", "rolling-update", NAME, "-o", "json"]).ok();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap()["blocked"],
        serde_json::json!([])
    );

    let other = bench.kops(&["rolling-update", "cluster", NAME, "--instance-group-roles", "master"]).ok();
    assert!(other.stderr.contains("No rolling-update required"), "{other}");
    let unknown = bench.kops(&["rolling-update", "cluster", NAME, "--instance-group", "node"]);
    insta::assert_snapshot!("roll_of_unknown_group", unknown);

    let rolled = bench.kops(&ROLL[..6]).ok();
    assert!(rolled.stderr.contains("Rolling update completed: 2 instances replaced"), "{rolled}");
    let again = bench.kops(&["rolling-update", "cluster", NAME]).ok();
    assert!(again.stderr.contains("No rolling-update required"), "{again}");
    bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
}

#[test]
fn a_killed_rolling_update_is_carried_on() {
    let bench = running();
    change_nodes(&bench, "t3.medium", "m5.large");
    let mut child = bench.command(&ROLL[..6]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("cordon node")));
    child.kill().unwrap();
    child.wait().unwrap();
    // The dead run's lease would expire within a minute.
    bench.kops(&["lock", "release", NAME, "--yes", "--force"]).ok();
    let rolled = bench.kops(&ROLL[..6]).ok();
    let preview = bench.kops(&["rolling-update", "cluster", NAME, "-o", "json"]).ok();
    assert!(preview.stderr.contains("No rolling-update required"), "{rolled}{preview}");
    let healthy = bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
    assert!(healthy.stdout.contains("is ready"), "{healthy}");
}

#[test]
fn one_machine_is_shown_and_replaced() {
    let bench = running();
    let shown = bench.kops(&["get", "instances", NAME]).ok();
    assert_eq!(shown.stdout.matches("UpToDate").count(), 3, "{shown}");
    let without_nodes = bench.kops(&["get", "instances", NAME, "--cloudonly"]).ok();
    assert!(!without_nodes.stdout.contains("node-i-sim"), "{without_nodes}");
    let line = shown.stdout.lines().find(|line| line.contains("nodes")).unwrap();
    let node = line.split_whitespace().nth(1).unwrap();
    // Handles are redacted in what is compared; the state of the simulation has them.
    let json = bench.command(&["get", "instances", NAME, "-o", "json"]).output().unwrap().stdout;
    let instances: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let worker = instances.as_array().unwrap().iter().find(|i| i["instanceGroup"] == "nodes").unwrap();
    assert_eq!(node, "node-i-sim#");
    let worker = worker["node"].as_str().unwrap();
    insta::assert_snapshot!(
        "instance_found",
        bench.kops(&["delete", "instance", worker, "--name", NAME]).ok()
    );
    let deleted = bench.kops(&["delete", "instance", worker, "--name", NAME, "--yes"]).ok();
    assert!(deleted.stderr.contains("1 instances replaced"), "{deleted}");
    let gone = bench.kops(&["delete", "instance", worker, "--name", NAME]);
    assert!(gone.stderr.contains("could not find instance"), "{gone}");
    bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
}

#[test]
fn an_upgrade_changes_the_manifests_and_goes_no_way_that_kubernetes_does_not() {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME, "--kubernetes-version", "1.34.1"], &zones[..]].concat()).ok();
    let upgrade = ["upgrade", "cluster", NAME];
    insta::assert_snapshot!(
        "upgrade_preview",
        screens([
            bench.kops(&upgrade).ok(),
            bench.kops(&[&upgrade[..], &["--kubernetes-version", "1.36.0"]].concat()),
        ])
    );
    bench.kops(&[&upgrade[..], &["--yes"]].concat()).ok();
    let again = bench.kops(&upgrade).ok();
    assert!(again.stderr.contains("No upgrade required"), "{again}");
}

#[test]
fn another_group_is_made_in_an_editor_or_without() {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a,ap-northeast-1c", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    let create = ["create", "ig", "more", "--name", NAME, "--subnet", "ap-northeast-1c"];
    let printed = bench.kops(&[&create[..], &["--dry-run", "-o", "yaml"]].concat()).ok();
    insta::assert_snapshot!("another_group", printed);
    insta::assert_snapshot!(
        "another_group_created",
        bench.kops(&[&create[..], &["--edit=false"]].concat()).ok()
    );
    let again = bench.kops(&[&create[..], &["--edit=false"]].concat());
    assert!(again.status == Some(1) && again.stderr.contains("already exists"), "{again}");

    let edited = ["create", "ig", "edited", "--name", NAME, "--role", "Node"];
    let saved = bench.command(&edited).env("EDITOR", "sed -i s/maxSize:.*/maxSize:\\ 7/").output().unwrap();
    let shown = bench.kops(&["get", "ig", "edited", "--name", NAME, "-o", "yaml"]).ok();
    assert!(shown.stdout.contains("maxSize: 7"), "{shown}{}", String::from_utf8_lossy(&saved.stderr));
    let wrong = bench.kops(&["create", "ig", "x", "--name", NAME, "--subnet", "nowhere", "--edit=false"]);
    assert!(wrong.status == Some(1) && wrong.stderr.contains("nowhere"), "{wrong}");
}

#[test]
fn a_smaller_group_drains_what_it_loses() {
    let bench = running();
    let manifest = bench.kops(&["get", "ig", "nodes", "--name", NAME, "-o", "yaml"]).ok().stdout;
    let lines = manifest.lines().filter(|line| !line.contains("creationTimestamp"));
    let smaller = lines.collect::<Vec<_>>().join("\n").replace("Size: 2", "Size: 1");
    bench.kops(&["replace", "-f", &bench.write("nodes.yaml", &smaller)]).ok();
    insta::assert_snapshot!("smaller_preview", bench.kops(&["update", "cluster", NAME]).ok());
    let updated = bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    let told = |verb: &str| updated.stderr.lines().filter(|line| line.starts_with(verb)).count();
    assert_eq!((told("cordon node"), told("terminate instance")), (1, 1), "{updated}");
    let nothing = bench.kops(&["update", "cluster", NAME]).ok();
    assert!(nothing.stderr.contains("No changes"), "{nothing}");
    bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
}

#[test]
fn without_the_kubernetes_api_machines_are_still_replaced() {
    let bench = started();
    let rolled = bench.kops(&[&ROLL[..], &["--cloudonly"]].concat()).ok();
    assert!(rolled.stderr.contains("nothing is drained"), "{rolled}");
    assert!(rolled.stderr.contains("3 instances replaced, 0 pods moved"), "{rolled}");
    let nobody = bench.kops(&[&ROLL[..], &["--interactive"]].concat());
    assert!(nobody.stderr.contains("nobody is there to answer"), "{nobody}");
}

#[test]
fn a_dump_holds_all_that_is_known_and_no_secret() {
    let bench = running();
    bench.kops(&["create", "keypair", "kubernetes-ca", "--primary", "--name", NAME]).ok();
    let token = bench.write("token", "s3cr3t");
    bench.kops(&["create", "secret", "token", NAME, "-f", &token]).ok();
    let json = bench.kops(&["toolbox", "dump", NAME, "-o", "json"]).ok();
    let dump: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let count = |list: &str| dump[list].as_array().map(Vec::len);
    assert_eq!(dump["cluster"]["metadata"]["name"], NAME);
    assert_eq!([count("instanceGroups"), count("instances"), count("nodes")], [Some(2), Some(3), Some(3)]);
    assert!(count("resources") > Some(30), "{json}");
    assert_eq!(dump["nodes"][0]["conditions"]["Ready"]["status"], "True", "{json}");
    for secret in ["s3cr3t", "czNjcjN0", "PRIVATE KEY", "privateMaterial"] {
        assert!(!json.stdout.contains(secret), "{secret}");
    }
    let without_nodes = bench.kops(&["toolbox", "dump", NAME, "--cloudonly"]).ok();
    assert!(without_nodes.stdout.ends_with("unreachable: it was not asked\n"), "{without_nodes}");
    let table = bench.kops(&["toolbox", "dump", NAME, "-o", "table"]);
    assert_eq!(table.status, Some(1), "{table}");
}

#[test]
fn an_upgrade_is_carried_out_in_order() {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24", "--yes"];
    bench.kops(&[&["create", "cluster", NAME, "--kubernetes-version", "1.34.1"], &zones[..]].concat()).ok();
    bench.kops(&["validate", "cluster", NAME, "--wait", "2m", "--interval", "1s"]).ok();
    bench.kops(&["upgrade", "cluster", NAME, "--yes"]).ok();
    let preview = bench.kops(&["reconcile", "cluster", NAME]).ok();
    let steps = preview.stdout.lines().filter(|line| line.starts_with("  ") && line.contains('/'));
    let templates: Vec<&str> = steps.filter(|line| line.contains("LaunchTemplate")).collect();
    let changed = "  LaunchTemplate/master-ap-northeast-1a.masters.demo.k8s.local  (new version)";
    assert_eq!(templates, [changed], "{preview}");
    let held = preview.stderr.lines().find(|line| line.starts_with("warning: workers stay"));
    insta::assert_snapshot!(held.unwrap(), @"warning: workers stay at Kubernetes 1.34.1 until every machine of the control plane runs 1.35.7: `reconcile cluster` does both in that order");
    let reconciled = bench.kops(&["reconcile", "cluster", NAME, "--yes"]).ok();
    assert_eq!(reconciled.stderr.matches("warning: workers stay at Kubernetes 1.34.1").count(), 1);
    assert!(reconciled.stderr.ends_with("resources changed, 3 machines replaced\n"), "{reconciled}");
    let again = bench.kops(&["reconcile", "cluster", NAME, "--yes"]).ok();
    assert!(again.stderr.ends_with("0 resources changed, 0 machines replaced\n"), "{again}");
    let dump = bench.kops(&["toolbox", "dump", NAME]).ok();
    assert_eq!(dump.stdout.matches("kubeletVersion: v1.35").count(), 3, "{dump}");
}

//! What a run tells a program: one stream of JSON lines, whatever the run does.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::Bench;

const NAME: &str = "demo.k8s.local";

fn events(bench: &Bench, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.path(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(events: &[Value]) -> BTreeSet<String> {
    let name = |event: &Value| {
        format!("{}/{}", event["of"].as_str().unwrap(), event["event"].as_str().unwrap_or_default())
    };
    events.iter().map(name).collect()
}

#[test]
fn every_event_of_a_run_names_its_cluster_and_its_time() {
    let bench = Bench::new();
    let zones = "ap-northeast-1a";
    bench.kops(&["create", "cluster", NAME, "--zones", zones, "--yes", "--events", "made"]).ok();
    let made = events(&bench, "made");
    assert_eq!(
        names(&made),
        ["plan/finished", "plan/started", "plan/step-done", "plan/step-started"].map(str::to_owned).into()
    );
    for event in &made {
        assert_eq!(event["cluster"], NAME, "{event}");
        event["at"].as_str().unwrap().parse::<kops_core::clock::Timestamp>().unwrap();
    }
    let mode = std::fs::metadata(bench.path("made")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let roll = ["rolling-update", "cluster", NAME, "--yes", "--force", "--cloudonly", "--events", "rolled"];
    bench.kops(&roll).ok();
    let rolled = names(&events(&bench, "rolled"));
    assert!(
        rolled.is_superset(&["roll/started", "roll/done", "roll/finished"].map(str::to_owned).into()),
        "{rolled:?}"
    );

    bench.kops(&["delete", "cluster", NAME, "--yes", "--events", "deleted"]).ok();
    assert!(names(&events(&bench, "deleted")).contains("plan/step-done"));
}

#[test]
fn a_file_that_cannot_be_written_stops_the_run_before_it_begins() {
    let bench = Bench::new();
    let create = ["create", "cluster", NAME, "--zones", "ap-northeast-1a"];
    bench.kops(&create).ok();
    let refused = bench.kops(&["update", "cluster", NAME, "--yes", "--events", "nowhere/events"]);
    assert!(refused.stderr.contains("cannot write events to nowhere/events"), "{refused}");
    let preview = bench.kops(&["update", "cluster", NAME, "--events", "events"]);
    assert!(preview.stderr.contains("--yes"), "a preview has no events: {preview}");
}

//! The command on the simulated cloud, from a list of zones to nothing: what people read, as snapshots.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::os::unix::fs::PermissionsExt;

use crate::support::{Bench, Said, screens};

const NAME: &str = "demo.k8s.local";
const CREATE: [&str; 9] = [
    "create",
    "cluster",
    "--name",
    NAME,
    "--zones",
    "ap-northeast-1a,ap-northeast-1c",
    "--master-zones",
    "ap-northeast-1a",
    "--admin-access=203.0.113.0/24",
];

fn created() -> Bench {
    let bench = Bench::new();
    bench.kops(&CREATE).ok();
    bench
}

fn applied() -> Bench {
    let bench = created();
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    bench
}

/// Progress comes in the order in which things finish; sorted, it can be compared.
fn sorted(mut said: Said) -> Said {
    // Whether machines still shut down when their group goes depends on how long the command before took.
    let lines = said.stderr.lines().filter(|line| !line.trim_start().starts_with("waiting until"));
    let (mut progress, rest): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('['));
    let mut words: Vec<String> = progress
        .drain(..)
        .filter_map(|line| line.split_once("] "))
        .map(|(_, rest)| format!("[…] {}", rest.split("  ").next().unwrap_or_default()))
        .collect();
    words.sort();
    // Whether something has to be waited for is a matter of time.
    let rest = rest.into_iter().filter(|line| !line.trim_start().starts_with("waiting until"));
    said.stderr = words.into_iter().chain(rest.map(str::to_owned)).map(|l| l + "\n").collect();
    said
}

/// A manifest as nobody has stored it yet.
fn without_time(text: &str) -> String {
    text.lines().filter(|line| !line.contains("creationTimestamp")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_dry_run_prints_manifests_and_changes_nothing() {
    let bench = Bench::new();
    let said = bench.kops(&[&CREATE[..], &["--dry-run", "-o", "yaml"]].concat()).ok();
    insta::assert_snapshot!(said);
    assert!(!bench.path(".kops-sim").exists());
    let refused = bench.kops(&[&CREATE[..], &["--dry-run"]].concat());
    assert!(refused.stderr.contains("--output"), "{refused}");
}

#[test]
fn whoever_does_not_close_the_api_is_told() {
    let bench = Bench::new();
    let said = bench.kops(&[&CREATE[..8], &["--dry-run", "-o", "yaml"]].concat()).ok();
    insta::assert_snapshot!(said.stderr);
}

#[test]
fn what_was_printed_can_be_created() {
    let bench = Bench::new();
    let printed = bench.kops(&[&CREATE[..], &["--dry-run", "-o", "yaml"]].concat()).ok();
    let file = bench.write("manifest.yaml", &printed.stdout);
    insta::assert_snapshot!(bench.kops(&["create", "-f", &file]).ok());
    let again = bench.kops(&["create", "-f", &file]);
    insta::assert_snapshot!(again);
    let stored = bench.kops(&["get", "all", "--name", NAME, "-o", "yaml"]).ok();
    assert_eq!(without_time(&stored.stdout), without_time(&printed.stdout));
}

#[test]
fn the_first_preview() {
    let bench = created();
    insta::assert_snapshot!(bench.kops(&["update", "cluster", NAME]).ok());
    let detailed = bench.kops(&["update", "cluster", NAME, "--detailed-exitcode"]);
    assert_eq!(detailed.status, Some(2));
}

#[test]
fn applying_and_then_nothing_to_do() {
    let bench = created();
    insta::assert_snapshot!("apply", sorted(bench.kops(&["update", "cluster", NAME, "--yes"]).ok()));
    insta::assert_snapshot!("nothing_to_do", bench.kops(&["update", "cluster", NAME]).ok());
    let detailed = bench.kops(&["update", "cluster", NAME, "--detailed-exitcode"]);
    assert_eq!(detailed.status, Some(0));
}

#[test]
fn getting() {
    let bench = created();
    let all = [
        bench.kops(&["get", "clusters"]),
        bench.kops(&["get", "ig", "--name", NAME]),
        bench.kops(&["get", "all", NAME]),
        bench.kops(&["get", "ig", "nodes", "--name", NAME, "-o", "yaml"]),
        bench.kops(&["get", "ig", "node", "--name", NAME]),
        bench.kops(&["get", "cluster", "dmo.k8s.local"]),
    ];
    insta::assert_snapshot!(screens(all));
    // Options of all verbs may stand anywhere.
    bench.kops(&["get", "--name", NAME, "ig"]).ok();
    bench.kops(&["create", "--name", NAME, "ig", "more", "--edit=false"]).ok();
    for misplaced in
        [&["get", NAME, "ig"][..], &["get", "-o", "yaml", "ig"], &["create", "-f", "x", "ig", "y"]]
    {
        assert_eq!(bench.kops(misplaced).status, Some(1));
    }
}

/// A program that edits the file it is given.
fn editor(bench: &Bench, name: &str, script: &str) -> String {
    let path = bench.write(name, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn an_edit_becomes_a_change_of_the_scaling_group() {
    let bench = applied();
    let edit = ["edit", "ig", "nodes", "--name", NAME];
    let bigger = editor(
        &bench,
        "bigger",
        "sed -i 's/maxSize: 2/maxSize: 5/; s/machineType: .*/machineType: m5.large/' \"$1\"",
    );
    let output = bench.command(&edit).env("EDITOR", bigger).output().unwrap();
    bench.said(&edit, &output).ok();
    insta::assert_snapshot!(bench.kops(&["update", "cluster", NAME]).ok());
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    let again = bench.kops(&["update", "cluster", NAME]).ok();
    assert!(again.stderr.contains("No changes"), "{again}");
}

#[test]
fn a_preview_tells_what_changes_on_the_machines() {
    let bench = applied();
    let edit = ["edit", "ig", "nodes", "--name", NAME];
    let more = editor(&bench, "more", "sed -i 's/^spec:/spec:\\n  kubelet: {maxPods: 200}/' \"$1\"");
    let output = bench.command(&edit).env("EDITOR", more).output().unwrap();
    bench.said(&edit, &output).ok();
    let preview = bench.kops(&["update", "cluster", NAME]).ok().stdout;
    let told: Vec<&str> = preview.lines().filter(|line| line.contains("maxPods")).map(str::trim).collect();
    assert_eq!(told, ["kubelet.maxPods: <none> -> 200"], "{preview}");
}

#[test]
fn a_faulty_edit_is_shown_again_and_never_lost() {
    let bench = created();
    let edit = ["edit", "ig", "nodes", "--name", NAME];
    // The second time, the editor leaves the file as it is.
    let faulty = editor(
        &bench,
        "faulty",
        "grep -q maxSizes \"$1\" && cp \"$1\" seen || sed -i 's/maxSize:/maxSizes:/' \"$1\"",
    );
    let output = bench.command(&edit).env("EDITOR", &faulty).output().unwrap();
    let said = bench.said(&edit, &output);
    assert_eq!(said.status, Some(1), "{said}");
    let kept = said.stderr.split("stored to \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(std::fs::read_to_string(kept).unwrap().contains("maxSizes: 2"));
    std::fs::remove_dir_all(std::path::Path::new(kept).parent().unwrap()).unwrap();
    let seen = std::fs::read_to_string(bench.path("seen")).unwrap();
    insta::assert_snapshot!(seen.lines().take(7).collect::<Vec<_>>().join("\n"));
    let unchanged = editor(&bench, "unchanged", "true");
    let output = bench.command(&edit).env("EDITOR", &unchanged).output().unwrap();
    assert!(bench.said(&edit, &output).ok().stderr.contains("Edit cancelled, no changes made."));
}

#[test]
fn a_saved_plan_is_applied_or_refused() {
    let bench = created();
    let plan = bench.path("plan.json").display().to_string();
    bench.kops(&["update", "cluster", NAME, "--out", &plan]).ok();
    let mode = std::fs::metadata(&plan).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    bench.kops(&["update", "cluster", "--plan", &plan, "--yes"]).ok();
    insta::assert_snapshot!(bench.kops(&["update", "cluster", "--plan", &plan, "--yes"]));
}

#[test]
fn l7_an_edited_plan_is_refused_though_its_fingerprint_fits() {
    let bench = created();
    let plan = bench.path("plan.json");
    let file = plan.display().to_string();
    bench.kops(&["update", "cluster", NAME, "--out", &file]).ok();
    let saved = std::fs::read_to_string(&plan).unwrap();
    let wider = saved.replacen("ec2:DescribeInstances", "*:*", 1);
    assert_ne!(saved, wider);
    std::fs::write(&plan, wider).unwrap();
    for edited in
        [&["update", "cluster", "--plan", &file][..], &["update", "cluster", "--plan", &file, "--yes"]]
    {
        let said = bench.kops(edited);
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stderr.contains("it does not do what would be planned now"), "{said}");
    }
    let left = bench.kops(&["update", "cluster", NAME]).ok();
    assert!(left.stdout.contains("to create"), "nothing was applied: {left}");
}

#[test]
fn a_plan_is_saved_beside_what_others_have_linked_there() {
    let bench = created();
    let (plan, mine) = (bench.path("plan.json"), bench.write("mine", "mine"));
    std::os::unix::fs::symlink(&mine, &plan).unwrap();
    bench.kops(&["update", "cluster", NAME, "--out", &plan.display().to_string()]).ok();
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
    assert!(!plan.is_symlink());
    let old = bench.write("old.json", "open to all");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o644)).unwrap();
    bench.kops(&["update", "cluster", NAME, "--out", &old]).ok();
    assert_eq!(std::fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn plans_as_json_are_one_document() {
    let bench = created();
    let said = bench.kops(&["update", "cluster", NAME, "-o", "json"]).ok();
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(plan["purpose"], "update");
    assert_eq!(plan["summary"]["create"], plan["steps"].as_array().unwrap().len());
    let said = bench.kops(&["update", "cluster", NAME, "--yes", "-o", "json"]).ok();
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["done"].as_array().unwrap().len(), plan["steps"].as_array().unwrap().len());
}

#[test]
fn an_instance_group_goes_alone() {
    let bench = created();
    let nodes = bench.kops(&["get", "ig", "nodes", "--name", NAME, "-o", "yaml"]).ok();
    let more =
        bench.write("more.yaml", &without_time(&nodes.stdout).replace("  name: nodes", "  name: more"));
    bench.kops(&["create", "-f", &more]).ok();
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    let last = bench.kops(&["delete", "ig", "nodes", "more", "--name", NAME]);
    assert_ne!(last.status, Some(0), "{last}");
    let refused = bench.kops(&["delete", "ig", "more", "--name", NAME]);
    assert!(refused.stderr.contains("Must specify --yes"), "{refused}");
    insta::assert_snapshot!(sorted(
        bench.kops(&["delete", "ig", "more", "--name", NAME, "--yes", "--cloudonly"]).ok()
    ));
    let after = bench.kops(&["update", "cluster", NAME]).ok();
    assert!(after.stderr.contains("No changes"), "{after}");
}

#[test]
fn deleting_leaves_nothing() {
    let bench = applied();
    insta::assert_snapshot!("delete_preview", bench.kops(&["delete", "cluster", NAME]).ok());
    bench.kops(&["delete", "cluster", NAME, "--yes"]).ok();
    let world = std::fs::read_to_string(bench.path(".kops-sim/world.json")).unwrap();
    let world: serde_json::Value = serde_json::from_str(&world).unwrap();
    assert_eq!((&world["records"], &world["members"]), (&serde_json::json!({}), &serde_json::json!({})));
    insta::assert_snapshot!("gone", bench.kops(&["get", "clusters"]));
}

#[test]
fn faults_of_a_manifest_are_named_with_their_place() {
    let bench = Bench::new();
    let printed = bench.kops(&[&CREATE[..], &["--dry-run", "-o", "yaml"]].concat()).ok();
    let wrong = printed.stdout.replace("networkCIDR:", "networkCidr:").replace("maxSize: 2", "maxSize: two");
    let file = bench.write("wrong.yaml", &wrong);
    insta::assert_snapshot!(bench.kops(&["create", "-f", &file]));
    assert!(!bench.path(".kops-sim/state").exists());
}

#[test]
fn help_and_completion() {
    let bench = Bench::new();
    insta::assert_snapshot!("help", bench.kops(&["--help"]).ok());
    insta::assert_snapshot!("help_create_cluster", bench.kops(&["create", "cluster", "--help"]).ok());
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.kops(&["completion", shell]).ok().stdout.len() > 1000);
    }
    let version = bench.kops(&["version"]).ok();
    assert!(version.stdout.starts_with("Client version: "), "{version}");
}

#[test]
fn what_is_refused_leaves_nothing_stored() {
    let bench = Bench::new();
    let refused: [&[&str]; 4] = [
        // The plan is refused: with and without --yes.
        &["--topology", "private", "--networking", "calico"],
        &["--topology", "private", "--networking", "calico", "--yes"],
        &["--master-count", "2"],
        &["--set", "cluster.spec.nosuchfield=1"],
    ];
    for options in refused {
        let said = bench.kops(&[&CREATE[..], options].concat());
        assert_eq!(said.status, Some(1), "{said}");
        assert!(!bench.path(".kops-sim/state").exists(), "{said}");
        assert_eq!(bench.kops(&["get", "clusters"]).stderr, "error: no clusters found\n");
    }
    let said = bench.kops(&[&CREATE[..], refused[0]].concat());
    assert!(said.stderr.contains("nothing was stored"), "{said}");
    // What is there already stays as it is.
    bench.kops(&CREATE).ok();
    let before = bench.kops(&["get", "all", NAME, "-o", "yaml"]).ok().stdout;
    let said = bench.kops(&[&CREATE[..], &["--yes"]].concat());
    assert!(said.stderr.contains("already exists"), "{said}");
    assert_eq!(bench.kops(&["get", "all", NAME, "-o", "yaml"]).ok().stdout, before);
}

#[test]
fn warnings_come_last_in_every_preview() {
    let bench = Bench::new();
    let both = |arguments: &[&str]| {
        // One stream for both, as on a screen.
        let line = format!("\"$KOPS\" {} 2>&1", arguments.join(" "));
        let mut command = bench.command(&[]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &line]).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output =
            shell.env("KOPS", env!("CARGO_BIN_EXE_kops")).current_dir(bench.path("")).output().unwrap();
        command.arg("unused");
        String::from_utf8(output.stdout).unwrap()
    };
    let create = &CREATE[..8];
    let warning = "warning: ";
    for (arguments, end) in [
        ([create, &["--dry-run", "-o", "yaml"]].concat(), None),
        (create.to_vec(), Some("Must specify --yes")),
        (vec!["update", "cluster", NAME], Some("Must specify --yes")),
        (vec!["reconcile", "cluster", NAME], Some("Must specify --yes")),
        (vec!["update", "cluster", NAME, "--yes"], Some("Cluster is starting")),
    ] {
        let screen = both(&arguments);
        let mut after = screen.rsplit_once(warning).unwrap_or_else(|| panic!("{screen}")).1.lines().skip(1);
        match end {
            None => assert_eq!(after.next(), None, "{screen}"),
            Some(end) => assert!(after.find(|line| !line.is_empty()).unwrap().starts_with(end), "{screen}"),
        }
    }
}

#[test]
fn machines_have_a_zone_and_an_address() {
    let bench = Bench::new();
    bench.kops(&[&CREATE[..], &["--node-count", "4", "--yes"]].concat()).ok();
    bench.kops(&["validate", "cluster", NAME, "--wait", "1m"]).ok();
    let said = bench.kops(&["get", "instances", NAME, "-o", "json"]).ok();
    let machines: Vec<serde_json::Value> = serde_json::from_str(&said.stdout).unwrap();
    let place = |machine: &serde_json::Value| {
        let text =
            |field: &str| machine[field].as_str().unwrap_or_else(|| panic!("{field}: {said}")).to_owned();
        (text("instanceGroup"), text("zone"), text("internalIp"))
    };
    let places: Vec<(String, String, String)> = machines.iter().map(place).collect();
    assert_eq!(places.len(), 5, "{said}");
    for (zone, range) in [("ap-northeast-1a", "172.20."), ("ap-northeast-1c", "172.20.")] {
        let there = places.iter().filter(|(group, found, _)| group == "nodes" && found == zone);
        assert_eq!(there.inspect(|place| assert!(place.2.starts_with(range))).count(), 2, "{said}");
    }
    let addresses: std::collections::BTreeSet<&str> = places.iter().map(|place| place.2.as_str()).collect();
    assert_eq!(addresses.len(), 5, "{said}");
}

#[test]
fn what_the_cloud_does_not_have_is_refused_before_anything_is_made() {
    let refused = |more: &[&str]| {
        let fixed = ["create", "cluster", "--name", NAME, "--admin-access=203.0.113.0/24"];
        let said = Bench::new().kops(&[&fixed[..], more].concat());
        assert_eq!(said.status, Some(1), "{said}");
        said
    };
    insta::assert_snapshot!(screens([
        refused(&["--zones", "us-east-1"]),
        refused(&["--zones", "foo"]),
        refused(&["--zones", "us-east-1a", "--master-zones", "eu-west-1a"]),
        refused(&["--zones", "us-est-1a"]),
    ]));
    let typed = refused(&["--zones", "us-east-1a", "--node-size", "t2.micre"]);
    assert!(typed.stderr.contains("did you mean t2.micro?"), "{typed}");
}

#[test]
fn a_cluster_whose_manifest_names_no_zone_can_be_deleted() {
    let bench = applied();
    let config = bench.path(&format!(".kops-sim/state/{NAME}/config"));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("zone: ap-northeast-1a", "zone: foo")).unwrap();
    let refused = bench.kops(&["update", "cluster", NAME]);
    assert!(refused.stderr.contains("`foo` is not the name of a zone"), "{refused}");
    bench.kops(&["delete", "cluster", NAME, "--yes"]).ok();
}

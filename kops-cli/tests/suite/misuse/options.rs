//! No verb takes an option and does not act on it: every verb of the command is tried with every option that verbs share.

use super::{NAME, stored, without_time};
use crate::support::{Bench, SIMULATED, screens};
use clap::{Command, CommandFactory};

/// A command line of every verb. A verb that is missing here fails the test.
const LINES: [&str; 46] = [
    "completion bash",
    "create assets kops-node",
    "create cluster --zones ap-northeast-1a --dry-run -o yaml",
    "create instancegroup more --edit=false",
    "create keypair kubernetes-ca",
    "create secret token -f value",
    "create secret sshpublickey admin -i key.pub",
    "create sshpublickey -i key.pub",
    "create state-store s3://bucket",
    "delete cluster",
    "delete instance i-1",
    "delete instancegroup nodes",
    "delete secret token",
    "delete sshpublickey",
    "distrust keypair kubernetes-ca",
    "edit cluster",
    "edit instancegroup nodes",
    "etcd backup",
    "etcd list",
    "etcd restore 2026-11-26T01:00:00Z-000001",
    "export kubeconfig --internal",
    "get",
    "get all",
    "get clusters",
    "get instancegroups",
    "get instances",
    "get keypairs",
    "get secrets",
    "get sshpublickeys",
    "lock release",
    "lock status",
    "promote keypair kubernetes-ca",
    "rotate gossip-key",
    "rotate join-token",
    "reconcile cluster",
    "replace -f manifest.yaml",
    "rolling-update cluster",
    "simulate rolling-update",
    "toolbox dump",
    "update cluster",
    "upgrade cluster",
    "validate cluster",
    "version",
    "create -f manifest.yaml",
    "get all demo.k8s.local",
    "update cluster demo.k8s.local",
];

/// The verbs of the command: what is run, and not only leads to others.
fn verbs(command: &Command, path: &str, found: &mut Vec<String>) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let path = format!("{path}{}", verb.get_name());
        if !verb.is_subcommand_required_set() {
            found.push(path.clone());
        }
        verbs(verb, &format!("{path} "), found);
    }
}

/// A cluster in the simulation, a manifest of it, and the environment's word for it.
fn bench() -> Bench {
    let bench = stored();
    let manifests = bench.kops(&["get", "all", NAME, "-o", "yaml"]).ok().stdout;
    bench.write("manifest.yaml", &without_time(&manifests));
    bench.write("value", "s3cr3t");
    bench.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdHyNvXuBUcMLrQ0Bv5TK4iSQWhwWQmHDJ4bVCTXyyJ demo",
    );
    bench.write("kops-node", "no program");
    bench
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn every_verb_is_tried() {
    let mut found = Vec::new();
    verbs(&kops_cli::Cli::command(), "", &mut found);
    for verb in &found {
        assert!(
            LINES.iter().any(|line| format!("{line} ").starts_with(&format!("{verb} "))),
            "no line of {verb}"
        );
    }
    assert!(found.len() >= 40, "{found:?}");
}

/// Each option names something that cannot be used: a caller that acts on it has to say so.
#[test]
fn every_verb_acts_on_the_options_of_all_or_does_not_take_them() {
    let bench = bench();
    let options = [
        ("--name", "other.k8s.local"),
        ("--state", "s3://elsewhere"),
        ("--config", "/missing.yaml"),
        ("--sim", "flase"),
    ];
    for line in LINES {
        for (option, value) in options {
            let option = format!("{option}={value}");
            for arguments in
                [[&words(line)[..], &[&option]].concat(), [&[option.as_str()], &words(line)[..]].concat()]
            {
                let said = bench.said(
                    &arguments,
                    &bench.command(&arguments).env("KOPS_CLUSTER_NAME", NAME).output().unwrap(),
                );
                let refused =
                    said.stderr.contains("unexpected argument") || said.stderr.contains("has no use for");
                let acted = said.to_string().replacen(&said.line, "", 1).contains(value);
                assert!(refused || acted, "{said}");
            }
        }
    }
}

#[test]
fn a_cluster_that_is_named_twice_is_no_cluster() {
    let bench = bench();
    for arguments in [
        &["delete", "cluster", "prod", "--name", "staging", "--yes"][..],
        &["update", "cluster", "prod", "--name", "staging"],
        &["get", "all", "prod", "--name=staging"],
        &["--name", "prod", "delete", "cluster", "--name", "staging"],
        &["get", "clusters", "prod", NAME, "--name", NAME],
    ] {
        let output = bench.command(arguments).env("KOPS_CLUSTER_NAME", NAME).output().unwrap();
        let said = bench.said(arguments, &output);
        assert_eq!(said.status, Some(1), "{said}");
        assert!(!said.stderr.contains("not found"), "it was looked for: {said}");
    }
    // What is said with the command goes before the environment.
    for arguments in [&["delete", "cluster", "prod"][..], &["get", "ig", "--name", "prod"]] {
        let said =
            bench.said(arguments, &bench.command(arguments).env("KOPS_CLUSTER_NAME", NAME).output().unwrap());
        assert!(said.stderr.contains("cluster not found \"prod\""), "{said}");
    }
}

#[test]
fn getting_clusters_shows_those_that_are_named() {
    let bench = bench();
    bench.kops(&["create", "cluster", "other.k8s.local", "--zones", "ap-northeast-1a"]).ok();
    let names = |arguments: &[&str], variable: &str| {
        let output = bench.command(arguments).env("KOPS_CLUSTER_NAME", variable).output().unwrap();
        let said = bench.said(arguments, &output);
        let listed = said.stdout.lines().skip(1).filter_map(|line| line.split(' ').next().map(str::to_owned));
        (said.status, listed.collect::<Vec<_>>())
    };
    let found = |names: &[&str]| (Some(0), names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let missing = (Some(1), Vec::new());
    assert_eq!(names(&["get", "clusters"], ""), found(&[NAME, "other.k8s.local"]));
    assert_eq!(names(&["get", "cluster", "--name", "other.k8s.local"], ""), found(&["other.k8s.local"]));
    assert_eq!(names(&["get", "clusters"], "other.k8s.local"), found(&["other.k8s.local"]));
    assert_eq!(names(&["get", "clusters", NAME], "other.k8s.local"), found(&[NAME]));
    assert_eq!(names(&["get", "clusters", "other.k8s.local", NAME], ""), found(&[NAME, "other.k8s.local"]));
    assert_eq!(names(&["get", "cluster", "--name", "third.k8s.local"], ""), missing);
    assert_eq!(names(&["get", "clusters", NAME, "third.k8s.local"], ""), missing);
    // JSON goes by what was asked for: one name, one object.
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&bench.kops(arguments).ok().stdout).unwrap()
    };
    assert!(json(&["get", "clusters", NAME, "-o", "json"]).is_object());
    assert!(json(&["get", "ig", "nodes", "--name", NAME, "-o", "json"]).is_object());
    bench.kops(&["delete", "cluster", "other.k8s.local", "--yes"]).ok();
    assert!(json(&["get", "clusters", "-o", "json"]).is_array());
}

#[test]
fn what_a_file_names_is_not_what_the_option_names() {
    let bench = bench();
    for verb in ["create", "replace"] {
        let said = bench.kops(&[verb, "-f", "manifest.yaml", "--name", "other.k8s.local"]);
        assert!(
            said.stderr.contains("--name is \"other.k8s.local\", but cluster \"demo.k8s.local\""),
            "{said}"
        );
    }
    bench.kops(&["replace", "-f", "manifest.yaml", "--name", NAME]).ok();
    bench.kops(&["update", "cluster", NAME, "--out", "plan.json"]).ok();
    for other in [&["other.k8s.local"][..], &["--name", "other.k8s.local"]] {
        let said = bench.kops(&[&["update", "cluster", "--plan", "plan.json"], other].concat());
        assert!(said.stderr.contains("the plan is for cluster \"demo.k8s.local\""), "{said}");
    }
}

/// Each pair would leave one of its options without effect.
#[test]
fn options_that_would_have_no_effect_are_refused() {
    let bench = bench();
    for line in [
        "create cluster x.k8s.local --zones ap-northeast-1a --dry-run",
        "create cluster x.k8s.local --zones ap-northeast-1a --dry-run -o table",
        "create cluster x.k8s.local --zones ap-northeast-1a -o yaml",
        "create cluster x.k8s.local --zones ap-northeast-1a --dry-run -o yaml --yes",
        "create ig more --name demo.k8s.local -o yaml",
        "create ig more --name demo.k8s.local --dry-run",
        "create secret --force sshpublickey admin -i key.pub --name demo.k8s.local",
        "create secret -f value sshpublickey admin -i key.pub --name demo.k8s.local",
        "delete cluster demo.k8s.local -o yaml",
        "delete cluster demo.k8s.local --region eu-west-1",
        "delete cluster demo.k8s.local --external",
        "delete cluster demo.k8s.local --unregister -o json",
        "delete cluster demo.k8s.local --unregister --external",
        "export kubeconfig demo.k8s.local --internal --api-server https://x",
        "export kubeconfig demo.k8s.local --internal --admin --user x",
        "get keypairs missing --name demo.k8s.local",
        "get secrets missing --name demo.k8s.local",
        "get -o yaml ig --name demo.k8s.local",
        "rolling-update cluster demo.k8s.local --interactive",
        "rolling-update cluster demo.k8s.local --fail-on-drain-error=false --stuck-drain wait",
        "rolling-update cluster demo.k8s.local --stuck-drain wait --drain-timeout 1m",
        "rolling-update cluster demo.k8s.local -o yaml",
        "update cluster demo.k8s.local -o yaml",
        "update cluster demo.k8s.local --yes --detailed-exitcode",
        "update cluster demo.k8s.local --yes --out plan.json",
        "validate cluster demo.k8s.local --count 3",
        "validate cluster demo.k8s.local --interval 3s",
    ] {
        let said = bench.kops(&words(line));
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stderr.starts_with("error: "), "{said}");
    }
    assert_eq!(bench.kops(&["get", "clusters"]).ok().stdout.lines().count(), 2);
}

#[test]
fn booleans_take_a_value_and_never_the_next_argument() {
    let bench = bench();
    let create = ["create", "cluster", "--zones", "ap-northeast-1a", "-o", "yaml", "--name", "x.k8s.local"];
    for dry_run in ["--dry-run", "--dry-run=true", "--dry-run=1", "--dry-run=True"] {
        let said = bench.kops(&[&create[..], &[dry_run]].concat()).ok();
        assert!(said.stdout.contains("kind: Cluster"), "{said}");
    }
    bench
        .kops(&[
            "create",
            "cluster",
            "y.k8s.local",
            "--zones",
            "ap-northeast-1a",
            "--dry-run=false",
            "--yes=no",
        ])
        .ok();
    let preview = bench.kops(&["update", "cluster", NAME, "--yes=false"]).ok();
    assert!(preview.stderr.contains("Must specify --yes"), "{preview}");
    let swallowed = bench.kops(&["update", "cluster", "--yes", "foo.k8s.local"]);
    assert!(swallowed.stderr.contains("cluster not found \"foo.k8s.local\""), "{swallowed}");
    let meant = bench.kops(&["update", "cluster", "--yes", "true"]);
    assert!(meant.stderr.contains("hint: an option takes it after an equals sign: --yes=true"), "{meant}");
    let wrong = bench.kops(&["update", "cluster", NAME, "--yes=maybe"]);
    assert!(wrong.stderr.contains("invalid value 'maybe' for '--yes"), "{wrong}");
    let short = bench.kops(&["update", "cluster", NAME, "-y=false"]).ok();
    assert!(short.stderr.contains("Must specify --yes"), "{short}");
    let both = bench.kops(&["rolling-update", "cluster", NAME, "-iy=false"]);
    assert!(both.stderr.contains("--interactive asks"), "{both}");
    bench.kops(&["create", "ig", "more", "--name", NAME, "--edit=false", "--dry-run=false"]).ok();
}

#[test]
fn variables_that_are_empty_count_as_unset() {
    let bench = bench();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env_remove("KOPS_SIM").envs(variables.iter().copied());
        let output = command.output().unwrap();
        (String::from_utf8_lossy(&output.stderr).into_owned(), bench.said(arguments, &output))
    };
    for off in ["", " ", "no", "off", "False", "0", "f"] {
        let (stderr, _) = run(&[("KOPS_SIM", off)], &["get", "clusters"]);
        assert!(stderr.starts_with("error: no state store is named"), "{off:?}: {stderr}");
    }
    for on in ["1", "yes", "ON", "true"] {
        let (stderr, said) = run(&[("KOPS_SIM", on)], &["get", "clusters"]);
        assert!(stderr.starts_with(SIMULATED), "{stderr}");
        assert!(said.stdout.contains(NAME), "{said}");
    }
    let (stderr, _) = run(&[("KOPS_SIM", "flase")], &["get", "clusters"]);
    assert!(stderr.starts_with("error: KOPS_SIM is \"flase\""), "{stderr}");
    // The simulation does not hide behind the address of a real store, nor write to it.
    let (stderr, said) = run(&[("KOPS_SIM", "1"), ("KOPS_STATE_STORE", "s3://real")], &["get", "clusters"]);
    assert!(stderr.contains("KOPS_STATE_STORE (s3://real) is not used"), "{stderr}");
    assert!(said.stdout.contains(NAME), "{said}");
    let sim = ("KOPS_SIM", "1");
    let (stderr, _) = run(&[sim, ("KOPS_CLUSTER_NAME", "")], &["delete", "cluster"]);
    assert!(stderr.contains("no cluster is named"), "{stderr}");
    run(&[sim, ("KOPS_STATE_STORE", ""), ("KUBECONFIG", ""), ("TMPDIR", "")], &["get", "ig", "--name", NAME])
        .1
        .ok();
    let (_, said) = run(&[sim, ("HOME", "")], &["get", "ig", "--name", NAME]);
    said.ok();
    let (stderr, _) = run(&[sim], &["create", "state-store", "s3://bucket"]);
    assert!(stderr.contains("needs no bucket") && stderr.contains("KOPS_SIM"), "{stderr}");
}

#[test]
fn settings_are_read_as_kops_documents_them() {
    let bench = Bench::new();
    let (place, other) = (format!("file://{}", bench.path("kept").display()), bench.path("other"));
    let create = ["create", "cluster", NAME, "--zones", "ap-northeast-1a"];
    bench.said(&create, &bench.command(&create).env("KOPS_STATE_STORE", &place).output().unwrap()).ok();
    let get = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["get", "clusters"], arguments].concat();
        let output =
            bench.command(&arguments).env_remove("KOPS_SIM").envs(variables.iter().copied()).output();
        bench.said(&arguments, &output.unwrap())
    };
    bench.write(".kops.yaml", &format!("kops_state_store: {place}\n"));
    assert!(get(&[], &[]).ok().stdout.contains(NAME));
    bench.write(".kops.yaml", &format!("KOPS_STATE_STORE: {place}/\nkops_colour: red\n"));
    let said = get(&[], &[]).ok();
    assert!(said.stderr.contains("there is no setting \"kops_colour\""), "{said}");
    std::fs::remove_file(bench.path(".kops.yaml")).unwrap();
    std::fs::create_dir(bench.path(".kops")).unwrap();
    bench.write(".kops/config", &format!("kops_state_store: {place}\n"));
    assert!(get(&[], &[]).ok().stdout.contains(NAME));
    // What is said with the command goes before the environment, and that before a file that is only found.
    let elsewhere = format!("file://{}", other.display());
    assert!(get(&[], &[("KOPS_STATE_STORE", &elsewhere)]).stderr.contains("no clusters found"));
    let named = bench.write("named.yaml", &format!("kops_state_store: {place}\n"));
    assert!(get(&["--config", &named], &[("KOPS_STATE_STORE", &elsewhere)]).ok().stdout.contains(NAME));
    assert!(get(&["--config", &named, "--state", &elsewhere], &[]).stderr.contains("no clusters found"));
    let wrong = bench.write("wrong.yaml", "a: b\nkops_state_store: [x]\n");
    insta::assert_snapshot!(screens([
        get(&["--config", &wrong], &[]),
        get(&["--config", "missing.yaml"], &[])
    ]));
}

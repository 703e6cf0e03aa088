//! kubectl is let use a cluster: what people read, and what is in the file.
#![expect(clippy::unwrap_used, reason = "a failing test should say where")]

use std::os::unix::fs::PermissionsExt;

use crate::support::{Bench, screens};

const NAME: &str = "demo.k8s.local";
const EXPORT: [&str; 5] = ["export", "kubeconfig", NAME, "--api-server", "lb.example.com"];

/// A cluster with an authority.
fn cluster() -> Bench {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    bench.kops(&["create", "keypair", "kubernetes-ca", "--primary", "--name", NAME]).ok();
    bench
}

/// The file without what is new each time.
fn masked(text: &str) -> String {
    let is_data = |line: &&str| line.contains("-data: ");
    let mask = |line: &str| line.split_once(": ").map(|(key, _)| format!("{key}: [DATA]")).unwrap();
    text.lines().map(|line| if is_data(&line) { mask(line) } else { line.to_owned() } + "\n").collect()
}

#[test]
fn a_new_file_gets_a_short_lived_certificate() {
    let bench = cluster();
    let said = bench.kops(&[&EXPORT[..], &["--admin"]].concat()).ok();
    let path = bench.path(".kube/config");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!said.to_string().contains("data"), "{said}");
    insta::assert_snapshot!(format!("{said}\n{}", masked(&text)));
    // From now on, kubectl's context names the cluster; to delete it, somebody has to say so.
    let get = bench.kops(&["get", "ig"]).ok();
    assert_eq!(get.stderr, "Using cluster from kubectl context: demo.k8s.local\n\n");
    assert!(bench.kops(&["delete", "cluster"]).stderr.contains("no cluster is named"));
    let other = bench.kops(&["get", "ig", "--name", "other.k8s.local"]);
    assert!(other.stderr.contains("cluster not found \"other.k8s.local\""), "{other}");
}

#[test]
fn what_others_have_there_stays() {
    let bench = cluster();
    let theirs = "current-context: x\nusers:\n- name: alice\n  user:\n    token: s3cr3t\n";
    let config = bench.write("config", theirs);
    let broken = bench.write("broken", "users: s3cr3t\n");
    let to = |file: &'static str| [&EXPORT[..], &["--kubeconfig", file]].concat();
    insta::assert_snapshot!(screens([
        bench.kops(&EXPORT[..3]),
        bench.kops(&to("config")).ok(),
        bench.kops(&[to("config"), vec!["--user", "bob"]].concat()),
        bench.kops(&[to("config"), vec!["--user", "alice"]].concat()).ok(),
        bench.kops(&[to("config"), vec!["--user", "alice", "--admin=1h"]].concat()),
        bench.kops(&to("broken")),
    ]));
    insta::assert_snapshot!("merged", masked(&std::fs::read_to_string(config).unwrap()));
    assert_eq!(std::fs::read_to_string(broken).unwrap(), "users: s3cr3t\n");
}

#[test]
fn of_several_files_the_first_that_is_there_is_changed() {
    let bench = cluster();
    let there = bench.write("there", "");
    let paths =
        std::env::join_paths([bench.path("absent"), there.clone().into(), bench.path("last")]).unwrap();
    let output = bench.command(&["export", "kubecfg", NAME, "--internal"]).env("KUBECONFIG", paths).output();
    let said = bench.said(&[], &output.unwrap()).ok();
    assert!(std::fs::read_to_string(there).unwrap().contains("server: https://api.internal.demo.k8s.local"));
    assert!(!bench.path("absent").exists() && !bench.path("last").exists(), "{said}");
}

#[test]
fn a_cluster_that_is_gone_is_not_kubectls_any_more() {
    for delete in
        [&["delete", "cluster", NAME, "--yes"][..], &["delete", "cluster", NAME, "--unregister", "--yes"]]
    {
        let bench = cluster();
        bench.kops(&[&EXPORT[..], &["--admin"]].concat()).ok();
        let path = bench.path(".kube/config");
        let alice = "users:\n- name: alice\n  user:\n    token: s3cr3t\n";
        let text = std::fs::read_to_string(&path).unwrap().replace("users:\n", alice);
        std::fs::write(&path, text).unwrap();
        let said = bench.kops(delete).ok();
        assert!(said.stderr.contains("Deleted kubectl config for demo.k8s.local"), "{said}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("current-context: \"\"") && text.contains("alice"), "{text}");
        assert!(bench.kops(&["get", "ig"]).stderr.contains("no cluster is named"));
    }
}

#[test]
fn another_cluster_of_that_name_stays_kubectls() {
    let (tried, real) = (cluster(), cluster());
    real.kops(&[&EXPORT[..], &["--admin"]].concat()).ok();
    let text = std::fs::read_to_string(real.path(".kube/config")).unwrap();
    std::fs::create_dir(tried.path(".kube")).unwrap();
    std::fs::write(tried.path(".kube/config"), &text).unwrap();
    let said = tried.kops(&["delete", "cluster", NAME, "--yes"]).ok();
    assert!(
        said.stderr.contains("warning: [DIR]/.kube/config keeps its entries for demo.k8s.local"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(tried.path(".kube/config")).unwrap(), text);
    // What cannot be changed keeps no cluster from going.
    std::fs::write(real.path(".kube/config.lock"), "").unwrap();
    let said = real.kops(&["delete", "cluster", NAME, "--yes"]).ok();
    assert!(said.stderr.contains("warning: demo.k8s.local is still in kubectl's configuration"), "{said}");
    assert!(said.stderr.contains("Deleted cluster"), "{said}");
}

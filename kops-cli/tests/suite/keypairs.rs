//! Keys are rotated: what people read, as snapshots.

use std::collections::BTreeSet;

use crate::support::{Bench, Said, screens};

const NAME: &str = "demo.k8s.local";

fn cluster() -> Bench {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    bench
}

/// Ids and dates in the place of which their order stands.
fn told(bench: &Bench, arguments: &[&str]) -> Said {
    let mut said = bench.kops(arguments);
    let words = [&said.line, &said.stdout, &said.stderr].map(|text| text.to_owned()).join(" ");
    let is_id = |word: &&str| word.len() > 20 && word.bytes().all(|byte| byte.is_ascii_digit());
    let ids: BTreeSet<&str> = words.split([' ', '\n', '"']).filter(is_id).collect();
    let today = words.split([' ', '\n']).filter(|word| word.starts_with("20") && word.len() == 10);
    let dates: BTreeSet<&str> = today.collect();
    for text in [&mut said.line, &mut said.stdout, &mut said.stderr] {
        for (nth, id) in ids.iter().enumerate() {
            *text = text.replace(id, &format!("{:<28}", format!("ID-{nth}")));
        }
        for date in &dates {
            *text = text.replace(date, "YYYY-MM-DD");
        }
    }
    said
}

#[test]
fn a_key_is_rotated() {
    let bench = cluster();
    let run = |arguments: &[&str]| told(&bench, &[arguments, &["--name", NAME]].concat());
    insta::assert_snapshot!(screens([
        run(&["get", "keypairs"]),
        run(&["create", "keypair", "kubernetes-ca"]),
        run(&["create", "keypair", "kubernetes-ca", "--primary"]).ok(),
        run(&["create", "keypair", "service-account", "--primary"]).ok(),
        run(&["create", "keypair", "kubelet", "--primary"]),
        run(&["create", "keypair", "kubernetes-ca"]).ok(),
        run(&["get", "keypairs"]).ok(),
        run(&["promote", "keypair", "all"]).ok(),
        run(&["distrust", "keypair", "all"]).ok(),
        run(&["get", "keypairs"]).ok(),
        run(&["get", "keypair", "kubernetes-ca", "--distrusted"]).ok(),
        run(&["promote", "keypair", "kubernetes-ca", "7"]),
        run(&["promote", "keypair", "all", "7"]),
    ]));
    let json = run(&["get", "keypairs", "-o", "json"]).ok();
    let pairs: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(pairs[0]["subject"], "CN=kubernetes-ca", "{json}");
    assert_eq!(pairs[0]["hasPrivateKey"], true, "{json}");
    assert!(!json.stdout.contains("PRIVATE"), "{json}");
}

#[test]
fn what_files_hold_is_added() {
    let bench = cluster();
    let key = bench.write("key.pem", "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----\n");
    let said =
        bench.kops(&["create", "keypair", "kubernetes-ca", "--key", &key, "--primary", "--name", NAME]);
    insta::assert_snapshot!(said);
}

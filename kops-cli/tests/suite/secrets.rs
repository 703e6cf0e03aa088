//! Secrets and SSH public keys: what people read, as snapshots.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::support::{Bench, screens};

const NAME: &str = "demo.k8s.local";
/// Made by `ssh-keygen -t ed25519` and thrown away.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5x5QvIH3KAUKycdG0bG0DChDCRm8womEMjFknuysTs admin@example.com\n";

fn cluster() -> Bench {
    let bench = Bench::new();
    let zones = ["--zones", "ap-northeast-1a", "--admin-access=203.0.113.0/24"];
    bench.kops(&[&["create", "cluster", NAME], &zones[..]].concat()).ok();
    bench
}

#[test]
fn a_secret_is_stored_listed_shown_when_asked_for_and_deleted() {
    let bench = cluster();
    let config = bench.write("config.json", r#"{"auths":{"s3cr3t":{}}}"#);
    let wrong = bench.write("wrong.json", "s3cr3t");
    let create = ["create", "secret", "dockerconfig", NAME, "-f"];
    let get = ["get", "secrets", "--name", NAME];
    insta::assert_snapshot!(screens([
        bench.kops(&get),
        bench.kops(&[&create[..], &[&wrong]].concat()),
        bench.kops(&[&create[..], &[&config]].concat()).ok(),
        bench.kops(&[&create[..], &[&config]].concat()),
        bench.kops(&[&create[..], &[&config, "--force"]].concat()).ok(),
        bench.kops(&get).ok(),
        bench.kops(&[&get[..], &["-o", "plaintext"]].concat()),
        bench.kops(&[&get[..], &["dockerconfig", "-o", "plaintext"]].concat()).ok(),
        bench.kops(&[&get[..], &["dockerconf", "-o", "plaintext"]].concat()),
        bench.kops(&["delete", "secret", "dockerconfig", NAME]).ok(),
        bench.kops(&["delete", "secret", "dockerconfig", NAME]),
        bench.kops(&["create", "secret"]),
    ]));
}

#[test]
fn a_secret_from_standard_input_is_kept_private() {
    let bench = cluster();
    let mut command = bench.command(&["create", "secret", "token", "-f", "-", "--name", NAME]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[0xff, 0]).unwrap();
    assert!(child.wait().unwrap().success());
    let path = bench.path(&format!(".kops-sim/state/{NAME}/secrets/token"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"Data":"/wA="}"#);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = bench.kops(&["get", "secrets", "token", "--name", NAME, "-o", "plaintext"]);
    assert!(shown.status == Some(1) && shown.stderr.contains("is not text"), "{shown}");
}

#[test]
fn the_key_of_the_gossip_is_made_once_and_kept_private() {
    let bench = cluster();
    let update = ["update", "cluster", NAME, "--yes"];
    bench.kops(&update).ok();
    let path = bench.path(&format!(".kops-sim/state/{NAME}/secrets/gossip-key"));
    let made = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = bench.kops(&update).ok();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), made);
    let key = made.trim_start_matches(r#"{"Data":""#).trim_end_matches(r#""}"#);
    assert!(key.len() > 40 && !format!("{again}").contains(key), "{again}");
    std::fs::remove_file(&path).unwrap();
    let preview = bench.kops(&["update", "cluster", NAME]).ok();
    assert!(format!("{preview}").contains("Secret/gossip-key"), "{preview}");
}

#[test]
fn ssh_public_keys_come_and_go() {
    let bench = cluster();
    let key = bench.write("id_ed25519.pub", KEY);
    let private = bench.write("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cr3t\n");
    insta::assert_snapshot!(screens([
        bench.kops(&["get", "sshpublickeys", NAME]),
        bench.kops(&["create", "sshpublickey", NAME, "-i", &private]),
        // As the articles have it.
        bench.kops(&["create", "secret", "--name", NAME, "sshpublickey", "admin", "-i", &key]).ok(),
        bench.kops(&["create", "sshpublickey", NAME, "-i", &key]),
        bench.kops(&["get", "sshpublickeys", NAME]).ok(),
        bench.kops(&["get", "sshpublickeys", NAME, "-o", "yaml"]).ok(),
        bench.kops(&["delete", "sshpublickey", NAME, "--id", "00:11"]),
        bench.kops(&["delete", "sshpublickey", NAME]).ok(),
        bench.kops(&["delete", "sshpublickey", NAME]),
    ]));
}

#[test]
fn what_machines_share_is_made_anew_step_by_step() {
    let bench = cluster();
    let gossip = ["rotate", "gossip-key", NAME];
    let none = bench.kops(&gossip);
    assert!(none.stderr.contains("gossip-key"), "{}", none.stderr);
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    let first = bench.kops(&gossip).ok();
    assert!(first.stderr.contains("There is a new gossip key beside the old one"), "{}", first.stderr);
    let early = bench.kops(&gossip).ok();
    assert!(early.stderr.contains("Nothing was done"), "{}", early.stderr);
    let token = bench.kops(&["rotate", "join-token", NAME]).ok();
    assert!(token.stderr.contains("There is no join token"), "{}", token.stderr);
}

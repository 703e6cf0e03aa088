//! What is printed arrives, or the command fails.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::Stdio;

use super::{NAME, stored};
use crate::support::Bench;

fn bench() -> Bench {
    let bench = stored();
    bench.write("value", "s3cr3t");
    bench.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdHyNvXuBUcMLrQ0Bv5TK4iSQWhwWQmHDJ4bVCTXyyJ demo",
    );
    bench.kops(&["create", "secret", "token", "-f", "value", "--name", NAME]).ok();
    bench.kops(&["create", "sshpublickey", "-i", "key.pub", "--name", NAME]).ok();
    bench.kops(&["create", "keypair", "kubernetes-ca", "--primary", "--name", NAME]).ok();
    bench
}

const PRINTING: [&str; 22] = [
    "--help",
    "update cluster --help",
    "version",
    "completion bash",
    "create cluster x.k8s.local --zones ap-northeast-1a --dry-run -o yaml",
    "create ig more --dry-run -o json",
    "get",
    "get -o yaml",
    "get clusters",
    "get clusters -o json",
    "get ig",
    "get ig -o yaml",
    "get instances",
    "get secrets",
    "get secrets token -o plaintext",
    "get sshpublickeys",
    "get keypairs",
    "delete cluster",
    "update cluster",
    "update cluster -o json",
    "rolling-update cluster",
    "toolbox dump",
];

#[test]
fn what_cannot_be_written_fails() {
    let bench = bench();
    for line in PRINTING {
        let arguments: Vec<&str> = line.split(' ').collect();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = bench.command(&arguments);
        let output =
            command.env("KOPS_CLUSTER_NAME", NAME).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = bench.said(&arguments, &output);
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stderr.contains("error: cannot write to standard output"), "{said}");
    }
}

#[test]
fn what_cannot_be_written_is_not_carried_out_either() {
    let bench = bench();
    bench.kops(&["update", "cluster", NAME, "--yes"]).ok();
    let arguments = ["delete", "cluster", NAME, "--yes"];
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(!bench.command(&arguments).stdout(full).output().unwrap().status.success());
    bench.kops(&["get", "ig", "--name", NAME]).ok();
    // A link, so that a fault here costs no device.
    std::os::unix::fs::symlink("/dev/full", bench.path("full")).unwrap();
    let said = bench.kops(&["update", "cluster", NAME, "--out", "full"]);
    assert!(said.stderr.contains("cannot write full"), "{said}");
    assert!(bench.path("full").is_symlink());
}

#[test]
fn a_reader_that_has_seen_enough_is_told_nothing() {
    let bench = bench();
    for line in PRINTING {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = bench.command(&arguments);
        let output =
            command.env("KOPS_CLUSTER_NAME", NAME).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = bench.said(&arguments, &output);
        // As if the signal had ended it.
        assert_eq!(said.status, Some(141), "{said}");
        assert!(!said.stderr.contains("error") && !said.stderr.contains("panic"), "{said}");
    }
}

#[test]
fn nobody_need_read_what_is_for_people() {
    let bench = bench();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let arguments = ["update", "cluster", NAME, "--yes"];
    let mut child = bench.command(&arguments).stdout(Stdio::piped()).stderr(full).spawn().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(bench.kops(&["update", "cluster", NAME]).ok().stderr.contains("No changes"));
}

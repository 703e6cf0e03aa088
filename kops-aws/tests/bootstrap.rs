//! Runs the user data's script in a shell, with a `curl` that answers as EC2's metadata service and S3 do.
#![cfg(test)]
#![cfg(unix)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kops_aws::facts::{Facts, StateLocation};
use kops_aws::model::model;
use kops_aws::resource::AwsResource;
use kops_core::manifest::{self, Manifest, Recommendations};

const MANIFESTS: &str = "
apiVersion: kops.k8s.io/v1alpha2
kind: Cluster
metadata: {name: demo.k8s.local}
spec:
  kubernetesVersion: 1.35.7
  subnets: [{name: eu-west-1a, zone: eu-west-1a, type: Public}]
---
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
metadata: {name: nodes, labels: {kops.k8s.io/cluster: demo.k8s.local}}
spec: {role: Node}
";

/// Keeps the headers of requests to S3, and answers them with the file `body`.
const CURL: &str = r#"#!/bin/sh
here=$(dirname "$0")
out=
for argument in "$@"; do url=$argument; done
while [ $# -gt 0 ]; do [ "$1" != -o ] || out=$2; shift; done
case "$url" in
    */api/token) printf token ;;
    */security-credentials/) printf role ;;
    */security-credentials/role) printf '{\n  "AccessKeyId" : "AKID",\n  "SecretAccessKey" : "SEC/ret+x",\n  "Token" : "SESS=="\n}' ;;
    https://state.s3.eu-west-1.amazonaws.com/c | http://aws.test:5000/state/c) cat > "$here/headers" && cp "$here/body" "$out" ;;
    *) exit 22 ;;
esac
"#;

/// The script of a group, and the contents of its configuration.
fn script() -> (String, String) {
    let (mut cluster, mut groups) = (None, Vec::new());
    for manifest in manifest::read("test.yaml", MANIFESTS).unwrap().manifests {
        match manifest {
            Manifest::Cluster(read) => cluster = Some(*read),
            Manifest::InstanceGroup(group) => groups.push(*group),
            Manifest::SshCredential(_) => unreachable!(),
        }
    }
    let completed = manifest::complete(&cluster.unwrap(), &groups, &Recommendations::default());
    let (bucket, region) = ("state".to_owned(), "eu-west-1".to_owned());
    let mut facts = Facts::simulated(
        &completed,
        StateLocation::S3 { bucket, region, prefix: String::new(), kms_key: None },
        None,
    );
    facts.node_programs.clear();
    let (mut script, mut config) = (None, None);
    for resource in model(&completed, &facts).unwrap() {
        match resource {
            AwsResource::LaunchTemplate(template) => script = Some(template.user_data),
            AwsResource::ManagedFile(file) if file.object.content_addressed => {
                config = Some(file.object.contents)
            }
            _ => {}
        }
    }
    (script.unwrap(), config.unwrap())
}

/// Runs the script where it can do no harm, with `body` as S3's answer. Nothing when the machine lacks what it needs.
fn run(case: &str, body: Option<&str>, endpoint: &str) -> Option<(Output, PathBuf, String)> {
    if Command::new("openssl").arg("version").output().is_err() {
        // Not `eprintln!`, which is captured when a test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no openssl to run the bootstrap script with");
        return None;
    }
    let (script, config) = script();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bootstrap-{case}"));
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(&root).unwrap();
    for (name, text) in [("curl", CURL), ("date", "#!/bin/sh\necho 20260102T030405Z\n")] {
        std::fs::write(root.join(name), text).unwrap();
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::write(root.join("body"), body.unwrap_or(&config)).unwrap();
    // A short path makes a known signature.
    let path = script.lines().find(|line| line.starts_with("config_path=")).unwrap();
    let script =
        script.replace(path, "config_path='/c'").replace("/opt/kops", root.join("opt").to_str().unwrap());
    std::fs::write(root.join("script"), script).unwrap();
    let paths = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .arg(root.join("script"))
        .env("PATH", format!("{}:{paths}", root.display()))
        .env("AWS_ENDPOINT_URL", endpoint)
        .output()
        .unwrap();
    Some((output, root, config))
}

#[test]
fn the_configuration_is_fetched_and_checked() {
    let Some((output, root, config)) = run("good", None, "") else { return };
    assert_eq!(std::fs::read_to_string(root.join("opt/conf/node.yaml")).unwrap(), config);
    // Computed by another implementation of SigV4.
    let headers = std::fs::read_to_string(root.join("headers")).unwrap();
    assert!(
        headers.contains("Signature=2c3fde0d3e1cd833feb731c765b2d28da4cae5eab67e5dcac0c99496d41b33b8\""),
        "{headers}"
    );
    assert!(headers.contains("x-amz-security-token: SESS=="), "{headers}");
    // No program is published: the machine says so and stops.
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("no kops-node program was published"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn other_services_have_the_bucket_in_the_path() {
    let Some((_, root, config)) = run("endpoint", None, "http://aws.test:5000") else { return };
    assert_eq!(std::fs::read_to_string(root.join("opt/conf/node.yaml")).unwrap(), config);
}

#[test]
fn another_configuration_is_not_taken() {
    let Some((output, root, _)) = run("bad", Some("role: ControlPlane\n"), "") else { return };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("has SHA-256") && said.contains("will not become a node"), "{said}");
    assert!(!root.join("opt/conf/node.yaml").exists());
    assert_eq!(output.status.code(), Some(1));
}

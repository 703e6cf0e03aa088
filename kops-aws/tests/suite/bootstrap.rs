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

/// Keeps the arguments of every call and the headers of requests to S3. Answers those with the file `body`, unless the
/// file `trouble` has a line for the call: `imds PATH`, `curl MESSAGE`, `other`, or the status and the code of an error.
const CURL: &str = r#"#!/bin/sh
here=$(dirname "$0")
out=
echo "$*" >> "$here/calls"
for argument in "$@"; do url=$argument; done
while [ $# -gt 0 ]; do [ "$1" != -o ] || out=$2; shift; done
trouble=$(head -n 1 "$here/trouble")
case "$url" in
    http://169.254.169.254/latest/*)
        if [ "$trouble" = "imds ${url##*/latest/}" ]; then sed -i 1d "$here/trouble"; echo 'curl: (7) refused' >&2; exit 7; fi ;;
esac
case "$url" in
    */api/token) printf token ;;
    */security-credentials/) printf role ;;
    */security-credentials/role) printf '{\n  "AccessKeyId" : "AKID",\n  "SecretAccessKey" : "SEC/ret+x",\n  "Token" : "SESS=="\n}' ;;
    https://state.s3.eu-west-1.amazonaws.com/c | http://aws.test:5000/state/c)
        cat > "$here/headers"
        sed -i 1d "$here/trouble"
        case "$trouble" in
            "") cp "$here/body" "$out"; printf 200 ;;
            other) echo other > "$out"; printf 200 ;;
            curl*) echo "curl: ${trouble#curl }" >&2; printf 000; exit 28 ;;
            *) printf '<?xml?>\n<Error><Code>%s</Code>\n<Message>words</Message></Error>' "${trouble#* }" > "$out"
               printf '%s' "${trouble% *}" ;;
        esac ;;
    *) exit 22 ;;
esac
"#;

/// Keeps how long was waited; ends a script that would wait for the twentieth time.
const SLEEP: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$1" >> "$here/pauses"
[ "$(wc -l < "$here/pauses")" -lt 20 ] || kill "$PPID"
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

/// A place where the script can do no harm.
struct Place {
    root: PathBuf,
    config: String,
}

impl Place {
    /// Returns `None` if this machine lacks what the script needs.
    fn new(case: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            // Not `eprintln!`, which is captured when a test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no openssl to run the bootstrap script with");
            return None;
        }
        let (script, config) = script();
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bootstrap-{case}"));
        let _ = std::fs::remove_dir_all(&root);
        for folder in ["etc/systemd/system", "opt", "dev"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let here = root.to_str().unwrap();
        // A short path makes a known signature.
        let path = script.lines().find(|line| line.starts_with("config_path=")).unwrap();
        let script = script
            .replace(path, "config_path='/c'")
            .replace("/opt/kops", &format!("{here}/opt"))
            .replace("/etc/systemd", &format!("{here}/etc/systemd"))
            .replace("/dev/console", &format!("{here}/dev/console"));
        let place = Self { root, config };
        place.program("curl", CURL);
        place.program("sleep", SLEEP);
        place.program("date", "#!/bin/sh\necho 20260102T030405Z\n");
        place.program("systemctl", "#!/bin/sh\necho \"$*\" >> \"$(dirname \"$0\")/systemctl.log\"\n");
        place.write("script", &script);
        place.write("body", &place.config);
        place.write("trouble", "");
        place.write("dev/console", "");
        Some(place)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root.join(name), text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        std::fs::set_permissions(self.root.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }

    /// Runs the script as cloud-init does (`arguments` is empty) or as its service (`run`).
    fn run(&self, arguments: &[&str], endpoint: &str) -> Output {
        let paths = std::env::var("PATH").unwrap_or_default();
        Command::new("sh")
            .arg(self.root.join("script"))
            .args(arguments)
            .env("PATH", format!("{}:{paths}", self.root.display()))
            .env("AWS_ENDPOINT_URL", endpoint)
            .output()
            .unwrap()
    }
}

#[test]
fn the_configuration_is_fetched_and_checked() {
    let Some(place) = Place::new("good") else { return };
    let output = place.run(&["run"], "");
    assert_eq!(place.read("opt/conf/node.yaml"), place.config);
    // Computed by another implementation of SigV4.
    let headers = place.read("headers");
    assert!(
        headers.contains("Signature=2c3fde0d3e1cd833feb731c765b2d28da4cae5eab67e5dcac0c99496d41b33b8\""),
        "{headers}"
    );
    assert!(headers.contains("x-amz-security-token: SESS=="), "{headers}");
    // No program is published: the machine says so and stops.
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("will not become a node: no kops-node program was published"), "{said}");
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(place.read("dev/console"), said, "people see it without getting onto the machine");
    // What is there already is not fetched again.
    place.write("calls", "");
    assert_eq!(place.run(&["run"], "").status.code(), Some(78));
    assert_eq!(place.read("calls"), "");
}

#[test]
fn other_services_have_the_bucket_in_the_path() {
    let Some(place) = Place::new("endpoint") else { return };
    place.run(&["run"], "http://aws.test:5000");
    assert_eq!(place.read("opt/conf/node.yaml"), place.config);
}

#[test]
fn whatever_goes_wrong_is_told_and_tried_again() {
    let Some(place) = Place::new("trouble") else { return };
    let troubles = [
        (
            "imds api/token",
            "the metadata service (IMDSv2) gives no token; it must be enabled for this instance",
        ),
        ("imds meta-data/iam/security-credentials/", "the metadata service names no role of this instance"),
        (
            "imds meta-data/iam/security-credentials/role",
            "the metadata service has no credentials of the role role",
        ),
        ("curl (28) Connection timed out", "curl: (28) Connection timed out"),
        ("403 AccessDenied", "it is not there yet, or the role role may not read it (403 AccessDenied)"),
        ("404 NoSuchKey", "it is not there yet (404 NoSuchKey)"),
        (
            "403 RequestTimeTooSkewed",
            "this machine's clock is wrong: it says 20260102T030405Z (403 RequestTimeTooSkewed)",
        ),
        ("301 PermanentRedirect", "the bucket state is not in eu-west-1 (301 PermanentRedirect)"),
        ("503 SlowDown", "S3 answers 503 SlowDown: words"),
        ("other", "it has SHA-256 "),
    ];
    place.write("trouble", &troubles.map(|(trouble, _)| format!("{trouble}\n")).concat());
    let said = String::from_utf8(place.run(&["run"], "").stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    for (line, (trouble, reason)) in lines.iter().zip(&troubles) {
        let begin =
            "kops: cannot fetch the node configuration from https://state.s3.eu-west-1.amazonaws.com/c: ";
        assert!(line.starts_with(&format!("{begin}{reason}")), "{trouble}: {line}");
        assert!(line.contains("; trying again in "), "{line}");
    }
    assert_eq!(lines.len(), troubles.len() + 1, "{said}");
    assert_eq!(place.read("pauses"), "2\n4\n8\n16\n32\n64\n120\n120\n120\n120\n");
    assert_eq!(place.read("opt/conf/node.yaml"), place.config, "it is done once nothing is wrong any more");
    assert_eq!(place.read("dev/console"), said);
}

#[test]
fn it_never_gives_up() {
    let Some(place) = Place::new("patience") else { return };
    place.write("trouble", &"403 AccessDenied\n".repeat(100));
    // The twentieth pause ends it.
    assert_eq!(place.run(&["run"], "").status.code(), None);
    assert_eq!(place.read("pauses").lines().count(), 20);
    assert!(!place.root.join("opt/conf/node.yaml").exists());
}

#[test]
fn every_call_has_its_limits_and_the_metadata_service_no_proxy() {
    let Some(place) = Place::new("limits") else { return };
    place.run(&["run"], "");
    let calls = place.read("calls");
    assert_eq!(calls.lines().count(), 4, "{calls}");
    for call in calls.lines() {
        let (limit, proxy) = match call.contains("http://169.254.169.254/") {
            true => ("--max-time 5", true),
            false => ("--speed-limit 1000 --speed-time 60", false),
        };
        assert!(call.contains("--connect-timeout") && call.contains(limit), "{call}");
        assert_eq!(call.contains("--noproxy *"), proxy, "{call}");
        assert!(!call.contains("SESS"), "no secret is among the arguments: {call}");
    }
}

#[test]
fn a_machine_that_is_started_again_goes_on() {
    let Some(place) = Place::new("service") else { return };
    assert!(place.run(&[], "").status.success());
    assert_eq!(place.read("calls"), "", "cloud-init waits for nothing");
    assert_eq!(place.read("opt/bin/bootstrap"), place.read("script"));
    let unit = place.read("etc/systemd/system/kops-bootstrap.service");
    assert!(
        unit.contains(&format!("ExecStart=/bin/sh {}/opt/bin/bootstrap run\n", place.root.display())),
        "{unit}"
    );
    assert!(unit.contains("RestartPreventExitStatus=78\n"), "{unit}");
    let told = place.read("systemctl.log");
    assert!(
        told.contains("enable --quiet kops-bootstrap.service\nstart --no-block kops-bootstrap.service\n"),
        "{told}"
    );
}

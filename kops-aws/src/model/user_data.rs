//! User data: the script that fetches a machine's configuration and the program that carries it out.

use kops_core::manifest::InstanceGroup;
use kops_core::node::{NodeProgram, multipart};

use crate::facts::{Facts, StateLocation};
use crate::partition;

/// The most bytes of user data that EC2 takes (EC2 user guide, "Run commands at launch").
pub(super) const LIMIT: usize = 16 * 1024;

/// What follows the values in the script.
const BODY: &str = include_str!("bootstrap.sh");

/// What the version of Kubernetes follows, for people and for simulated machines.
const VERSION: &str = " Kubernetes ";

/// The version of Kubernetes that machines with this user data get.
pub(crate) fn kubernetes_version(user_data: &str) -> Option<&str> {
    let head = user_data.lines().find(|line| line.starts_with("# Makes this machine a node of "))?;
    head.rsplit_once(VERSION).map(|(_, version)| version)
}

/// What a machine fetches when it boots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bootstrap<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// The version of Kubernetes.
    pub kubernetes_version: &'a str,
    /// The instance group.
    pub group: &'a InstanceGroup,
    /// The key of the configuration below the cluster's part of the store, and its SHA-256.
    pub config: (&'a str, &'a str),
    /// The program for the machine's architecture, if it was published.
    pub program: Option<&'a NodeProgram>,
}

/// The user data as text, which is empty if there is nothing to do. Holds no secret: machines use the credentials of their
/// role.
pub(super) fn render(group: &InstanceGroup, bootstrap: Option<&Bootstrap<'_>>, facts: &Facts) -> String {
    let script = bootstrap.map(|bootstrap| script(bootstrap, facts));
    let more = &group.spec.additional_user_data;
    if more.is_empty() {
        return script.unwrap_or_default();
    }
    let ours = script.as_deref().map(|script| ("kops-node.sh", "text/x-shellscript", script));
    let theirs = more.iter().map(|part| (part.name.as_str(), part.type_.as_str(), part.content.as_str()));
    multipart(&ours.into_iter().chain(theirs).collect::<Vec<_>>())
}

fn script(bootstrap: &Bootstrap<'_>, facts: &Facts) -> String {
    let Bootstrap { cluster, kubernetes_version, group, config: (location, config_sha256), program } =
        *bootstrap;
    let head = format!(
        "#!/bin/sh\n# Makes this machine a node of {cluster}, group {}.{VERSION}{kubernetes_version}\nset -eu\n",
        group.name()
    );
    let (bucket, region, prefix) = match &facts.state {
        StateLocation::S3 { bucket, region, prefix, .. } => (bucket, region, prefix),
        StateLocation::Unreachable(place) => {
            let message = format!("kops: the cluster's state is in {place}, which machines cannot reach");
            return format!("{head}echo {}\nexit 1\n", quote(&message));
        }
    };
    let (host, root) = s3_host(bucket, region, &facts.partition);
    let path = |key: &str| {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        encode(&format!("/{prefix}{key}"))
    };
    let values = [
        ("region", region.clone()),
        ("bucket", bucket.clone()),
        ("host", host),
        ("root", root),
        ("config_path", path(&format!("{cluster}/{location}"))),
        ("config_sha256", config_sha256.to_owned()),
        ("program_path", program.map(|program| path(&program.key)).unwrap_or_default()),
        ("program_sha256", program.map(|program| program.sha256.clone()).unwrap_or_default()),
    ];
    let values: String = values.iter().map(|(name, value)| format!("{name}={}\n", quote(value))).collect();
    format!("{head}{values}{BODY}")
}

/// The host of a bucket, and what paths start with. A bucket with dots in its name has no certificate of its own.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
fn s3_host(bucket: &str, region: &str, partition: &str) -> (String, String) {
    let domain = partition::domain(partition);
    match bucket.contains('.') {
        true => (format!("s3.{region}.{domain}"), format!("/{bucket}")),
        false => (format!("{bucket}.s3.{region}.{domain}"), String::new()),
    }
}

/// Percent-encodes a path as SigV4 wants it for S3: all but unreserved characters and slashes.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_quotes() {
        assert_eq!(quote("a'b; rm"), r"'a'\''b; rm'");
        assert_eq!(encode("/a b/ü.yaml"), "/a%20b/%C3%BC.yaml");
    }

    #[test]
    fn buckets_with_dots_are_paths() {
        assert_eq!(
            s3_host("b", "eu-west-1", "aws"),
            ("b.s3.eu-west-1.amazonaws.com".to_owned(), String::new())
        );
        assert_eq!(
            s3_host("a.b", "cn-north-1", "aws-cn"),
            ("s3.cn-north-1.amazonaws.com.cn".to_owned(), "/a.b".to_owned())
        );
    }
}

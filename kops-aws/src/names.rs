//! Names as kops makes them, where AWS limits their length, and names of key pairs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kops_core::manifest::Role;
use kops_core::ssh::PublicKey;
use md5::{Digest, Md5};

/// The most characters of a load balancer's or target group's name.
const LOAD_BALANCER_LENGTH: usize = 32;
/// The most characters of the name of a role or instance profile.
const IAM_LENGTH: usize = 64;
/// The characters of the hash at the end of a name that was cut.
const HASH_LENGTH: usize = 6;

/// What names of a role's resources start with: `masters`, `nodes`, `bastions`.
pub fn role_prefix(role: Role) -> &'static str {
    match role {
        Role::ControlPlane => "masters",
        Role::Node => "nodes",
        Role::Bastion => "bastions",
    }
}

/// The name of a load balancer or target group on AWS: purpose (`api`, `tcp`, …) and cluster, and always a hash.
pub fn load_balancer(purpose: &str, cluster: &str) -> String {
    let name = format!("{purpose}-{}", cluster.replace('.', "-"));
    cut_with_hash(&name, LOAD_BALANCER_LENGTH)
}

/// The name of the IAM role and instance profile of machines of a role.
pub fn iam_role(role: Role, cluster: &str) -> String {
    let name = format!("{}.{cluster}", role_prefix(role));
    if name.len() <= IAM_LENGTH { name } else { cut_with_hash(&name, IAM_LENGTH) }
}

/// The name of a group's scaling group and launch template.
pub fn autoscaling_group(role: Role, group: &str, cluster: &str) -> String {
    match role {
        Role::ControlPlane => format!("{group}.masters.{cluster}"),
        Role::Node | Role::Bastion => format!("{group}.{cluster}"),
    }
}

/// The name of a security group: `masters`, `nodes`, `bastion` and cluster.
pub fn security_group(role: Role, cluster: &str) -> String {
    let prefix = match role {
        Role::ControlPlane | Role::Node => role_prefix(role),
        // Unlike the role's other names.
        Role::Bastion => "bastion",
    };
    format!("{prefix}.{cluster}")
}

/// What the name begins with, before the cluster's, by which machines reach the API.
pub(crate) const API_INTERNAL: &str = "api.internal";

/// Whether a name, of which this is what stands before the cluster's, is one that machines keep: those of kops's clusters keep
/// more than ours.
#[cfg(feature = "sdk")]
pub(crate) fn is_of_machines(first: &str) -> bool {
    let is_member = || {
        let member = first.strip_suffix(".internal").and_then(|name| name.strip_prefix("etcd-"));
        member.is_some_and(|name| !name.contains('.'))
    };
    ["api", API_INTERNAL, "bastion", "kops-controller.internal"].contains(&first) || is_member()
}

/// What the name of the security group of the API's load balancer starts with.
pub(crate) const API_SECURITY_GROUP: &str = "api-elb.";

/// What the name of the bastions in a hosted zone starts with.
pub(crate) const BASTION: &str = "bastion";

/// What the name of the security group of the bastions' load balancer starts with.
pub(crate) const BASTION_SECURITY_GROUP: &str = "bastion-elb.";

/// The name of the key pair made of `key`.
pub fn key_pair(cluster: &str, key: &PublicKey) -> String {
    format!("kubernetes.{cluster}-{}", key.fingerprint())
}

/// The start of `text` and a hash of it, `length` characters together (kops: `pkg/truncate`).
fn cut_with_hash(text: &str, length: usize) -> String {
    let end = text.floor_char_boundary(length - HASH_LENGTH - 1);
    let hash = base32hex(&fnv1a(text.as_bytes()).to_be_bytes());
    format!("{}-{}", &text[..end], &hash[..HASH_LENGTH])
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// RFC 4648, section 7, in lower case and without padding.
fn base32hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let bit = |position: usize| bytes.get(position / 8).map_or(0, |byte| (byte >> (7 - position % 8)) & 1);
    (0..(bytes.len() * 8).div_ceil(5))
        .map(|digit| (0..5).fold(0, |value, offset| value << 1 | bit(digit * 5 + offset)))
        .map(|value| char::from(DIGITS[usize::from(value)]))
        .collect()
}

/// The fingerprint that EC2 shows for an imported public key: for RSA the MD5 of its DER form, for others the SHA-256
/// of the key in base64 (EC2 user guide, "Verify the fingerprint of your key pair").
pub fn ec2_fingerprint(key: &PublicKey) -> String {
    let line = key.to_string();
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or_default();
    // A `PublicKey` has a second word in base64.
    let blob = words.next().and_then(|word| STANDARD.decode(word).ok()).unwrap_or_default();
    match (kind, rsa_parts(&blob)) {
        ("ssh-rsa", Some((exponent, modulus))) => {
            let md5 = Md5::digest(rsa_der(exponent, modulus));
            md5.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        }
        _ => STANDARD.encode(<sha2::Sha256 as sha2::Digest>::digest(&blob)),
    }
}

/// Exponent and modulus of an `ssh-rsa` key (RFC 4253, section 6.6).
fn rsa_parts(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_kind, rest) = ssh_string(blob)?;
    let (exponent, rest) = ssh_string(rest)?;
    let (modulus, _) = ssh_string(rest)?;
    Some((exponent, modulus))
}

fn ssh_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// `SubjectPublicKeyInfo` of an RSA key (RFC 5280, RFC 8017). SSH's integers have DER's form already.
fn rsa_der(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const SEQUENCE: u8 = 0x30;
    /// `rsaEncryption` (1.2.840.113549.1.1.1) without parameters.
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = der(SEQUENCE, &[der(INTEGER, modulus), der(INTEGER, exponent)].concat());
    // No bit of the last byte is unused.
    let bits = der(BIT_STRING, &[&[0], key.as_slice()].concat());
    der(SEQUENCE, &[ALGORITHM.as_slice(), &bits].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let length = &length[significant..];
    let mut out = vec![tag];
    match length {
        [short @ 0..0x80] => out.push(*short),
        // At most eight bytes.
        _ => {
            out.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_balancers_are_named_as_kops_names_them() {
        for (purpose, cluster, name) in [
            ("api", "privateweave.example.com", "api-privateweave-example--l94cb4"),
            ("bastion", "privateweave.example.com", "bastion-privateweave-exam-fdb6ge"),
            ("api", "minimal.example.com", "api-minimal-example-com-gecgf7"),
            ("tcp", "privatecalico.example.com", "tcp-privatecalico-example-lveo5b"),
            ("tcp", "minimal.example.com", "tcp-minimal-example-com-5905t8"),
            ("kops-controller", "minimal.example.com", "kops-controller-minimal-e-uvauf3"),
        ] {
            assert_eq!(load_balancer(purpose, cluster), name);
        }
    }

    #[test]
    fn role_names_fit_iam() {
        assert_eq!(iam_role(Role::ControlPlane, "a.k8s.local"), "masters.a.k8s.local");
        let long = format!("{}.k8s.local", "x".repeat(60));
        let name = iam_role(Role::Node, &long);
        assert_eq!(name.len(), 64);
        assert!(name.starts_with("nodes.xxx"), "{name}");
        assert_ne!(name, iam_role(Role::Node, &format!("y{}", &long[1..])));
    }

    #[test]
    fn base32hex_is_that_of_the_rfc() {
        for (text, encoded) in [("f", "co"), ("fo", "cpng"), ("foo", "cpnmu"), ("foobar", "cpnmuoj1e8")] {
            assert_eq!(base32hex(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn fingerprints_are_those_of_ec2() {
        // `ssh-keygen -e -m pkcs8 | openssl pkey -pubin -outform DER | openssl md5 -c`
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCub/WtICgm4XukY8yBEbMyL+hLq9tSMXVoLtHV7LgKbjmWKg6hRy0qB+yR89ro\
                   +/RbV4nuIPRJYlt+VHQguh4F39LyYrsdYlnpOareat0x+B3EaKz4hn0ZEy/7D4rbhs7oYrLYMlay/WyijzadA8f83+cLMHKZThmNZ7Za\
                   93CLAw== a@b";
        let rsa = PublicKey::parse(rsa).unwrap();
        assert_eq!(ec2_fingerprint(&rsa), "f0:83:0e:bb:b9:50:0f:2b:99:e0:d9:b8:02:ef:78:06");
        assert_eq!(key_pair("a.b", &rsa), "kubernetes.a.b-a9:7e:45:46:f0:80:8a:65:74:e7:b2:6b:dc:d9:ad:df");
        // `ssh-keygen -l -E sha256`, padded
        let ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5x5QvIH3KAUKycdG0bG0DChDCRm8womEMjFknuysTs";
        let ed25519 = PublicKey::parse(ed25519).unwrap();
        assert_eq!(ec2_fingerprint(&ed25519), "FVfbxTOqHPulZy3279dkeuSDmnfyZXPyu+Gu1M+yBSo=");
    }
}

//! The forms of names, labels and taints.

use std::fmt;
use std::str::FromStr;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaintEffect {
    /// They are not scheduled on the node.
    NoSchedule,
    /// They are scheduled elsewhere if possible.
    PreferNoSchedule,
    /// They are not scheduled on the node, and those that run there are evicted.
    NoExecute,
}

/// A taint of a node, written `key=value:Effect` or `key:Effect`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// The key, of the form of a label's.
    pub key: String,
    /// The value, of the form of a label's; often empty.
    pub value: String,
    /// What the taint does.
    pub effect: TaintEffect,
}

/// A text that is not a taint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a taint such as dedicated=gpu:NoSchedule (effects: NoSchedule, PreferNoSchedule, NoExecute)"
)]
pub struct TaintError(String);

impl FromStr for Taint {
    type Err = TaintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TaintError(text.to_owned());
        let (label, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        let effect = match effect {
            "NoSchedule" => TaintEffect::NoSchedule,
            "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
            "NoExecute" => TaintEffect::NoExecute,
            _ => return Err(wrong()),
        };
        if is_label_key(key) && is_label_value(value) {
            Ok(Self { key: key.to_owned(), value: value.to_owned(), effect })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for TaintEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        })
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.key, self.value, self.effect)
    }
}

/// Whether a text is a DNS label: at most 63 lower-case letters, digits and inner hyphens (RFC 1123).
pub(super) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63
        && is_framed(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), |byte| byte == b'-')
}

/// Whether a text is a domain name: DNS labels with dots between them, at most 253 characters.
pub(super) fn is_domain_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// A text in lower case, if that alone makes it a name.
pub(super) fn lower_case(text: &str, is_name: impl Fn(&str) -> bool) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    (lower != text && is_name(&lower)).then_some(lower)
}

/// Whether a text is the key of a Kubernetes label: a name, after a domain name and a slash if need be.
pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_domain_name(domain) && is_label_name(name),
        None => is_label_name(text),
    }
}

/// Whether a text is the value of a Kubernetes label.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_name(text)
}

fn is_label_name(text: &str) -> bool {
    text.len() <= 63 && is_framed(text, |byte| byte.is_ascii_alphanumeric(), |byte| b"-_.".contains(&byte))
}

/// Whether a text begins and ends with an outer character and has outer and inner ones between.
fn is_framed(text: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| outer(*byte))
        && bytes.last().is_some_and(|byte| outer(*byte))
        && bytes.iter().all(|byte| outer(*byte) || inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_forms_of_kubernetes() {
        assert!(is_dns_label("a") && is_dns_label("nodes-1a") && is_domain_name("a.k8s.local"));
        for wrong in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
            assert!(!is_dns_label(wrong), "{wrong}");
        }
        assert!(!is_domain_name("a..b") && !is_domain_name(&["a"; 127].join(".")) || is_domain_name("a.b"));
        assert!(is_label_key("kops.k8s.io/instancegroup") && is_label_key("A_b.c-d") && is_label_value(""));
        for wrong in ["", "/a", "a/", "a/b/c", "A.b/c", "a b", "-a"] {
            assert!(!is_label_key(wrong), "{wrong}");
        }
    }

    #[test]
    fn taints_are_read_and_written() {
        let taint: Taint = "dedicated=gpu:NoSchedule".parse().unwrap();
        assert_eq!((&*taint.key, &*taint.value, taint.effect), ("dedicated", "gpu", TaintEffect::NoSchedule));
        assert_eq!(taint.to_string().parse(), Ok(taint));
        assert_eq!("a.b/c:NoExecute".parse::<Taint>().unwrap().to_string(), "a.b/c=:NoExecute");
        for wrong in ["", "a", "a=b", "a=b:Never", "=b:NoSchedule", "a=b c:NoSchedule", "a:b:NoSchedule"] {
            assert!(wrong.parse::<Taint>().is_err(), "{wrong}");
        }
    }
}

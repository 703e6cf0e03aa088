//! Keys: slash-separated paths that cannot leave the store's root.

use std::fmt;

/// S3's limit on the length of a key in bytes; the store with the tightest one.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MAX_LENGTH: usize = 1024;

/// The place of one object: one or more segments separated by slashes.
///
/// No segment is empty, `.` or `..`, there is no leading or trailing slash, no backslash and no control character
/// (law S8). Keys sort by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// A text that cannot be a key or a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be a key of a state store: {reason}")]
pub struct InvalidKey {
    text: String,
    reason: &'static str,
}

impl Key {
    /// Checks and takes a key.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if let Some(reason) = flaw(&text) {
            return Err(InvalidKey { text, reason });
        }
        Ok(Self(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, of which there is at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Zero or more leading segments that keys share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// Checks and takes a prefix; the empty text is the root.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if text.is_empty() { Ok(Self::root()) } else { Key::new(text).map(|key| Self(key.0)) }
    }

    /// The prefix of every key.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// The prefix as text, without a trailing slash; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of `rest` below this prefix.
    ///
    /// # Errors
    /// Says what is wrong with the joined text.
    pub fn key(&self, rest: &str) -> Result<Key, InvalidKey> {
        if self.0.is_empty() { Key::new(rest) } else { Key::new(format!("{}/{rest}", self.0)) }
    }

    /// This prefix with one more segment.
    ///
    /// # Errors
    /// `segment` is not one segment, or the result too long.
    pub fn join(&self, segment: &str) -> Result<Self, InvalidKey> {
        self.leaf(segment).map(|key| Self(key.0))
    }

    /// The key of one more segment.
    ///
    /// # Errors
    /// `segment` is not one segment, or the result too long.
    pub fn leaf(&self, segment: &str) -> Result<Key, InvalidKey> {
        if segment.contains('/') {
            return Err(InvalidKey { text: segment.to_owned(), reason: "a name cannot contain a slash" });
        }
        self.key(segment)
    }

    /// What follows this prefix in `key`, if the key lies below it.
    pub fn rest<'a>(&self, key: &'a Key) -> Option<&'a str> {
        if self.0.is_empty() {
            return Some(&key.0);
        }
        key.0.strip_prefix(&self.0)?.strip_prefix('/')
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn flaw(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_LENGTH {
        return Some("it is longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Some("it starts with a slash");
    }
    if text.contains('\\') {
        return Some("it contains a backslash");
    }
    if text.contains(char::is_control) {
        return Some("it contains a control character");
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some("a segment of it is empty"),
        "." | ".." => Some("it would leave its place by `.` or `..`"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_that_would_escape_are_refused() {
        for text in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "a\\b", "a\0b", "a\nb"]
        {
            assert!(Key::new(text).is_err(), "{text:?}");
        }
        assert!(Key::new("a".repeat(1025)).is_err());
        insta::assert_snapshot!(
            Key::new("a/../../etc/passwd").unwrap_err(),
            @r#""a/../../etc/passwd" cannot be a key of a state store: it would leave its place by `.` or `..`"#
        );
    }

    #[test]
    fn ordinary_keys_are_taken() {
        for text in ["config", "demo.k8s.local/config", "a/b/c.d", "a/...", "a/.hidden", "a b/ü"] {
            assert_eq!(Key::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn prefixes_go_by_whole_segments() {
        let prefix = Prefix::new("a/b").unwrap();
        assert_eq!(prefix.rest(&Key::new("a/b/c/d").unwrap()), Some("c/d"));
        assert_eq!(prefix.rest(&Key::new("a/bc").unwrap()), None);
        assert_eq!(prefix.rest(&Key::new("a/b").unwrap()), None);
        assert_eq!(Prefix::root().rest(&Key::new("a").unwrap()), Some("a"));
    }

    proptest! {
        #[test]
        fn a_key_joined_to_a_path_stays_below_it(text in "[a-c./]{0,12}") {
            if let Ok(key) = Key::new(text.clone()) {
                let mut depth = 0_i32;
                for segment in std::path::Path::new(key.as_str()).components() {
                    prop_assert!(matches!(segment, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert_eq!(depth as usize, key.segments().count());
            }
        }
    }
}

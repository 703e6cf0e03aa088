//! YAML and JSON texts: the only place that knows the YAML crate.
//!
//! A text is read into a tree that knows the line and column of everything in it ([`read()`]), and a tree into a type
//! ([`Reading::of`]), which collects *all* that is wrong instead of stopping at the first. Plain words are taken as
//! kops takes them, by YAML 1.1 (`no` is false), but a field that holds text gets the text as it stands (`no`).
//! [`write()`] sorts keys and quotes whatever a YAML 1.1 reader would take for something else than text.

mod deserialize;
mod read;
mod reading;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

pub use read::{SyntaxError, read};
pub use reading::{Fault, Finding, Reading, read_one};
pub use write::{WriteError, write, write_all};

/// Where something is in a text. Lines and columns (in characters) count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value starts.
    pub position: Position,
    /// The value.
    pub content: Content,
}

/// A value of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the order of the text, repeated keys included.
    Mapping(Vec<Entry>),
}

/// A single value: what it means, and its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// What the value means.
    pub kind: ScalarKind,
    /// The value's text: of quoted values what is between the quotes, of plain ones what was written.
    pub text: String,
}

/// What a single value means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScalarKind {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key is.
    pub key_position: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The entries of a mapping; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The first value of that key in a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The text of a single value that is not null.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Scalar { kind: ScalarKind::Null, .. }) => None,
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Scalar { kind: ScalarKind::Null, .. }))
    }

    /// What the value is, in words.
    fn describe(&self) -> String {
        match &self.content {
            Content::Sequence(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
            Content::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => "nothing".to_owned(),
                ScalarKind::Bool(value) => value.to_string(),
                ScalarKind::Integer(_) | ScalarKind::Float(_) => format!("the number {}", scalar.text),
                ScalarKind::Text => format!("the text `{}`", scalar.text),
            },
        }
    }
}

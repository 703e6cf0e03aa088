use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, Expected, Unexpected};

use super::deserialize::NodeDeserializer;
use super::{Node, Position, read};

/// Something that is wrong in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field, such as `spec.subnets[0].cidr`.
    pub path: String,
    /// Where the field is.
    pub position: Position,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The type has no such field.
    Unknown {
        /// The fields it has.
        known: &'static [&'static str],
        /// Whether the value is there but says nothing: null, false, an empty text or an empty list.
        blank: bool,
    },
    /// The field was there before.
    Duplicate {
        /// Where it was first.
        first: Position,
    },
    /// The value does not fit the field.
    Invalid {
        /// What was expected and what is there.
        message: String,
        /// The words one of which is expected, where it is a choice of words.
        choices: &'static [&'static str],
    },
}

/// What came of reading a type from a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<T> {
    /// The value, without the fields that are wrong. `None` if nothing could be made of the tree.
    pub value: Option<T>,
    /// All that is wrong, in the order of the text.
    pub findings: Vec<Finding>,
}

/// How many wrong values are looked for: each costs a pass over the document.
const MOST_INVALID: usize = 100;

impl<T: DeserializeOwned> Reading<T> {
    /// Reads a type from a tree. `prefix` is the path of the tree's root (empty for a whole document).
    ///
    /// In structs a null value is an absent one, as in kops.
    pub fn of(node: &Node, prefix: &str) -> Self {
        let mut invalid: Vec<Finding> = Vec::new();
        let mut context = Context::default();
        loop {
            context.findings.take();
            let result =
                T::deserialize(NodeDeserializer { node, path: prefix.to_owned(), context: &context });
            let (value, again) = match result {
                Ok(value) => (Some(value), false),
                Err(misfit) => {
                    let finding = misfit.into_finding(node, prefix);
                    let again = context.skip(&finding.path, prefix) && invalid.len() < MOST_INVALID;
                    if !invalid.contains(&finding) {
                        invalid.push(finding);
                    }
                    (None, again)
                }
            };
            if !again {
                let mut findings = context.findings.into_inner();
                findings.append(&mut invalid);
                findings.sort_by_key(|finding| finding.position);
                return Self { value, findings };
            }
        }
    }
}

/// Reads a text that holds exactly one value. Fields that the type does not have are passed over.
///
/// # Errors
/// The first thing that is wrong.
pub fn read_one<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let documents = read(text).map_err(|error| error.to_string())?;
    let [document] = documents.as_slice() else {
        return Err(format!("{} documents instead of one", documents.len()));
    };
    let reading = Reading::<T>::of(document, "");
    let wrong = reading.findings.iter().find_map(|finding| match &finding.fault {
        Fault::Invalid { message, .. } if finding.path.is_empty() => Some(message.clone()),
        Fault::Invalid { message, .. } => Some(format!("{}: {message}", finding.path)),
        _ => None,
    });
    match (reading.value, wrong) {
        (Some(value), None) => Ok(value),
        (_, wrong) => Err(wrong.unwrap_or_else(|| "it is empty".to_owned())),
    }
}

#[derive(Default)]
pub(super) struct Context {
    /// Paths of values known not to fit, which are taken for absent.
    pub(super) skipped: BTreeSet<String>,
    pub(super) findings: RefCell<Vec<Finding>>,
}

impl Context {
    /// Takes the value at a path for absent, or the value around it if that was not enough. False at the root.
    fn skip(&mut self, path: &str, root: &str) -> bool {
        let mut path = path;
        while path.len() > root.len() {
            if self.skipped.insert(path.to_owned()) {
                return true;
            }
            let end = path.rfind(['.', '[']).unwrap_or_default();
            path = path.get(..end).unwrap_or_default();
        }
        false
    }
}

/// A value that does not fit; the place is added by the nearest field around it.
#[derive(Debug)]
pub(super) struct Misfit {
    message: String,
    choices: &'static [&'static str],
    place: Option<(String, Position)>,
}

impl Misfit {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), choices: &[], place: None }
    }

    pub(super) fn at(mut self, path: &str, position: Position) -> Self {
        self.place.get_or_insert_with(|| (path.to_owned(), position));
        self
    }

    fn into_finding(self, root: &Node, prefix: &str) -> Finding {
        let (path, position) = self.place.unwrap_or_else(|| (prefix.to_owned(), root.position));
        Finding { path, position, fault: Fault::Invalid { message: self.message, choices: self.choices } }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("`{variant}` is not one of {}", expected.join(", "));
        Self { choices: expected, ..Self::new(message) }
    }
}

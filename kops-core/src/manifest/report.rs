//! What is said about manifests: problems, warnings, violations.

use std::fmt;

use crate::yaml::Position;

/// A place in a file of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the caller named it.
    pub source: String,
    /// Line and column.
    pub position: Position,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.position)
    }
}

/// Something that keeps a manifest from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The field, such as `spec.subnets[0].cidr`. Empty if the document as a whole is meant.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        said(f, &self.path, &self.message, self.hint.as_deref())
    }
}

/// Something that the user should know and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it is, if it was read from a file.
    pub place: Option<Place>,
    /// The field. Empty if none in particular is meant.
    pub path: String,
    /// What the user should know.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        said(f, &self.path, &self.message, self.hint.as_deref())
    }
}

/// A value of a completed cluster that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The field: `cluster.spec.…`, or `instanceGroup[nodes].spec.…`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        said(f, &self.path, &self.message, self.hint.as_deref())
    }
}

fn said(f: &mut fmt::Formatter<'_>, path: &str, message: &str, hint: Option<&str>) -> fmt::Result {
    if !path.is_empty() {
        write!(f, "{path}: ")?;
    }
    f.write_str(message)?;
    match hint {
        Some(hint) => write!(f, " ({hint})"),
        None => Ok(()),
    }
}

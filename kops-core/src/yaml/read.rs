use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::{Content, Entry, Node, Position, Scalar, ScalarKind};

/// How deep values may be nested: reading them takes stack. Manifests need ten levels.
const MOST_LEVELS: usize = 64;

/// How many values aliases may repeat: short texts can ask for billions.
const MOST_REPEATED: usize = 100_000;

/// A text that is neither YAML nor JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct SyntaxError {
    /// Where the text stops making sense.
    pub position: Position,
    /// What is wrong there.
    pub message: String,
}

/// Reads every document of a text, YAML or JSON. Documents that hold nothing are left out.
///
/// # Errors
/// The first place at which the text is not YAML, or at which a key is not a single value.
pub fn read(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MOST_LEVELS },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let documents = serde_saphyr::from_multiple_with_options::<Raw>(text, options).map_err(syntax_error)?;
    documents.into_iter().map(|raw| raw.locate(text)).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "as an adapter of `map_err`")]
fn syntax_error(error: serde_saphyr::Error) -> SyntaxError {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let message = error.without_snippet().to_string();
    let suffix = format!(" at line {}, column {}", location.line(), location.column());
    SyntaxError {
        position: Position { line: location.line().max(1), column: location.column().max(1) },
        message: message.strip_suffix(&suffix).unwrap_or(&message).to_owned(),
    }
}

/// A value as the YAML crate gives it, before the text of plain values is taken from the source.
struct Raw(Spanned<RawContent>);

enum RawContent {
    Scalar(ScalarKind, Option<String>),
    Sequence(Vec<Raw>),
    Mapping(Vec<(Raw, Raw)>),
}

impl Raw {
    fn position(&self) -> Position {
        Position { line: self.0.referenced.line(), column: self.0.referenced.column() }
    }

    fn locate(self, source: &str) -> Result<Node, SyntaxError> {
        let position = self.position();
        let content = match self.0.value {
            RawContent::Scalar(kind, Some(text)) => Content::Scalar(Scalar { kind, text }),
            RawContent::Scalar(kind, None) => {
                Content::Scalar(Scalar { kind, text: slice(source, self.0.defined).to_owned() })
            }
            RawContent::Sequence(items) => Content::Sequence(
                items.into_iter().map(|item| item.locate(source)).collect::<Result<_, _>>()?,
            ),
            RawContent::Mapping(entries) => Content::Mapping(
                entries
                    .into_iter()
                    .map(|(key, value)| entry(key, value, source))
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(Node { position, content })
    }
}

fn entry(key: Raw, value: Raw, source: &str) -> Result<Entry, SyntaxError> {
    let key = key.locate(source)?;
    match key.content {
        Content::Scalar(scalar) => {
            Ok(Entry { key: scalar.text, key_position: key.position, value: value.locate(source)? })
        }
        _ => Err(SyntaxError { position: key.position, message: "a key must be a single value".to_owned() }),
    }
}

/// What was written at a place; nothing where the crate does not know.
fn slice(source: &str, location: Location) -> &str {
    let span = location.span();
    let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) else { return "" };
    let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(length)) else { return "" };
    source.get(start..start.saturating_add(length)).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<RawContent, E> {
        Ok(RawContent::Scalar(ScalarKind::Bool(value), None))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<RawContent, E> {
        Ok(RawContent::Scalar(ScalarKind::Integer(value.into()), None))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<RawContent, E> {
        Ok(RawContent::Scalar(ScalarKind::Integer(value.into()), None))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<RawContent, E> {
        Ok(RawContent::Scalar(ScalarKind::Float(value), None))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<RawContent, E> {
        Ok(RawContent::Scalar(ScalarKind::Text, Some(value.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<RawContent, E> {
        Ok(RawContent::Scalar(ScalarKind::Null, None))
    }

    fn visit_none<E: Error>(self) -> Result<RawContent, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawContent, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element()? {
            sequence.push(item);
        }
        Ok(RawContent::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawContent, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(RawContent::Mapping(mapping))
    }
}

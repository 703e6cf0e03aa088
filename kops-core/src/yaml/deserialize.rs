use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor, value};
use serde::forward_to_deserialize_any;

use super::reading::{Context, Misfit};
use super::{Content, Entry, Fault, Finding, Node, Scalar, ScalarKind};

/// Reads a node as whatever a type asks for.
pub(super) struct NodeDeserializer<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
    pub(super) context: &'a Context,
}

impl NodeDeserializer<'_> {
    fn mismatch(&self, expected: &str) -> Misfit {
        Misfit::new(format!("expected {expected}, found {}", self.node.describe()))
            .at(&self.path, self.node.position)
    }

    fn integer<T: TryFrom<i128>>(&self) -> Result<T, Misfit> {
        match &self.node.content {
            Content::Scalar(Scalar { kind: ScalarKind::Integer(number), .. }) => T::try_from(*number)
                .map_err(|_| {
                    Misfit::new(format!("the number {number} is out of range"))
                        .at(&self.path, self.node.position)
                }),
            _ => Err(self.mismatch("a whole number")),
        }
    }
}

macro_rules! deserialize_integers {
    ($($deserialize:ident $visit:ident),*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            visitor.$visit(self.integer()?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.content {
            Content::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => visitor.visit_unit(),
                ScalarKind::Bool(value) => visitor.visit_bool(value),
                ScalarKind::Integer(number) => match (i64::try_from(number), u64::try_from(number)) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (_, Ok(number)) => visitor.visit_u64(number),
                    _ => visitor.visit_i128(number),
                },
                ScalarKind::Float(number) => visitor.visit_f64(number),
                ScalarKind::Text => visitor.visit_str(&scalar.text),
            },
            Content::Sequence(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), parent: &self })
            }
            Content::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    deserialize_integers!(
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64
    );

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.content {
            Content::Scalar(Scalar { kind: ScalarKind::Bool(value), .. }) => visitor.visit_bool(*value),
            _ => Err(self.mismatch("true or false")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.node.text() {
            Some(text) => visitor.visit_str(text),
            None => Err(self.mismatch("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.content {
            Content::Sequence(_) => self.deserialize_any(visitor),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.content {
            Content::Mapping(entries) => visitor.visit_map(Fields {
                entries: entries.iter(),
                parent: &self,
                seen: Vec::new(),
                known: None,
                value: None,
            }),
            _ => Err(self.mismatch("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.node.content {
            Content::Mapping(entries) => visitor.visit_map(Fields {
                entries: entries.iter(),
                parent: &self,
                seen: Vec::new(),
                known: Some(fields),
                value: None,
            }),
            _ => Err(self.mismatch("fields")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.node.content {
            Content::Mapping(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry, parent: &self }),
                _ => {
                    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
                    Err(Misfit::new(format!(
                        "expected exactly one field, found {}: {}",
                        keys.len(),
                        keys.join(", ")
                    ))
                    .at(&self.path, self.node.position))
                }
            },
            Content::Scalar(Scalar { text, kind }) if *kind != ScalarKind::Null => {
                let deserializer: value::StrDeserializer<'_, Misfit> = text.as_str().into_deserializer();
                visitor.visit_enum(deserializer)
            }
            _ => Err(self.mismatch("a word")),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    parent: &'a NodeDeserializer<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        for (index, node) in self.items.by_ref() {
            let path = format!("{}[{index}]", self.parent.path);
            if self.parent.context.skipped.contains(&path) {
                continue;
            }
            let deserializer = NodeDeserializer { node, path: path.clone(), context: self.parent.context };
            return seed.deserialize(deserializer).map(Some).map_err(|error| error.at(&path, node.position));
        }
        Ok(None)
    }
}

/// The entries of a mapping that is read as a struct (whose fields are known) or as a map.
struct Fields<'a> {
    entries: std::slice::Iter<'a, Entry>,
    parent: &'a NodeDeserializer<'a>,
    seen: Vec<&'a Entry>,
    known: Option<&'static [&'static str]>,
    value: Option<&'a Entry>,
}

impl Fields<'_> {
    fn path(&self, entry: &Entry) -> String {
        join(&self.parent.path, &entry.key)
    }

    fn report(&self, entry: &Entry, fault: Fault) {
        let finding = Finding { path: self.path(entry), position: entry.key_position, fault };
        self.parent.context.findings.borrow_mut().push(finding);
    }
}

/// The path of a field; keys that are not plain names stand in brackets.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else if key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        format!("{path}.{key}")
    } else {
        format!("{path}[{key}]")
    }
}

fn is_blank(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(Scalar { kind: ScalarKind::Null | ScalarKind::Bool(false), .. }) => true,
        Content::Scalar(scalar) => scalar.text.is_empty(),
        Content::Sequence(items) => items.is_empty(),
        Content::Mapping(_) => false,
    }
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        while let Some(entry) = self.entries.next() {
            if let Some(first) = self.seen.iter().find(|seen| seen.key == entry.key) {
                self.report(entry, Fault::Duplicate { first: first.key_position });
                continue;
            }
            self.seen.push(entry);
            if let Some(known) = self.known {
                if !known.contains(&entry.key.as_str()) {
                    self.report(entry, Fault::Unknown { known, blank: is_blank(&entry.value) });
                    continue;
                }
                if entry.value.is_null() {
                    continue;
                }
            }
            if self.parent.context.skipped.contains(&self.path(entry)) {
                continue;
            }
            self.value = Some(entry);
            let key: value::StrDeserializer<'_, Misfit> = entry.key.as_str().into_deserializer();
            return seed
                .deserialize(key)
                .map(Some)
                .map_err(|error| error.at(&self.path(entry), entry.key_position));
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some(entry) = self.value.take() else {
            return Err(Misfit::new("a value was asked for before its key"));
        };
        let path = self.path(entry);
        let deserializer =
            NodeDeserializer { node: &entry.value, path: path.clone(), context: self.parent.context };
        seed.deserialize(deserializer).map_err(|error| error.at(&path, entry.value.position))
    }
}

/// A mapping of one entry, read as an enum: the key is the variant.
struct Variant<'a> {
    entry: &'a Entry,
    parent: &'a NodeDeserializer<'a>,
}

impl<'a> Variant<'a> {
    fn content(&self) -> NodeDeserializer<'a> {
        let path = join(&self.parent.path, &self.entry.key);
        NodeDeserializer { node: &self.entry.value, path, context: self.parent.context }
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let key: value::StrDeserializer<'_, Misfit> = self.entry.key.as_str().into_deserializer();
        match seed.deserialize(key) {
            Ok(variant) => Ok((variant, self)),
            // The choice as a whole does not fit: there is nothing to leave out of it.
            Err(error) => Err(error.at(&self.parent.path, self.entry.key_position)),
        }
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        Err(Misfit::new(format!("expected a word, found the field `{}`", self.entry.key)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self.content())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        de::Deserializer::deserialize_seq(self.content(), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        de::Deserializer::deserialize_struct(self.content(), "", fields, visitor)
    }
}

//! The plan of a message: its fields in declaration order, with everything that conversion asks for precomputed.

use std::{collections::HashMap, sync::Arc};

use super::names;

/// A message type. No message of this API contains itself, so plans nest by plain ownership.
#[derive(Debug)]
pub struct Message {
    /// With its package: `olvid.daemon.datatypes.v1.Message`.
    pub full_name: String,
    /// Without package, nested types with a dot: `MessageId.Type` is an enum, `Group.AdvancedConfiguration` a message.
    pub name: String,
    /// What the proto file says of it.
    pub doc: String,
    /// In declaration order; an index into this list identifies a field everywhere in the program.
    pub fields: Vec<Field>,
    /// Real oneofs only; the synthetic ones of `optional` fields are not listed.
    pub oneofs: Vec<Oneof>,
    /// Field number to index plus one; 0 where there is none. Numbers of this API are small.
    by_number: Vec<u8>,
    by_name: HashMap<String, usize>,
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// The number on the wire.
    pub number: u32,
    /// The documented name.
    pub name: String,
    /// What the proto file says of it.
    pub doc: String,
    /// What one value is.
    pub kind: Kind,
    /// How many values there are, and whether absence shows.
    pub cardinality: Cardinality,
    /// Whether the proto file says `optional`: one may leave it out, where a message without it is meant to be there.
    pub optional: bool,
    /// The oneof it belongs to, as an index into [`Message::oneofs`].
    pub oneof: Option<usize>,
}

/// A group of fields of which at most one is set.
#[derive(Debug)]
pub struct Oneof {
    /// Its name in the proto file.
    pub name: String,
    /// What the proto file says of it.
    pub doc: String,
    /// Its members, as indices into [`Message::fields`].
    pub members: Vec<usize>,
}

/// How many values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Exactly one: absent on the wire means the default.
    Implicit,
    /// None or one, and the difference shows: `optional`, messages and members of a oneof.
    Optional,
    /// A list.
    Repeated,
}

/// What one value of a field is, named as proto files name it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are protobuf's own")]
pub enum Kind {
    Bool,
    Int32,
    Int64,
    Sint32,
    Sint64,
    Uint32,
    Uint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    String,
    Bytes,
    Enum(Arc<Enum>),
    Message(Arc<Message>),
}

/// An enum type.
#[derive(Debug)]
pub struct Enum {
    /// With its package.
    pub full_name: String,
    /// Without its package.
    pub name: String,
    /// What the proto file says of it.
    pub doc: String,
    /// In declaration order.
    pub values: Vec<EnumValue>,
}

/// A value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// The documented name: `TYPE_INBOUND`.
    pub name: String,
    /// The part behind what all names of the enum share, in lower case: `inbound`.
    pub short: String,
    /// The number on the wire.
    pub number: i32,
    /// What the proto file says of it.
    pub doc: String,
}

impl Message {
    pub(super) fn new(full_name: String, name: String, doc: String, fields: Vec<Field>, oneofs: Vec<Oneof>) -> Self {
        let by_name = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
        let highest = fields.iter().map(|field| field.number).max().unwrap_or(0) as usize;
        let mut by_number = vec![0; highest + 1];
        for (field, mark) in fields.iter().zip(1u8..) {
            by_number[field.number as usize] = mark;
        }
        Self { full_name, name, doc, fields, oneofs, by_number, by_name }
    }

    /// Finds a field by its documented name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.index_of(name).map(|index| &self.fields[index])
    }

    /// Finds a field's index by its documented name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Finds a field's index by its number on the wire.
    #[inline]
    pub fn index_of_number(&self, number: u32) -> Option<usize> {
        let mark = *self.by_number.get(number as usize)?;
        (mark != 0).then(|| usize::from(mark) - 1)
    }

    /// Returns the members of the same oneof, the field itself left out.
    pub fn siblings(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let members = self.fields[index].oneof.map_or(&[][..], |oneof| &self.oneofs[oneof].members);
        members.iter().copied().filter(move |member| *member != index)
    }
}

impl Field {
    /// The type as an author reads it: `repeated MessageId`, `optional uint64`, `string`.
    pub fn type_name(&self) -> String {
        match self.cardinality {
            Cardinality::Repeated => format!("repeated {}", self.kind.name()),
            Cardinality::Optional if self.oneof.is_none() && !matches!(self.kind, Kind::Message(_)) => {
                format!("optional {}", self.kind.name())
            }
            _ => self.kind.name().to_owned(),
        }
    }
}

impl Kind {
    /// The type's name without cardinality.
    pub fn name(&self) -> &str {
        match self {
            Self::Bool => "bool",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Enum(plan) => &plan.name,
            Self::Message(plan) => &plan.name,
        }
    }
}

impl Enum {
    pub(super) fn new(full_name: String, name: String, doc: String, values: Vec<(String, i32, String)>) -> Self {
        let shared = shared_prefix(values.iter().map(|(name, ..)| name.as_str()));
        let values = values
            .into_iter()
            .map(|(name, number, doc)| EnumValue { short: name[shared..].to_ascii_lowercase(), name, number, doc })
            .collect();
        Self { full_name, name, doc, values }
    }

    /// Returns the documented name of a number, or none for one that a newer daemon may have added.
    pub fn name_of(&self, number: i32) -> Option<&str> {
        self.values.iter().find(|value| value.number == number).map(|value| value.name.as_str())
    }

    /// Reads a value as an author may write it: the documented name or its short form, in any case.
    pub fn parse(&self, text: &str) -> Option<i32> {
        self.values
            .iter()
            .find(|value| value.name.eq_ignore_ascii_case(text) || value.short.eq_ignore_ascii_case(text))
            .map(|value| value.number)
    }

    /// Returns the documented name that a mistaken one most likely meant.
    pub fn nearest(&self, typed: &str) -> Option<&str> {
        let full = names::nearest(typed, self.values.iter().map(|value| value.name.as_str()));
        full.or_else(|| {
            let short = names::nearest(typed, self.values.iter().map(|value| value.short.as_str()))?;
            self.values.iter().find(|value| value.short == short).map(|value| value.name.as_str())
        })
    }
}

/// Length of the longest common prefix that ends with an underscore.
fn shared_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> usize {
    let Some(first) = names.next() else { return 0 };
    let mut length = first.len();
    for name in names {
        length = first.bytes().zip(name.bytes()).take(length).take_while(|(a, b)| a == b).count();
    }
    first[..length].rfind('_').map_or(0, |at| at + 1)
}

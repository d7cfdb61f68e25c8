//! Values by reflection: for any message, one that says something in every field, as Lua, as JSON and as wire bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use bytes::Bytes;
use olvid_rules::schema::{
    Cardinality, Field, Kind, Message,
    encode::{self, Datum, View},
};
use serde_json::{Map, Value as Json};

/// Whether bytes may be any bytes, or only such as are text too: JSON has no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Any,
    Text,
}

/// A value of a field.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Makes values, no two of which are alike where their type has enough of them.
pub(crate) struct Maker {
    next: i64,
    content: Content,
    /// Which member of each oneof is set, counted round.
    variant: usize,
}

/// How many variants show every member of every oneof of a message at least once.
pub(crate) fn variants(message: &Message) -> usize {
    let own = message.oneofs.iter().map(|oneof| oneof.members.len());
    let inner = message.fields.iter().filter_map(|field| match &field.kind {
        Kind::Message(inner) => Some(variants(inner)),
        _ => None,
    });
    own.chain(inner).max().unwrap_or(1).max(1)
}

impl Maker {
    pub(crate) fn new(content: Content, variant: usize) -> Self {
        Self { next: 0, content, variant }
    }

    /// Starts elsewhere, for values unlike those of another maker.
    pub(crate) fn from(mut self, next: i64) -> Self {
        self.next = next;
        self
    }

    /// Makes a message with a value other than the default in every field; of a oneof, in one.
    pub(crate) fn message(&mut self, message: &Message) -> Value {
        self.fields(message, |_| true)
    }

    /// The same, with some of the fields only.
    pub(crate) fn fields(&mut self, message: &Message, wanted: impl Fn(&Field) -> bool) -> Value {
        let mut entries = Vec::new();
        for (index, field) in message.fields.iter().enumerate().filter(|(_, field)| wanted(field)) {
            if let Some(oneof) = field.oneof {
                let members = &message.oneofs[oneof].members;
                if members[self.variant % members.len()] != index {
                    continue;
                }
            }
            let value = match field.cardinality {
                Cardinality::Repeated => Value::List(vec![self.value(&field.kind), self.value(&field.kind)]),
                _ => self.value(&field.kind),
            };
            entries.push((field.name.clone(), value));
        }
        Value::Map(entries)
    }

    fn value(&mut self, kind: &Kind) -> Value {
        self.next += 1;
        let next = self.next;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let small = next as f64;
        match kind {
            Kind::Bool => Value::Bool(true),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::Integer(-next),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::Integer(i64::MIN + next),
            Kind::Uint32 | Kind::Fixed32 => Value::Integer(i64::from(u32::MAX) - next),
            // Beyond what a float holds exactly.
            Kind::Uint64 | Kind::Fixed64 => Value::Integer((1 << 53) + 1 + next),
            Kind::Float => Value::Float(small + 0.5),
            Kind::Double => Value::Float(small + 0.1),
            Kind::String => Value::Text(format!("text {next} \"é👍\"\n\\").into_bytes()),
            Kind::Bytes if self.content == Content::Any => {
                Value::Text((0..=255).chain([next.to_le_bytes()[0]]).collect())
            }
            Kind::Bytes => Value::Text(format!("bytes {next} \0é").into_bytes()),
            Kind::Enum(plan) => {
                let named: Vec<_> = plan.values.iter().filter(|value| value.number != 0).collect();
                let at = usize::try_from(next).unwrap() % named.len();
                Value::Text(named[at].name.clone().into_bytes())
            }
            Kind::Message(inner) => self.message(inner),
        }
    }
}

impl Value {
    /// As an expression of Lua.
    pub(crate) fn lua(&self) -> String {
        match self {
            Self::Bool(truth) => truth.to_string(),
            Self::Integer(i64::MIN) => "math.mininteger".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => format!("{number:?}"),
            Self::Text(bytes) => quoted(bytes),
            Self::List(items) => format!("{{ {} }}", items.iter().map(Self::lua).collect::<Vec<_>>().join(", ")),
            Self::Map(entries) => {
                let fields: Vec<_> = entries.iter().map(|(name, value)| format!("{name} = {}", value.lua())).collect();
                format!("{{ {} }}", fields.join(", "))
            }
        }
    }

    /// As the program's JSON of a message, where nothing is left at its default.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Bool(truth) => Json::from(*truth),
            Self::Integer(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Text(bytes) => str::from_utf8(bytes).map_or_else(|_| Json::from(bytes.clone()), Json::from),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => {
                Json::Object(entries.iter().map(|(name, value)| (name.clone(), value.json())).collect::<Map<_, _>>())
            }
        }
    }

    /// As a message goes over the wire.
    pub(crate) fn wire(&self, message: &Message) -> Bytes {
        match encode::encode(message, &self, None) {
            Ok(bytes) => bytes.into(),
            Err(mismatches) => panic!("{}: {}", message.name, mismatches[0]),
        }
    }

    /// A field of a map.
    pub(crate) fn get(&self, name: &str) -> &Self {
        let Self::Map(entries) = self else { panic!("{self:?} has no fields") };
        &entries.iter().find(|(field, _)| field == name).unwrap_or_else(|| panic!("no {name} in {self:?}")).1
    }
}

/// A string as Lua reads it: every byte that is not plain ASCII by its number.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in bytes {
        match byte {
            b' '..=b'~' if !matches!(byte, b'"' | b'\\') => out.push(char::from(*byte)),
            _ => write!(out, "\\{byte:03}").unwrap(),
        }
    }
    out.push('"');
    out
}

impl Datum for &Value {
    const ECHOES: bool = true;

    fn view(&self) -> View<'_, Self> {
        match self {
            Value::Bool(truth) => View::Bool(*truth),
            Value::Integer(number) => View::Signed(*number),
            Value::Float(number) => View::Float(*number),
            Value::Text(bytes) => View::Text(bytes),
            Value::List(items) => View::List(items.iter().collect()),
            Value::Map(entries) => View::Map(entries.iter().map(|(name, value)| (name.clone(), value)).collect()),
        }
    }
}

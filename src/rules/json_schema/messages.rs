//! The schemas of parameters: messages, enums and scalars, as [`encode`](crate::schema::encode) takes them from an author.

use serde_json::{Map, Value, json};

use super::{patterns, reference};
use crate::schema::{Cardinality, Enum, Field, Kind, Message, encode};

/// A field of a message. What it holds is defined once, where that is more than a scalar.
pub(super) fn field(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut held = one(&field.kind, definitions);
    if field.cardinality == Cardinality::Repeated {
        held = json!({ "type": "array", "items": held });
    }
    if !field.doc.is_empty() {
        held["description"] = json!(flat(&field.doc));
    }
    held
}

/// Running text; its line breaks are those of the proto file.
pub(crate) fn flat(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn one(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Float => json!({ "type": "number", "minimum": f32::MIN, "maximum": f32::MAX }),
        Kind::Double => json!({ "type": "number" }),
        Kind::String | Kind::Bytes => json!({ "type": "string" }),
        Kind::Enum(plan) => {
            define(&plan.name, definitions, |_| enumeration(plan));
            reference(&plan.name)
        }
        Kind::Message(plan) => held(plan, definitions),
        integer => {
            let (low, high) = encode::range(integer);
            let number =
                |end: i128| i64::try_from(end).map_or_else(|_| json!(u64::try_from(end).ok()), |end| json!(end));
            json!({ "type": "integer", "minimum": number(low), "maximum": number(high) })
        }
    }
}

/// A message, which is defined once.
pub(crate) fn held(plan: &Message, definitions: &mut Map<String, Value>) -> Value {
    define(&plan.name, definitions, |definitions| message(plan, definitions));
    reference(&plan.name)
}

/// Defines what is not defined yet.
fn define(name: &str, definitions: &mut Map<String, Value>, schema: impl FnOnce(&mut Map<String, Value>) -> Value) {
    if !definitions.contains_key(name) {
        let held = schema(definitions);
        definitions.insert(name.to_owned(), held);
    }
}

fn message(plan: &Message, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<_, _> = plan.fields.iter().map(|each| (each.name.clone(), field(each, definitions))).collect();
    let mut made = json!({
        "title": plan.name,
        "description": flat(&plan.doc),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let exclusive: Vec<_> = plan.oneofs.iter().flat_map(|oneof| pairs(plan, &oneof.members)).collect();
    if !exclusive.is_empty() {
        made["allOf"] = json!(exclusive);
    }
    made
}

/// No two members of a oneof.
fn pairs(plan: &Message, members: &[usize]) -> Vec<Value> {
    let name = |index: &usize| &plan.fields[*index].name;
    let each = |(at, first)| members[at + 1..].iter().map(move |second| [name(first), name(second)]);
    members.iter().enumerate().flat_map(each).map(|pair| json!({ "not": { "required": pair } })).collect()
}

/// The documented names and their short forms are completed; both are taken in any case.
fn enumeration(plan: &Enum) -> Value {
    let (names, docs): (Vec<_>, Vec<_>) = plan
        .values
        .iter()
        .map(|value| (&value.short, &value.doc))
        .chain(plan.values.iter().map(|value| (&value.name, &value.doc)))
        .map(|(name, doc)| (name.as_str(), flat(doc)))
        .unzip();
    let alternatives: Vec<_> = names.iter().map(|name| patterns::any_case(name)).collect();
    json!({
        "title": plan.name,
        "description": flat(&plan.doc),
        "anyOf": [
            { "enum": names, "enumDescriptions": docs },
            { "type": "string", "pattern": format!("^(?:{})$", alternatives.join("|")) },
        ],
    })
}

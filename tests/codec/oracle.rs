//! What a message's bytes mean, computed a second time: by `prost-reflect`, which shares no code with the schema's reader.
//!
//! Used by the property tests and by the fuzz targets.

use olvid_rules::schema::{Catalog, Message, json::from_wire};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use serde_json::{Number, Value as Json};

/// A message type as both sides know it.
pub(crate) struct Both {
    pub(crate) plan: &'static Message,
    pub(crate) descriptor: MessageDescriptor,
}

/// Every message of the catalog, in the order of their names.
pub(crate) fn messages() -> Vec<Both> {
    let pool = DescriptorPool::decode(olvid_rules::schema::catalog::DESCRIPTORS).unwrap();
    let mut all: Vec<_> = Catalog::embedded()
        .messages()
        .map(|plan| Both { plan, descriptor: pool.get_message_by_name(&plan.full_name).unwrap() })
        .collect();
    all.sort_by_key(|both| &both.plan.full_name);
    all
}

/// Maps a message to JSON as `schema::json` promises to.
pub(crate) fn json(message: &DynamicMessage) -> Json {
    let mut object = serde_json::Map::new();
    for field in message.descriptor().fields() {
        if !field.is_list() && field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        object.insert(field.name().to_owned(), value(&field, &message.get_field(&field)));
    }
    Json::Object(object)
}

fn value(field: &FieldDescriptor, of: &Value) -> Json {
    match of {
        Value::Bool(truth) => Json::from(*truth),
        Value::I32(number) => Json::from(*number),
        Value::I64(number) => Json::from(*number),
        Value::U32(number) => Json::from(*number),
        Value::U64(number) => Json::from(*number),
        Value::F32(number) => float(f64::from(*number)),
        Value::F64(number) => float(*number),
        Value::String(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => {
            str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(Json::from).collect(), Json::from)
        }
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(plan) => plan.get_value(*number).map_or(Json::from(*number), |value| Json::from(value.name())),
            other => panic!("{other:?}"),
        },
        Value::Message(inner) => json(inner),
        Value::List(items) => items.iter().map(|item| value(field, item)).collect(),
        Value::Map(_) => panic!("no map is known"),
    }
}

fn float(number: f64) -> Json {
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// Reads bytes both ways: both must refuse them, or both must read the same. Returns what they read.
///
/// Compared as text, as JSON values take `-0.0` for `0.0`.
pub(crate) fn agreed(both: &Both, bytes: &[u8]) -> Option<Json> {
    let reference = DynamicMessage::decode(both.descriptor.clone(), bytes);
    match (from_wire(both.plan, bytes), reference) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.to_string(), json(&theirs).to_string(), "{} {bytes:x?}", both.plan.name);
            Some(ours)
        }
        (Err(_), Err(_)) => None,
        // The reference counts the messages around an unknown group as well, so it gives up a little earlier.
        (Ok(ours), Err(cause)) if cause.to_string().contains("recursion limit") => Some(ours),
        (ours, theirs) => panic!("{}: {ours:?} but {theirs:?} {bytes:x?}", both.plan.name),
    }
}

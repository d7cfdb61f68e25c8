//! The mapping to and from JSON: that of Lua tables, so that both say the same of a message.
//!
//! Reading: fields without presence are always there, absent ones are left out, lists are always there, an enum is its
//! name (an unknown number stays a number), integers are exact. Bytes become text where they are UTF-8 and a list of
//! numbers where they are not: for people to read, not to be read back.

use serde_json::{Map, Number, Value as Json};

use super::{
    encode::{Datum, View},
    message::{Cardinality, Field, Kind, Message},
    wire::{self, Reader, Value, WireError},
};

/// Reads a message as a JSON object.
pub fn from_wire(plan: &Message, bytes: &[u8]) -> Result<Json, WireError> {
    let mut object = Map::new();
    for field in &plan.fields {
        match field.cardinality {
            Cardinality::Implicit => drop(object.insert(field.name.clone(), default_of(&field.kind))),
            Cardinality::Repeated => drop(object.insert(field.name.clone(), Json::Array(Vec::new()))),
            Cardinality::Optional => {}
        }
    }
    // Merging waits for the end: at each occurrence it would cost the square of their number.
    let mut merging = Vec::new();
    let mut reader = Reader::new(plan, bytes);
    while let Some((index, value)) = reader.advance()? {
        let field = &plan.fields[index];
        if field.cardinality == Cardinality::Repeated {
            if let Some(Json::Array(list)) = object.get_mut(&field.name) {
                list.push(json(field, value)?);
            }
            continue;
        }
        let again = matches!(value, Value::Message(_)) && object.contains_key(&field.name);
        for sibling in plan.siblings(index) {
            object.remove(&plan.fields[sibling].name);
        }
        // Read even where merging replaces it, as each occurrence has to be a message by itself.
        object.insert(field.name.clone(), json(field, value)?);
        if again && !merging.contains(&index) {
            merging.push(index);
        }
    }
    for index in merging {
        let field = &plan.fields[index];
        if let Some(value) = object.get_mut(&field.name) {
            *value = json(field, Value::Message(&wire::merged(plan, bytes, index)?))?;
        }
    }
    Ok(Json::Object(object))
}

fn json(field: &Field, value: Value<'_>) -> Result<Json, WireError> {
    Ok(match (value, &field.kind) {
        (Value::Message(bytes), Kind::Message(plan)) => from_wire(plan, bytes)?,
        (Value::Enum(number), Kind::Enum(plan)) => plan.name_of(number).map_or(Json::from(number), Json::from),
        (Value::Bool(truth), _) => Json::from(truth),
        (Value::Signed(number), _) => Json::from(number),
        (Value::Unsigned(number), _) => Json::from(number),
        (Value::Float(number), _) => Number::from_f64(number).map_or(Json::Null, Json::Number),
        (Value::Text(text), _) => Json::from(text),
        (Value::Bytes(bytes) | Value::Message(bytes), _) => {
            str::from_utf8(bytes).map_or_else(|_| Json::from(bytes), Json::from)
        }
        (Value::Enum(number), _) => Json::from(number),
    })
}

fn default_of(kind: &Kind) -> Json {
    match kind {
        Kind::Bool => Json::from(false),
        Kind::String | Kind::Bytes => Json::from(""),
        Kind::Float | Kind::Double => Json::from(0.0),
        Kind::Enum(plan) => plan.name_of(0).map_or(Json::from(0), Json::from),
        _ => Json::from(0),
    }
}

impl Datum for &Json {
    const ECHOES: bool = true;

    fn view(&self) -> View<'_, Self> {
        match self {
            Json::Null => View::Absent,
            Json::Bool(truth) => View::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => View::Signed(number),
                (_, Some(number), _) => View::Unsigned(number),
                (_, _, number) => View::Float(number.unwrap_or(f64::NAN)),
            },
            Json::String(text) => View::Text(text.as_bytes()),
            Json::Array(items) => View::List(items.iter().collect()),
            Json::Object(entries) => View::Map(entries.iter().map(|(name, value)| (name.clone(), value)).collect()),
        }
    }
}

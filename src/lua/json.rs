//! `json.encode` and `json.decode`.
//!
//! A table with the mark of a list, or with a sequence and nothing else, is an array; everything else is an object.
//! Null is `json.null`, a value of its own. Depth and number of values are bounded, so that a table that contains itself
//! or shares its parts a million times over ends in an error.

use mlua::{Error, Lua, Table, Value};
use serde_json::{Map, Number, Value as Json};

use super::convert::Converter;

/// How deep values may nest.
const DEPTH: usize = 64;

/// How many values one text may hold.
const VALUES: usize = 1_000_000;

/// Writes a value as JSON.
pub(super) fn encode(converter: &Converter, value: &Value) -> mlua::Result<Json> {
    let mut budget = VALUES;
    to_json(converter, value, DEPTH, &mut budget)
}

/// Reads JSON text.
pub(super) fn decode(lua: &Lua, converter: &Converter, text: &[u8]) -> mlua::Result<Value> {
    let parsed: Json = serde_json::from_slice(text).map_err(|error| Error::runtime(format!("json.decode: {error}")))?;
    from_json(lua, converter, &parsed)
}

fn to_json(converter: &Converter, value: &Value, depth: usize, budget: &mut usize) -> mlua::Result<Json> {
    *budget = budget.checked_sub(1).ok_or_else(|| Error::runtime("json.encode: too many values"))?;
    Ok(match value {
        Value::Nil | Value::LightUserData(_) => Json::Null,
        Value::Boolean(truth) => Json::from(*truth),
        Value::Integer(number) => Json::from(*number),
        Value::Number(number) => Number::from_f64(*number)
            .map(Json::Number)
            .ok_or_else(|| Error::runtime(format!("json.encode: {number} is no JSON number")))?,
        Value::String(text) => match str::from_utf8(&text.as_bytes()) {
            Ok(text) => Json::from(text),
            Err(_) => return Err(Error::runtime("json.encode: a string is not valid UTF-8")),
        },
        Value::Table(table) => {
            let depth = depth
                .checked_sub(1)
                .ok_or_else(|| Error::runtime("json.encode: nested deeper than 64 (does a table contain itself?)"))?;
            table_to_json(converter, table, depth, budget)?
        }
        other => return Err(Error::runtime(format!("json.encode: {} has no JSON form", other.type_name()))),
    })
}

fn table_to_json(converter: &Converter, table: &Table, depth: usize, budget: &mut usize) -> mlua::Result<Json> {
    let length = table.raw_len();
    let mut object = Map::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let name = match key {
            Value::Integer(at) if length > 0 && at >= 1 && at.cast_unsigned() <= length as u64 => continue,
            Value::String(name) => name.to_string_lossy(),
            Value::Integer(number) => number.to_string(),
            other => {
                return Err(Error::runtime(format!("json.encode: a key is {}, not text", other.type_name())));
            }
        };
        object.insert(name, to_json(converter, &value, depth, budget)?);
    }
    if length == 0 {
        let list = object.is_empty() && converter.is_list(table);
        return Ok(if list { Json::Array(Vec::new()) } else { Json::Object(object) });
    }
    if let Some(name) = object.keys().next() {
        return Err(Error::runtime(format!("json.encode: a table is both a list and an object (key `{name}`)")));
    }
    let items = (1..=length).map(|at| to_json(converter, &table.raw_get::<Value>(at)?, depth, budget));
    Ok(Json::Array(items.collect::<mlua::Result<_>>()?))
}

/// Makes a value of JSON.
pub(super) fn from_json(lua: &Lua, converter: &Converter, json: &Json) -> mlua::Result<Value> {
    Ok(match json {
        Json::Null => Value::NULL,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Integer(number),
            (None, number) => Value::Number(number.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(items) => {
            let list = lua.create_table_with_capacity(items.len(), 0)?;
            for (at, item) in items.iter().enumerate() {
                list.raw_set(at + 1, from_json(lua, converter, item)?)?;
            }
            converter.mark_list(&list)?;
            Value::Table(list)
        }
        Json::Object(entries) => {
            let table = lua.create_table_with_capacity(0, entries.len())?;
            for (name, value) in entries {
                table.raw_set(name.as_str(), from_json(lua, converter, value)?)?;
            }
            Value::Table(table)
        }
    })
}

//! `json.encode` and `json.decode`.
//!
//! A table with the mark of a list, or with a sequence and nothing else, is an array; everything else is an object.
//! Null is `json.null`, a value of its own. Depth, number of values and bytes of text are bounded while a text is built,
//! so that a table that contains itself or shares its parts a million times over ends in an error. Reading builds Lua
//! values at once: the VM's memory bounds them, and nothing stands in between.

use std::{cell::RefCell, fmt};

use mlua::{Error, Lua, LuaString, Table, Value};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value as Json};

use super::{convert::Converter, interrupt};

/// How deep values may nest.
const DEPTH: usize = 64;

/// How many values a text that is written may hold.
const VALUES: usize = 100_000;

/// Bytes of one text.
const BYTES: usize = 4 * 1024 * 1024;

/// The field of a metatable that holds the table it stands before.
const REAL: &str = "__frozen";

/// Writes a value as JSON.
pub(super) fn encode(converter: &Converter, value: &Value) -> mlua::Result<Json> {
    encode_within(converter, value, BYTES)
}

/// Writes a value as JSON whose text has no more bytes than these.
pub(super) fn encode_within(converter: &Converter, value: &Value, bytes: usize) -> mlua::Result<Json> {
    Encoder { converter, values: VALUES, room: bytes, bytes }.value(value, DEPTH)
}

/// The table that a frozen one stands before, or the table itself.
pub(super) fn real(table: &Table) -> Table {
    let frozen = table.metatable().and_then(|metatable| metatable.raw_get::<Option<Table>>(REAL).ok().flatten());
    frozen.unwrap_or_else(|| table.clone())
}

/// What is left of the bounds.
struct Encoder<'c> {
    converter: &'c Converter,
    values: usize,
    room: usize,
    /// What there was room for.
    bytes: usize,
}

impl Encoder<'_> {
    /// Counts a value before it is made.
    fn count(&mut self) -> mlua::Result<()> {
        if interrupt::is_over() {
            return Err(failed(format_args!("the run is over")));
        }
        let rest = self.values.checked_sub(1);
        self.values = rest.ok_or_else(|| failed(format_args!("more than {VALUES} values")))?;
        Ok(())
    }

    /// Counts text before it is written.
    fn write(&mut self, bytes: usize) -> mlua::Result<()> {
        let rest = self.room.checked_sub(bytes);
        self.room = rest.ok_or_else(|| failed(format_args!("more than {} KiB of text", self.bytes / 1024)))?;
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> mlua::Result<Json> {
        self.count()?;
        Ok(match value {
            Value::Nil | Value::LightUserData(_) => {
                self.write(4)?;
                Json::Null
            }
            Value::Boolean(truth) => {
                self.write(5)?;
                Json::from(*truth)
            }
            Value::Integer(number) => {
                self.write(number.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 2)?;
                Json::from(*number)
            }
            Value::Number(number) => {
                // The longest that a double is written as.
                self.write(24)?;
                let number = Number::from_f64(*number);
                Json::Number(number.ok_or_else(|| failed(format_args!("{} is no JSON number", shown(value))))?)
            }
            Value::String(text) => Json::from(self.text(text)?),
            Value::Table(table) => {
                let deeper = depth.checked_sub(1);
                let depth = deeper
                    .ok_or_else(|| failed(format_args!("nested deeper than {DEPTH} (does a table contain itself?)")))?;
                self.table(&real(table), depth)?
            }
            other => return Err(failed(format_args!("{} has no JSON form", other.type_name()))),
        })
    }

    fn text(&mut self, text: &LuaString) -> mlua::Result<String> {
        let bytes = text.as_bytes();
        let escape = |byte: &u8| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
            0..32 => 5,
            _ => 0,
        };
        // The length is looked at first, so that no long text is read for nothing.
        self.write(bytes.len() + 2)?;
        self.write(bytes.iter().map(escape).sum())?;
        let text = str::from_utf8(&bytes).map_err(|_| failed(format_args!("a string is not valid UTF-8")))?;
        Ok(text.to_owned())
    }

    fn table(&mut self, table: &Table, depth: usize) -> mlua::Result<Json> {
        let length = table.raw_len();
        self.write(2)?;
        let mut object = Map::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            let name = match key {
                Value::Integer(at) if length > 0 && at >= 1 && at.cast_unsigned() <= length as u64 => continue,
                // It is both, whatever else it has.
                Value::String(_) | Value::Integer(_) if length > 0 => return Err(both(&key)),
                Value::String(name) => self.text(&name)?,
                Value::Integer(number) => {
                    self.write(22)?;
                    number.to_string()
                }
                other => return Err(failed(format_args!("a key is {}, not text", other.type_name()))),
            };
            self.write(2)?;
            object.insert(name, self.value(&value, depth)?);
        }
        if length == 0 {
            let list = object.is_empty() && self.converter.is_list(table);
            return Ok(if list { Json::Array(Vec::new()) } else { Json::Object(object) });
        }
        let mut items = Vec::new();
        for at in 1..=length {
            self.write(1)?;
            items.push(self.value(&table.raw_get::<Value>(at)?, depth)?);
        }
        Ok(Json::Array(items))
    }
}

fn both(key: &Value) -> Error {
    let name = key
        .as_string()
        .map(|name| String::from_utf8_lossy(&name.as_bytes()[..name.as_bytes().len().min(64)]).into_owned());
    let name = name.unwrap_or_else(|| shown(key));
    failed(format_args!("a table is both a list and an object (key `{name}`)"))
}

/// A number as Lua shows it.
fn shown(value: &Value) -> String {
    value.to_string().unwrap_or_default()
}

fn failed(what: fmt::Arguments<'_>) -> Error {
    Error::runtime(format!("json.encode: {what}"))
}

/// Reads JSON text.
pub(super) fn decode(lua: &Lua, converter: &Converter, text: &[u8]) -> mlua::Result<Value> {
    if text.len() > BYTES {
        return Err(Error::runtime(format!("json.decode: a text of more than {} MiB", BYTES >> 20)));
    }
    let failed = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Builder { lua, converter, depth: DEPTH, failed: &failed }.deserialize(&mut reader);
    let read = read.and_then(|value| reader.end().map(|()| value));
    // What Lua said, as it said it: memory that is used up is no mistake of the text.
    read.map_err(|error| failed.take().unwrap_or_else(|| Error::runtime(format!("json.decode: {error}"))))
}

/// Makes a Lua value of what comes next in a text.
#[derive(Clone, Copy)]
struct Builder<'a> {
    lua: &'a Lua,
    converter: &'a Converter,
    /// How much deeper values may nest.
    depth: usize,
    /// What Lua had to say, which a reader cannot pass on.
    failed: &'a RefCell<Option<Error>>,
}

impl Builder<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom(format_args!("nested deeper than {DEPTH}")))?;
        Ok(Self { depth, ..self })
    }

    fn made<T, E: serde::de::Error>(self, made: mlua::Result<T>) -> Result<T, E> {
        made.map_err(|error| {
            let told = E::custom(&error);
            self.failed.replace(Some(error));
            told
        })
    }
}

impl<'de> DeserializeSeed<'de> for Builder<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        if interrupt::is_over() {
            return Err(D::Error::custom("the run is over"));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Builder<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::NULL)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Boolean(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond Lua's integers there are only floats")]
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Number(number as f64), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.made(self.lua.create_string(text).map(Value::String))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (inner, list) = (self.deeper()?, self.made(self.lua.create_table())?);
        let mut at = 0;
        while let Some(item) = items.next_element_seed(inner)? {
            at += 1;
            self.made(list.raw_set(at, item))?;
        }
        self.made(self.converter.mark_list(&list))?;
        Ok(Value::Table(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (inner, table) = (self.deeper()?, self.made(self.lua.create_table())?);
        while let Some(name) = entries.next_key_seed(inner)? {
            let value = entries.next_value_seed(inner)?;
            self.made(table.raw_set(name, value))?;
        }
        Ok(Value::Table(table))
    }
}

/// Makes a value of JSON that this host has written.
pub(super) fn from_json(lua: &Lua, converter: &Converter, json: &Json) -> mlua::Result<Value> {
    let failed = RefCell::new(None);
    let read = Builder { lua, converter, depth: DEPTH, failed: &failed }.deserialize(json);
    read.map_err(|error| failed.take().unwrap_or_else(|| Error::runtime(error.to_string())))
}

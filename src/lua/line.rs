//! A line that a script says, as plain data within bounds: cut before it is copied.

use mlua::{Table, Value};
use serde_json::{Map, Number, Value as Json};

use super::{
    convert::Converter,
    failure,
    json::{self, real},
};
use crate::report::text::{LONGEST_TEXT, clipped, length};

/// Fields of one line.
const FIELDS: usize = 64;

/// Letters of a field's name.
const LONGEST_NAME: usize = 64;

/// Bytes of all fields as they are shown, so that a line with the longest text stays below 16 KiB.
const ROOM: usize = 9 * 1024;

/// The name under which a line says that it has more fields than it may.
const MORE: &str = "…";

/// What is told of it.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) fields: Map<String, Json>,
    /// Its text and fields together.
    pub(super) bytes: usize,
    room: usize,
}

impl Line {
    /// Reads what a script gave: a text, and a table of fields or one value.
    pub(super) fn new(converter: &Converter, text: &[u8], fields: Option<&Value>) -> Self {
        let text = clipped(text, LONGEST_TEXT);
        let mut line = Self { bytes: text.len(), text, fields: Map::new(), room: ROOM };
        match fields {
            Some(Value::Nil) | None => {}
            Some(Value::Table(table)) => line.add_all(converter, &real(table)),
            Some(other) => line.add("value".to_owned(), shown(converter, other)),
        }
        line
    }

    fn add_all(&mut self, converter: &Converter, table: &Table) {
        if table.raw_len() > 0 || converter.is_list(table) {
            return self.add("value".to_owned(), shown(converter, &Value::Table(table.clone())));
        }
        for (at, pair) in table.pairs::<Value, Value>().enumerate() {
            match pair {
                Ok((name, value)) if at < FIELDS => self.add(called(&name), shown(converter, &value)),
                // A log line is no reason to fail.
                _ => return self.leave_out(),
            }
        }
    }

    fn add(&mut self, name: String, value: Json) {
        let (bytes, width) = match &value {
            Json::String(text) => (text.len(), length(text)),
            other => {
                let text = other.to_string();
                (text.len(), length(&text))
            }
        };
        // Quotation marks, and what stands between two fields.
        match self.room.checked_sub(length(&name) + width + 6) {
            Some(rest) => {
                self.room = rest;
                self.bytes += name.len() + bytes;
                self.fields.insert(name, value);
            }
            None => self.leave_out(),
        }
    }

    fn leave_out(&mut self) {
        self.fields.insert(MORE.to_owned(), "more fields are left out".into());
    }
}

fn called(name: &Value) -> String {
    match name {
        Value::String(name) => {
            let bytes = name.as_bytes();
            // No letter has more than four bytes.
            let mut name = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LONGEST_NAME + 4)]).into_owned();
            if let Some((end, _)) = name.char_indices().nth(LONGEST_NAME) {
                name.replace_range(end.., MORE);
            }
            name
        }
        Value::Integer(name) => name.to_string(),
        other => format!("({})", other.type_name()),
    }
}

fn shown(converter: &Converter, value: &Value) -> Json {
    match value {
        Value::String(text) => clipped(&text.as_bytes(), LONGEST_TEXT).into(),
        Value::Number(number) => Number::from_f64(*number).map_or_else(|| number.to_string().into(), Json::Number),
        Value::Function(_) | Value::Thread(_) | Value::UserData(_) => format!("({})", value.type_name()).into(),
        Value::Error(error) => failure::innermost(error).into(),
        other => json::encode_within(converter, other, LONGEST_TEXT)
            .unwrap_or_else(|error| format!("({})", failure::innermost(&error)).into()),
    }
}

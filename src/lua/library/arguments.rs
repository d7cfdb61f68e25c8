//! Arguments of a library function, taken as the stock library takes them, and its words where they are wrong.

use mlua::{Lua, LuaString, MultiValue, Value};

use super::strings::Failure;

const NIL: Value = Value::Nil;

/// What a function was called with.
pub(super) struct Arguments<'a> {
    pub(super) lua: &'a Lua,
    /// The function's.
    pub(super) name: &'static str,
    values: MultiValue,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(lua: &'a Lua, name: &'static str, values: MultiValue) -> Self {
        Self { lua, name, values }
    }

    pub(super) fn value(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&NIL)
    }

    pub(super) fn truth(&self, index: usize) -> bool {
        !matches!(self.value(index), Value::Nil | Value::Boolean(false))
    }

    /// A text, or a number as one.
    pub(super) fn text(&self, index: usize) -> Result<LuaString, Failure> {
        match self.value(index) {
            Value::String(text) => Ok(text.clone()),
            number @ (Value::Integer(_) | Value::Number(_)) => {
                self.lua.coerce_string(number.clone())?.ok_or_else(|| self.expected(index, "string"))
            }
            _ => Err(self.expected(index, "string")),
        }
    }

    /// A whole number, or a text that is one; none where nothing was given.
    pub(super) fn integer(&self, index: usize) -> Result<Option<i64>, Failure> {
        let value = match self.value(index) {
            Value::Nil => return Ok(None),
            Value::Integer(number) => return Ok(Some(*number)),
            value @ (Value::Number(_) | Value::String(_)) => value,
            _ => return Err(self.expected(index, "number")),
        };
        match self.lua.coerce_integer(value.clone())? {
            Some(number) => Ok(Some(number)),
            None if self.lua.coerce_number(value.clone())?.is_some() => {
                Err(self.wrong(index, "number has no integer representation"))
            }
            None => Err(self.expected(index, "number")),
        }
    }

    /// What is said of an argument of another kind.
    pub(super) fn expected(&self, index: usize, kind: &str) -> Failure {
        let found = self.values.get(index).map_or_else(|| "no value".to_owned(), kind_of);
        self.wrong(index, &format!("{kind} expected, got {found}"))
    }

    fn wrong(&self, index: usize, what: &str) -> Failure {
        Failure::Mistake(format!("bad argument #{} to '{}' ({what})", index + 1, self.name))
    }
}

/// The kind of a value, or the name that its metatable gives it.
fn kind_of(value: &Value) -> String {
    let metatable = if let Value::Table(table) = value { table.metatable() } else { None };
    let named = metatable.and_then(|metatable| metatable.raw_get::<Value>("__name").ok());
    match (named, value) {
        (Some(Value::String(name)), _) => name.to_string_lossy(),
        (_, Value::LightUserData(_)) => "light userdata".to_owned(),
        _ => value.type_name().to_owned(),
    }
}

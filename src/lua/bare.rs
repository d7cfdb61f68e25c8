//! Conversions without the host around them, for fuzz targets and benches; nothing for a program.

use std::sync::Arc;

use mlua::{Lua, Table, Value};
use serde_json::Value as Json;

use super::{
    convert::{Converter, LuaDatum},
    json, sandbox,
};
use crate::schema::{
    Message,
    encode::{self, Mismatch},
};

/// A VM as scripts have it, and its conversions.
pub struct Bare {
    /// With the library that scripts have.
    pub lua: Lua,
    converter: Converter,
}

impl Bare {
    /// Makes the VM.
    pub fn new() -> mlua::Result<Self> {
        let lua = sandbox::new_vm()?;
        let converter = Converter::new(&lua, lua.create_table()?)?;
        Ok(Self { lua, converter })
    }

    /// Makes the table of a message, as handlers get it but for its methods.
    pub fn table(&self, message: &Arc<Message>, bytes: &[u8]) -> mlua::Result<Table> {
        self.converter.table(&self.lua, message, bytes)
    }

    /// Writes a value as a message, as commands do with what handlers give them.
    pub fn bytes(&self, message: &Message, value: Value) -> Result<Vec<u8>, Vec<Mismatch>> {
        encode::encode(message, &LuaDatum(value), None)
    }

    /// Reads a text as `json.decode` does and writes the value as `json.encode` does; none where either refuses it.
    pub fn json(&self, text: &[u8]) -> Option<Json> {
        let value = json::decode(&self.lua, &self.converter, text).ok()?;
        json::encode(&self.converter, &value).ok()
    }
}

//! What the fuzz targets reach of this module; nothing for a program.

use mlua::Lua;
use serde_json::Value as Json;

use super::{convert::Converter, json, sandbox};

/// Makes a VM with the library that scripts have.
pub fn library() -> mlua::Result<Lua> {
    sandbox::new_vm()
}

/// Reads a text as `json.decode` does and writes the value as `json.encode` does; none where either refuses it.
pub fn json(text: &[u8]) -> Option<Json> {
    thread_local!(static VM: Lua = Lua::new());
    VM.with(|lua| {
        let converter = Converter::new(lua.create_table().ok()?);
        let value = json::decode(lua, &converter, text).ok()?;
        json::encode(&converter, &value).ok()
    })
}

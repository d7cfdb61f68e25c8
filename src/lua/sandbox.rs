//! The globals of a script: an allow-list. What is not named here does not exist for it.

use mlua::{Lua, LuaOptions, StdLib, Table, Value};

use super::library;

/// Functions of the base library that stay; `load`, `print` and `require` are the prelude's.
const BASE: &[&str] = &[
    "_VERSION",
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "xpcall",
];

/// Libraries that stay, without the functions that are taken out.
const LIBRARIES: &[(&str, &[&str])] = &[("string", &["dump"]), ("table", &[]), ("math", &[]), ("utf8", &[])];

/// What of `os` stays: telling the time.
const OS: &[&str] = &["clock", "date", "difftime", "time"];

/// Makes a VM with nothing but the allowed names, and `coroutine` and `load` for the prelude to wrap.
pub(super) fn new_vm() -> mlua::Result<Lua> {
    let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::OS;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    let all = lua.globals();
    let kept = lua.create_table()?;
    for name in BASE.iter().chain(&["coroutine", "load"]) {
        kept.raw_set(*name, all.raw_get::<Value>(*name)?)?;
    }
    for (name, without) in LIBRARIES {
        let library: Table = all.raw_get(*name)?;
        for function in *without {
            library.raw_set(*function, Value::Nil)?;
        }
        kept.raw_set(*name, library)?;
    }
    let (os, full) = (lua.create_table()?, all.raw_get::<Table>("os")?);
    for name in OS {
        os.raw_set(*name, full.raw_get::<Value>(*name)?)?;
    }
    kept.raw_set("os", os)?;
    replace(&all, &kept)?;
    all.raw_set("_G", &all)?;
    library::install(&lua)?;
    if let Some(strings) = lua.type_metatable::<mlua::LuaString>() {
        // A script that could reach the metatable of all strings could change what every string does.
        strings.raw_set("__metatable", false)?;
    }
    Ok(lua)
}

/// Empties a table and fills it with another's entries: the registry and every function keep seeing the same globals.
fn replace(table: &Table, entries: &Table) -> mlua::Result<()> {
    let names: Vec<Value> =
        table.pairs::<Value, Value>().map(|pair| pair.map(|(name, _)| name)).collect::<mlua::Result<_>>()?;
    for name in names {
        table.raw_set(name, Value::Nil)?;
    }
    entries.for_each(|name: Value, value: Value| table.raw_set(name, value))
}

//! Lua that calls a command, run with a command that only takes note.

use std::{cell::RefCell, rc::Rc};

use mlua::{Function, Lua, Table, Value as LuaValue};
use serde_json::Value as Json;

/// Runs code; returns which command it called, and its arguments.
pub(crate) fn of(code: &str) -> (String, Json) {
    let lua = Lua::new();
    let called = Rc::new(RefCell::new(Vec::new()));
    let (olvid, behind) = (lua.create_table().unwrap(), lua.create_table().unwrap());
    let seen = Rc::clone(&called);
    let index = lua.create_function(move |lua, (_, name): (Table, String)| {
        let seen = Rc::clone(&seen);
        lua.create_function(move |lua, given: Table| {
            seen.borrow_mut().push((name.clone(), json(&LuaValue::Table(given))));
            lua.create_function(|_, _: mlua::MultiValue| Ok(()))
        })
    });
    behind.set("__index", index.unwrap()).unwrap();
    olvid.set_metatable(Some(behind)).unwrap();
    lua.globals().set("olvid", olvid).unwrap();
    let run: Function = lua.load(code).into_function().unwrap_or_else(|error| panic!("{error}\n{code}"));
    run.call::<()>(()).unwrap_or_else(|error| panic!("{error}\n{code}"));
    let mut called = called.borrow_mut();
    assert_eq!(called.len(), 1, "{code}");
    called.pop().unwrap()
}

fn json(value: &LuaValue) -> Json {
    match value {
        LuaValue::Nil => Json::Null,
        LuaValue::Boolean(truth) => Json::from(*truth),
        LuaValue::Integer(number) => Json::from(*number),
        LuaValue::Number(number) => Json::from(*number),
        LuaValue::String(text) => Json::from(text.to_str().unwrap().to_owned()),
        LuaValue::Table(table) if table.raw_len() > 0 => {
            table.sequence_values::<LuaValue>().map(|item| json(&item.unwrap())).collect()
        }
        LuaValue::Table(table) => Json::Object(
            table.pairs::<String, LuaValue>().map(|pair| pair.unwrap()).map(|(k, v)| (k, json(&v))).collect(),
        ),
        other => panic!("{other:?}"),
    }
}

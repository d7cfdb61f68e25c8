//! The parts of Lua's library that a run's limits must reach, made anew.
//!
//! No hook runs inside a C function, so a script can be stopped only between them: each must end by itself, after work that
//! its arguments are in proportion to. Those that need not are replaced here, with stock Lua's results and words:
//!
//! - `string.find`, `match`, `gmatch`, `gsub`: a matcher that looks up ([`pattern`]). What `gsub` calls
//!   is called from Lua (`library.lua`), and cannot yield, as in stock Lua ([`interrupt::entered`]).
//! - `string.rep` repeats nothing for ever; `string.format` spends a microsecond on each directive and on six bytes of
//!   `%q`; `os.date` likewise; `load` compiles some texts in quadratic time. Their arguments are limited.
//! - `table.insert`, `remove`, `move`, `concat`, `unpack` and `sort` believe a table's `__len`, and read and write it
//!   through metamethods that may be C functions, or long chains of tables: where there is a metatable, a loop in Lua does
//!   the work. `sort` is one as a whole, unless it is about some thousand numbers or short texts.
//!
//! Left as they are, because they are bounded:
//!
//! - `string.len`, `sub`, `upper`, `lower`, `reverse`, `utf8.len`, `offset`, `codes`: once over the text, which is no longer
//!   than the VM's memory; `byte`, `utf8.codepoint`, `char`, `select`, `table.pack`: no more values than Lua's stack holds,
//!   a million.
//! - `string.pack`, `unpack`, `packsize`: once over the format, and each of its items takes a byte of memory, a slot of the
//!   stack or nothing but its own letter.
//! - `tostring`, `tonumber`, `math`, the rest of `os`: no loops, or one over a text.

use mlua::{Function, Lua, Table, Value, chunk::ChunkMode};

use super::interrupt;

mod arguments;
mod item;
mod pattern;
mod replace;
mod strings;
#[cfg(test)]
mod tests;

/// The largest text that is made in one call. While it is made it is outside the VM's memory, where no limit sees it.
const LARGEST: usize = 64 << 20;

/// The longest text that `load` compiles; what takes longest is quadratic in it.
const LONGEST_CHUNK: usize = 64 << 10;

const LIBRARY: &str = include_str!("library.lua");

/// Replaces what is not bounded, in the tables that scripts will see.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    install_with(lua, interrupt::is_over)
}

fn install_with(lua: &Lua, over: fn() -> bool) -> mlua::Result<()> {
    let (globals, host) = (lua.globals(), strings::functions(lua, over)?);
    host.raw_set("largest", LARGEST)?;
    host.raw_set("longest_chunk", LONGEST_CHUNK)?;
    let chunk = lua.load(LIBRARY).set_name("=[olvid library]").set_mode(ChunkMode::Text);
    let libraries: Table = chunk.call(host)?;
    libraries.for_each(|name: String, functions: Table| {
        let library: Table = if name == "_G" { globals.clone() } else { globals.raw_get(name)? };
        functions.for_each(|name: Value, function: Function| library.raw_set(name, interrupt::entered(lua, function)?))
    })
}

//! What the author of a script is told of an error: the message, its place, and the script's own frames.
//!
//! Frames of the prelude, of the methods and of the host are folded away: they are ours to know.

use std::fmt;

use mlua::{Lua, Table, Value};

use super::{host::Host, json};

/// Names that chunks of the host begin with; scripts have paths.
pub(super) const OURS: &str = "=[";

/// How the prelude calls its error values.
const REFUSAL: &str = "olvid.error";

/// Frames that are looked at.
const DEEPEST: usize = 200;

/// Frames that are shown.
pub(super) const SHOWN: usize = 20;

/// One of the script's frames.
pub(super) struct Frame {
    /// `script:line`.
    pub(super) place: String,
    /// What runs there: ``function `greet` ``.
    what: String,
}

impl Frame {
    /// Of what Lua knows about a function on its stack; none where it is not the script's.
    pub(super) fn of(chunk: Option<&str>, line: Option<usize>, name: Option<&str>, what: &str) -> Option<Self> {
        let chunk = chunk.filter(|chunk| what != "C" && !chunk.starts_with(OURS))?.trim_start_matches(['@', '=']);
        let place = line.map_or_else(|| chunk.to_owned(), |line| format!("{chunk}:{line}"));
        let what = match (what, name) {
            ("main", _) => "main chunk".to_owned(),
            (_, Some(name)) => format!("function `{name}`"),
            (_, None) => "function".to_owned(),
        };
        Some(Self { place, what })
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: in {}", self.place, self.what)
    }
}

/// The script's frames, the innermost first.
pub(super) fn frames(lua: &Lua) -> impl Iterator<Item = Frame> + '_ {
    (0..DEEPEST)
        .map_while(|level| {
            lua.inspect_stack(level, |debug| {
                let (source, names) = (debug.source(), debug.names());
                Frame::of(source.source.as_deref(), debug.current_line(), names.name.as_deref(), source.what)
            })
        })
        .flatten()
}

/// Makes a table of an error value, at the place where it was raised.
pub(super) fn describe(lua: &Lua, host: &Host, error: &Value) -> mlua::Result<Table> {
    let mut all = frames(lua).peekable();
    let raised = all.peek().map(|frame| frame.place.clone());
    let told = match error {
        Value::Table(table) => table.raw_get::<Option<String>>("place").ok().flatten(),
        _ => None,
    };
    let place = told.or(raised);
    let message = text(host, error);
    let message = match &place {
        Some(place) => {
            message.strip_prefix(place.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&message)
        }
        None => &message,
    };
    let table = lua.create_table()?;
    table.raw_set("message", message)?;
    table.raw_set("place", place.unwrap_or_else(|| host.script.to_string()))?;
    let lines = all.take(SHOWN).map(|frame| frame.to_string());
    table.raw_set("traceback", lua.create_sequence_from(lines)?)?;
    table.raw_set("denied", matches!(error, Value::Table(table) if is_denial(table)))?;
    table.raw_set("memory", matches!(error, Value::Error(inner) if matches!(**inner, mlua::Error::MemoryError(_))))?;
    Ok(table)
}

fn text(host: &Host, error: &Value) -> String {
    match error {
        Value::String(text) => text.to_string_lossy(),
        Value::Error(error) => innermost(error),
        Value::Table(table) if !has_tostring(table) => {
            let shown =
                json::encode(&host.converter, error).map_or_else(|_| "a table".to_owned(), |json| json.to_string());
            format!("the script raised {shown}")
        }
        Value::Nil => "the script raised nil".to_owned(),
        other => other.to_string().unwrap_or_else(|_| "an error value that cannot be shown".to_owned()),
    }
}

/// Whether an error value of the host's says that a permission is missing.
fn is_denial(error: &Table) -> bool {
    let ours = |metatable: Table| metatable.raw_get::<String>("__name").is_ok_and(|name| name == REFUSAL);
    error.raw_get::<bool>("denied").unwrap_or_default() && error.metatable().is_some_and(ours)
}

fn has_tostring(table: &Table) -> bool {
    let handler = table.metatable().and_then(|metatable| metatable.raw_get::<Value>("__tostring").ok());
    handler.is_some_and(|handler| !handler.is_nil())
}

/// The words of an error of the host, without the frames that mlua adds.
pub(super) fn innermost(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => innermost(cause),
        mlua::Error::BadArgument { cause, pos, .. } => format!("bad argument #{pos}: {}", innermost(cause)),
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => text.clone(),
        mlua::Error::FromLuaConversionError { from, to, .. } => format!("expected {to}, found {from}"),
        other => other.to_string(),
    }
}

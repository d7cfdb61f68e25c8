//! What the author of a script is told of an error: the message, its place, and the script's own frames.
//!
//! Frames of the prelude, of the methods and of the host are folded away: they are ours to know. An error value may be
//! anything, of any size, with any `__tostring`: what is copied of it is what is told.

use std::fmt;

use mlua::{Function, Lua, Table, Value};

use super::{host::Host, json};
use crate::report::text::{LONGEST_TEXT, clipped};

/// Names that chunks of the host begin with; scripts have paths.
pub(super) const OURS: &str = "=[";

/// Frames that are looked at.
const DEEPEST: usize = 200;

/// Frames that are shown.
pub(super) const SHOWN: usize = 20;

/// Bytes of a place: a path and a line.
const LONGEST_PLACE: usize = 512;

/// Bytes of a function's name, which may be any key of a table.
const LONGEST_NAME: usize = 64;

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
        let chunk = clipped(chunk.as_bytes(), LONGEST_PLACE);
        let place = line.map_or_else(|| chunk.clone(), |line| format!("{chunk}:{line}"));
        let what = match (what, name) {
            ("main", _) => "main chunk".to_owned(),
            (_, Some(name)) => format!("function `{}`", clipped(name.as_bytes(), LONGEST_NAME)),
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

/// Where a script is, and how it came there.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    /// `script:line` of the innermost frame.
    pub(super) place: Option<String>,
    /// The script's frames as they are told, the innermost first.
    pub(super) traceback: Vec<String>,
}

impl Scene {
    /// Where the running coroutine is.
    pub(super) fn here(lua: &Lua) -> Self {
        Self::of(frames(lua))
    }

    /// Of these frames, the innermost first.
    pub(super) fn of(frames: impl IntoIterator<Item = Frame>) -> Self {
        let mut all = frames.into_iter().peekable();
        let place = all.peek().map(|frame| frame.place.clone());
        let mut traceback: Vec<_> = all.by_ref().take(SHOWN).map(|frame| frame.to_string()).collect();
        traceback.extend(all.next().map(|_| "(and so on)".to_owned()));
        Self { place, traceback }
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
    let Scene { place: raised, traceback } = Scene::here(lua);
    let told = match error {
        Value::Table(table) if host.is_refusal(table) => table.raw_get::<Value>("place").ok(),
        _ => None,
    };
    let told = told.as_ref().and_then(Value::as_string).map(|place| clipped(&place.as_bytes(), LONGEST_PLACE));
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
    table.raw_set("traceback", lua.create_sequence_from(traceback)?)?;
    table.raw_set("denied", matches!(error, Value::Table(table) if is_denial(host, table)))?;
    table.raw_set("memory", matches!(error, Value::Error(inner) if matches!(**inner, mlua::Error::MemoryError(_))))?;
    Ok(table)
}

/// The words of an error value.
pub(super) fn text(host: &Host, error: &Value) -> String {
    match error {
        Value::String(text) => clipped(&text.as_bytes(), LONGEST_TEXT),
        Value::Error(error) => innermost(error),
        Value::Table(table) if !has_tostring(table) => {
            let shown = json::encode_within(&host.converter, error, LONGEST_TEXT);
            match shown {
                Ok(json) => format!("the script raised {json}"),
                Err(error) => format!("the script raised a table that cannot be shown ({})", innermost(&error)),
            }
        }
        Value::Nil => "the script raised nil".to_owned(),
        Value::LightUserData(_) => "the script raised json.null".to_owned(),
        Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => {
            format!("the script raised {}", in_words(host, error))
        }
        Value::Table(_) | Value::UserData(_) => in_words(host, error),
        other => format!("the script raised a {}", other.type_name()),
    }
}

/// What `tostring` makes of a value, under the limits of the run that it is called in.
fn in_words(host: &Host, value: &Value) -> String {
    let [protected, tostring] = &host.tostring;
    let what = value.type_name();
    match protected.call::<(bool, Value)>((tostring, value)) {
        Ok((true, Value::String(text))) => clipped(&text.as_bytes(), LONGEST_TEXT),
        Ok((false, Value::String(text))) => {
            format!("the script raised a {what} whose __tostring fails: {}", clipped(&text.as_bytes(), LONGEST_TEXT))
        }
        _ => format!("the script raised a {what} that cannot be shown"),
    }
}

/// Whether an error value of the host's says that a permission is missing.
fn is_denial(host: &Host, error: &Table) -> bool {
    host.is_refusal(error) && error.raw_get::<bool>("denied").unwrap_or_default()
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
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => clipped(text.as_bytes(), LONGEST_TEXT),
        mlua::Error::FromLuaConversionError { from, to, .. } => format!("expected {to}, found {from}"),
        other => clipped(other.to_string().as_bytes(), LONGEST_TEXT),
    }
}

/// `pcall` and `tostring` as they are before a script can change them.
pub(super) fn describing(lua: &Lua) -> mlua::Result<[Function; 2]> {
    Ok([lua.globals().raw_get("pcall")?, lua.globals().raw_get("tostring")?])
}

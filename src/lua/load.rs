//! A script from its text to the functions that its rules name, or the mistakes that keep it from running.

use std::{fs, path::Path, rc::Rc, sync::Arc};

use mlua::{Function, Lua, Table, Value, chunk::ChunkMode};

use super::{
    ScriptSpec, Text,
    files::Files,
    host::{self, Host},
    sandbox,
};
use crate::{
    diagnostic::{Diagnostic, Place, Source},
    report::Reporter,
    rules::MAX_SCRIPT_BYTES,
    schema::names,
};

const PRELUDE: &str = include_str!("prelude.lua");
const METHODS: &str = include_str!("methods.lua");

/// A script that is ready to run.
pub(super) struct Loaded {
    pub(super) lua: Lua,
    pub(super) host: Rc<Host>,
    /// The body of the coroutines that run handlers.
    pub(super) drive: Function,
    /// The mark of a coroutine that waits.
    pub(super) pending: Table,
    /// The handlers, in the order of the script's rules.
    pub(super) handlers: Vec<Function>,
}

/// Loads a script on the calling thread, which is then the VM's.
pub(super) fn load(spec: &ScriptSpec, reporter: &Reporter, admin: bool) -> Result<Loaded, Vec<Diagnostic>> {
    let (source, first_line, place) = read(spec)?;
    let files = Files::new(&spec.root, spec.shown_root.clone());
    let files = files.map_err(|error| vec![unreadable(&spec.name, &error.to_string(), place.as_ref())])?;
    let broken = |error: mlua::Error| {
        let diagnostic = Diagnostic::error("script-failed", format!("the host could not be set up: {error}"));
        vec![located(diagnostic, place.as_ref())]
    };
    let lua = sandbox::new_vm().map_err(broken)?;
    let host = Host::new(&lua, Arc::clone(&spec.name), files, reporter.clone(), admin).map_err(broken)?;
    let (drive, pending) = set_up(&lua, &host).map_err(broken)?;
    let mut loaded = Loaded { lua, host, drive, pending, handlers: Vec::new() };
    let chunk = loaded.compile(spec, &source, first_line)?;
    loaded.handlers = match &spec.text {
        Text::Inline { .. } => vec![chunk; spec.rules.len()],
        Text::File { .. } => {
            let value = loaded.run(&chunk, &source, &spec.name)?;
            handlers(spec, &value, &source)?
        }
    };
    Ok(loaded)
}

/// Runs the prelude and the methods; both are ours and tested.
fn set_up(lua: &Lua, host: &Rc<Host>) -> mlua::Result<(Function, Table)> {
    let functions = host::functions(lua, host)?;
    let chunk =
        |text: &'static str, name: &str| lua.load(text).set_name(format!("=[{name}]")).set_mode(ChunkMode::Text);
    let prelude: Table = chunk(PRELUDE, "olvid").call(functions)?;
    let environment: Value = prelude.raw_get("methods_environment")?;
    let methods: Table = chunk(METHODS, "olvid methods").call(environment)?;
    methods.for_each(|message: String, functions: Table| {
        let metatable = lua.create_table()?;
        for event in ["__tostring", "__eq"] {
            metatable.raw_set(event, functions.raw_get::<Value>(event)?)?;
            functions.raw_set(event, Value::Nil)?;
        }
        metatable.raw_set("__index", functions)?;
        metatable.raw_set("__name", message.as_str())?;
        metatable.raw_set("__metatable", false)?;
        host.converter.set_methods(message, metatable);
        Ok(())
    })?;
    Ok((prelude.raw_get("drive")?, prelude.raw_get("pending")?))
}

impl Loaded {
    fn compile(&self, spec: &ScriptSpec, source: &Arc<Source>, first_line: usize) -> Result<Function, Vec<Diagnostic>> {
        let text = match &spec.text {
            Text::File { .. } => source.text.as_str(),
            Text::Inline { code, .. } => code,
        };
        // A script may begin with `#!`, as the stock interpreter allows.
        let text = if text.starts_with('#') { format!("--{text}") } else { text.to_owned() };
        let padded = "\n".repeat(first_line - 1) + &text;
        let chunk = self.lua.load(padded).set_name(format!("@{}", spec.name)).set_mode(ChunkMode::Text);
        chunk.into_function().map_err(|error| {
            let message = syntax_message(&error);
            let (line, message) = split_line(&message).unwrap_or((first_line, &message));
            vec![Diagnostic::error("lua-syntax", message).at(source.line(line))]
        })
    }

    /// Runs a script's main chunk.
    fn run(&self, chunk: &Function, source: &Arc<Source>, name: &str) -> Result<Value, Vec<Diagnostic>> {
        let failed = |message: &str, line: usize| {
            vec![
                Diagnostic::error("script-failed", format!("the script fails while it is loaded: {message}"))
                    .at(source.line(line)),
            ]
        };
        let protected = host::describer(&self.lua, &self.host).and_then(|handler| {
            self.lua.globals().raw_get::<Function>("xpcall")?.call::<(bool, Value)>((chunk, handler, name))
        });
        match protected {
            Ok((true, value)) => Ok(value),
            Ok((false, Value::Table(failure))) => {
                let text = |key: &str| failure.raw_get::<String>(key).unwrap_or_default();
                let (place, message) = (text("place"), text("message"));
                match place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
                    Some((file, line)) if file == name => Err(failed(&message, line)),
                    _ => Err(failed(&format!("{place}: {message}"), 1)),
                }
            }
            Ok((false, other)) => Err(failed(&other.to_string().unwrap_or_default(), 1)),
            Err(error) => Err(failed(&error.to_string(), 1)),
        }
    }
}

/// Reads the text; with it the line that its first line has in its file, and where a rule names it.
fn read(spec: &ScriptSpec) -> Result<(Arc<Source>, usize, Option<Place>), Vec<Diagnostic>> {
    let place = spec.origins.first().map(|(place, _)| place.clone());
    match &spec.text {
        Text::Inline { line, place, .. } => Ok((Arc::clone(&place.source), *line, Some(place.clone()))),
        Text::File { path } => {
            let text = read_script(path).map_err(|error| vec![unreadable(&spec.name, &error, place.as_ref())])?;
            Ok((Source::new(&*spec.name, text), 1, place))
        }
    }
}

fn read_script(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.len() > MAX_SCRIPT_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let line = good.matches('\n').count() + 1;
        format!("it is not UTF-8 (line {line})")
    })
}

/// Finds each rule's function in what the script returned.
fn handlers(spec: &ScriptSpec, value: &Value, source: &Arc<Source>) -> Result<Vec<Function>, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    for (place, name) in &spec.origins {
        match handler(value, name.as_deref()) {
            Ok(function) => found.push(function),
            Err((message, help)) => {
                let last = source.line(source.text.trim_end().lines().count().max(1));
                let diagnostic = Diagnostic::error("no-handler", format!("`{}` {message}", spec.name));
                mistakes.push(diagnostic.at(place.clone()).related(last, "the script ends here").help(help));
            }
        }
    }
    if mistakes.is_empty() { Ok(found) } else { Err(mistakes) }
}

fn handler(value: &Value, name: Option<&str>) -> Result<Function, (String, String)> {
    match (value, name) {
        (Value::Function(function), None) => Ok(function.clone()),
        (Value::Function(_), Some(name)) => Err((
            format!("returns a function, not a table with `{name}` in it"),
            format!("end the script with `return {{ {name} = {name} }}`, or leave `:{name}` out of the rule"),
        )),
        (Value::Table(table), Some(name)) => match table.get::<Value>(name) {
            Ok(Value::Function(function)) => Ok(function),
            Ok(Value::Nil) => Err((format!("has no function `{name}`"), choices(table, Some(name)))),
            Ok(other) => {
                Err((format!("has {} where the function `{name}` should be", other.type_name()), choices(table, None)))
            }
            Err(error) => Err((format!("fails when asked for `{name}`: {error}"), String::new())),
        },
        (Value::Table(table), None) => {
            Err(("returns a table, and the rule does not say which function".to_owned(), choices(table, None)))
        }
        (Value::Nil, _) => Err((
            "returns nothing".to_owned(),
            "end the script with `return function(notification, rule) ... end`".to_owned(),
        )),
        (other, _) => {
            Err((format!("returns a {}, not a function", other.type_name()), "return the handler function".to_owned()))
        }
    }
}

fn choices(table: &Table, wanted: Option<&str>) -> String {
    let pairs = table.pairs::<String, Value>().filter_map(Result::ok);
    let mut names: Vec<_> = pairs.filter(|(_, value)| value.is_function()).map(|(name, _)| name).collect();
    names.sort();
    if let Some(near) = wanted.and_then(|wanted| names::nearest(wanted, names.iter().map(String::as_str))) {
        return format!("did you mean `:{near}`?");
    }
    match names.as_slice() {
        [] => "the table it returns has no functions".to_owned(),
        _ => format!("it has {}; name one behind a colon, `script.lua:{}`", names.join(", "), names[0]),
    }
}

fn unreadable(name: &str, cause: &str, place: Option<&Place>) -> Diagnostic {
    located(Diagnostic::error("script-unreadable", format!("cannot load `{name}`: {cause}")), place)
}

fn located(diagnostic: Diagnostic, place: Option<&Place>) -> Diagnostic {
    match place {
        Some(place) => diagnostic.at(place.clone()),
        None => diagnostic,
    }
}

/// The text of a syntax error, with its chunk and line in front.
pub(super) fn syntax_message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// Splits `chunk:line: message`, whatever Lua made of a long chunk name.
fn split_line(message: &str) -> Option<(usize, &str)> {
    message.match_indices(':').find_map(|(at, _)| {
        let (line, rest) = message[at + 1..].split_once(": ")?;
        Some((line.parse().ok()?, rest))
    })
}

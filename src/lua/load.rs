//! A script from its text to the functions that its rules name, or the mistakes that keep it from running.

use std::{fs, io, path::Path, rc::Rc, sync::Arc};

use mlua::{Function, Lua, Table, Value, chunk::ChunkMode};

use super::{
    files::Files,
    host::{self, Host},
    patience::End,
    sandbox,
    spec::{ScriptSpec, Text},
};
use crate::{
    diagnostic::{Diagnostic, Place, Source},
    report::Reporter,
    rules::{
        Handler, MAX_SCRIPT_BYTES, Rule,
        inputs::{Fingerprint, Inputs},
    },
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
    /// What the script returned; nothing for a handler in a rule file.
    pub(super) value: Value,
    /// The text that mistakes point into.
    source: Arc<Source>,
}

/// Loads a script on the calling thread, which is then the VM's, until it is there or nobody waits for it.
pub(super) fn load(spec: &ScriptSpec, reporter: &Reporter, admin: bool, end: End) -> Result<Loaded, Vec<Diagnostic>> {
    let place = spec.place();
    let source = read(spec, place)?;
    let files = Files::new(spec.root.clone(), spec.shown_root.clone(), spec.inputs.clone());
    let broken = |error: mlua::Error| {
        let diagnostic = Diagnostic::error("script-failed", format!("the host could not be set up: {error}"));
        vec![located(diagnostic, place)]
    };
    let lua = sandbox::new_vm().map_err(broken)?;
    let host = Host::new(&lua, Arc::clone(&spec.name), files, reporter.clone(), admin).map_err(broken)?;
    let (drive, pending) = set_up(&lua, &host).map_err(broken)?;
    let mut loaded = Loaded { lua, host, drive, pending, value: Value::Nil, source };
    let (text, first_line) = match &spec.text {
        Text::File { .. } => (&loaded.source.text, 1),
        Text::Inline { code, line, .. } => (code, *line),
    };
    let chunk = loaded.compile(text, first_line).map_err(|error| {
        let message = syntax_message(&error);
        let (line, message) = split_line(&message).unwrap_or((first_line, &message));
        vec![Diagnostic::error("lua-syntax", message).at(loaded.source.line(line))]
    })?;
    if matches!(spec.text, Text::File { .. }) {
        let name = loaded.lua.create_string(&*spec.name).map_err(broken)?;
        loaded.value = loaded.run(&chunk, Value::String(name), end, "script-failed", "is loaded")?;
        check_handlers(spec, &loaded.value, &loaded.source)?;
    }
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
    /// Finds the function that handles a rule's notifications.
    pub(super) fn handler(&self, rule: &Rule) -> Result<Function, String> {
        match &rule.handler {
            Handler::Script { function, .. } => handler(&self.value, function.as_deref())
                .map_err(|(message, help)| format!("`{}` {message}; {help}", self.host.script)),
            // Compiled for each rule it is given for: the line that it stands in may be another one now.
            Handler::Inline { code, line, .. } => self.compile(code, *line).map_err(|error| syntax_message(&error)),
        }
    }

    fn compile(&self, text: &str, first_line: usize) -> mlua::Result<Function> {
        // A script may begin with `#!`, as the stock interpreter allows.
        let comment = if text.starts_with('#') { "--" } else { "" };
        let padded = "\n".repeat(first_line - 1) + comment + text;
        self.lua.load(padded).set_name(format!("@{}", self.host.script)).set_mode(ChunkMode::Text).into_function()
    }

    /// Calls a function of the script's at a stretch, on nobody's behalf; `when` says what an error interrupts.
    pub(super) fn run(
        &self,
        function: &Function,
        argument: Value,
        end: End,
        code: &'static str,
        when: &str,
    ) -> Result<Value, Vec<Diagnostic>> {
        let failed = |message: &str, line: usize| {
            let message = format!("the script fails while it {when}: {message}");
            vec![Diagnostic::error(code, message).at(self.source.line(line))]
        };
        let protected = host::describer(&self.lua, &self.host).and_then(|handler| {
            let xpcall = self.lua.globals().raw_get::<Function>("xpcall")?;
            end.guard(&self.lua, || xpcall.call::<(bool, Value)>((function, handler, argument)))
        });
        match protected {
            Ok((true, value)) => Ok(value),
            Ok((false, Value::Table(failure))) => {
                let text = |key: &str| failure.raw_get::<String>(key).unwrap_or_default();
                let (place, message) = (text("place"), text("message"));
                match place.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
                    Some((file, line)) if file == &*self.host.script => Err(failed(&message, line)),
                    _ => Err(failed(&format!("{place}: {message}"), 1)),
                }
            }
            Ok((false, other)) => Err(failed(&other.to_string().unwrap_or_default(), 1)),
            Err(error) => Err(failed(&error.to_string(), 1)),
        }
    }
}

/// Reads the text that mistakes of the script point into: its own, or the rule file's.
fn read(spec: &ScriptSpec, place: Option<&Place>) -> Result<Arc<Source>, Vec<Diagnostic>> {
    match &spec.text {
        Text::Inline { place, .. } => Ok(Arc::clone(&place.source)),
        Text::File { path, .. } => {
            let text = read_text(path, path, &spec.inputs);
            let text = text.map_err(|cause| {
                let message = format!("cannot load `{}`: {cause}", spec.name);
                vec![located(Diagnostic::error("script-unreadable", message), place)]
            })?;
            Ok(Source::new(&*spec.name, text))
        }
    }
}

/// Reads Lua text and records what it was, under the path that led to it.
pub(super) fn read_text(path: &Path, known_as: &Path, inputs: &Inputs) -> Result<String, String> {
    let read = || -> io::Result<Vec<u8>> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if metadata.len() > MAX_SCRIPT_BYTES {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        fs::read(path)
    };
    let bytes = read().map_err(|error| {
        let gone = error.kind() == io::ErrorKind::NotFound;
        inputs.add(known_as, if gone { Fingerprint::Missing } else { Fingerprint::at(path, MAX_SCRIPT_BYTES) });
        error.to_string()
    })?;
    inputs.add(known_as, Fingerprint::of(&bytes));
    String::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let line = good.matches('\n').count() + 1;
        format!("it is not UTF-8 (line {line})")
    })
}

/// Finds each rule's function in what the script returned, or tells all that are missing.
fn check_handlers(spec: &ScriptSpec, value: &Value, source: &Arc<Source>) -> Result<(), Vec<Diagnostic>> {
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    for (place, name) in &spec.origins {
        if let Err((message, help)) = handler(value, name.as_deref()) {
            let last = source.line(source.text.trim_end().lines().count().max(1));
            let diagnostic = Diagnostic::error("no-handler", format!("`{}` {message}", spec.name));
            mistakes.push(diagnostic.at(place.clone()).related(last, "the script ends here").help(help));
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
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

pub(super) fn located(diagnostic: Diagnostic, place: Option<&Place>) -> Diagnostic {
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
